"""The density of a spectrum, by stochastic Lanczos quadrature."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from sofim_lab.curvature._lanczos import Lanczos, check_count, draw
from sofim_lab.curvature.symmetric import Symmetric, check_symmetric


@dataclass(frozen=True)
class SpectralDensity:
    """The distribution of the eigenvalues of a matrix: how large a share of them lies where.

    Attributes:
        nodes: Where the quadrature puts mass, ascending, shape (n,), float64.
        weights: How much, shape (n,); the sum is 1. nodes and weights are the estimate itself.
        grid: Eigenvalues, for drawing, shape (points,).
        density: The estimate smoothed by a normal curve of width sigma, in 1/eigenvalue, on the grid.
        sigma: That width.
        products: How many products Av it cost.
    """

    nodes: np.ndarray
    weights: np.ndarray
    grid: np.ndarray
    density: np.ndarray
    sigma: float
    products: int

    def wasserstein(self, eigenvalues: Tensor) -> float:
        """The distance ∫|F(t) − F̂(t)| dt to an exact spectrum, in its units: how far mass has to be moved.

        Args:
            eigenvalues: All eigenvalues, shape (d,).

        Returns:
            The first Wasserstein distance of `nodes` and `weights` to them.
        """
        exact = eigenvalues.detach().to("cpu", torch.float64).numpy()
        places = np.concatenate([self.nodes, exact])
        order = np.argsort(places)
        masses = np.concatenate([self.weights, np.full(len(exact), -1 / len(exact))])[order]
        return float(np.abs(np.cumsum(masses)[:-1]) @ np.diff(places[order]))


@torch.no_grad()
def spectral_density(
    A: Symmetric,
    *,
    steps: int = 100,
    probes: int = 5,
    points: int = 1001,
    sigma: float | None = None,
    seed: int = 0,
) -> SpectralDensity:
    r"""How the eigenvalues are distributed, by stochastic Lanczos quadrature.

    For a random unit vector q the measure Σ_i (v_iᵀq)² δ(t − λ_i) has the mean (1/d) Σ_i δ(t − λ_i). Its Gauss
    quadrature with m nodes is read from m steps of Lanczos started at q: the nodes are the eigenvalues θ_j of the
    tridiagonal H, the weights the squares of the first entries of its eigenvectors. The mean over the probes is the
    estimate.

    Args:
        A: `hessian_operator(...)` and the like, or a dense symmetric tensor, shape (d, d).
        steps: m, 1 or more; the measure's first 2m moments are exact.
        probes: Vectors q, 1 or more. The mass at one place is known to about √(2/(d·probes)) of its root.
        points: Length of the grid, 2 or more.
        sigma: Width of the smoothing, > 0, in units of the eigenvalues; 1/100 of their range if None.
        seed: Seed of the vectors.

    Returns:
        `SpectralDensity`.

    Raises:
        TypeError: A does not multiply tensors.
        ValueError: A is not square, real and symmetric, or an argument is out of its range.
        FloatingPointError: A product is not finite.

    Example:
        >>> half = spectral_density(torch.diag(torch.tensor([0.0, 0.0, 1.0, 1.0], dtype=torch.float64)), probes=500)
        >>> float(half.weights[half.nodes > 0.5].sum().round(1))
        0.5

    References:
        B. Ghorbani, S. Krishnan and Y. Xiao, 2019, arXiv 1901.10159, §2.
        S. Ubaru, J. Chen and Y. Saad, 2017, "Fast estimation of tr(f(A)) via stochastic Lanczos quadrature".
    """
    check_symmetric(A)
    for name, value, least in (("steps", steps, 1), ("probes", probes, 1), ("points", points, 2)):
        check_count(name, value, least, None, "")
    if sigma is not None and not 0 < sigma < float("inf"):
        raise ValueError(f"sigma={sigma} must be a finite number > 0, or None for 1/100 of the range")
    generator = torch.Generator().manual_seed(seed)
    found, shares, products = [], [], 0
    for _ in range(probes):
        space = Lanczos(A, draw(A, generator))
        while not space.exhausted and space.size < steps:
            space.extend()
        theta, s = torch.linalg.eigh(space.H)
        found.append(theta)
        shares.append(s[0].square() / probes)
        products += space.size
    order = torch.cat(found).argsort()
    nodes, weights = torch.cat(found)[order].numpy(), torch.cat(shares)[order].numpy()
    width = sigma or float(nodes[-1] - nodes[0]) / 100 or max(abs(float(nodes[0])), 1.0) / 100
    grid = np.linspace(nodes[0] - 4 * width, nodes[-1] + 4 * width, points)
    curves = np.exp(-0.5 * ((grid[:, None] - nodes) / width) ** 2) / (width * np.sqrt(2 * np.pi))
    return SpectralDensity(nodes, weights, grid, curves @ weights, width, products)
