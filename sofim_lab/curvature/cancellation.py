"""Three ways to write F⁻¹m for F = m mᵀ + ρI: equal on paper, not in float32."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from sofim_lab.curvature._checks import check_damping, check_vector


def collapsed_direction(m: Tensor, rho: float) -> Tensor:
    """F⁻¹m = m / (ρ + ‖m‖²): no subtraction, nothing to cancel. The form SOFIM uses.

    Args:
        m: shape (d,), real floating point, finite.
        rho: the damping, > 0.

    Returns:
        The direction, shape (d,), in the dtype of m.

    Raises:
        ValueError: m is not a finite floating-point vector, or rho is not a finite positive number.

    Example:
        >>> import torch
        >>> collapsed_direction(torch.tensor([3.0, 4.0]), rho=25.0)
        tensor([0.0600, 0.0800])

    References:
        Sherman and Morrison, 1950, with A = ρI, u = v = m and multiplied by m.
    """
    n = _squared_norm(m, rho)
    return m / (rho + n)


def textbook_direction(m: Tensor, rho: float) -> Tensor:
    """F⁻¹m = m/ρ − m‖m‖² / (ρ²(1 + ‖m‖²/ρ)): Sherman–Morrison as printed.

    For ρ ≪ ‖m‖² this is the difference of two numbers near m/ρ, while the result is near m/‖m‖²: the relative
    error grows like eps·(1 + ‖m‖²/ρ).

    Args:
        m: shape (d,), real floating point, finite.
        rho: the damping, > 0.

    Returns:
        The direction, shape (d,), in the dtype of m.

    Raises:
        ValueError: m is not a finite floating-point vector, or rho is not a finite positive number.

    Example:
        >>> import torch
        >>> textbook_direction(torch.tensor([3.0, 4.0]), rho=25.0)
        tensor([0.0600, 0.0800])

    References:
        Sherman and Morrison, 1950, with A = ρI, u = v = m and multiplied by m.
    """
    return guarded_direction(m, rho, guard=0.0)


def guarded_direction(m: Tensor, rho: float, guard: float = 1e-8) -> Tensor:
    """The textbook form with a guard against a zero denominator: m/ρ − m‖m‖² / (ρ²(1 + ‖m‖²/ρ) + guard).

    The denominator is positive, it needs no guard; and the guard changes the second number by a factor that
    the subtraction then magnifies: for ρ ≪ ‖m‖² the relative error is guard/ρ², with any number of digits.

    Args:
        m: shape (d,), real floating point, finite.
        rho: the damping, > 0.
        guard: what is added to the denominator, >= 0.

    Returns:
        The direction, shape (d,), in the dtype of m.

    Raises:
        ValueError: m is not a finite floating-point vector, or rho is not a finite positive number.

    Example:
        >>> import torch
        >>> m = torch.tensor([0.6, 0.8], dtype=torch.float64)
        >>> (guarded_direction(m, 1e-4) / collapsed_direction(m, 1e-4)).round(decimals=2)  # 1 would be right
        tensor([2., 2.], dtype=torch.float64)

    References:
        Sherman and Morrison, 1950; the guard is a habit of public code, not part of any derivation.
    """
    n = _squared_norm(m, rho)
    return m / rho - m * (n / (rho**2 * (1 + n / rho) + guard))


@dataclass(frozen=True)
class CancellationRow:
    """Relative error of each form at one ρ, against float64 arithmetic on the same m."""

    rho: float
    collapsed: float
    textbook: float
    guarded: float


def cancellation_table(
    rhos: Sequence[float], d: int = 1000, dtype: torch.dtype = torch.float32, seed: int = 0
) -> tuple[CancellationRow, ...]:
    """The relative errors ‖x − x*‖/‖x*‖ of the three forms for one random m with ‖m‖ = 1.

    The reference x* is the collapsed form in float64, of m as it is after rounding to `dtype`.

    Args:
        rhos: the dampings, each > 0.
        d: the length of m, >= 1.
        dtype: the arithmetic under test.
        seed: of the random m.

    Returns:
        One row for each ρ, in the given order.

    Raises:
        ValueError: d < 1, or a rho is not a finite positive number.

    Example:
        >>> row, = cancellation_table([1e-6])
        >>> row.collapsed < 1e-6, row.textbook > 1e-3, row.guarded > 1
        (True, True, True)

    References:
        Higham, 2002, "Accuracy and Stability of Numerical Algorithms", §1.7 (cancellation).
    """
    if d < 1:
        raise ValueError(f"d must be at least 1, got {d!r}")
    wide = torch.randn(d, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    m = (wide / wide.norm()).to(dtype)

    def error(x: Tensor, exact: Tensor) -> float:
        return float((x.double() - exact).norm() / exact.norm())

    rows = []
    for rho in rhos:
        exact = collapsed_direction(m.double(), rho)
        forms = (collapsed_direction, textbook_direction, guarded_direction)
        rows.append(CancellationRow(float(rho), *(error(form(m, rho), exact) for form in forms)))
    return tuple(rows)


def _squared_norm(m: Tensor, rho: float) -> Tensor:
    """‖m‖² of checked arguments."""
    check_vector("m", m)
    check_damping(rho)
    return m.square().sum()
