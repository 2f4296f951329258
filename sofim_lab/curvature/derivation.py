"""The derivation of the O(d) solve, line by line, each line evaluated in the arithmetic of its arguments."""

from dataclasses import dataclass

import torch

from sofim_lab.curvature.cancellation import collapsed_direction, guarded_direction, textbook_direction
from sofim_lab.curvature.regularized import RegularizedFIM


@dataclass(frozen=True)
class DerivationLine:
    """One line: its label, what it says, and ‖left − right‖ / ‖right‖ (0 is exact, 1 no correct digit)."""

    label: str
    statement: str
    residual: float


def derivation_residuals(m: torch.Tensor, v: torch.Tensor, rho: float) -> tuple[DerivationLine, ...]:
    """How well each line of the derivation of F⁻¹v, F = m mᵀ + ρI, holds in floating-point numbers.

    Every line is evaluated in the dtype of `m` and compared with the stable forms in float64. The last four lines
    are ways to get F⁻¹m, SOFIM's direction: by a dense solve, whose error grows with the condition number of F; by
    two forms that subtract nearly equal numbers; and by the one that subtracts nothing.

    Args:
        m: First moment, shape (d,), any floating type.
        v: Right-hand side, shape (d,), same dtype.
        rho: ρ > 0.

    Returns:
        The lines, in the order of the derivation; without the dense solve for types narrower than float32, which
        LAPACK does not have.

    Raises:
        ValueError: ρ is not positive, or the shapes or types differ.

    Example:
        >>> m, v = torch.tensor([3.0, 4.0]).double(), torch.tensor([1.0, 0.0]).double()
        >>> max(line.residual for line in derivation_residuals(m, v, rho=1.0)) < 1e-7
        True

    References:
        J. Sherman, W. J. Morrison (1950), Adjustment of an inverse matrix, Ann. Math. Statist. 21.
    """
    if not rho > 0:
        raise ValueError(f"rho={rho!r} must be positive: without it m mᵀ cannot be inverted")
    if m.ndim != 1 or m.shape != v.shape or m.dtype != v.dtype:
        raise ValueError(
            f"m {tuple(m.shape)} {m.dtype} and v {tuple(v.shape)} {v.dtype} must be vectors of one length and dtype"
        )
    m64, v64 = m.double(), v.double()
    exact = RegularizedFIM(m64, rho)
    x, coefficient, direction = exact.solve(v64), (m64 @ v64) / (rho + m64 @ m64), collapsed_direction(m64, rho)
    c = coefficient.to(m.dtype)
    norm2 = m @ m

    lines = [
        ("(1)", "F v = m (mᵀv) + ρ v", m * (m @ v) + rho * v, exact.matvec(v64)),
        ("(2)", "x = (v − c m) / ρ", (v - c * m) / rho, x),
        ("(3)", "c = mᵀv / (ρ + ‖m‖²)", (m @ v) / (rho + norm2), coefficient),
        ("(4)", "F⁻¹v = v/ρ − m (mᵀv) / (ρ² + ρ‖m‖²)", v / rho - m * ((m @ v) / (rho**2 + rho * norm2)), x),
        ("textbook", "F⁻¹m = m/ρ − m‖m‖² / (ρ² + ρ‖m‖²)", textbook_direction(m, rho), direction),
        ("guarded", "the same, denominator + 1e−8", guarded_direction(m, rho), direction),
        ("(8)", "F⁻¹m = m / (ρ + ‖m‖²)", collapsed_direction(m, rho), direction),
    ]
    if m.dtype.itemsize >= 4:
        dense = torch.linalg.solve(RegularizedFIM(m, rho).dense(), m)
        lines.insert(4, ("dense", "F⁻¹m by a dense solve", dense, direction))
    return tuple(DerivationLine(label, text, _relative(left, right)) for label, text, left, right in lines)


def _relative(left: torch.Tensor, right: torch.Tensor) -> float:
    """‖left − right‖ / ‖right‖ in float64; where the right side vanishes, ‖left‖."""
    size = float(torch.linalg.vector_norm(right))
    return float(torch.linalg.vector_norm(left.double() - right)) / (size or 1.0)
