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


def _small_rho_case(random: torch.Generator, number: int) -> Case:
    """float32 vectors, ρ down to 1e−8."""
    m = torch.randn((5, 20, 100, 400, 1000)[number % 5], generator=random)
    return m, 10.0 ** (-2 * number)


def _collapsed(m: torch.Tensor, rho: float) -> torch.Tensor:
    """F⁻¹m in float64 from the same rounded m."""
    exact = m.double()
    return exact / (rho + exact @ exact)


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
        id="05.stable",
        cases=_small_rho_case,
        reference=_collapsed,
        mistakes=(
            Mistake(lambda m, rho: m / (m @ m), "Without ρ the answer is right only where ρ is far smaller than ‖m‖²."),
            Mistake(lambda m, rho: m / rho, "This is the limit of a large ρ: the term m mᵀ is missing."),
            Mistake(lambda m, rho: m / (rho + torch.linalg.vector_norm(m)), "The norm must be squared: ‖m‖² = mᵀm."),
        ),
        hints=(
            "Put v = m into (4) and bring both terms over one denominator, on paper.",
            "The numerator is m (ρ + ‖m‖²) − m ‖m‖²: the large parts cancel before any number is rounded.",
            "m / (rho + m @ m): no subtraction is left.",
        ),
        rtol=1e-5,
        widest=16,
        otherwise=(
            "ρ falls from 1 to 1e−8 over the cases. An answer that is right on paper and gets worse as ρ falls "
            "subtracts two vectors that agree in nearly all their digits."
        ),
    ),
)
