"""Static figures from results: every function draws into given axes and returns them."""

from sofim_lab.plots.curvature import (
    describe_cancellation,
    describe_cost,
    plot_cancellation,
    plot_cost,
    plot_derivation,
    plot_spectrum,
    plot_step_length,
)
from sofim_lab.plots.picture import Picture, picture
from sofim_lab.plots.style import LINES, MARKERS, PALETTE, Look, log_x, log_y, look, new_axes, set_title
from sofim_lab.plots.training import describe_race, describe_step_lengths, plot_race, plot_step_lengths

__all__ = [
    "LINES",
    "MARKERS",
    "PALETTE",
    "Look",
    "Picture",
    "describe_cancellation",
    "describe_cost",
    "describe_race",
    "describe_step_lengths",
    "log_x",
    "log_y",
    "look",
    "new_axes",
    "picture",
    "plot_cancellation",
    "plot_cost",
    "plot_derivation",
    "plot_race",
    "plot_spectrum",
    "plot_step_length",
    "plot_step_lengths",
    "set_title",
]
