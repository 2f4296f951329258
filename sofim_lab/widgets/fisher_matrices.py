"""Explorers of lesson 03: the four curvature matrices of a small network, and the Fisher matrix from drawn labels."""

from dataclasses import dataclass
from functools import lru_cache

import ipywidgets as W
import torch
from torch import Tensor, nn

from sofim_lab.curvature.four_matrices import FourMatrices, four_matrices, relative_distance
from sofim_lab.curvature.label_gradients import LabelGradients, label_gradients
from sofim_lab.curvature.matrices import empirical_fisher
from sofim_lab.plots import Picture, new_axes, picture, set_title
from sofim_lab.plots.four_matrices import WORDS, percent, plot_label_distances, plot_spectra, plot_tiles
from sofim_lab.plots.scale import number
from sofim_lab.problems import Split, mlp
from sofim_lab.problems.reduced_digits import noisy_labels, reduced_digits
from sofim_lab.training.snapshots import snapshots
from sofim_lab.widgets.explorer import Explorer, Goal

WIDTHS = (1, 3, 5)
NOISES = (0.0, 0.25, 0.5)
STEPS = (0, 10, 30, 100, 300)
DRAWS = tuple(2**k for k in range(13))
_FEATURES, _N = 8, 120
_LOSS = nn.CrossEntropyLoss()
_WITHIN = 0.4  # goal of the first explorer
_CLOSE = 0.05  # goal of the second


@lru_cache(maxsize=1)
def _data() -> tuple[Split, dict[float, Tensor]]:
    """120 digits in 8 numbers each, and their labels with more and more of them wrong."""
    digits = reduced_digits(_N, _FEATURES, device="cpu", dtype=torch.float64)
    return digits, {noise: noisy_labels(digits.y, noise) for noise in NOISES}


@lru_cache(maxsize=len(WIDTHS))
def _networks(hidden: int) -> dict[float, dict[int, nn.Module]]:
    """The networks of one width: label noise to training step to network."""
    digits, labels = _data()
    start = mlp((_FEATURES, hidden, 10), seed=0, device="cpu", dtype=torch.float64)
    runs = snapshots(start, _LOSS, digits.x, torch.stack(list(labels.values())), STEPS)
    return dict(zip(NOISES, runs, strict=True))


@dataclass(frozen=True, eq=False)
class MatricesState:
    """The four matrices of one network at one training step, and which of them is compared with F."""

    hidden: int
    noise: float
    step: int
    other: str
    four: FourMatrices


@lru_cache(maxsize=len(WIDTHS) * len(NOISES) * len(STEPS))
def _four(hidden: int, noise: float, step: int) -> FourMatrices:
    """The four matrices; kept, since a learner goes to and fro."""
    digits, labels = _data()
    return four_matrices(_networks(hidden)[noise][step], _LOSS, digits.x, labels[noise])


def matrices_state(hidden: int, noise: float, step: int, other: str) -> MatricesState:
    """The four matrices of the network 8–hidden–10 on 120 reduced digits, float64 on the CPU.

    Args:
        hidden: Width of the hidden layer, one of `WIDTHS`.
        noise: Share of wrong labels, one of `NOISES`.
        step: Training step, one of `STEPS`.
        other: `ggn`, `hessian` or `empirical`.

    Returns:
        The state that `render_matrices` draws.
    """
    return MatricesState(hidden, noise, step, other, _four(hidden, noise, step))


def render_matrices(state: MatricesState) -> Picture:
    """Left the matrices as tiles, right two spectra, with what they say in words."""
    left, right = new_axes(2, width=9.2, height=3.6)
    left.figure.subplots_adjust(left=0.01, wspace=0.62, right=0.985)
    four, other = state.four, state.other
    plot_tiles(four, other, left)
    plot_spectra({WORDS[name]: four.eigenvalues[name] for name in ("fisher", other)}, right)
    below = four.negative(other)
    setting = f"d = {four.d}, {100 * state.noise:g} % wrong labels, step {state.step:,}"
    set_title(right, setting)
    return picture(
        left,
        f"{setting}, loss {four.loss:.2g}. Away from F, in units of ‖F‖: G {percent(four.distance('ggn'))}, "
        f"H {percent(four.distance('hessian'))}, Ê {percent(four.distance('empirical'))}. The {WORDS[other]} has the "
        f"trace {number(four.trace_ratio(other), 2)} tr F and the cosine {four.cosine(other):.2f} to F; "
        f"{below or 'none'} of its {four.d} eigenvalues {'are' if below > 1 else 'is'} below zero.",
    )


def four_matrices_explorer() -> Explorer[MatricesState]:
    """Move model size, label noise and training time; see F, G, H and Ê side by side, and two of their spectra."""

    def within(state: MatricesState) -> bool:
        return state.four.distance("empirical") <= _WITHIN

    for hidden in WIDTHS:  # trained before the first picture: a slider then has nothing to wait for
        _networks(hidden)
    compared = [("G, Gauss–Newton", "ggn"), ("H, Hessian", "hessian"), ("Ê, empirical", "empirical")]
    return Explorer(
        {
            "hidden": W.SelectionSlider(options=WIDTHS, value=5, description="hidden units"),
            "noise": _noise_slider(),
            "step": _step_slider(0),
            "other": W.Dropdown(options=compared, value="empirical", description="beside F"),
        },
        matrices_state,
        render_matrices,
        goal=Goal(
            f"bring the empirical FIM to within {100 * _WITHIN:g} % of F.",
            within,
            example={"hidden": 1, "noise": 0.5, "step": 300},
        ),
        play="step",
        interval=800,
    )


@dataclass(frozen=True, eq=False)
class DrawnLabelsState:
    """Distances to F of the Monte Carlo estimate for all numbers of draws, and of the empirical FIM."""

    draws: int
    noise: float
    step: int
    distances: tuple[float, ...]
    expected: tuple[float, ...]
    empirical: float
    spectra: dict[str, Tensor]

    @property
    def distance(self) -> float:
        """‖F_S − F‖ / ‖F‖ for the chosen number of draws S."""
        return self.distances[DRAWS.index(self.draws)]


@lru_cache(maxsize=len(NOISES) * len(STEPS))
def _label_gradients(noise: float, step: int) -> LabelGradients:
    """The gradients for all labels, of the widest network."""
    return label_gradients(_networks(WIDTHS[-1])[noise][step], _LOSS, _data()[0].x)


@lru_cache(maxsize=32)
def _estimates(noise: float, step: int, seed: int) -> tuple[Tensor, tuple[Tensor, ...], Tensor]:
    """F, its estimates with more and more draws, and the empirical FIM."""
    table, (digits, labels) = _label_gradients(noise, step), _data()
    estimates = table.monte_carlo_path(DRAWS, torch.Generator().manual_seed(seed))
    network = _networks(WIDTHS[-1])[noise][step]
    return table.fisher(), estimates, empirical_fisher(network, _LOSS, digits.x, labels[noise])


def drawn_labels_state(draws: int, noise: float, step: int, seed: int) -> DrawnLabelsState:
    """Labels drawn from the network 8–5–10 for each of 120 reduced digits, float64 on the CPU.

    Args:
        draws: Labels an image, S, one of `DRAWS`.
        noise: Share of wrong labels among the data's, one of `NOISES`.
        step: Training step, one of `STEPS`.
        seed: Which labels are drawn.

    Returns:
        The state that `render_drawn_labels` draws.
    """
    fisher, estimates, empirical = _estimates(noise, step, seed)
    far, _ = _label_gradients(noise, step).luck()
    chosen = estimates[DRAWS.index(draws)]
    matrices = {
        "F": fisher,
        f"F from {draws:,} drawn label{'s' * (draws > 1)} each": chosen,
        "Ê, data's labels": empirical,
    }
    return DrawnLabelsState(
        draws,
        noise,
        step,
        distances=tuple(relative_distance(estimate, fisher) for estimate in estimates),
        expected=tuple(far / S**0.5 for S in DRAWS),
        empirical=relative_distance(empirical, fisher),
        spectra={label: torch.linalg.eigvalsh(matrix) for label, matrix in matrices.items()},
    )


def render_drawn_labels(state: DrawnLabelsState) -> Picture:
    """Left the distances against the number of draws, right three spectra, with what they say in words."""
    left, right = new_axes(2, width=9.6, height=3.8)
    curves = {
        "labels drawn from the model": state.distances,
        "expected, √(V/S)": state.expected,
        "the data's labels, Ê": [state.empirical] * len(DRAWS),
    }
    plot_label_distances(DRAWS, curves, left, xlabel="labels drawn for each image, S", mark=state.draws, goal=_CLOSE)
    plot_spectra(state.spectra, right)
    set_title(right, f"{100 * state.noise:g} % wrong labels, step {state.step:,}")
    return picture(
        left,
        f"With {state.draws:,} label{'s' * (state.draws > 1)} drawn from the model for each image, the estimate is "
        f"{percent(state.distance)} of ‖F‖ away from F; {percent(state.expected[DRAWS.index(state.draws)])} "
        f"is to be expected. The empirical FIM, from the data's labels ({100 * state.noise:g} % of them wrong) at "
        f"training step {state.step:,}, is {percent(state.empirical)} away, and no draw changes that.",
    )


def drawn_labels_explorer() -> Explorer[DrawnLabelsState]:
    """Draw more labels from the model; see the estimate approach F, and the empirical FIM stay where it is."""

    def enough(state: DrawnLabelsState) -> bool:
        fewer = state.distances[: DRAWS.index(state.draws)]
        return state.distance <= _CLOSE and all(distance > _CLOSE for distance in fewer)

    distances = drawn_labels_state(DRAWS[0], noise=0.0, step=100, seed=0).distances
    smallest = next((S for S, distance in zip(DRAWS, distances, strict=True) if distance <= _CLOSE), DRAWS[-1])
    return Explorer(
        {
            "draws": W.SelectionSlider(options=DRAWS, value=1, description="labels, S"),
            "noise": _noise_slider(),
            "step": _step_slider(100),
            "seed": W.BoundedIntText(value=0, min=0, max=99, description="seed"),
        },
        drawn_labels_state,
        render_drawn_labels,
        goal=Goal(
            f"the smallest S for which the estimate is at most {100 * _CLOSE:g} % away from F.",
            enough,
            example={"draws": smallest},
        ),
        play="draws",
        interval=500,
    )


def _noise_slider() -> W.SelectionSlider:
    """Share of wrong labels."""
    options = [(f"{100 * noise:g} %", noise) for noise in NOISES]
    return W.SelectionSlider(options=options, value=0.0, description="wrong labels")


def _step_slider(value: int) -> W.SelectionSlider:
    """Training time."""
    return W.SelectionSlider(options=STEPS, value=value, description="step")
