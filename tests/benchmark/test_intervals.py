"""The paired bootstrap against brute force and scipy; what censoring does to it."""

import math
from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from sofim_lab.benchmark.intervals import (
    DRAWS,
    Interval,
    exact_ratio,
    median_interval,
    paired_ratio,
    quantile,
    resamples,
)

TIMES = st.one_of(st.integers(1, 30).map(float), st.just(math.inf))


def pairs(least=1, most=6, cells=1):
    def both(n):
        row = st.lists(TIMES, min_size=n, max_size=n)
        return st.tuples(*(st.lists(row, min_size=cells, max_size=cells).map(np.array) for _ in range(2)))

    return st.integers(least, most).flatmap(both)


def brute_force(ours, theirs, level=0.95):
    """All nⁿ ordered resamples, one at a time, each unknown ratio put at the bad end; ends by counting."""
    cells, n = ours.shape
    lows, highs = [], []
    for chosen in product(range(n), repeat=n):
        logs = []
        for a, b in zip(ours[:, chosen], theirs[:, chosen], strict=True):
            top, bottom = np.median(a), np.median(b)
            logs.append(None if math.isinf(top) and math.isinf(bottom) else math.log(top) - math.log(bottom))
        for end, into in ((-math.inf, lows), (math.inf, highs)):
            known = sorted(end if x is None else x for x in logs)
            middle = known[(cells - 1) // 2], known[cells // 2]
            into.append(end if set(middle) == {-math.inf, math.inf} else sum(middle) / 2)
    least = math.ceil((1 - level) / 2 * n**n - 1e-9)
    return math.exp(sorted(lows)[max(least, 1) - 1]), math.exp(sorted(highs, reverse=True)[max(least, 1) - 1])


@pytest.mark.parametrize("n", [1, 2, 3, 5, 9])
def test_the_multisets_are_all_and_their_probabilities_those_of_orders(n):
    places, probabilities = resamples(n)
    assert len(places) == math.comb(2 * n - 1, n)
    assert probabilities.sum() == pytest.approx(1.0)
    assert places.shape[1] == n
    mean = (probabilities[:, None] * (places[:, :, None] == np.arange(n)).sum(1)).sum(0)
    np.testing.assert_allclose(mean, np.ones(n))  # each member once, on average
    everyone = (np.sort(places) == np.arange(n)).all(1)
    assert probabilities[everyone].item() == pytest.approx(math.factorial(n) / n**n)


def test_more_seeds_are_drawn_the_same_each_time():
    places, probabilities = resamples(12)
    assert places.shape == (DRAWS, 12)
    assert probabilities.sum() == pytest.approx(1.0)
    resamples.cache_clear()
    np.testing.assert_array_equal(places, resamples(12)[0])


@settings(max_examples=40)
@given(pairs(least=2, most=4, cells=2))
def test_the_ends_are_those_of_brute_force(both):
    ours, theirs = both
    found, (low, high) = paired_ratio(ours, theirs), brute_force(ours, theirs)
    assert found.low == pytest.approx(low, rel=1e-12)
    assert found.high == pytest.approx(high, rel=1e-12)


@given(pairs(most=7, cells=3))
def test_exchanging_the_two_gives_the_reciprocals(both):
    there, back = paired_ratio(*both), paired_ratio(*both[::-1])
    with np.errstate(divide="ignore"):
        for one, other in ((there.low, back.high), (there.high, back.low), (there.estimate, back.estimate)):
            assert np.isclose(one, 1 / np.float64(other), rtol=1e-12, equal_nan=True)


@given(pairs(most=6, cells=1), st.floats(0.1, 50))
def test_a_unit_of_time_cancels(both, unit):
    ours, theirs = both
    first, second = paired_ratio(ours, theirs), paired_ratio(unit * ours, unit * theirs)
    for one, other in zip(vars(first).values(), vars(second).values(), strict=True):
        assert np.isclose(one, other, rtol=1e-9, equal_nan=True)


@given(pairs(most=6, cells=1), st.permutations(range(6)))
def test_the_order_of_the_seeds_does_not_matter(both, order):
    ours, theirs = both
    order = [place for place in order if place < ours.shape[1]]
    assert str(paired_ratio(ours, theirs)) == str(paired_ratio(ours[:, order], theirs[:, order]))


@given(pairs(most=7, cells=1))
def test_worse_times_of_ours_never_lower_an_end(both):
    ours, theirs = both
    before, after = paired_ratio(ours, theirs), paired_ratio(2 * ours, theirs)
    assert after.low >= before.low
    assert after.high >= before.high


def test_pairing_narrows_the_interval():
    """Seeds differ by a factor of ten, the optimizers from seed to seed by exactly two."""
    theirs = np.array([2.0, 4, 6, 8, 12, 16, 20])
    assert str(paired_ratio(theirs / 2, theirs)) == "0.5 [0.5, 0.5]"
    shuffled = paired_ratio(theirs[::-1] / 2, theirs)
    assert shuffled.high / shuffled.low > 2


@pytest.mark.parametrize("seed", range(3))
def test_scipys_bootstrap_agrees(seed):
    random = np.random.default_rng(seed)
    ours, theirs = random.integers(4, 30, (2, 9)).astype(float)
    exact = paired_ratio(ours, theirs)

    def statistic(a, b, axis):
        return np.log(np.median(a, axis=axis) / np.median(b, axis=axis))

    drawn = stats.bootstrap(
        (ours, theirs), statistic, paired=True, method="percentile", n_resamples=20_000, rng=random
    ).bootstrap_distribution
    places, probabilities = resamples(9)
    logs = statistic(ours[places], theirs[places], -1)
    grid = np.unique(logs)
    ours_cdf = np.array([probabilities[logs <= x + 1e-12].sum() for x in grid])
    drawn_cdf = np.array([(drawn <= x + 1e-12).mean() for x in grid])
    assert np.abs(ours_cdf - drawn_cdf).max() < 0.015  # Kolmogorov: 1.36/√20000 = 0.0096 at 5 %
    assert math.exp(np.quantile(drawn, 0.02)) * 0.999 <= exact.estimate <= math.exp(np.quantile(drawn, 0.98)) * 1.001
    assert exact.low == pytest.approx(math.exp(quantile(logs, probabilities, 0.025)))


def test_the_interval_of_a_median_covers_about_what_it_says():
    """Nine seeds: a percentile interval of a median covers a little less than 95 %; see PROTOCOL.md."""
    random = np.random.default_rng(0)
    samples = np.exp(random.standard_normal((300, 9)))
    hits = [one.low <= 1 <= one.high for one in map(median_interval, samples)]
    assert 0.88 <= np.mean(hits) <= 0.98


def test_censored_times_are_larger_than_every_number():
    assert (
        str(median_interval([3, 4, math.inf, math.inf, math.inf])) == "∞ [3, ∞]"
    )  # P(three of five draws are the 3) = 0.058
    assert median_interval([3, 4, 5, math.inf]).estimate == 4.5
    assert median_interval([3, 4, math.inf, math.inf]).estimate == math.inf
    half = paired_ratio([3, 4, 5], [math.inf] * 3)
    assert (half.estimate, half.low, half.high) == (0, 0, 0)
    assert paired_ratio([math.inf] * 3, [3, 4, 5]).low == math.inf


def test_two_that_never_arrive_say_nothing():
    never = [math.inf] * 3
    assert str(paired_ratio(never, never)) == "? [0, ∞]"
    both = paired_ratio([never, [1, 1, 1], [1, 1, 1]], [never, [2, 2, 2], [2, 2, 2]])
    assert str(both) == "0.5 [0.5, 0.5]"  # one of three cells cannot move the median of the others, which agree
    even = paired_ratio([never, [1, 1, 1]], [never, [2, 2, 2]])
    assert (even.estimate, even.low, even.high) == (0.5, 0, math.inf)


def test_opposite_cells_are_told_apart_from_equal_ones():
    """One cell that only we reach, one that only they reach: the middle is unknown, not infinite."""
    never, one = [math.inf] * 3, [1.0] * 3
    assert str(paired_ratio([one, never], [never, one])) == "? [0, ∞]"


@pytest.mark.parametrize("time", [3.0, math.inf])
def test_one_seed_says_nothing_of_others(time):
    for found in (median_interval([time]), paired_ratio([time], [4.0]), paired_ratio([[time], [2.0]], [[4.0], [8.0]])):
        assert (found.low, found.high) == (0, math.inf)
    assert median_interval([time]).estimate == time
    assert paired_ratio([time], [4.0]).estimate == pytest.approx(time / 4)


@pytest.mark.parametrize(
    ("ours", "theirs", "ratio"),
    [
        ([3, 3], [4, 4], 0.75),
        ([3], [0], math.inf),
        ([0], [3], 0),
        ([0], [0], 1),
        ([[3], [0], [0]], [[4], [0], [4]], 0.75),
    ],
)
def test_what_is_counted_has_no_spread(ours, theirs, ratio):
    found = exact_ratio(ours, theirs)
    assert found.low == found.estimate == found.high == pytest.approx(ratio)


def test_counts_of_opposite_cells_are_undecided():
    assert str(exact_ratio([[3], [0]], [[0], [3]])) == "? [0, ∞]"


@pytest.mark.parametrize("level", [95, 1, 0, -0.5, math.nan])
def test_a_level_is_a_fraction(level):
    for call in (lambda: median_interval([1, 2], level), lambda: paired_ratio([1, 2], [1, 2], level)):
        with pytest.raises(ValueError, match=rf"level={level} must lie between 0 and 1: 0.95 for 95 %"):
            call()


def test_bad_input_is_named():
    with pytest.raises(ValueError, match=r"ours has the shape \(1, 2\), theirs \(1, 3\)"):
        paired_ratio([1, 2], [1, 2, 3])
    with pytest.raises(ValueError, match=r"ours=\[0.0, 2.0\] must be positive"):
        paired_ratio([0.0, 2], [1, 2])
    with pytest.raises(ValueError, match=r"theirs=\[\] must be positive"):
        paired_ratio([1, 2], [])
    with pytest.raises(ValueError, match=r"times=\[nan\] must be positive"):
        median_interval([math.nan])
    with pytest.raises(ValueError, match="n=0"):
        resamples(0)
    assert str(Interval(0.123456, 0, math.inf)) == "0.123 [0, ∞]"
