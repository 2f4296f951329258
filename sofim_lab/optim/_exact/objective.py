"""A loss as second-order methods need it: value, gradient and Hessian products at the present parameters."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel

from sofim_lab.curvature.gram import mirror
from sofim_lab.curvature.vjp import flat, pull
from sofim_lab.optim._errors import NotFiniteError

COLUMNS = 32  # vectors that go through the graph together: faster than one by one, memory for 32 activations

Closure = Callable[[], Any]


class Objective:
    """The loss L that a closure returns, with ∇L and products with ∇²L over some parameters, at the present point.

    The closure is called once, with gradients enabled; its graph is kept for the products and goes with this object.
    It returns the loss, or a pair of the loss and something else, kept as `output`. `.grad` is not touched.
    """

    loss: Tensor  # 0-dimensional, detached
    output: Any  # what the closure returned beside the loss, else None
    gradient: Tensor  # (d,), detached; zero for parameters that the loss does not reach

    def __init__(self, closure: Closure | None, params: Sequence[Tensor], *, owner: str) -> None:
        if not callable(closure):
            raise TypeError(
                f"{owner}.step needs a closure, got {type(closure).__name__}: it computes the loss, several times a "
                "step; write optimizer.step(lambda: loss_fn(model(x), y))"
            )
        self.closure, self.params = closure, list(params)
        with torch.enable_grad():
            loss, self.output = evaluate(closure, owner)
            self._slopes = _differentiate(loss, self.params, owner)
        self.loss = loss.detach()
        parts = zip(self._slopes, self.params, strict=True)
        self.gradient = flatten([torch.zeros_like(p) if s is None else s for s, p in parts])
        if not bool(self.loss.isfinite() & self.gradient.isfinite().all()):
            what = "the gradient is not finite" if bool(self.loss.isfinite()) else f"the loss is {self.loss.item()}"
            raise NotFiniteError(
                f"{owner}: {what} at the present parameters, nothing was changed: "
                "look for overflow, log(0) or inf in the data, or start elsewhere"
            )

    def hvp(self, v: Tensor) -> Tensor:
        """Hv for v of shape (d,) or (d, k), in the shape and dtype of v."""
        return self.columns(self._hessian_rows, v)

    def hessian(self, dtype: torch.dtype | None = None) -> Tensor:
        """H, shape (d, d), exactly symmetric, in the parameters' dtype or another."""
        return self.dense(self._hessian_rows, dtype)

    def columns(self, rows_product: Callable[[Tensor], Tensor], v: Tensor) -> Tensor:
        """A product of rows, (k, d) to (k, d), applied to the columns of v, some at a time."""
        rows = v.detach().reshape(len(v), -1).mT.to(self.gradient)
        done = torch.cat([one_by_one(rows_product, chunk) for chunk in rows.split(COLUMNS)])
        return done.mT.reshape(v.shape).to(v.dtype)

    def dense(self, rows_product: Callable[[Tensor], Tensor], dtype: torch.dtype | None = None) -> Tensor:
        """The symmetric matrix of a product, by its columns."""
        d, dtype = len(self.gradient), dtype or self.gradient.dtype
        matrix = torch.empty(d, d, dtype=dtype, device=self.gradient.device)
        for start in range(0, d, COLUMNS):
            rows = torch.zeros(min(COLUMNS, d - start), d).to(self.gradient)
            rows[:, start : start + len(rows)].fill_diagonal_(1)
            matrix[start : start + len(rows)] = one_by_one(rows_product, rows)
        return mirror(matrix)

    def split(self, rows: Tensor) -> list[Tensor]:
        """Rows (k, d) as one tensor (k, *shape) per parameter."""
        parts = rows.split([p.numel() for p in self.params], dim=1)
        return [part.reshape(-1, *p.shape) for part, p in zip(parts, self.params, strict=True)]

    def _hessian_rows(self, rows: Tensor) -> Tensor:
        """Each row times H = Hᵀ: the gradient's graph, transposed."""
        return flat(pull(self._slopes, self.params, self.split(rows)))


def evaluate(closure: Closure, owner: str) -> tuple[Tensor, Any]:
    """The loss, 0-dimensional, and whatever else the closure returns; raise if it returns no loss."""
    with sdpa_kernel(SDPBackend.MATH):  # the fused attention kernels have no second derivative
        returned = closure()
    pair = isinstance(returned, tuple) and len(returned) == 2
    loss, output = returned if pair else (returned, None)
    if returned is None:
        raise TypeError(f"{owner}: the closure returned None: return the loss, without calling backward")
    if not isinstance(loss, Tensor):
        raise TypeError(f"{owner}: the closure returned {type(loss).__name__} as the loss: return a tensor")
    if loss.numel() != 1 or not loss.is_floating_point():
        raise ValueError(
            f"{owner}: the closure returned a loss of shape {tuple(loss.shape)}, {loss.dtype}: "
            "return one real number, e.g. losses.mean()"
        )
    return loss.reshape(()), output


def flatten(params: Sequence[Tensor]) -> Tensor:
    """The values as one vector (d,), a detached copy."""
    return torch.cat([p.detach().reshape(-1) for p in params])


@torch.no_grad()
def assign(params: Sequence[Tensor], values: Tensor) -> None:
    """Write a vector (d,) into the parameters, in place."""
    for p, part in zip(params, values.split([p.numel() for p in params]), strict=True):
        p.copy_(part.view_as(p))


def _differentiate(loss: Tensor, params: list[Tensor], owner: str) -> tuple[Tensor | None, ...]:
    """The gradient with its graph; raise where the loss has no usable graph to the parameters."""
    slopes: tuple[Tensor | None, ...] = ()
    if loss.requires_grad:
        try:
            slopes = torch.autograd.grad(loss, params, create_graph=True, allow_unused=True)
        except RuntimeError as error:
            if "second time" not in str(error):
                raise
            raise RuntimeError(
                f"{owner}: the loss's graph is gone, the closure has called backward: return the loss without it"
            ) from error
    if all(slope is None for slope in slopes):
        raise ValueError(
            f"{owner}: the loss does not depend on the optimizer's parameters: compute it from them in the closure, "
            "without no_grad, detach or item"
        )
    return slopes


def one_by_one(rows_product: Callable[[Tensor], Tensor], rows: Tensor) -> Tensor:
    """The rows together, or one at a time for models that have no batching rule (nn.LSTM)."""
    try:
        return rows_product(rows).detach()
    except torch.OutOfMemoryError:
        raise
    except RuntimeError:  # if the model is at fault, it fails again
        return torch.cat([rows_product(row[None]).detach() for row in rows])
