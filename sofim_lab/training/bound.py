"""The longest step that SOFIM can take."""

import math

from sofim_lab.training.result import TrainingResult


def step_bound(run: TrainingResult) -> float | None:
    """SOFIM's built-in trust radius for a run's settings: ‖Δw‖ ≤ η/(2√ρ), whatever the gradient.

    η‖m‖/(ρ + ‖m‖²) is largest at ‖m‖ = √ρ. It holds for the momentum direction without weight decay.

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
    return float(known["lr"]) / (2 * math.sqrt(float(known["rho"])))
