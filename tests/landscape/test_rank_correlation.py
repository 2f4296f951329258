import numpy as np
import pytest
from scipy.stats import spearmanr

from sofim_lab.landscape import rank_correlation


def sample(groups=8, per_group=5, slope=1.0, seed=0):
    random = np.random.default_rng(seed)
    x = random.normal(size=groups * per_group)
    y = slope * x + random.normal(size=groups * per_group)
    return x, y, np.repeat(np.arange(groups), per_group)


def test_the_value_is_spearmans_with_and_without_ties():
    x, y, groups = sample()
    for a in (x, np.round(x)):
        found = rank_correlation(a, y, groups, draws=10)
        assert found.value == pytest.approx(spearmanr(a, y).statistic, abs=1e-9)


def test_the_interval_holds_the_value_and_only_clear_cases_have_a_sign():
    clear = rank_correlation(*sample(slope=2.0))
    assert clear.low < clear.value < clear.high
    assert clear.sign == 1
    x, y, groups = sample(slope=2.0)
    assert rank_correlation(x, -y, groups).sign == -1
    assert rank_correlation(*sample(slope=0.0)).sign == 0


def test_whole_groups_are_drawn():
    random = np.random.default_rng(1)
    x, y = np.repeat(random.normal(size=8), 20), np.repeat(random.normal(size=8), 20)
    grouped = rank_correlation(x, y, np.repeat(np.arange(8), 20))
    alone = rank_correlation(x, y, np.arange(160))
    assert grouped.high - grouped.low > 2 * (alone.high - alone.low)


def test_the_interval_covers_about_as_often_as_it_says():
    held = [rank_correlation(*sample(30, 2, 0.0, seed), draws=200) for seed in range(120)]
    assert 0.88 <= np.mean([found.low <= 0 <= found.high for found in held]) <= 1.0


def test_the_sign_within_categories_may_be_the_opposite():
    random = np.random.default_rng(2)
    category, groups = np.repeat(np.arange(4), 10), np.tile(np.arange(10), 4)
    noise = random.normal(size=40) / 4
    x, y = category + noise, category - 2 * noise
    assert rank_correlation(x, y, groups).sign == 1
    assert rank_correlation(x, y, groups, within=category).sign == -1


def test_a_column_that_does_not_vary_counts_as_nothing():
    assert rank_correlation([1.0, 1.0, 1.0, 1.0], [1, 2, 3, 4], [0, 0, 1, 1]).value == 0


def test_it_is_the_same_in_every_run():
    assert rank_correlation(*sample()) == rank_correlation(*sample())


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (([1, 2, 3], [1, 2], [0, 1, 1]), "equally long"),
        (([1, 2], [1, 2], [0, 1]), "3 values or more"),
        (([1, 2, np.nan], [1, 2, 3], [0, 1, 1]), "must be finite"),
        (([1, 2, 3], [1, 2, 3], [0, 0, 0]), "at least two"),
    ],
)
def test_bad_input_is_refused(arguments, says):
    with pytest.raises(ValueError, match=says):
        rank_correlation(*arguments)
