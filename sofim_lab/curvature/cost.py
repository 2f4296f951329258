"""What the rank-one structure saves: seconds to solve Fx = v, dense and by Sherman–Morrison."""

import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import torch

from sofim_lab.curvature.regularized import RegularizedFIM


@dataclass(frozen=True)
class SolveTime:
    """Median seconds of one solve at dimension d; `seconds_dense` is None above the limit."""

    d: int
    seconds_dense: float | None
    seconds_rank_one: float


def solve_times(
    dims: Sequence[int],
    *,
    dense_limit: int = 2000,
    repeats: int = 5,
    dtype: torch.dtype = torch.float64,
    seed: int = 0,
) -> tuple[SolveTime, ...]:
    """Time x = F⁻¹v for F = m mᵀ + I: `torch.linalg.solve` on the built matrix, O(d³), against O(d).

    Args:
        dims: the dimensions d, each >= 1.
        dense_limit: above this d the dense solve (8d² bytes in float64) is left out.
        repeats: solves per median, >= 1, after one that does not count.
        dtype: of m and v.
        seed: of the random m and v.

    Returns:
        One entry for each d, in the given order.

    Raises:
        ValueError: a dimension or repeats is below 1.

    Example:
        >>> [t.seconds_dense is None for t in solve_times([10, 100], dense_limit=50, repeats=1)]
        [False, True]

    References:
        Golub and Van Loan, 2013, "Matrix Computations", §3.2 (LU, 2d³/3 operations) and §2.1.4.
    """
    if repeats < 1:
        raise ValueError(f"repeats must be at least 1, got {repeats!r}")
    if bad := [d for d in dims if d < 1]:
        raise ValueError(f"dims must all be at least 1, got {bad[0]!r}")
    generator = torch.Generator().manual_seed(seed)
    times = []
    for d in dims:
        m, v = torch.randn(2, d, generator=generator, dtype=dtype)
        fim = RegularizedFIM(m, 1.0)
        dense = None
        if d <= dense_limit:
            matrix = fim.dense()
            dense = _median_seconds(partial(torch.linalg.solve, matrix, v), repeats)
        times.append(SolveTime(d, dense, _median_seconds(partial(fim.solve, v), repeats)))
    return tuple(times)


def _median_seconds(work: Callable[[], object], repeats: int) -> float:
    """Median wall time of `work` after one call that does not count."""
    work()
    seconds = []
    for _ in range(repeats):
        start = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - start)
    return statistics.median(seconds)
