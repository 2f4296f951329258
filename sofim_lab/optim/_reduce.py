"""Scalar products that stay accurate at any length, without a temporary of a parameter's length.

On the CPU a float32 sum over a long tensor drifts: the norm of ten million numbers is off by 4e-4. A sum over one
limited piece does not, and the sums of the pieces are added in float64.
"""

from collections.abc import Iterator, Sequence
from ctypes import c_float

import torch
from torch import Tensor
from torch._utils import _flatten_dense_tensors as join

Scalar = float | Tensor  # a number on the CPU; on an accelerator a 0-dimensional tensor, which nobody waits for
Row = tuple[Tensor, ...]  # tensors of one shape, one from each column

SHORT, LONG = 2**12, 2**18  # numbers in one sum on the CPU: exact in float64 up to SHORT, off by 1e-6 at LONG
EPS = 2.0**-23  # relative distance of neighbouring float32 numbers
ON_DEVICE = 2**24  # accelerators sum in trees, which do not drift


def squared_norm(xs: Sequence[Tensor]) -> Scalar:
    """‖x‖² of tensors of one device and dtype, to 1e-6."""
    if len(xs) == 1:
        return _squared(xs[0])
    long = [x for x in xs if x.numel() > LONG]
    total = sum(map(_squared, long)) if long else 0.0
    if len(long) < len(xs):
        short = [x for x in xs if x.numel() <= LONG] if long else xs
        norms = torch._foreach_norm(short, 2, torch.float32 if short[0].dtype.itemsize < 4 else None)
        total = total + _number(_wide(torch.stack(norms)).square().sum())
    return total


def _squared(x: Tensor) -> Scalar:
    """‖x‖² of one tensor."""
    if x.numel() > SHORT and x.device.type == "cpu" and x.dtype.itemsize >= 4 and x.is_contiguous():
        flat = x.view(-1)  # the usual case, by the shortest way
        pieces = flat.split(LONG) if flat.numel() > LONG else (flat,)
        return sum(torch.dot(piece, piece).item() for piece in pieces)
    return sum(_number(torch.dot(piece, piece)) for (piece,) in _pieces([x], join_to=SHORT))


def products(xs: Sequence[Tensor], ys: Sequence[Tensor], size: int) -> tuple[Scalar, Scalar]:
    """‖x‖² and xᵀy of tensors of one device and dtype, from vectors of `size` numbers in all.

    Where y is nearly a multiple of x, the optimizer subtracts that multiple and so magnifies the error of xᵀy/‖x‖²
    by 1/sin∠(x, y). Only there, a long piece is summed as xᵀy = a‖x‖² + xᵀ(y − a x) with a ≈ xᵀy/‖x‖²: what is
    rounded is then no larger than the remainder.
    """
    few = min(max(SHORT, size // 50), 2**15)  # two copies of this length make 0.04 words a parameter
    xx = xy = 0.0
    for x, y in _pieces(xs, ys, join_to=few):
        n, c = _number(torch.dot(x, x)), _number(torch.dot(x, y))
        if x.device.type == "cpu" and x.numel() > few and _nearly_parallel(x, y, n, c):
            a = _float32(c / n)
            rest = zip(x.split(2 * few), y.split(2 * few), strict=True)
            c = a * n + sum(torch.dot(u, torch.sub(v, u, alpha=a)).item() for u, v in rest)
        xx, xy = xx + n, xy + c
    return xx, xy


def pair(a: Scalar, k: Scalar, dtype: torch.dtype) -> tuple[Scalar, Scalar]:
    """Multipliers (a, a·k) whose ratio survives the rounding to float32, for a v + (a·k) m with v ≈ −k m.

    Rounded one by one, the two are off by up to 6e-8 each, and so is their ratio. Among the float32 numbers
    within 3e-7 of a we take the one whose product with k lies closest to a float32 number.
    """
    if dtype == torch.float64:
        return a, a * k
    if not isinstance(k, Tensor):
        first = min((_float32(a * (1 + i * EPS)) for i in range(-2, 3)), key=lambda x: abs(_float32(x * k) - x * k))
        return first, _float32(first * k)
    firsts = _wide((a * _wide(1 + torch.arange(-2, 3, device=k.device) * EPS)).float())
    exact = firsts * k
    seconds = _wide(exact.float())
    best = (seconds - exact).abs().argmin()
    return firsts.take(best), seconds.take(best)


def _nearly_parallel(x: Tensor, y: Tensor, xx: float, xy: float) -> bool:
    """Whether sin²∠(x, y) < 0.1 without y = x, where xᵀy and ‖x‖² are rounded alike."""
    return xx > 1e-30 and xy * xy > 0.9 * xx * torch.dot(y, y).item() and not (xx == xy and torch.equal(x, y))


def _pieces(*columns: Sequence[Tensor], join_to: int) -> Iterator[Row]:
    """The columns side by side as 1-D tensors: short ones joined up to a length, others cut at LONG."""
    cut_at = LONG
    if columns[0][0].device.type != "cpu":
        cut_at = join_to = ON_DEVICE
    rows, length = [], 0
    for row in zip(*columns, strict=True):
        n = row[0].numel()
        if length + n > join_to and rows:
            yield _joined(rows)
            rows, length = [], 0
        if n > join_to:
            yield from _cut(row, cut_at)
        else:
            rows.append(row)
            length += n
    if rows:
        yield _joined(rows)


def _joined(rows: list[Row]) -> Row:
    """Each column as one 1-D tensor: a view of a single row, a copy of several."""
    if len(rows) == 1:
        return tuple(_sturdy(x.reshape(-1)) for x in rows[0])
    return tuple(_sturdy(join(column)) for column in zip(*rows, strict=True))


def _cut(row: Row, length: int) -> Iterator[Row]:
    """Pieces of limited length: views where all tensors are contiguous, else one copied piece at a time."""
    if all(x.is_contiguous() for x in row):
        for piece in zip(*(x.view(-1).split(length) for x in row), strict=True):
            yield tuple(_sturdy(x) for x in piece)
    elif row[0].numel() <= length:
        yield _joined([row])
    elif row[0].shape[0] == 1:
        yield from _cut(tuple(x[0] for x in row), length)
    else:
        slices = max(1, length * row[0].shape[0] // row[0].numel())
        for part in zip(*(x.split(slices) for x in row), strict=True):
            yield from _cut(part, length)


def _sturdy(x: Tensor) -> Tensor:
    """What a sum of x can be trusted to: float32 or wider, and float64 where that costs next to nothing."""
    if x.numel() <= SHORT:
        return _wide(x)
    return x.float() if x.dtype.itemsize < 4 else x


def _float32(x: float) -> float:
    """The nearest float32 number; beyond their range infinity."""
    return c_float(x).value


def _wide(x: Tensor) -> Tensor:
    """In float64, or as it is on a device that has none."""
    return x if x.device.type == "mps" else x.double()


def _number(x: Tensor) -> Scalar:
    """A 0-dimensional tensor as a number where that costs no waiting, else in the widest type."""
    return x.item() if x.device.type == "cpu" else _wide(x)
