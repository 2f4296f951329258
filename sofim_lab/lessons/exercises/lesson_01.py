"""Exercises of lesson 01, Newton."""

import torch

from sofim_lab.lessons.exercises.exercise import Case, Exercise, Mistake


def _positive_case(random: torch.Generator, number: int) -> Case:
    """A full positive definite matrix with condition numbers from 3 to 3,000."""
    d = (2, 3, 5, 8, 12)[number % 5]
    q, _ = torch.linalg.qr(torch.randn(d, d, generator=random, dtype=torch.float64))
    scale = 0.5 + 2 * torch.rand((), generator=random, dtype=torch.float64)
    spread = torch.linspace(0, 1, d, dtype=torch.float64) ** 2
    e = scale * (3.0 * 5.6**number) ** spread
    return ((q * e) @ q.mT,)


def _best_step(hessian: torch.Tensor) -> torch.Tensor:
    """The rate and its factor by golden-section search on max |1 − ηλ|, without the formula."""
    e = torch.linalg.eigvalsh(hessian).tolist()
    low, high = 0.0, 2.0 / e[-1]
    ratio = (5**0.5 - 1) / 2

    def factor(rate: float) -> float:
        return max(abs(1 - rate * value) for value in e)

    for _ in range(120):
        left, right = high - ratio * (high - low), low + ratio * (high - low)
        if factor(left) < factor(right):
            high = right
        else:
            low = left
    rate = (low + high) / 2
    return torch.tensor([rate, factor(rate)], dtype=torch.float64)


def _with_rate(hessian: torch.Tensor, rate: torch.Tensor) -> torch.Tensor:
    """A rate and the factor that belongs to it."""
    return torch.stack([rate, (1 - rate * torch.linalg.eigvalsh(hessian)).abs().max()])


def _with_best_factor(hessian: torch.Tensor, rate: torch.Tensor) -> torch.Tensor:
    """A rate beside the factor of the best one."""
    return torch.stack([rate, _best_step(hessian)[1]])


_WRONG_RATES = (
    (
        lambda e, H: 1 / (e[0] + e[-1]),
        "The factor 2 is missing: the two lines 1 − ηλ_min and ηλ_max − 1 meet at η = 2/(λ_min + λ_max).",
    ),
    (
        lambda e, H: 2 / e[-1],
        "2/λ_max is the limit of stability, where the largest curvature no longer shrinks at all.",
    ),
    (lambda e, H: 1 / e[-1], "1/λ_max is safe, and about half of the best rate: see how (3) balances both ends."),
    (lambda e, H: 2 / (e[-1] - e[0]), "The sign is wrong: the sum of the two eigenvalues, not their difference."),
    (
        lambda e, H: 2 / (H.diagonal().min() + H.diagonal().max()),
        "The diagonal of H does not hold its eigenvalues: use torch.linalg.eigvalsh(H).",
    ),
    (lambda e, H: 2 / (e.abs().sum()), "That is the sum of all eigenvalues, the trace; only the two ends count."),
    (lambda e, H: 1 / e.mean(), "That balances the mean curvature; the worst two ends decide."),
)


def _rate_mistakes() -> tuple[Mistake, ...]:
    """Each wrong rate with the factor that belongs to it, and with the factor of the best one."""
    found = [
        Mistake(lambda H: torch.stack([_best_step(H)[0], torch.linalg.cond(H)]),
                "The rate is right. The second number is the condition number; the factor (κ − 1)/(κ + 1) is wanted."),
        Mistake(lambda H: torch.stack([_best_step(H)[0], (torch.linalg.cond(H) + 1) / (torch.linalg.cond(H) - 1)]),
                "The rate is right. The factor is upside down: errors shrink, so it is below 1."),
        Mistake(lambda H: _best_step(H).flip(0), "The two numbers are swapped: the rate comes first."),
    ]  # fmt: skip
    for rate, says in _WRONG_RATES:
        for fill in (_with_rate, _with_best_factor):
            found.append(Mistake(lambda H, rate=rate, fill=fill: fill(H, rate(torch.linalg.eigvalsh(H), H)), says))
    return tuple(found)


def _indefinite_case(random: torch.Generator, number: int) -> Case:
    """A symmetric indefinite matrix, a gradient, and a floor that some |eigenvalue| lies under."""
    d = (2, 3, 5, 10, 20)[number % 5]
    q, _ = torch.linalg.qr(torch.randn(d, d, generator=random, dtype=torch.float64))
    size = 0.3 + 2 * torch.rand(d, generator=random, dtype=torch.float64)
    sign = torch.where(torch.arange(d) % 2 == 0, -1.0, 1.0)
    e = (size * sign).double()
    e[0], e[-1] = -0.05, 0.04
    g = torch.randn(d, generator=random, dtype=torch.float64)
    return (q * e) @ q.mT, g, 0.1 + 0.1 * float(torch.rand((), generator=random))


def _absolute_direction(hessian: torch.Tensor, gradient: torch.Tensor, damping: float) -> torch.Tensor:
    """−max(|H|, λ)⁻¹g without eigenvectors of H: |H| is the root of H², and max(a, b) = (a + b + |a − b|)/2."""

    def absolute(matrix: torch.Tensor) -> torch.Tensor:
        u, s, _ = torch.linalg.svd(matrix)
        return (u * s) @ u.mT

    floor = damping * torch.eye(len(hessian), dtype=hessian.dtype)
    size = absolute(hessian)
    return -torch.linalg.solve((size + floor + absolute(size - floor)) / 2, gradient)


def _spectral(hessian: torch.Tensor, gradient: torch.Tensor, e_of: object, sign: float = -1.0) -> torch.Tensor:
    """± Q diag(e_of(e))⁻¹ Qᵀ g."""
    e, q = torch.linalg.eigh(hessian)
    return sign * (q @ ((q.mT @ gradient) / e_of(e)))  # type: ignore[operator]


def _transposed(hessian: torch.Tensor, gradient: torch.Tensor, damping: float) -> torch.Tensor:
    """The eigenvectors taken for rows."""
    e, q = torch.linalg.eigh(hessian)
    return -(q.mT @ ((q @ gradient) / e.abs().clamp(min=damping)))


EXERCISES = (
    Exercise(
        id="01.best_step",
        cases=_positive_case,
        reference=_best_step,
        mistakes=_rate_mistakes(),
        hints=(
            "Only the smallest and the largest eigenvalue matter: e = torch.linalg.eigvalsh(H) is ascending.",
            "By (3) the best rate makes both ends shrink alike: 1 − η e[0] = η e[-1] − 1. Solve for η.",
            "torch.stack([2 / (e[0] + e[-1]), (e[-1] - e[0]) / (e[-1] + e[0])])",
        ),
        rtol=1e-6,
    ),
    Exercise(
        id="01.saddle_free",
        cases=_indefinite_case,
        reference=_absolute_direction,
        mistakes=(
            Mistake(
                lambda H, g, damping: _spectral(H, g, lambda e: e.abs().clamp(min=damping), sign=1.0),
                "The sign is wrong: this points uphill. The direction is minus the matrix's inverse times g.",
            ),
            Mistake(
                lambda H, g, damping: -torch.linalg.solve(H, g),
                "This is pure Newton: negative eigenvalues keep their sign, and the step goes up along them.",
            ),
            Mistake(
                lambda H, g, damping: _spectral(H, g, lambda e: e + damping),
                "This is H + λI: a small λ leaves the negative eigenvalues negative. Take absolute values first.",
            ),
            Mistake(
                lambda H, g, damping: _spectral(H, g, lambda e: e.abs() + damping),
                "This adds λ to every |e|. Here λ is a floor: max(|e|, λ), larger eigenvalues stay as they are.",
            ),
            Mistake(
                lambda H, g, damping: _spectral(H, g, lambda e: e.clamp(min=damping)),
                "The absolute value is missing: negative eigenvalues went to the floor instead of to |e|.",
            ),
            Mistake(
                lambda H, g, damping: _spectral(H, g, lambda e: e.abs()),
                "The floor λ is missing: tiny |eigenvalues| would make the step as long as they are small.",
            ),
            Mistake(
                lambda H, g, damping: -torch.linalg.solve(H.abs(), g),
                "H.abs() takes the absolute value of every entry. |H| means that of the eigenvalues.",
            ),
            Mistake(
                lambda H, g, damping: -torch.linalg.solve(H.abs() + damping * torch.eye(len(g), dtype=g.dtype), g),
                "H.abs() takes the absolute value of every entry. |H| means that of the eigenvalues; and λ is a floor.",
            ),
            Mistake(
                lambda H, g, damping: -g / torch.linalg.eigvalsh(H).abs().clamp(min=damping),
                "The eigenvalues belong to the eigenvectors: take g there with Qᵀ, divide, and come back.",
            ),
            Mistake(
                _transposed,
                "Q is transposed: torch.linalg.eigh returns eigenvectors as columns, so Qᵀ acts on g first, then Q.",
            ),
        ),
        hints=(
            "e, Q = torch.linalg.eigh(H): the columns of Q are the eigenvectors, H = Q diag(e) Qᵀ.",
            "In the eigenbasis the gradient is Q.mT @ g. Divide it entry by entry by e.abs().clamp(min=damping).",
            "return -(Q @ ((Q.mT @ g) / e.abs().clamp(min=damping)))",
        ),
    ),
)
