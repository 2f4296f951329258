"""The exact Fisher matrix of outputs that a closure returned, JᵀΛJ, through their own graph."""

import torch
from torch import Tensor

from sofim_lab.curvature.gram import add_products, mirror
from sofim_lab.curvature.likelihood import Likelihood
from sofim_lab.curvature.vjp import flat, pull
from sofim_lab.optim._errors import NotFiniteError
from sofim_lab.optim._exact.objective import COLUMNS, Objective


class OutputFisher:
    """F = s Σ_i J_iᵀ Λ_i J_i over the parameters of an objective, J_i = ∂f_i/∂w for its outputs f of shape (n, C)."""

    def __init__(self, here: Objective, likelihood: Likelihood, *, owner: str) -> None:
        f = _checked_outputs(here, owner)
        self._here, self._likelihood = here, likelihood
        self._f, self._at = f, f.detach()
        self._scale = likelihood.scale(*f.shape)
        with torch.enable_grad():  # Jᵀu is linear in u: differentiating it by u, anywhere, gives J
            self._u = torch.zeros_like(f, requires_grad=True)
            self._transposed = torch.autograd.grad(f, here.params, self._u, create_graph=True, allow_unused=True)
        if all(slope is None for slope in self._transposed):
            raise ValueError(
                f"{owner}: the outputs do not depend on the optimizer's parameters: return those of the loss"
            )

    def matvec(self, v: Tensor) -> Tensor:
        """Fv for v of shape (d,) or (d, k), in the shape and dtype of v."""
        return self._here.columns(self._rows, v)

    def matrix(self, dtype: torch.dtype) -> Tensor:
        """F itself, (d, d): by its columns, or where n·C < d as RᵀR with the n·C rows R = √s S_i J_i, SᵀS = Λ."""
        n, outputs = self._f.shape
        d = len(self._here.gradient)
        if n * outputs >= d:
            return self._here.dense(self._rows, dtype)
        scores = self._likelihood.score_rows(self._at) * self._scale**0.5  # (n, C, C)
        matrix = torch.zeros(d, d, dtype=dtype, device=self._f.device)
        samples = torch.arange(n, device=self._f.device).repeat_interleave(outputs)
        for at, score in zip(samples.split(COLUMNS), scores.flatten(0, 1).split(COLUMNS), strict=True):
            cotangents = torch.zeros(len(at), n, outputs).to(self._f)
            cotangents[torch.arange(len(at)), at] = score
            rows = self._pull_back(cotangents).to(dtype)
            add_products(matrix, rows, rows, 1.0)
        return mirror(matrix)

    def _rows(self, rows: Tensor) -> Tensor:
        """Each row v times F: Jv, then Λ, then Jᵀ."""
        (pushed,) = pull(self._transposed, (self._u,), self._here.split(rows))
        return self._pull_back(self._likelihood.expected_outer(self._at, pushed) * self._scale)

    def _pull_back(self, cotangents: Tensor) -> Tensor:
        """Jᵀu for each u of shape (n, C), as rows."""
        return flat(pull((self._f,), self._here.params, (cotangents,)))


def _checked_outputs(here: Objective, owner: str) -> Tensor:
    """The outputs beside the loss; raise unless they are finite, of shape (n, C), and have a graph."""
    f = here.output
    if not isinstance(f, Tensor):
        got = "only the loss" if f is None else f"{type(f).__name__} beside the loss"
        raise TypeError(f"{owner}: the closure returned {got}: return the pair (loss, outputs), outputs = model(x)")
    if f.dim() != 2 or f.shape[0] == 0 or not f.is_floating_point():
        raise ValueError(
            f"{owner}: the outputs must be real, of shape (n, C), got {f.dtype} of shape {tuple(f.shape)}: "
            "flatten them in the model, or add the last dimension, e.g. f[:, None]"
        )
    if not f.requires_grad:
        raise ValueError(f"{owner}: the outputs have no graph: return them as the model made them, without detach")
    if not bool(f.isfinite().all()):
        raise NotFiniteError(f"{owner}: the outputs are not finite at the present parameters, nothing was changed")
    return f
