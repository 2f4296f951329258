"""Minimising one deterministic loss to the end, and saying where it ended: minimum, saddle, or nowhere."""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from inspect import Parameter, signature
from typing import Literal

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from sofim_lab.optim import NotFiniteError
from sofim_lab.optim.registry import closure_kind
from sofim_lab.problems.surfaces import Surface
from sofim_lab.training.point import point_of

End = Literal["minimum", "saddle", "maximum", "flat", "on the way", "diverged", "singular"]
_TOO_FAR = 1e8


@dataclass(frozen=True, eq=False)
class Descent:
    """The way of an optimizer over a loss that is the same at every step.

    Attributes:
        points: w_0, …, w_T, shape (T + 1, d), float64, on the CPU.
        losses: L(w_t), shape (T + 1,).
        gradient_norms: ‖∇L(w_t)‖, shape (T + 1,).
        end: `minimum`, `saddle`, `maximum` or `flat` (a singular Hessian) where the gradient fell to the tolerance,
            by the eigenvalues of the Hessian there; else `on the way`, `diverged` or `singular` (the step had no
            solution).
        eigenvalues: Of the Hessian at the last point, ascending, shape (d,); None where the gradient is not small.
    """

    points: Tensor
    losses: Tensor
    gradient_norms: Tensor
    end: End
    eigenvalues: Tensor | None = None

    @property
    def steps(self) -> int:
        """How many steps were taken."""
        return len(self.points) - 1

    @property
    def negative(self) -> int:
        """How many eigenvalues of the Hessian at the end are negative; 0 where they are not known."""
        return 0 if self.eigenvalues is None else int((self.eigenvalues < 0).sum())

    def errors(self, target: Tensor | Sequence[float] | None = None) -> Tensor:
        """‖w_t − target‖, by default to the last point, shape (T + 1,)."""
        end = self.points[-1] if target is None else torch.as_tensor(target, dtype=torch.float64)
        return torch.linalg.vector_norm(self.points - end, dim=1)


def descend(
    loss: Callable[[], Tensor],
    params: Iterable[nn.Parameter],
    make: Callable[[list[nn.Parameter]], Optimizer],
    *,
    steps: int = 100,
    tol: float = 1e-8,
) -> Descent:
    """Step until ‖∇L‖ ≤ tol, for at most `steps` steps; the parameters are changed.

    Args:
        loss: Returns the loss at the present parameters, with its graph; the same function at every step.
        params: The parameters; few, since every point is kept.
        make: From the parameters to an optimizer that steps on `.grad`, on a closure that computes it (L-BFGS), or on
            one that returns the loss alone.
        steps: The most steps, 0 or more.
        tol: Norm of the gradient that counts as zero, 0 or more.

    Returns:
        `Descent`. A loss, gradient or point that is not finite, or a point further than 1e8 away, ends it.

    Raises:
        ValueError: steps or tol is negative, or the optimizer wants another closure.

    Example:
        >>> w = nn.Parameter(torch.tensor([3.0]))
        >>> way = descend(lambda: (w - 1).square().sum(), [w], lambda p: torch.optim.SGD(p, lr=0.25), steps=3, tol=0.0)
        >>> way.points.flatten().tolist(), way.end
        ([3.0, 2.0, 1.5, 1.25], 'on the way')
    """
    if steps < 0 or not tol >= 0:
        raise ValueError(f"steps={steps!r} and tol={tol!r} must not be negative")
    params = list(params)
    optimizer = make(params)
    kind = closure_kind(optimizer)
    if kind not in ("gradient", "loss"):
        raise ValueError(
            f"{type(optimizer).__name__} wants a closure of the kind {kind!r}: only the loss is known here"
        )
    closure = signature(optimizer.step).parameters.get("closure")
    searches = closure is not None and closure.default is Parameter.empty  # along its step, as L-BFGS does
    points, losses, norms = [], [], []
    end: End = "on the way"
    for left in range(steps, -1, -1):
        value = loss()
        gradients = torch.autograd.grad(value, params, materialize_grads=True)
        points.append(point_of(params).double().cpu())
        losses.append(float(value.detach()))
        norms.append(float(torch.linalg.vector_norm(torch.cat([g.flatten() for g in gradients]).double())))
        sizes = abs(losses[-1]), norms[-1], float(points[-1].abs().max())
        if not all(math.isfinite(size) for size in sizes) or sizes[2] > _TOO_FAR:
            end = "diverged"
            break
        if norms[-1] <= tol or left == 0:
            break
        try:
            if kind == "loss":
                optimizer.step(loss)  # type: ignore[arg-type]  # torch says float
            else:
                for p, gradient in zip(params, gradients, strict=True):
                    p.grad = gradient
                optimizer.step(*[partial(_differentiate, loss, params)] * searches)  # type: ignore[arg-type]
        except NotFiniteError:
            end = "diverged"
            break
        except torch.linalg.LinAlgError:
            end = "singular"
            break
    eigenvalues = _eigenvalues(loss, params) if norms[-1] <= tol and end == "on the way" else None
    numbers = {"losses": losses, "gradient_norms": norms}
    kept = {"points": torch.stack(points)} | {k: torch.tensor(v, dtype=torch.float64) for k, v in numbers.items()}
    return Descent(**kept, end=end if eigenvalues is None else _kind_of_point(eigenvalues), eigenvalues=eigenvalues)


def descend_on(
    surface: Surface,
    make: Callable[[list[nn.Parameter]], Optimizer],
    start: Sequence[float],
    *,
    steps: int = 60,
    tol: float = 1e-8,
) -> Descent:
    """The way over a surface of two parameters, in float64.

    Args:
        surface: The loss.
        make: As in `descend`.
        start: (x, y).
        steps: As in `descend`.
        tol: As in `descend`.

    Returns:
        `Descent` with d = 2.

    Example:
        >>> from sofim_lab.optim import Newton
        >>> from sofim_lab.problems import SURFACES
        >>> descend_on(SURFACES["saddle"], lambda p: Newton(p, damping=0.0, globalisation="none"), (1.0, 0.3)).end
        'saddle'
        >>> descend_on(SURFACES["saddle"], Newton, (1.0, 0.3)).end
        'minimum'
    """
    w = nn.Parameter(torch.tensor(tuple(start), dtype=torch.float64))
    return descend(lambda: surface(w), [w], make, steps=steps, tol=tol)


def _differentiate(loss: Callable[[], Tensor], params: list[nn.Parameter]) -> Tensor:
    """The loss at the present parameters, with its gradient in their `.grad`."""
    value = loss()
    for p, gradient in zip(params, torch.autograd.grad(value, params, materialize_grads=True), strict=True):
        p.grad = gradient
    return value


def _eigenvalues(loss: Callable[[], Tensor], params: list[nn.Parameter]) -> Tensor:
    """Of the Hessian at the present parameters, ascending."""
    gradients = torch.autograd.grad(loss(), params, create_graph=True, materialize_grads=True)
    flat = torch.cat([g.flatten() for g in gradients])
    if not flat.requires_grad:  # a linear loss
        return torch.zeros(len(flat), dtype=torch.float64)
    rows = []
    for entry in flat:
        row = torch.autograd.grad(entry, params, retain_graph=True, materialize_grads=True)
        rows.append(torch.cat([part.flatten() for part in row]))
    return torch.linalg.eigvalsh(torch.stack(rows).double()).cpu()


def _kind_of_point(eigenvalues: Tensor) -> End:
    """By the signs of the eigenvalues; what rounding may have made counts as zero."""
    zero = 1e-10 * float(eigenvalues.abs().max())
    if bool((eigenvalues > zero).all()):
        return "minimum"
    if bool((eigenvalues < -zero).all()):
        return "maximum"
    return "saddle" if bool((eigenvalues < -zero).any()) else "flat"
