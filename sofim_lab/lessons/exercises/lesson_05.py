"""Exercises of lesson 05, Sherman–Morrison."""

import torch

from sofim_lab.lessons.exercises.exercise import Case, Exercise, Mistake


def _dense_solve(m: torch.Tensor, v: torch.Tensor, rho: float) -> torch.Tensor:
    """F⁻¹v the long way: build F, solve."""
    fisher = torch.outer(m, m) + rho * torch.eye(len(m), dtype=m.dtype)
    return torch.linalg.solve(fisher, v)


def _solve_case(random: torch.Generator, number: int) -> Case:
    """Vectors of growing length; ρ from 0.1 to 10."""
    d = (3, 7, 20, 50, 200)[number % 5]
    m, v = torch.randn(2, d, generator=random, dtype=torch.float64)
    return m, v, float(10 ** (2 * torch.rand((), generator=random, dtype=torch.float64) - 1))


def _groups_case(random: torch.Generator, number: int) -> Case:
    """float32 vectors; r between 1 and 3 times a scale that falls from 1 to 1e−8."""
    d = (3, 20, 100, 200, 400)[number % 5]
    m, r = torch.randn(d, generator=random), 1 + 2 * torch.rand(d, generator=random)
    return m, r * 10.0 ** (-2 * number)


def _groups_direction(m: torch.Tensor, r: torch.Tensor) -> torch.Tensor:
    """F⁻¹m for F = m mᵀ + diag(r) from the same rounded m and r: a dense solve, scaled by D^(−1/2) on both sides."""
    root = r.double().sqrt()
    scaled = m.double() / root
    fisher = torch.outer(scaled, scaled) + torch.eye(len(m), dtype=torch.float64)
    return torch.linalg.solve(fisher, scaled) / root


EXERCISES = (
    Exercise(
        id="05.solve",
        cases=_solve_case,
        reference=_dense_solve,
        mistakes=(
            Mistake(
                lambda m, v, rho: v / rho + m * (m @ v) / (rho**2 + rho * (m @ m)),
                "The sign is wrong: the rank-one part makes F larger, so it must make F⁻¹v smaller. Subtract it.",
            ),
            Mistake(
                lambda m, v, rho: v / rho - m * (m @ v) / (rho + m @ m),
                "A factor ρ is missing in the second term: its denominator is ρ² + ρ‖m‖², not ρ + ‖m‖².",
            ),
            Mistake(
                lambda m, v, rho: v - m * (m @ v) / (rho + m @ m),
                "The whole answer is ρ times too large: (2) divides all of v − c m by ρ.",
            ),
            Mistake(
                lambda m, v, rho: v / rho - m * (m @ v) / (m @ m) / rho,
                "ρ is missing in the denominator of c: (3) says c = mᵀv / (ρ + ‖m‖²).",
            ),
            Mistake(
                lambda m, v, rho: v / rho - v * (m @ m) / (rho**2 + rho * (m @ m)),
                "m (mᵀv) and v (mᵀm) are not the same: the correction points along m.",
            ),
            Mistake(
                lambda m, v, rho: v / rho - m * m * v / (rho**2 + rho * (m @ m)),
                "m * m * v multiplies entry by entry. m (mᵀv) is the vector m times one number, the dot product m @ v.",
            ),
            Mistake(
                lambda m, v, rho: (v - v * (m @ v) / (rho + m @ m)) / rho,
                "The number c multiplies m, not v: (2) says x = (v − c m)/ρ.",
            ),
            Mistake(
                lambda m, v, rho: m * (m @ v) + rho * v,
                "This is F v, the product. F⁻¹v, the solution, is asked for.",
            ),
            Mistake(
                lambda m, v, rho: v / rho - m * (m @ v) / (rho**2 + rho * torch.linalg.vector_norm(m)),
                "The norm must be squared: ‖m‖² = mᵀm.",
            ),
        ),
        hints=(
            "Start from F x = v and write the product out: m (mᵀx) + ρx = v. Only the number c = mᵀx is unknown.",
            "Multiply by mᵀ from the left: c ‖m‖² + ρ c = mᵀv. Now c is known.",
            "x = (v − c m) / ρ with c = (m @ v) / (rho + m @ m). That is the whole function.",
        ),
        widest=16,
    ),
    Exercise(
        id="05.groups",
        cases=_groups_case,
        reference=_groups_direction,
        mistakes=(
            Mistake(
                lambda m, r: m / (r + m @ m),
                "This uses (8) entry by entry. With diag(r) each term of the sum ‖m‖² has its own rᵢ.",
            ),
            Mistake(lambda m, r: m / r, "This is diag(r)⁻¹m, as if F had no m mᵀ in it."),
            Mistake(
                lambda m, r: m / (1 + m @ (m / r)),
                "The vector is missing its A⁻¹: the numerator is m/r, not m.",
            ),
            Mistake(
                lambda m, r: m / r / (1 + torch.sqrt(m @ (m / r))),
                "The sum Σ mᵢ²/rᵢ stands without a root in (5).",
            ),
            Mistake(
                lambda m, r: m / r / (1 + m @ m),
                "The sum in the denominator of (5) is qᵀA⁻¹p: each mᵢ² is divided by its rᵢ.",
            ),
            Mistake(
                lambda m, r: m / (r + m * m),
                "m * m is taken entry by entry, as if F were diagonal. The sum Σ mᵢ²/rᵢ is one number for all entries.",
            ),
            Mistake(
                lambda m, r: m / r / (m @ (m / r)),
                "The 1 is missing in the denominator of (5): it is 1 + Σ mᵢ²/rᵢ.",
            ),
            Mistake(
                lambda m, r: m * (m @ m) + r * m,
                "This is F m, the product. F⁻¹m, the solution, is asked for.",
            ),
        ),
        hints=(
            "Put A = diag(r), p = q = m into (5) and apply it to m. With s = Σ mᵢ²/rᵢ both terms contain m/r.",
            "(m/r) − (m/r) s/(1 + s): bring both over the denominator 1 + s before you compute anything.",
            "scaled = m / r; the answer is scaled divided by one number, 1 + m @ scaled.",
        ),
        rtol=1e-5,
        widest=16,
        same_precision=True,
        otherwise=(
            "r falls from about 1 to 1e−8 over the cases. An answer that is right on paper and gets worse as r falls "
            "subtracts two vectors that agree in nearly all their digits."
        ),
    ),
)
