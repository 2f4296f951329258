"""Sensitivity to a setting, and the bands of a race."""

import numpy as np
import pytest

from sofim_lab import plots
from sofim_lab.training import EpochRecord, RaceResult, TrainingResult


def run(name, lr, loss, seed=0, diverged_at=None):
    epochs = (EpochRecord(0, 2.3, 2.3, 0.1, 0.1, 0.0), EpochRecord(1, loss, loss, 1 - loss, 1 - loss, 1.0))
    return TrainingResult(name, name, {"lr": lr, "nesterov": True}, seed, "cpu", (), epochs, diverged_at)


RUNS = [
    *(
        run("SGD", lr, loss, seed)
        for seed in range(3)
        for lr, loss in ((1.0, 0.3 + 0.1 * seed), (0.1, 0.2), (0.01, 0.6))
    ),
    *(run("SGD", 10.0, 0.5, seed, diverged_at=1 if seed else None) for seed in range(3)),
    run("SOFIM", 0.1, 0.15),
]


def test_sensitivity_is_the_median_in_a_band_and_a_cross_where_half_diverge():
    (ax,) = plots.new_axes()
    assert plots.plot_sensitivity(RUNS, "val_loss", ax) is ax
    curve = next(line for line in ax.lines if line.get_label() == "SGD")
    assert list(curve.get_xdata()) == [0.01, 0.1, 1.0, 10.0]
    assert list(curve.get_ydata())[:3] == pytest.approx([0.6, 0.2, 0.4])
    assert np.isnan(curve.get_ydata()[3])
    (cross,) = [line for line in ax.lines if line.get_marker() == "x" and len(line.get_xdata())]
    assert list(cross.get_xdata()) == [10.0]
    assert (ax.get_xscale(), ax.get_yscale()) == ("log", "log")
    assert ax.get_xlabel() == "learning rate η"
    assert ax.get_ylabel() == "final validation loss (nats)"


def test_sensitivity_in_words():
    words = plots.describe_sensitivity(RUNS)
    assert (
        "SGD is best at 0.1 with 0.2, and at most twice that from 0.1 to 1; half of its runs or more diverge at 10."
        in words
    )
    assert "SOFIM is best at 0.1 with 0.15, and at most twice that nowhere else." in words
    assert "SGD is best at 0.1 with 0.8, and within 0.01 of that nowhere else" in plots.describe_sensitivity(
        RUNS, "val_accuracy"
    )
    lost = [run("Adam", 1.0, 9.0, diverged_at=1)]
    assert "Adam diverges at each of 1 values." in plots.describe_sensitivity(lost)
    plots.plot_sensitivity(lost)


def test_sensitivity_refuses_what_has_no_such_setting():
    with pytest.raises(ValueError, match="runs is empty"):
        plots.plot_sensitivity([])
    with pytest.raises(
        ValueError, match="setting='rho': the run 'SGD' has no such number; its settings are lr, nesterov"
    ):
        plots.plot_sensitivity(RUNS, setting="rho")
    with pytest.raises(ValueError, match="setting='nesterov'"):
        plots.plot_sensitivity(RUNS, setting="nesterov")
    with pytest.raises(ValueError, match="metric='loss' is unknown"):
        plots.plot_sensitivity(RUNS, "loss")


def a_race():
    return RaceResult(tuple(run("SGD", 0.1, loss, seed) for seed, loss in enumerate((0.1, 0.2, 0.3, 0.4, 0.9))))


@pytest.mark.parametrize(("band", "ends"), [("range", (0.1, 0.9)), ("none", None)])
def test_the_band_of_a_race(band, ends):
    ax = plots.plot_race(a_race(), band=band)
    if ends is None:
        assert not ax.collections
    else:
        last = [y for x, y in ax.collections[0].get_paths()[0].vertices if x == 1]
        assert (min(last), max(last)) == pytest.approx(ends)


def test_a_confidence_band_is_narrower_and_the_same_again():
    many = RaceResult(tuple(run("SGD", 0.1, 0.1 * seed, seed) for seed in range(1, 16)))

    def last(band):
        ends = [y for x, y in plots.plot_race(many, band=band).collections[0].get_paths()[0].vertices if x == 1]
        return min(ends), max(ends)

    low, high = last("confidence")
    assert last("range") == pytest.approx((0.1, 1.5))
    assert 0.1 < low < 0.8 < high < 1.5  # around the median
    assert last("confidence") == (low, high)
    with pytest.raises(ValueError, match="band='ci' is unknown: choose one of range, confidence, none"):
        plots.plot_race(a_race(), band="ci")
