"""The longest step that SOFIM could have taken in a run."""

from sofim_lab.curvature.step_lengths import longest_step
from sofim_lab.training.result import TrainingResult


def step_bound(run: TrainingResult) -> float | None:
    """SOFIM's trust radius for a run's settings, see `longest_step`: ‖Δw‖ ≤ η/(2√ρ), whatever the gradient.

    It holds for the momentum direction without weight decay.

    Args:
        run: Any training result.

    Returns:
        The bound; None for another optimizer, for the gradient direction and with weight decay, where there is none.

    References:
        The step is that of arXiv 2403.02833, Algorithm 1.
    """
    known = run.settings
    if run.optimizer != "SOFIM" or known["direction"] != "momentum" or known["weight_decay"] != 0:
        return None
    return longest_step(float(known["lr"]), float(known["rho"]))
