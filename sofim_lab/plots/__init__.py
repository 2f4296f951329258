"""Static figures from results: every function draws into given axes and returns them."""

from sofim_lab.optim.palette import PALETTE
from sofim_lab.plots.animation import animate_descent
from sofim_lab.plots.benchmark import (
    describe_step_shares,
    describe_times,
    describe_verdicts,
    plot_step_shares,
    plot_times,
    plot_verdicts,
    step_shares,
)
from sofim_lab.plots.curvature import (
    describe_cancellation,
    describe_cost,
    plot_cancellation,
    plot_cost,
    plot_derivation,
    plot_spectrum,
    plot_step_length,
)
from sofim_lab.plots.film import Film
from sofim_lab.plots.landscape import describe_contour, plot_contour
from sofim_lab.plots.matrix import describe_matrix, plot_matrix
from sofim_lab.plots.picture import Picture, picture
from sofim_lab.plots.profile import describe_barrier, describe_profile, plot_barrier, plot_profile
from sofim_lab.plots.scale import Scale, scale_of
from sofim_lab.plots.sensitivity import describe_sensitivity, plot_sensitivity
from sofim_lab.plots.spectrum import (
    describe_density,
    describe_eigenvalues,
    describe_sharpness,
    plot_density,
    plot_eigenvalues,
    plot_sharpness,
)
from sofim_lab.plots.stops import (
    describe_correlation,
    describe_counts,
    describe_flatness,
    describe_stability,
    plot_counts,
    plot_flatness,
    plot_stability,
)
from sofim_lab.plots.style import LINES, MARKERS, Look, log_x, log_y, look, new_axes, set_title
from sofim_lab.plots.surface import plot_surface
from sofim_lab.plots.training import describe_race, describe_step_lengths, plot_race, plot_step_lengths

__all__ = [
    "LINES",
    "MARKERS",
    "PALETTE",
    "Film",
    "Look",
    "Picture",
    "Scale",
    "animate_descent",
    "describe_barrier",
    "describe_cancellation",
    "describe_contour",
    "describe_correlation",
    "describe_cost",
    "describe_counts",
    "describe_density",
    "describe_eigenvalues",
    "describe_flatness",
    "describe_matrix",
    "describe_profile",
    "describe_race",
    "describe_sensitivity",
    "describe_sharpness",
    "describe_stability",
    "describe_step_lengths",
    "describe_step_shares",
    "describe_times",
    "describe_verdicts",
    "log_x",
    "log_y",
    "look",
    "new_axes",
    "picture",
    "plot_barrier",
    "plot_cancellation",
    "plot_contour",
    "plot_cost",
    "plot_counts",
    "plot_density",
    "plot_derivation",
    "plot_eigenvalues",
    "plot_flatness",
    "plot_matrix",
    "plot_profile",
    "plot_race",
    "plot_sensitivity",
    "plot_sharpness",
    "plot_spectrum",
    "plot_stability",
    "plot_step_length",
    "plot_step_lengths",
    "plot_step_shares",
    "plot_surface",
    "plot_times",
    "plot_verdicts",
    "scale_of",
    "set_title",
    "step_shares",
]
