"""How good a proxy m mᵀ + ρI is for a curvature matrix: what the matrix does along m, from its spectrum."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from sofim_lab.curvature._checks import check_damping, check_vector
from sofim_lab.curvature.matrices import empirical_fisher, fisher, hessian


@dataclass(frozen=True, eq=False)
class ProxySpectrum:
    r"""A symmetric matrix A = Σ_j λ_j v_j v_jᵀ as a unit vector m̂ sees it: its eigenvalues, and m̂'s share in each.

    With c_j = v_jᵀm̂, so that Σ c_j² = 1, everything that is asked of the proxy follows from λ and c²:

        m̂ᵀA m̂ = Σ λ_j c_j²,    cos∠(m, v_top) = |c_top|,    m̂ᵀ(A + ρI)⁻¹m̂ = Σ c_j² / (λ_j + ρ).

    Attributes:
        eigenvalues: λ, ascending, shape (d,).
        weights: c², shape (d,), in the same order.
    """

    eigenvalues: Tensor
    weights: Tensor

    @property
    def cosine(self) -> float:
        """|cos| of the angle between m and the eigenvector of the largest eigenvalue, in [0, 1]."""
        return math.sqrt(float(self.weights[-1]))

    @property
    def share(self) -> float:
        """m̂ᵀA m̂ / tr A: the share of the trace along m; 1/d is what a random direction gets on average."""
        return float((self.weights * self.eigenvalues).sum() / self.eigenvalues.sum())

    @property
    def top_share(self) -> float:
        """λ_max / tr A: the most that `share` can be."""
        return float(self.eigenvalues[-1] / self.eigenvalues.sum())

    @property
    def gap(self) -> float:
        """The relative spectral gap 1 − λ₂/λ₁, in [0, 1] for a matrix that is not negative: how single v_top is."""
        return float(1 - self.eigenvalues[-2] / self.eigenvalues[-1])

    def covered(self) -> tuple[Tensor, Tensor]:
        """Shares of the trace and of ‖m‖² in the span of the k leading eigenvectors, for k = 1 … d, each (d,)."""
        values = self.eigenvalues.flip(0)
        return values.cumsum(0) / values.sum(), self.weights.flip(0).cumsum(0)

    def direction_cosine(self, rho: float) -> float:
        """cos∠(m, (|A| + ρI)⁻¹m): SOFIM's direction beside that of the whole matrix, in (0, 1].

        |A| has the absolute eigenvalues, which changes nothing for a Fisher matrix and keeps an indefinite Hessian
        from turning uphill. It grows with ρ, and tends to 1.
        """
        inverse = 1 / (self.eigenvalues.abs() + check_damping(rho))
        along, length = (self.weights * inverse).sum(), (self.weights * inverse.square()).sum().sqrt()
        return float(along / length)

    def rho_for(self, cosine: float) -> float:
        """The smallest ρ with `direction_cosine(rho)` ≥ cosine, by bisection of log ρ between 1e−12 and 1e12 λ_max.

        Args:
            cosine: Number below 1.

        Raises:
            ValueError: cosine is not below 1.
        """
        if not cosine < 1:
            raise ValueError(f"cosine={cosine!r} must be below 1: the two directions meet only as ρ → ∞")
        scale = float(self.eigenvalues.abs().max())
        low, high = -12.0, 12.0
        while high - low > 1e-6:
            middle = (low + high) / 2
            low, high = (low, middle) if self.direction_cosine(scale * 10**middle) >= cosine else (middle, high)
        return scale * 10**high


def proxy_spectrum(matrix: Tensor, m: Tensor) -> ProxySpectrum:
    """Decompose a symmetric matrix, and m by its eigenvectors.

    Args:
        matrix: A, shape (d, d), symmetric.
        m: Shape (d,), not zero; its length does not matter.

    Returns:
        `ProxySpectrum`.

    Raises:
        ValueError: m is zero or no finite vector, or the shapes do not fit.

    Example:
        >>> A = torch.diag(torch.tensor([1.0, 3.0], dtype=torch.float64))
        >>> seen = proxy_spectrum(A, torch.tensor([3.0, 4.0], dtype=torch.float64))
        >>> round(seen.cosine, 6), round(seen.share, 6), seen.top_share
        (0.8, 0.57, 0.75)

    References:
        G. Gur-Ari, D. Roberts, E. Dyer, 2018, arXiv 1812.04754 (the overlap of the gradient with the top eigenvectors).
    """
    check_vector("m", m)
    d = m.numel()
    if matrix.shape != (d, d):
        raise ValueError(f"matrix must have the shape ({d}, {d}) to match m, got {tuple(matrix.shape)}")
    if not bool(m.any()):
        raise ValueError("m is zero: it has no direction, take a step first")
    eigenvalues, vectors = torch.linalg.eigh(matrix)
    weights = (vectors.mT @ (m / torch.linalg.vector_norm(m))).square()
    return ProxySpectrum(eigenvalues, weights / weights.sum())


def proxy_spectra(model: nn.Module, loss_fn: nn.Module, x: Tensor, y: Tensor, m: Tensor) -> dict[str, ProxySpectrum]:
    """The exact Fisher matrix, the empirical one and the Hessian at the model's parameters, as m sees them.

    Args:
        model: As in `fisher`; small, the matrices are built in full.
        loss_fn: `nn.CrossEntropyLoss` or `nn.MSELoss`.
        x: Inputs, n samples in the first dimension.
        y: Labels or targets.
        m: First moment of the gradient, shape (d,).

    Returns:
        Name of the matrix (`exact FIM`, `empirical FIM`, `Hessian`) to its spectrum.
    """
    matrices = {
        "exact FIM": fisher(model, loss_fn, x),
        "empirical FIM": empirical_fisher(model, loss_fn, x, y),
        "Hessian": hessian(model, loss_fn, x, y),
    }
    return {name: proxy_spectrum(matrix, m) for name, matrix in matrices.items()}
