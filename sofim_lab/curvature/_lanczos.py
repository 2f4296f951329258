"""Lanczos with full reorthogonalisation: what the top of a spectrum and its density are both read from."""

import torch
from torch import Tensor

from sofim_lab.curvature.symmetric import Symmetric

_BREAKDOWN = 100  # a remainder below this many roundings of the product is nothing but rounding


class Lanczos:
    """An orthonormal basis V, its products AV and H = VᵀAV; the next vector is what Av leaves outside the span of V.

    For the first start vector H is tridiagonal. It is kept whole, so that a second start vector may join the basis:
    Krylov spaces never meet the second eigenvector of a repeated eigenvalue.
    """

    def __init__(self, A: Symmetric, start: Tensor) -> None:
        self.A, self.d, self.size = A, A.shape[0], 0
        self._V, self._AV = (torch.empty(0, self.d, dtype=A.dtype, device=A.device) for _ in range(2))
        self._H = torch.zeros(0, 0, dtype=torch.float64)
        self._next: Tensor | None = start / norm(start)
        self._link: float | None = 0.0  # what the last product left outside the span; None: the chain was broken

    @property
    def H(self) -> Tensor:
        """VᵀAV, float64 on the CPU, shape (m, m)."""
        return self._H[: self.size, : self.size]

    @property
    def exhausted(self) -> bool:
        """Whether AV lies in the span of V, so that H is exact for the start vectors."""
        return self._next is None

    def extend(self) -> None:
        """One product more: H gains a row and a column."""
        v, m = self._next, self.size
        if v is None:
            raise RuntimeError("the space is exhausted: restart with another vector")
        w = self.A @ v
        if m == len(self._V):
            self._grow()
        self._V[m], self._AV[m], self.size = v, w, m + 1
        rest, inside = self._remove(w)
        self._H[m, : m + 1] = self._H[: m + 1, m] = inside.to("cpu", torch.float64)
        left, whole = norm(rest), norm(w)
        if not torch.isfinite(whole):
            raise FloatingPointError(f"product {m + 1} with the matrix is not finite: the loss or its derivatives are")
        spent = m + 1 == self.d or left <= _BREAKDOWN * torch.finfo(w.dtype).eps * whole
        self._next = None if spent else rest / left
        self._link = None if self._link is None else float(left)

    def restart(self, start: Tensor) -> None:
        """Go on with what a new start vector has outside the span of V."""
        rest, _ = self._remove(start / norm(start))
        self._next = None if self.size == self.d else rest / norm(rest)
        self._link = None

    def estimates(self, combinations: Tensor) -> Tensor:
        """‖AVs − θVs‖ of Ritz vectors without a pass over V, (k,): the last entry of s times the link; 0 if unknown."""
        return (self._link or 0.0) * combinations[-1].abs()

    def ritz(self, values: Tensor, combinations: Tensor) -> tuple[Tensor, Tensor]:
        """Ritz vectors V s and their true residuals A V s − θ V s, both (d, k)."""
        s = combinations.to(self._V)
        vectors = self._V[: self.size].mT @ s
        return vectors, self._AV[: self.size].mT @ s - vectors * values.to(self._V)

    def _remove(self, w: Tensor) -> tuple[Tensor, Tensor]:
        """Split w into what is outside the span of V and coefficients inside; twice is enough (Kahan, Parlett)."""
        V = self._V[: self.size]
        first = V @ w
        rest = w - first @ V
        second = V @ rest
        return rest - second @ V, first + second

    def _grow(self) -> None:
        """Room for half as many vectors again, 32 at least."""
        extra = max(32, self.size // 2)
        self._V, self._AV = (torch.cat([kept, kept.new_empty(extra, self.d)]) for kept in (self._V, self._AV))
        self._H = torch.nn.functional.pad(self._H, (0, extra, 0, extra))


def norm(x: Tensor) -> Tensor:
    """Euclidean length along the first dimension: a sum in a tree, which does not drift in float32."""
    return x.square().sum(0).sqrt()


def draw(A: Symmetric, generator: torch.Generator) -> Tensor:
    """A standard normal vector, drawn on the CPU: the same for every device."""
    return torch.randn(A.shape[0], generator=generator, dtype=torch.float64).to(A.device, A.dtype)


def check_count(name: str, value: int, least: int, most: int | None, why: str) -> None:
    """Raise unless least ≤ value ≤ most."""
    if value < least or (most is not None and value > most):
        span = f"{least} or more" if most is None else f"from {least} to {most}"
        raise ValueError(f"{name}={value} must be {span}" + f": {why}" * bool(why))
