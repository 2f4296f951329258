"""What a step of a second-order method did, kept for plots and for whoever asks why."""

from dataclasses import dataclass
from typing import Literal

from torch import Tensor

Outcome = Literal["stepped", "no decrease", "stationary"]


@dataclass(frozen=True)
class SecondOrderRecord:
    """One step: what was found, what was tried, what was done; None where it does not apply or is not known.

    `outcome` is "stepped", "no decrease" (nothing accepted, the parameters are as before, bit for bit) or "stationary"
    (the gradient is exactly zero, nothing was tried). A stationary point is a saddle or a maximum where
    `negative_curvature` is True, and not known to be a minimum where it is None.
    """

    outcome: Outcome
    loss: float  # before the step
    loss_after: float | None  # None where it was not evaluated
    gradient_norm: float
    damping: float  # in the last direction tried
    step_length: float  # t in w ← w + t p; 0 where no step was taken
    backtracks: int  # trial points refused
    evaluations: int  # calls of the closure, the first included
    gain_ratio: float | None = None  # actual to predicted decrease, of the last trial
    kl: float | None = None  # ½ δᵀFδ of the step
    negative_curvature: bool | None = None  # dense: an eigenvalue is negative; CG: met a direction that shows it
    eigenvalues: Tensor | None = None  # of the undamped matrix, ascending, shape (d,), on the CPU; dense only
    cg_iterations: int | None = None
    cg_stop: str | None = None  # "progress", "residual", "max_iter" or "curvature"
