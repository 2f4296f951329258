"""Explorer of lesson 08: how a verdict depends on the target, when that is chosen after the runs."""

from dataclasses import dataclass
from functools import lru_cache

import ipywidgets as W
import numpy as np
from matplotlib.ticker import NullFormatter, ScalarFormatter
from numpy.typing import NDArray

from sofim_lab.benchmark import MEASURES, Benchmark, Final, Interval, decide, paired_ratio
from sofim_lab.plots import Picture, log_x, new_axes, picture, plot_race, set_title
from sofim_lab.plots.scale import number
from sofim_lab.plots.style import label_of, look
from sofim_lab.widgets.explorer import Explorer, Goal
from sofim_lab.widgets.sliders import log_slider

_FACTORS = 2.0 ** np.linspace(-3, 3, 25)
_LOSSES = ("train_loss", "test_loss")


@dataclass(frozen=True, eq=False)
class TargetState:
    """A comparison at a target of one's choice.

    Attributes:
        final: The task.
        measure: The loss that is compared.
        rival: With whom.
        target: The loss to reach.
        ratio: SOFIM's median epochs over the rival's at this target.
        status: The verdict on "fewer epochs".
        before: The verdict at the target that was fixed in advance.
        targets: Other targets, and `low`, `middle`, `high` the ratios there.
    """

    final: Final
    measure: str
    rival: str
    target: float
    ratio: Interval
    status: str
    before: str
    targets: NDArray[np.float64]
    low: NDArray[np.float64]
    middle: NDArray[np.float64]
    high: NDArray[np.float64]


def render_target(state: TargetState) -> Picture:
    """Left the two races with the target, right the ratio for every target."""
    left, right = new_axes(2, width=9.6, height=3.8)
    plot_race(state.final.race(("SOFIM", state.rival)), state.measure, left)
    left.axhline(state.target, color="0.25", linestyle="--", linewidth=1.3)
    own, edges = look(0), (0.2, 5.0)
    low, middle, high = (np.clip(x, *edges) for x in (state.low, state.middle, state.high))
    right.fill_between(state.targets, low, high, color=own.color, alpha=0.2, linewidth=0)
    right.plot(state.targets, middle, color=own.color, linewidth=1.8)
    right.axhline(1.0, color="0.25", linewidth=1.3)
    right.axvline(state.target, color="0.25", linestyle="--", linewidth=1.3)
    log_x(right)
    right.set_yscale("log")
    right.set_yticks([0.2, 0.5, 1, 2, 5])
    right.yaxis.set_major_formatter(ScalarFormatter())
    right.yaxis.set_minor_formatter(NullFormatter())
    right.set(xlabel=f"target: {MEASURES[state.measure]}", ylabel="epochs, SOFIM / rival", ylim=edges)
    set_title(right, f"{state.ratio}: {state.status}", fontsize=10)
    return picture(
        left,
        f"{state.final.task.title}, SOFIM against {label_of(state.rival)}, {MEASURES[state.measure]} to reach "
        f"{number(state.target)}: ratio of epochs {state.ratio}, {state.status}. At the target fixed in advance: "
        f"{state.before}.",
    )


def target_explorer(found: Benchmark) -> Explorer[TargetState]:
    """Move the target after the race, and see the verdict follow.

    Args:
        found: A benchmark of which at least one task was run.

    Returns:
        The explorer; its result is a `TargetState`.

    Raises:
        ValueError: No task was run.
    """
    if not found.finals:
        raise ValueError("found holds no task: run the protocol first")
    rivals = [name for name in found.protocol.optimizers if name != "SOFIM"]

    @lru_cache(maxsize=64)
    def ratio(task: str, measure: str, rival: str, factor: float) -> Interval:
        final = found.finals[task]
        curves = final.curves(measure)
        goal = factor * final.task.targets[measure]
        return paired_ratio(_arrivals(curves["SOFIM"], goal), _arrivals(curves[rival], goal))

    @lru_cache(maxsize=8)
    def whole(task: str, measure: str, rival: str) -> tuple[NDArray[np.float64], ...]:
        rows = [ratio(task, measure, rival, float(factor)) for factor in _FACTORS]
        return tuple(np.array([getattr(one, name) for one in rows]) for name in ("low", "estimate", "high"))

    def compute(task: str, measure: str, rival: str, factor: float) -> TargetState:
        final = found.finals[task]
        fixed, here = ratio(task, measure, rival, 1.0), ratio(task, measure, rival, factor)
        target = final.task.targets[measure]
        status = decide(here), decide(fixed)
        curve = whole(task, measure, rival)
        return TargetState(final, measure, rival, factor * target, here, *status, _FACTORS * target, *curve)

    def turned(state: TargetState) -> bool:
        return state.status != state.before

    example = next(({"factor": f} for f in (8.0, 4.0, 2.0, 0.5, 0.25, 0.125)
                    if turned(compute(next(iter(found.finals)), "train_loss", rivals[0], f))), None)  # fmt: skip
    return Explorer(
        {
            "task": W.Dropdown(options=list(found.finals), description="task"),
            "measure": W.Dropdown(options=[(MEASURES[name], name) for name in _LOSSES], description="measure"),
            "rival": W.Dropdown(options=[(label_of(name), name) for name in rivals], description="rival"),
            "factor": log_slider("target ×", 1.0, -3, 3, 0.25, base=2, late=True),
        },
        compute,
        render_target,
        goal=Goal("move the target alone until the verdict is another than at factor 1.", turned, example=example),
    )


def _arrivals(curves: NDArray[np.float64], target: float) -> NDArray[np.float64]:
    """The first epoch of each seed, from 1, that ends at the target; infinite where there is none."""
    there = curves[:, 1:] <= target
    return np.where(there.any(axis=1), there.argmax(axis=1) + 1, np.inf)
