"""The privacy account of Gaussian noise: how (ε, δ), the noise and the number of releases hang together, exactly."""

import math

from scipy.optimize import brentq
from scipy.special import log_ndtr


def composed_mu(noise: float, releases: int, sensitivity: float = 1.0) -> float:
    """How far apart two neighbouring data sets look after several noisy releases, in standard deviations of the noise.

    One release adds noise of the standard deviation σ·C to a vector that a neighbour shifts by at most `sensitivity`·C.
    T of them, each chosen with the earlier ones in view, are together as revealing as one with the shift √T times as
    large (composition of Gaussian differential privacy):

        μ = √T · sensitivity / σ

    Every release must be computed from all data. The account knows nothing of subsampling: where each release sees a
    random part of the data, drawn anew, it is an upper bound, and a pessimistic one.

    Args:
        noise: The noise multiplier σ > 0.
        releases: T, 0 or more.
        sensitivity: Largest shift between neighbours, in units of the clipping norm C. For a sum of clipped vectors: 1
            where neighbours differ by adding or removing one record, 2 where one record is replaced.

    Returns:
        μ ≥ 0; 0 for no release.

    Raises:
        ValueError: An argument is out of its range.

    Example:
        >>> composed_mu(noise=10.0, releases=25)
        0.5

    References:
        J. Dong, A. Roth, W. J. Su, 2019, "Gaussian Differential Privacy", arXiv 1905.02383, Corollary 3.3.
    """
    _refuse("noise", noise, noise > 0, "the noise multiplier must be positive; without noise there is no privacy")
    _refuse("sensitivity", sensitivity, sensitivity > 0, "1 for adding or removing a record, 2 for replacing one")
    if not (math.isfinite(releases) and releases >= 0 and releases == int(releases)):
        raise ValueError(f"releases={releases!r} must be a whole number of 0 or more")
    return math.sqrt(releases) * sensitivity / noise


def gaussian_delta(epsilon: float, mu: float) -> float:
    r"""The smallest δ for which Gaussian noise with a shift of μ standard deviations is (ε, δ)-differentially private.

        δ(ε) = Φ(μ/2 − ε/μ) − e^ε Φ(−μ/2 − ε/μ)

    with the normal distribution function Φ. It is computed from logarithms, so that e^ε does not overflow.

    Args:
        epsilon: ε ≥ 0.
        mu: μ ≥ 0, e.g. from `composed_mu`.

    Returns:
        δ in [0, 1].

    Raises:
        ValueError: An argument is out of its range.

    Example:
        >>> round(gaussian_delta(1.0, 1.0), 4)
        0.1269

    References:
        B. Balle, Y.-X. Wang, 2018, "Improving the Gaussian Mechanism for Differential Privacy", arXiv 1805.06530,
        Theorem 8.
    """
    _refuse("epsilon", epsilon, epsilon >= 0, "it must be 0 or more")
    _refuse("mu", mu, mu >= 0, "it must be 0 or more")
    if mu == 0:
        return 0.0
    first = float(log_ndtr(mu / 2 - epsilon / mu))
    second = epsilon + float(log_ndtr(-mu / 2 - epsilon / mu))
    return max(0.0, -math.exp(first) * math.expm1(min(second - first, 0.0)))


def gaussian_epsilon(delta: float, mu: float) -> float:
    """The smallest ε for which Gaussian noise with a shift of μ standard deviations is (ε, δ)-differentially private.

    Args:
        delta: δ in (0, 1).
        mu: μ ≥ 0, e.g. from `composed_mu`.

    Returns:
        ε ≥ 0, the root of δ(ε) = δ; 0 where δ(0) is no more than δ already.

    Raises:
        ValueError: An argument is out of its range.

    Example:
        >>> round(gaussian_epsilon(1e-5, 1.0), 3)
        4.377

    References:
        As in `gaussian_delta`.
    """
    _refuse("delta", delta, 0 < delta < 1, "it must lie in (0, 1), well below one over the number of records")
    if gaussian_delta(0.0, mu) <= delta:
        return 0.0
    # δ(ε) ≤ Φ(μ/2 − ε/μ) ≤ exp(−(ε/μ − μ/2)²/2) there, so this is far enough.
    far = mu * (mu / 2 + math.sqrt(2 * math.log(1 / delta)))
    return float(brentq(lambda epsilon: gaussian_delta(epsilon, mu) - delta, 0.0, far, xtol=1e-12, rtol=1e-12))


def noise_for(epsilon: float, delta: float, releases: int, sensitivity: float = 1.0) -> float:
    """The smallest noise multiplier σ with which so many releases are together (ε, δ)-differentially private.

    Args:
        epsilon: ε > 0.
        delta: δ in (0, 1).
        releases: T, 1 or more; all data take part in each.
        sensitivity: See `composed_mu`.

    Returns:
        σ. It grows as √T: σ = √T · sensitivity / μ, with the μ for which δ(ε) = δ.

    Raises:
        ValueError: An argument is out of its range.

    Example:
        >>> sigma = noise_for(epsilon=2.0, delta=1e-5, releases=100)
        >>> round(sigma, 2), round(gaussian_epsilon(1e-5, composed_mu(sigma, 100)), 6)
        (19.94, 2.0)

    References:
        As in `gaussian_delta`.
    """
    _refuse("epsilon", epsilon, epsilon > 0, "it must be positive; only infinite noise has ε = 0")
    _refuse("delta", delta, 0 < delta < 1, "it must lie in (0, 1), well below one over the number of records")
    if releases < 1:
        raise ValueError(f"releases={releases!r} must be a whole number of 1 or more")
    low, high = 1e-12, 1.0
    while gaussian_delta(epsilon, high) < delta:
        high *= 2
    mu = brentq(lambda mu: gaussian_delta(epsilon, mu) - delta, low, high, xtol=1e-14, rtol=1e-12)
    return composed_mu(1.0, releases, sensitivity) / float(mu)


def _refuse(name: str, value: float, holds: bool, remedy: str) -> None:
    """ValueError for a number that is not finite or does not fit."""
    if not (math.isfinite(value) and holds):
        raise ValueError(f"{name}={value!r} is not possible: {remedy}")
