"""How far to go along a direction: Armijo backtracking, the gain ratio of Levenberg and Marquardt, or all of it."""

from collections.abc import Callable
from dataclasses import dataclass
from math import isfinite

import torch
from torch import Tensor

from sofim_lab.optim._exact.directions import Direction
from sofim_lab.optim._exact.objective import Objective, evaluate

ARMIJO = 1e-4  # share of the decrease that the slope promises
GAIN = 1e-4  # gain ratio above which a step is taken
ROUNDING = 8  # a loss is trusted to this many units in its last place


@dataclass(frozen=True)
class Search:
    """What a search along a direction came to; the step is taken already."""

    direction: Direction
    damping: float
    step_length: float  # t in w ← w + t p
    backtracks: int = 0
    loss_after: float | None = None
    gain_ratio: float | None = None
    kl: float | None = None
    taken: bool = True


class Trials:
    """The loss at w + δ, evaluated without gradients and counted, and the step itself."""

    def __init__(self, here: Objective, owner: str) -> None:
        self.here, self.evaluations = here, 1  # the objective's own
        self.loss = here.loss.item()
        self._owner = owner
        self._start = [p.detach().clone() for p in here.params]

    def slope(self, p: Tensor) -> float:
        """The directional derivative gᵀp."""
        return (self.here.gradient.to(p) * p).sum().item()

    def slack_for(self, promised: float) -> float:
        """What rounding may add to the loss of a whole step, where the decrease in prospect is smaller: at the end."""
        rounding = ROUNDING * torch.finfo(self.here.loss.dtype).eps * abs(self.loss)
        return rounding if promised <= rounding else 0.0

    def loss_at(self, delta: Tensor) -> float:
        """The loss at w + δ; w is as before afterwards, bit for bit, also where the closure fails."""
        # Through .data, which does not mark w as changed: the graph at w stays good for further products.
        self.evaluations += 1
        try:
            for p, moved in zip(self.here.params, self._moved(delta), strict=True):
                p.data.copy_(moved)
            return evaluate(self.here.closure, self._owner)[0].item()
        finally:
            for p, start in zip(self.here.params, self._start, strict=True):
                p.data.copy_(start)

    def move(self, delta: Tensor) -> None:
        """Take the step, w ← w + δ."""
        for p, moved in zip(self.here.params, self._moved(delta), strict=True):
            p.copy_(moved)

    def stay(self, direction: Direction, damping: float) -> Search:
        """At a stationary point nothing is tried."""
        return Search(direction, damping, 0.0, loss_after=self.loss, taken=False)

    def _moved(self, delta: Tensor) -> list[Tensor]:
        """The parameters at w + δ, summed in the wider of the two types."""
        parts = delta.split([p.numel() for p in self._start])
        return [start + part.view_as(start) for start, part in zip(self._start, parts, strict=True)]


def full_step(trials: Trials, direction: Direction, damping: float, t: float) -> Search:
    """Move by t p, whatever the loss there."""
    trials.move(t * direction.p)
    return Search(direction, damping, t)


def kl_step(
    trials: Trials, direction: Direction, damping: float, t: float, fisher: Callable[[Tensor], Tensor], kl_max: float
) -> Search:
    """Move by t p, shortened where ½ δᵀFδ > kl_max for δ = t p; the loss is not looked at."""
    p = direction.p
    curvature = max(0.0, (p * fisher(p)).sum().item())
    if 0.5 * t**2 * curvature > kl_max:
        t = (2 * kl_max / curvature) ** 0.5
    trials.move(t * p)
    return Search(direction, damping, t, kl=0.5 * t**2 * curvature)


def armijo(trials: Trials, direction: Direction, damping: float, t: float, max_backtracks: int) -> Search:
    """Halve t until L(w + t p) ≤ L + 1e-4 t gᵀp; a loss that is not finite is no decrease."""
    slope = trials.slope(direction.p)
    slack = trials.slack_for(-t * slope)
    for backtracks in range(max_backtracks + 1):
        loss = trials.loss_at(t * direction.p)
        if isfinite(loss) and loss - trials.loss <= ARMIJO * t * slope + slack:
            trials.move(t * direction.p)
            return Search(direction, damping, t, backtracks, loss)
        t, slack = t / 2, 0.0
    return Search(direction, damping, 0.0, max_backtracks + 1, trials.loss, taken=False)


def gain_ratio(
    trials: Trials, solve: Callable[[float], Direction], damping: float, t: float, max_backtracks: int
) -> tuple[Search, float]:
    """Raise the damping until the loss falls as its quadratic model says; also returns the next step's damping.

    With δ = t p and the ratio r of the actual decrease to the predicted one, −gᵀδ − ½ δᵀHδ: a step with r > 1e-4 is
    taken and the damping multiplied by max(1/3, 1 − (2r − 1)³); else it is multiplied by 2, 4, 8, … and p made anew.
    Where that never helps, the damping is left as it was, like the parameters.
    """
    first, growth, slack = damping, 2.0, None
    for backtracks in range(max_backtracks + 1):
        direction, used = solve(damping), damping
        delta = t * direction.p
        predicted = -trials.slope(delta) - 0.5 * (delta * trials.here.hvp(delta)).sum().item()
        slack = trials.slack_for(predicted) if slack is None else slack
        loss = trials.loss_at(delta)
        ratio = (trials.loss - loss + slack) / (predicted + slack) if predicted + slack > 0 else 0.0
        if isfinite(loss) and ratio > GAIN:
            trials.move(delta)
            return Search(direction, used, t, backtracks, loss, ratio), damping * max(1 / 3, 1 - (2 * ratio - 1) ** 3)
        damping, growth, slack = damping * growth, growth * 2, 0.0
    return Search(direction, used, 0.0, max_backtracks + 1, trials.loss, ratio, taken=False), first
