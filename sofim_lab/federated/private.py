"""The gradient of a data set, made private: every sample's gradient is clipped, and Gaussian noise is added."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from sofim_lab.curvature import per_sample_gradients
from sofim_lab.federated.account import composed_mu, gaussian_epsilon, noise_for


@dataclass(frozen=True)
class Privacy:
    r"""Clipping and noise of every release, and what a run of releases has revealed.

    Records are samples. Two data sets are neighbours if one has a sample more than the other (add or remove). A release
    is the sum of all clipped sample gradients, Σ_i min(1, C/‖g_i‖) g_i, plus noise of the standard deviation σC in each
    component: a neighbour shifts the sum by at most C. Dividing by the number of samples n, taken as public, is
    post-processing, as are all optimizers that see nothing but releases.

    Args:
        clip: C > 0, the largest norm of a sample's gradient.
        noise: σ ≥ 0, the noise multiplier; 0 clips only and is not private.
        delta: δ in (0, 1) of the account.

    Raises:
        ValueError: An argument is out of its range.

    Example:
        >>> privacy = Privacy.for_budget(epsilon=2.0, delta=1e-5, releases=100, clip=1.0)
        >>> round(privacy.noise, 2), round(privacy.epsilon(100), 6), round(privacy.epsilon(25), 2)
        (19.94, 2.0, 0.93)

    References:
        M. Abadi et al., 2016, "Deep Learning with Differential Privacy", arXiv 1607.00133 (clip, sum, add noise).
    """

    clip: float
    noise: float
    delta: float = 1e-5

    def __post_init__(self) -> None:
        if not (self.clip > 0 and math.isfinite(self.clip)):
            raise ValueError(f"clip={self.clip!r} must be positive and finite: it bounds the share of one sample")
        if not (self.noise >= 0 and math.isfinite(self.noise)):
            raise ValueError(f"noise={self.noise!r} must be a finite multiplier of 0 or more")
        if not 0 < self.delta < 1:
            raise ValueError(f"delta={self.delta!r} must lie in (0, 1), well below one over the number of samples")

    @classmethod
    def for_budget(cls, epsilon: float, delta: float, releases: int, clip: float) -> "Privacy":
        """The least noise with which so many releases of all data are (ε, δ)-private."""
        return cls(clip=clip, noise=noise_for(epsilon, delta, releases), delta=delta)

    def epsilon(self, releases: int) -> float:
        """The ε after so many releases, at δ; infinite without noise."""
        if releases == 0:
            return 0.0
        return gaussian_epsilon(self.delta, composed_mu(self.noise, releases)) if self.noise else math.inf


def clip_rows(rows: Tensor, clip: float) -> tuple[Tensor, Tensor]:
    """Shorten every row that is longer than `clip`.

    Args:
        rows: Shape (n, d).
        clip: C > 0.

    Returns:
        The rows g_i · min(1, C/‖g_i‖), and their norms before, shape (n,).

    Raises:
        ValueError: `clip` is not positive.

    Example:
        >>> clip_rows(torch.tensor([[3.0, 4.0], [0.3, 0.4]]), clip=1.0)[0]
        tensor([[0.6000, 0.8000],
                [0.3000, 0.4000]])
    """
    if not clip > 0:
        raise ValueError(f"clip={clip!r} must be positive: it is the largest norm that a row may keep")
    norms = torch.linalg.vector_norm(rows, dim=1)
    return rows * (clip / norms.clamp(min=clip))[:, None], norms


def private_gradient(
    model: nn.Module, x: Tensor, y: Tensor, privacy: Privacy, generator: torch.Generator, *, holders: int = 1
) -> Tensor:
    """One release: the mean of clipped sample gradients of the cross-entropy, plus noise.

    Args:
        model: Maps (n, ...) to logits.
        x: All samples, n of them.
        y: Their labels.
        privacy: Clipping norm and noise.
        generator: Draws the noise, on the CPU.
        holders: K clients who add their shares of the noise, each of variance (σC)²/K. The guarantee is that of the
            sum: whoever sees what a single client sends sees less noise.

    Returns:
        (Σ_i clipped g_i + noise)/n, shape (d,), in the order of the model's parameters.

    Raises:
        ValueError: `holders` < 1, or what `per_sample_gradients` refuses.

    Example:
        >>> model = nn.Linear(2, 3)
        >>> x, y = torch.ones(5, 2), torch.zeros(5, dtype=torch.int64)
        >>> private_gradient(model, x, y, Privacy(clip=1.0, noise=2.0), torch.Generator().manual_seed(0)).shape
        torch.Size([9])
    """
    if holders < 1:
        raise ValueError(f"holders={holders!r} must be 1 or more: somebody has to add the noise")
    rows = per_sample_gradients(model, nn.CrossEntropyLoss(), x, y)
    total = clip_rows(rows, privacy.clip)[0].sum(dim=0)
    share = privacy.noise * privacy.clip / math.sqrt(holders)
    noise = torch.randn(holders, len(total), generator=generator, dtype=torch.float64).sum(dim=0)
    return (total + (share * noise).to(total)) / len(x)
