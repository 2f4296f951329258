"""The privacy account against integrals of the privacy loss, another library's values, and its own inverse."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.integrate import quad
from scipy.stats import norm

from sofim_lab.federated import composed_mu, gaussian_delta, gaussian_epsilon, noise_for


@pytest.mark.parametrize("mu", [0.1, 0.5, 1.0, 3.0])
@pytest.mark.parametrize("epsilon", [0.0, 0.1, 1.0, 4.0])
def test_delta_is_the_hockey_stick_divergence(epsilon, mu):
    """∫ max(0, p − e^ε q) over the outputs x, for p = N(μ, 1) and q = N(0, 1)."""

    def excess(x):
        return max(0.0, norm.pdf(x, mu) - math.exp(epsilon) * norm.pdf(x))

    crossing = epsilon / mu + mu / 2  # to the right of it p exceeds
    area = quad(excess, crossing, max(crossing, mu) + 12, epsabs=1e-14, epsrel=1e-11, limit=200)[0]
    assert gaussian_delta(epsilon, mu) == pytest.approx(area, rel=1e-8, abs=1e-13)


def test_two_releases_are_one_with_root_two_of_the_shift():
    """The excess of the pair's joint density, summed over a plane, knows nothing of √T."""
    mu, epsilon = 0.8, 1.0
    grid = np.linspace(-9, 10, 3801)
    p, q = norm.pdf(grid, mu), norm.pdf(grid)
    joint = np.maximum(0, np.outer(p, p) - math.exp(epsilon) * np.outer(q, q)).sum() * (grid[1] - grid[0]) ** 2
    assert gaussian_delta(epsilon, composed_mu(1 / mu, 2)) == pytest.approx(joint, rel=1e-5)


@pytest.mark.parametrize(
    ("noise", "releases", "epsilon"),
    # The PLD accountant of dp-accounting 0.6.0 at δ = 1e-5, whose values lie at most 1e-6 above the exact ones here.
    [(1, 1, 4.377178), (2, 1, 1.993091), (5, 50, 6.572970), (10, 60, 3.264550), (20, 100, 1.993091)],
)
def test_epsilon_agrees_with_another_accountant(noise, releases, epsilon):
    assert gaussian_epsilon(1e-5, composed_mu(noise, releases)) == pytest.approx(epsilon, abs=1e-6)


def test_noise_for_one_release_is_the_known_value_and_less_than_the_classical_one():
    assert noise_for(1.0, 1e-5, 1) == pytest.approx(3.730632, abs=1e-6)
    assert noise_for(1.0, 1e-5, 1) < math.sqrt(2 * math.log(1.25e5))


@given(st.floats(0.01, 50), st.floats(1e-12, 0.1), st.integers(1, 2000))
def test_noise_and_epsilon_are_inverse_to_each_other(epsilon, delta, releases):
    noise = noise_for(epsilon, delta, releases)
    assert gaussian_epsilon(delta, composed_mu(noise, releases)) == pytest.approx(epsilon, rel=1e-6, abs=1e-9)
    assert noise == pytest.approx(math.sqrt(releases) * noise_for(epsilon, delta, 1), rel=1e-9)


@given(st.floats(0, 100), st.floats(0, 100), st.floats(0.001, 50))
def test_delta_falls_with_epsilon_and_grows_with_mu(one, other, mu):
    low, high = sorted((one, other))
    rounding = 1 + 1e-6  # two neighbouring ε differ by less than the logarithms of tiny numbers can tell
    assert 0 <= gaussian_delta(high, mu) <= gaussian_delta(low, mu) * rounding <= rounding
    assert gaussian_delta(low, mu) <= gaussian_delta(low, 1.5 * mu) * rounding


def test_replacing_a_record_shifts_twice_as_far():
    assert composed_mu(3.0, 4, sensitivity=2.0) == 2 * composed_mu(3.0, 4)
    assert noise_for(1.0, 1e-5, 7, sensitivity=2.0) == pytest.approx(2 * noise_for(1.0, 1e-5, 7))


def test_the_ends():
    assert composed_mu(1.0, 0) == gaussian_delta(1.0, 0.0) == gaussian_epsilon(1e-5, 0.0) == 0
    assert gaussian_delta(0.0, 1.0) == pytest.approx(2 * norm.cdf(0.5) - 1)  # total variation
    assert gaussian_delta(1000.0, 1.0) == 0  # e^ε is beyond the floats


@pytest.mark.parametrize(
    ("call", "named"),
    [
        (lambda: composed_mu(0.0, 3), "noise=0.0"),
        (lambda: composed_mu(1.0, -1), "releases=-1"),
        (lambda: composed_mu(1.0, 2, sensitivity=0.0), "sensitivity=0.0"),
        (lambda: gaussian_delta(-1.0, 1.0), "epsilon=-1.0"),
        (lambda: gaussian_delta(1.0, math.nan), "mu=nan"),
        (lambda: gaussian_epsilon(0.0, 1.0), "delta=0.0"),
        (lambda: noise_for(0.0, 1e-5, 3), "epsilon=0.0"),
        (lambda: noise_for(1.0, 1.0, 3), "delta=1.0"),
        (lambda: noise_for(1.0, 1e-5, 0), "releases=0"),
    ],
)
def test_what_is_out_of_range_is_named(call, named):
    with pytest.raises(ValueError, match=named):
        call()


@pytest.mark.parametrize("releases", [math.inf, math.nan, 1.5])
def test_releases_that_cannot_be_counted_are_named(releases):
    with pytest.raises(ValueError, match=f"releases={releases}"):
        composed_mu(1.0, releases)
