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

ROW = 2**10  # numbers in one sum on the CPU: off by 4e-7 at worst, when all are equal
SHORT = 2**12  # up to here a dot product is taken in float64, which costs next to nothing
JOIN = 2**15  # short tensors are copied together up to this length: one call for many
LONG = 2**19  # numbers in one copy on the CPU, where a tensor must be copied
ON_DEVICE = 2**24  # accelerators sum in trees, which do not drift
MANY = 2**14  # numbers a tensor from which CUDA's kernel for joining takes several times as long as one that copies
EPS = 2.0**-23  # relative distance of neighbouring float32 numbers

# Scalar products row by row, in one pass and without a temporary: what the backward pass of embedding_bag needs for its
# weights. `linalg.vecdot` and (x * y).sum(-1) write x * y down first, `bmm` takes eight times as long.
_products_of_rows = torch.ops.aten._embedding_bag_per_sample_weights_backward.default


class Column(list[Tensor]):
    """A list of tensors whose squares are summed at every step; what can be prepared for that is."""

    def __init__(self, xs: Sequence[Tensor]) -> None:
        super().__init__(xs)
        is_vector = len(xs) == 1 and xs[0].is_contiguous()
        self.whole = None if not in_memory(xs[0]) else xs[0].view(-1) if is_vector else _view_of_all(xs)
        by_rows = xs[0].is_cpu and xs[0].dtype.itemsize >= 4
        self._rows = [] if self.whole is None or not by_rows else _in_rows(self.whole)

    def squares(self) -> list[Tensor]:
        """The squares of short rows, summed; nothing where they have to be found piece by piece."""
        return [_products_of_rows(rows, rows, i, i, i, 0) for rows, i in self._rows]


class Sums:
    """‖x‖² and xᵀy to 4e-7 of ‖x‖‖y‖, added up list by list on one device."""

    def __init__(self) -> None:
        self._lists: list[Columns] = []
        self._squares: list[Tensor] = []  # of the rows of x; on an accelerator of whole tensors
        self._products: list[Tensor] = []  # of the rows of x and y

    def add(self, xs: Sequence[Tensor], ys: Sequence[Tensor] | None = None) -> None:
        """Count in one list of tensors, with the list that belongs to it if products are wanted."""
        columns = (xs,) if ys is None else (xs, ys)
        self._lists.append(columns)
        if not xs[0].is_cpu:
            self._squares.append(wide(_norms(xs)).square())
            if ys is not None:
                dots = [torch.dot(x, y.to(x.dtype)) for x, y in pieces(columns, ON_DEVICE, ON_DEVICE)]
                self._products.append(wide(torch.stack(dots)))
            return
        if ys is None and isinstance(xs, Column) and (squares := xs.squares()):
            self._squares += squares
            return
        is_low = any(column[0].dtype.itemsize < 4 for column in columns)
        for x, *y in pieces(columns, JOIN, LONG if is_low else None):
            self._squares += _rows(x)
            if y:
                self._products += _rows(x, *y)
            del x, y  # or the next copies would be made beside these

    def squared_norm(self) -> Scalar:
        """‖x‖²."""
        return self._total(self._squares, 0)

    def product(self) -> Scalar:
        """Scalar product xᵀy."""
        return self._total(self._products, -1)

    def look_parallel(self, xx: float, xy: float) -> bool:
        """Whether sin²∠(x, y) < 0.3, as far as the rows tell; on the CPU, xx and xy being what the sums came to.

        Let y = kx + noise, k = xᵀy/‖x‖². In a row xᵀ(y − kx) is then noise, its variance ‖x‖² times that of one number.
        Where the two are parallel it is zero, so the answer is never no for them.
        """
        rest = torch.sub(self._joined(self._products), self._joined(self._squares), alpha=xy / xx)
        size = sum(x.numel() for xs, *_ in self._lists for x in xs)
        return not size * torch.dot(rest, rest).item() > 0.4 * xy**2  # sin² = noise/(noise + k²‖x‖²)

    @staticmethod
    def _joined(rows: list[Tensor]) -> Tensor:
        """All rows as one, in the place of the list."""
        if len(rows) > 1:
            rows[:] = [torch.cat(rows)]
        return rows[0]

    def _total(self, rows: list[Tensor], other: int) -> Scalar:
        """The sum of all rows; in float64 throughout where their products are beyond float32."""
        every = self._joined(rows)
        total = number(every[0] if len(every) == 1 else every.sum(dtype=widest(every)))
        if isinstance(total, Tensor) or math.isfinite(total):
            return total
        parts = (part for columns in self._lists for part in pieces((columns[0], columns[other]), SHORT, JOIN))
        return sum(torch.dot(x.double(), y.double()).item() for x, y in parts)


def remainder(xs: Sequence[Tensor], ys: Sequence[Tensor], a: float, size: int) -> float:
    """Scalar product xᵀ(y − a x) on the CPU: what xᵀy adds to a‖x‖², without cancellation where y is nearly a x."""
    few = min(max(SHORT, size // 60), JOIN)  # at most three pieces of this length at a time: 0.05 words a parameter
    total = 0.0
    for x, y in pieces((xs, ys), few, few):
        x, y = _sturdy(x), _sturdy(y)
        total += torch.dot(x, torch.sub(y, x, alpha=a)).item()
        del x, y  # as in Sums.add
    return total


def pair(a: Scalar, k: Scalar, dtype: torch.dtype) -> tuple[Scalar, Scalar]:
    """Multipliers (a, a·k) whose ratio survives the rounding to float32, for a v + (a·k) m with v ≈ −k m.

    Rounded one by one, the two are off by up to 6e-8 each, and so is their ratio. Among the float32 numbers
    within 3e-7 of a we take the one whose product with k lies closest to a float32 number.
    """
    if isinstance(k, Tensor) or dtype == torch.float64:  # on an accelerator mᵀv is no more exact than that
        return a, a * k
    a = float(a)
    first = min((float32(a * (1 + i * EPS)) for i in range(-2, 3)), key=lambda x: abs(float32(x * k) - x * k))
    return first, float32(first * k)


def plus(x: Scalar, y: Scalar) -> Scalar:
    """The sum of two scalars that may live on different devices."""
    if isinstance(x, Tensor):
        return x.to(y.device) + y if isinstance(y, Tensor) else x + y
    return x + y if x else y  # no kernel for a sum that begins


def pieces(columns: Columns, join_to: int, cut_at: int | None) -> Iterator[tuple[Tensor, ...]]:
    """The columns side by side as 1-D tensors: short ones joined up to a length, long ones cut, or whole for None."""
    if len(columns[0]) == 1:
        yield from _cut(tuple([column[0] for column in columns]), cut_at)
        return
    wholes = [side_by_side(column) for column in columns]
    found = tuple([whole for whole in wholes if whole is not None])
    if len(found) == len(wholes):
        yield from _cut(found, cut_at) if cut_at else (found,)
        return
    for some, numbers in runs(columns[0], join_to):
        if some.stop - some.start == 1:
            yield from _cut(tuple([column[some.start] for column in columns]), cut_at)
        else:
            whole_or_copy = zip(columns, wholes, strict=True)
            yield tuple([joined(xs[some]) if whole is None else whole[numbers] for xs, whole in whole_or_copy])


def joined(xs: Sequence[Tensor]) -> Tensor:
    """A copy of tensors, one after the other in one vector."""
    size = sum(x.numel() for x in xs)
    if not xs[0].is_cuda or size < MANY * len(xs):
        return join(xs)
    copy = torch.empty(size, dtype=xs[0].dtype, device=xs[0].device)
    places = copy.split([x.numel() for x in xs])
    torch._foreach_copy_([place.view_as(x) for place, x in zip(places, xs, strict=True)], list(xs))
    return copy


def runs(xs: Sequence[Tensor], limit: int) -> Iterator[tuple[slice, slice]]:
    """Neighbours of together at most so many numbers, or one alone: their places, and those of their numbers."""
    start = first = end = 0
    for i, x in enumerate(xs):
        n = x.numel()
        if i > start and end + n - first > limit:
            yield slice(start, i), slice(first, end)
            start, first = i, end
        end += n
    yield slice(start, len(xs)), slice(first, end)


def in_memory(x: Tensor) -> bool:
    """Whether x lies at an address that can be compared with another's."""
    return x.is_cpu or x.is_cuda


def side_by_side(xs: Sequence[Tensor]) -> Tensor | None:
    """Tensors that follow each other in one buffer as one 1-D view of it; None where they do not."""
    return xs.whole if isinstance(xs, Column) else _view_of_all(xs)


def _view_of_all(xs: Sequence[Tensor]) -> Tensor | None:
    first = xs[0]
    size, end = first.element_size(), first.data_ptr()
    for x in xs:
        if x.data_ptr() != end or not x.is_contiguous():
            return None
        end += size * x.numel()
    buffer = first.untyped_storage()
    if end > buffer.data_ptr() + buffer.nbytes():
        return None
    return first.as_strided(((end - first.data_ptr()) // size,), (1,))


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


def _rows(x: Tensor, y: Tensor | None = None) -> list[Tensor]:
    """Scalar products of short rows of two 1-D tensors on the CPU, and of what is left of them; x with x for None."""
    if x.dtype.itemsize < 4:
        x = x.float()
    y = x if y is None else y.to(x.dtype)
    if x is y:
        return [_products_of_rows(rows, rows, i, i, i, 0) for rows, i in _in_rows(x)]
    both = zip(_in_rows(x), _in_rows(y), strict=True)
    return [_products_of_rows(rows, others, i, i, i, 0) for (rows, i), (others, _) in both]


def _in_rows(x: Tensor) -> list[tuple[Tensor, Tensor]]:
    """A 1-D tensor as a matrix of short rows, and the rest as one more; with each the numbers of its rows."""
    n = x.numel()
    length = _row_length(n)
    whole = n - n % length
    parts = [x.view(-1, length)] if whole == n else [x[:whole].view(-1, length), x[whole:].view(1, -1)]
    return [(part, _counting(part.shape[0])) for part in parts]


@lru_cache(maxsize=4096)
def _row_length(n: int) -> int:
    """The longest row that divides n without a rest, if one near ROW does."""
    if n <= ROW:
        return max(n, 1)
    return next((length for length in range(ROW, ROW // 4, -1) if n % length == 0), ROW)


@lru_cache(maxsize=256)
def _counting(n: int) -> Tensor:
    """The numbers of n rows."""
    return torch.arange(n)


def _sturdy(x: Tensor) -> Tensor:
    """What a sum of x can be trusted to: float32 or wider, and float64 where that costs next to nothing."""
    if x.numel() <= SHORT:
        return wide(x)
    return x.float() if x.dtype.itemsize < 4 else x


def _norms(xs: Sequence[Tensor]) -> Tensor:
    """Norms on an accelerator, in float32 at least: of all numbers as one if they lie in one buffer, else of each."""
    dtype = torch.float32 if xs[0].dtype.itemsize < 4 else None
    if isinstance(xs, Column) and xs.whole is not None:
        return torch.linalg.vector_norm(xs.whole, dtype=dtype).view(1)
    return torch.stack(torch._foreach_norm(list(xs), 2, dtype))


def float32(x: float) -> float:
    """The nearest float32 number; beyond their range infinity."""
    return c_float(x).value


def widest(x: Tensor) -> torch.dtype:
    """float64, or float32 on a device that has none."""
    return torch.float32 if x.is_mps else torch.float64


def wide(x: Tensor) -> Tensor:
    """The tensor in the widest type of its device."""
    return x.to(widest(x))


def number(x: Scalar) -> Scalar:
    """A 0-dimensional tensor as a number where that costs no waiting, else in the widest type."""
    if not isinstance(x, Tensor):
        return x
    return x.item() if x.is_cpu else wide(x)
