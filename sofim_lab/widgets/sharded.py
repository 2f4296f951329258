"""Explorer of lesson 09: the vector m cut among workers."""

from functools import lru_cache

import ipywidgets as W
from torch import Tensor

from sofim_lab.distributed import Parts, cut, whole_run
from sofim_lab.distributed.parts import by_parameter
from sofim_lab.distributed.sharded import network
from sofim_lab.plots import Picture, new_axes, picture, set_title
from sofim_lab.plots.beyond import describe_parts, plot_parts
from sofim_lab.widgets.explorer import Explorer, Goal
from sofim_lab.widgets.sliders import log_slider


@lru_cache(maxsize=1)
def _moments() -> list[Tensor]:
    """The moments of a network after some steps of SOFIM, tensor by tensor."""
    return by_parameter(network(), whole_run(steps=10, lr=0.05, rho=0.05).moments[-1])


def parts_state(workers: int, rho: float) -> Parts:
    """The moment of a real network, cut among workers.

    Args:
        workers: How many.
        rho: ρ.

    Returns:
        The parts that `render_parts` draws.
    """
    return cut(_moments(), workers, rho)


def render_parts(parts: Parts) -> Picture:
    """The norms that the workers have, and what each would do with its own."""
    left, right = new_axes(2, width=9.6, height=3.4)
    plot_parts(parts, (left, right))
    set_title(left, f"{len(parts.squares)} workers")
    return picture(left, describe_parts(parts))


def parts_explorer() -> Explorer[Parts]:
    """Move the number of workers and ρ; see what a worker's own norm would do to its part of the step."""
    return Explorer(
        {
            "workers": W.IntSlider(value=2, min=1, max=8, description="workers"),
            "rho": log_slider("ρ", 0.05, -4, 1),
        },
        parts_state,
        render_parts,
        goal=Goal(
            "find a number of workers and a ρ with which some worker would step at least five times too far.",
            lambda parts: float(parts.stretch.max()) >= 5,
            example={"workers": 8, "rho": 1e-3},
        ),
    )
