import numpy as np
import pandas as pd
import pytest
import torch

from sofim_lab.curvature import spectral_density
from sofim_lab.landscape import RankCorrelation, Sharpness
from sofim_lab.plots import (
    describe_correlation,
    describe_counts,
    describe_flatness,
    describe_stability,
    plot_counts,
    plot_flatness,
    plot_stability,
)


def density(values, seed=0):
    return spectral_density(torch.diag(torch.tensor(values, dtype=torch.float64)), probes=400, seed=seed)


def table():
    rows = {
        "name": ["SOFIM", "SOFIM", "Adam"],
        "seed": [0, 1, 0],
        "sharpness": [1.0, 2.0, 4.0],
        "val_loss": [0.1, 0.3, 0.2],
    }
    return pd.DataFrame(rows | {"trace": [5.0, 6.0, 7.0], "train_loss": [0.01, 0.02, 0.03]})


def test_a_curve_counts_the_eigenvalues_above_each_level():
    ax = plot_counts({"SOFIM": density([1.0] * 5 + [0.1] * 15 + [-0.5] * 20)}, 40)
    x, y = ax.get_lines()[0].get_data()
    assert y[x > 0.5].max() == pytest.approx(5, rel=0.15)
    assert y[(x > 0.05) & (x < 0.2)].max() == pytest.approx(20, rel=0.1)
    assert (np.diff(y) <= 0).all()
    assert "of 40" in ax.get_ylabel()


def test_counts_in_words():
    words = describe_counts({"SOFIM": density([1.0] * 5 + [0.001] * 15)}, 20)
    assert "SOFIM 1, about 5 above a hundredth of it" in words


def test_stability_is_drawn_in_units_of_the_bound():
    runs = {0.5: Sharpness(np.array([0, 10]), np.array([2.0, 4.0]), np.zeros(2))}
    ax = plot_stability(runs)
    assert ax.get_lines()[0].get_ydata().tolist() == [0.5, 1.0]
    assert ax.get_lines()[-1].get_ydata()[0] == 1.0
    assert "η = 0.5, bound 4: λ₁ is 4 at its highest, 4 at the end" in describe_stability(runs)


def test_flatness_has_a_mark_for_each_run_and_a_look_for_each_optimizer():
    ax = plot_flatness(table(), x="trace")
    lines = ax.get_lines()
    assert [len(line.get_xdata()) for line in lines] == [2, 1]
    assert lines[0].get_xdata().tolist() == [5.0, 6.0]
    assert lines[0].get_marker() != lines[1].get_marker()
    assert ax.get_xlabel() == "trace of the Hessian"


@pytest.mark.parametrize(
    ("found", "verdict"),
    [
        (RankCorrelation(0.5, 0.2, 0.8, 6), "they rise together"),
        (RankCorrelation(-0.5, -0.8, -0.2, 6), "one falls as the other rises"),
        (RankCorrelation(0.5, -0.1, 0.8, 6), "the sign is open"),
    ],
)
def test_the_words_say_no_more_than_the_interval(found, verdict):
    assert describe_correlation(found).endswith(f"over 6 seeds: {verdict}.")
    words = describe_flatness(table(), found)
    assert verdict in words
    assert "SOFIM 1.5 and 0.2; Adam 4 and 0.2" in words


def test_bad_input_is_refused():
    with pytest.raises(ValueError, match="densities is empty"):
        plot_counts({}, 3)
    with pytest.raises(ValueError, match="no positive eigenvalue"):
        plot_counts({"SOFIM": density([-1.0, -2.0])}, 2)
    with pytest.raises(ValueError, match="runs is empty"):
        describe_stability({})
    with pytest.raises(ValueError, match="'norm' is unknown"):
        plot_flatness(table(), x="norm")
    with pytest.raises(ValueError, match="table is empty"):
        plot_flatness(table()[:0])
    with pytest.raises(ValueError, match="must be positive"):
        plot_flatness(table().assign(sharpness=[-1.0, 1.0, 1.0]))
