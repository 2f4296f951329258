"""Scalar products that stay accurate at any length, without a temporary of a parameter's length.

On the CPU a float32 sum over a long tensor drifts: the norm of ten million numbers is off by 4e-4. A sum over one
limited piece does not, and the sums of the pieces are added in float64.
"""

import math
from collections.abc import Iterator, Sequence
from ctypes import c_float
from functools import lru_cache

import torch
from torch import Tensor
from torch._utils import _flatten_dense_tensors as join

Scalar = float | Tensor  # a number on the CPU; on an accelerator a 0-dimensional tensor, which nobody waits for
Columns = Sequence[Sequence[Tensor]]  # lists of tensors of the same shapes, side by side

ROW = 2**10  # numbers in one sum of squares on the CPU: off by 2e-6 at worst, when all are equal
SHORT = 2**12  # up to here a dot product is taken in float64, which costs next to nothing
JOIN = 2**15  # short tensors are copied together up to this length: one call for many
LONG = 2**19  # numbers in one dot product on the CPU
ON_DEVICE = 2**24  # accelerators sum in trees, which do not drift
SAMPLE = 2**14  # of so many numbers of a long tensor, sixteen tell how it lies
EPS = 2.0**-23  # relative distance of neighbouring float32 numbers


class Sums:
    """‖x‖² to 2e-6 and xᵀy to 1e-6 of ‖x‖‖y‖, added up list by list on one device."""

    def __init__(self) -> None:
        self._lists: list[Columns] = []
        self._norms: list[Tensor] = []  # of pieces of x
        self._products: list[Tensor] = []  # of pieces of x and y

    def add(self, xs: Sequence[Tensor], ys: Sequence[Tensor] | None = None) -> None:
        """Count in one list of tensors, with the list that belongs to it if products are wanted."""
        columns = (xs,) if ys is None else (xs, ys)
        self._lists.append(columns)
        on_cpu = xs[0].device.type == "cpu"
        if on_cpu and ys is None and len(xs) == 1 and xs[0].is_contiguous():  # the usual case, by the shortest way
            self._norms += _norms_of_rows(xs[0].view(-1))
            return
        if not on_cpu:
            self._norms += torch._foreach_norm(xs, 2, _at_least_float32(xs[0]))
        if on_cpu or ys is not None:
            limits = ((JOIN, None) if ys is None else (JOIN // 2, LONG)) if on_cpu else (ON_DEVICE, ON_DEVICE)
            for x, *y in pieces(columns, *limits):
                if on_cpu:
                    self._norms += _norms_of_rows(x)
                if y:
                    self._products.append(_dot(x, *y))
                del x, y  # or the next copies would be made beside these

    def squared_norm(self) -> Scalar:
        """‖x‖²."""
        if self._norms[0].device.type != "cpu":
            return wide(torch.stack(self._norms)).square().sum()
        norms = torch.cat(self._norms) if len(self._norms) > 1 else self._norms[0]
        total = torch.linalg.vector_norm(norms, dtype=torch.float64).item() ** 2
        return total if total < math.inf else self._in_double(0)

    def product(self) -> Scalar:
        """Scalar product xᵀy."""
        total = number(torch.stack(self._products).sum())
        return total if isinstance(total, Tensor) or math.isfinite(total) else self._in_double(-1)

    def _in_double(self, other: int) -> float:
        """The sum all in float64: where the squares are beyond float32."""
        rows = (row for columns in self._lists for row in pieces((columns[0], columns[other]), SHORT, JOIN))
        return sum(torch.dot(x.double(), y.double()).item() for x, y in rows)


def remainder(xs: Sequence[Tensor], ys: Sequence[Tensor], a: float, size: int) -> float:
    """Scalar product xᵀ(y − a x) on the CPU: what xᵀy adds to a‖x‖², without cancellation where y is nearly a x."""
    few = min(max(SHORT, size // 60), JOIN)  # at most three pieces of this length at a time: 0.05 words a parameter
    total = 0.0
    for x, y in pieces((xs, ys), few, few):
        x, y = _sturdy(x), _sturdy(y)
        total += torch.dot(x, torch.sub(y, x, alpha=a)).item()
        del x, y  # as in Sums.add
    return total


def looks_parallel(xs: Sequence[Tensor], ys: Sequence[Tensor]) -> bool:
    """Whether sin²∠(x, y) < 0.3 on a sample: of a dozen tensors, a cache line here and there; on the CPU."""
    step = 1 + len(xs) // 12
    some = [_some(x, y) for x, y in zip(xs[::step], ys[::step], strict=True)]
    x, y = (join(column) for column in zip(*some, strict=True))
    return (x * y).sum().item() ** 2 > 0.7 * (x * x).sum().item() * (y * y).sum().item()


def _some(x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """Sixteen of every SAMPLE numbers of two long tensors, the first thousand of short or scattered ones."""
    whole = x.numel() // SAMPLE * SAMPLE
    if whole and x.is_contiguous() and y.is_contiguous():
        return tuple([u.view(-1)[:whole].view(-1, SAMPLE)[:, :16] for u in (x, y)])
    return x.reshape(-1)[:ROW], y.reshape(-1)[:ROW]


def pair(a: Scalar, k: Scalar, dtype: torch.dtype) -> tuple[Scalar, Scalar]:
    """Multipliers (a, a·k) whose ratio survives the rounding to float32, for a v + (a·k) m with v ≈ −k m.

    Rounded one by one, the two are off by up to 6e-8 each, and so is their ratio. Among the float32 numbers
    within 3e-7 of a we take the one whose product with k lies closest to a float32 number.
    """
    if dtype == torch.float64:
        return a, a * k
    if not isinstance(k, Tensor):
        first = min((float32(a * (1 + i * EPS)) for i in range(-2, 3)), key=lambda x: abs(float32(x * k) - x * k))
        return first, float32(first * k)
    firsts = wide((a * wide(1 + torch.arange(-2, 3, device=k.device) * EPS)).float())
    exact = firsts * k
    seconds = wide(exact.float())
    best = (seconds - exact).abs().argmin()
    return firsts.take(best), seconds.take(best)


def plus(x: Scalar, y: Scalar) -> Scalar:
    """The sum of two scalars that may live on different devices."""
    return x.to(y.device) + y if isinstance(x, Tensor) and isinstance(y, Tensor) else x + y


def pieces(columns: Columns, join_to: int, cut_at: int | None) -> Iterator[tuple[Tensor, ...]]:
    """The columns side by side as 1-D tensors: short ones joined up to a length, long ones cut, or whole for None."""
    start = length = 0
    for i, x in enumerate(columns[0]):
        n = x.numel()
        if i > start and length + n > join_to:
            yield from _together(columns, start, i, cut_at)
            start, length = i, 0
        length += n
    yield from _together(columns, start, len(columns[0]), cut_at)


def _together(columns: Columns, start: int, stop: int, cut_at: int | None) -> Iterator[tuple[Tensor, ...]]:
    """Some neighbours as one copy of each column; a single tensor as views."""
    if stop - start > 1:
        yield tuple([join(column[start:stop]) for column in columns])
    else:
        yield from _cut(tuple([column[start] for column in columns]), cut_at)


def _cut(row: tuple[Tensor, ...], length: int | None) -> Iterator[tuple[Tensor, ...]]:
    """Pieces of limited length: views where all tensors are contiguous, else one copied piece at a time."""
    n, longest = row[0].numel(), length or LONG
    if all(x.is_contiguous() for x in row):
        flat = tuple([x.view(-1) for x in row])
        yield from zip(*(x.split(length) for x in flat), strict=True) if length and n > length else (flat,)
    elif n <= longest:
        yield tuple([x.reshape(-1) for x in row])
    elif row[0].shape[0] == 1:
        yield from _cut(tuple([x[0] for x in row]), length)
    else:
        slices = max(1, longest * row[0].shape[0] // n)
        for part in zip(*(x.split(slices) for x in row), strict=True):
            yield from _cut(part, length)


def _norms_of_rows(x: Tensor) -> list[Tensor]:
    """Norms of short rows of a 1-D tensor, and of what is left of it."""
    n, dtype = x.numel(), _at_least_float32(x)
    length = _row_length(n)
    if n % length == 0:
        return [torch.linalg.vector_norm(x.view(-1, length), dim=1, dtype=dtype)]
    whole = n - n % length
    rows = x[:whole].view(-1, length), x[whole:].view(1, -1)
    return [torch.linalg.vector_norm(row, dim=1, dtype=dtype) for row in rows]


@lru_cache(maxsize=4096)
def _row_length(n: int) -> int:
    """The longest row that divides n without a rest, if one near ROW does."""
    if n <= ROW:
        return max(n, 1)
    return next((length for length in range(ROW, ROW // 4, -1) if n % length == 0), ROW)


def _dot(x: Tensor, y: Tensor) -> Tensor:
    """Scalar product of two 1-D pieces as a 0-dimensional tensor in the widest type."""
    y = y.to(x.dtype)
    if x.device.type == "cpu" and x.numel() <= JOIN:
        return (x * y).sum().double()  # the BLAS would split a dot of this length over threads, at a loss
    return wide(torch.dot(x, y))


def _sturdy(x: Tensor) -> Tensor:
    """What a sum of x can be trusted to: float32 or wider, and float64 where that costs next to nothing."""
    if x.numel() <= SHORT:
        return wide(x)
    return x.float() if x.dtype.itemsize < 4 else x


def _at_least_float32(x: Tensor) -> torch.dtype | None:
    """The dtype to take norms in; None for the tensor's own."""
    return torch.float32 if x.dtype.itemsize < 4 else None


def float32(x: float) -> float:
    """The nearest float32 number; beyond their range infinity."""
    return c_float(x).value


def widest(x: Tensor) -> torch.dtype:
    """float64, or float32 on a device that has none."""
    return torch.float32 if x.device.type == "mps" else torch.float64


def wide(x: Tensor) -> Tensor:
    """The tensor in the widest type of its device."""
    return x.to(widest(x))


def number(x: Scalar) -> Scalar:
    """A 0-dimensional tensor as a number where that costs no waiting, else in the widest type."""
    if not isinstance(x, Tensor):
        return x
    return x.item() if x.device.type == "cpu" else wide(x)
