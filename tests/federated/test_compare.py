"""Every server has the same budget, is tuned on one seed and reported on others."""

import numpy as np
import pytest

from sofim_lab.federated import compare, rounds_to
from sofim_lab.training import EpochRecord, TrainingResult


def pretend(name, rate, seed):
    """A run whose validation loss is least at rate 3; it diverges at 9."""
    records = tuple(EpochRecord(t, 1.0, abs(rate - 3) + 0.1 * seed, 0.5, 0.2 * t, 0.0) for t in range(5))
    return TrainingResult(name, "SGD", {"lr": rate}, seed, "cpu", (), records, 2 if rate == 9 else None)


def test_the_best_rate_of_the_tuning_seed_is_run_on_the_others():
    calls = []

    def run(name, server, seed):
        calls.append((name, server, seed))
        return pretend(name, server, seed)

    servers = {"a": lambda rate: rate, "b": lambda rate: rate}
    found = compare(servers, {"a": (1, 3, 9), "b": (9, 2, 7)}, run, tuning_seed=0, seeds=(5, 6))
    assert found.rates == {"a": 3, "b": 2}
    assert found.tuning["a", 9] == float("inf")
    assert [one for one in calls if one[2] != 0] == [("a", 3, 5), ("a", 3, 6), ("b", 2, 5), ("b", 2, 6)]
    assert len(calls) == 6 + 4
    assert [run.seed for run in found.race["b"]] == [5, 6]


def test_rounds_to_a_target_are_none_where_it_was_not_reached():
    assert rounds_to(pretend("a", 1, 0), 0.5) == 3
    assert rounds_to(pretend("a", 1, 0), 0.9) is None


@pytest.mark.parametrize(
    ("rates", "seeds", "named"),
    [
        ({"a": (1, 2), "b": (1,)}, (1,), "one budget for all"),
        ({"a": (1,)}, (1,), "must name every server"),
        ({"a": (1,), "b": (1,)}, (0, 1), "other seeds than tuning_seed=0"),
        ({"a": (1,), "b": (1,)}, (), "at least one"),
        ({"a": (), "b": ()}, (1,), "at least one rate"),
    ],
)
def test_unequal_budgets_and_shared_seeds_are_refused(rates, seeds, named):
    servers = {"a": lambda rate: rate, "b": lambda rate: rate}
    with pytest.raises(ValueError, match=named):
        compare(servers, rates, pretend, tuning_seed=0, seeds=seeds)


def test_a_validation_loss_that_is_nan_does_not_win():
    def run(name, rate, seed):
        loss = float("nan") if rate == 1 else 0.5
        return TrainingResult(name, "SGD", {}, seed, "cpu", (), (EpochRecord(0, 1.0, loss, 0.5, 0.5, 0.0),))

    found = compare({"a": lambda rate: rate}, {"a": (1, 2)}, run, tuning_seed=0, seeds=np.array([1, 2]))
    assert found.rates == {"a": 2}
    assert found.tuning["a", 1] == float("inf")
    assert [run.seed for run in found.race["a"]] == [1, 2]
