"""The longest step that SOFIM could have taken in a run."""

from sofim_lab.curvature.step_lengths import longest_step
from sofim_lab.training.result import TrainingResult

# A run of a sweep knows only what was set, so that these are SOFIM's defaults, too.
_BOUNDED = {"direction": "momentum", "blocks": "global", "weight_decay": 0.0, "warm_up": 0}


def step_bound(run: TrainingResult) -> float | None:
    """SOFIM's trust radius for a run's settings, see `longest_step`: ‖Δw‖ ≤ η/(2√ρ), whatever the gradient.

    It holds for one block over all parameters in the momentum direction without weight decay. A result has the settings
    of the first group of parameters: where groups differ in η or ρ, the bound is not theirs.

    Args:
        run: Any training result.

    Returns:
        The bound; None where there is none: for another optimizer, the gradient direction, a block a tensor, weight
        decay, and a server that warms up, whose first steps have none.

    References:
        The step is that of arXiv 2403.02833, Algorithm 1.
    """
    known = run.settings
    if run.optimizer != "SOFIM" or any(known.get(name, bounded) != bounded for name, bounded in _BOUNDED.items()):
        return None
    return longest_step(float(known["lr"]), float(known["rho"]))
