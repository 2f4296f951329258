"""Figures of the benchmark on made-up verdicts and runs."""

import math

import matplotlib.pyplot as plt
import pytest
from made_up import TASK, final, run_of

from sofim_lab import plots
from sofim_lab.benchmark import Claim, Interval, Verdict
from sofim_lab.training import Configuration, Sweep


@pytest.fixture
def race():
    return final({"SGD": [math.inf] * 3, "SOFIM": [3] * 3, "Adam": [1] * 3})


def verdict(low, estimate, high, status, threshold=1.0):
    claim = Claim("fewer epochs than Adam", "Adam", threshold=threshold)
    return Verdict(claim, "digits", status, Interval(estimate, low, high), (3, 1, 1, 1))


def test_the_fastest_is_on_top_and_who_never_arrives_stands_beyond(race):
    ax = plots.plot_times(race)
    assert [label.get_text() for label in ax.get_yticklabels()] == ["Adam", "SOFIM", "SGD"]
    marks = {tuple(one.get_ydata()): one.get_xdata()[0] for one in ax.get_lines() if len(one.get_xdata()) == 1}
    assert marks[0.0,] == 1
    assert marks[1.0,] == 3
    assert marks[2.0,] > TASK.epochs
    assert plots.describe_times(race) == (
        "Epochs to training loss 0.1 on digits, mlp, median over seeds, fastest first: Adam 1, SOFIM 3, "
        "SGD more than 10 (3 of 3 seeds never)."
    )
    assert not plt.get_fignums()


def test_verdicts_have_their_threshold_and_arrows_for_what_is_endless():
    judged = [
        verdict(0.6, 0.7, 0.8, "supported"),
        verdict(0.0, 0.9, math.inf, "undecided"),
        verdict(1.2, 1.3, 1.5, "not supported", 1.1),
        verdict(math.inf, math.inf, math.inf, "not supported"),
        Verdict(Claim("not there", "Adam"), "mnist", "undecided", reason="not run"),
    ]
    ax = plots.plot_verdicts(judged)
    assert len(ax.get_yticklabels()) == 4
    arrows = [one.get_marker() for one in ax.get_lines() if one.get_marker() in ("<", ">")]
    assert arrows == ["<", ">", ">"]
    dashed = [one.get_xdata()[0] for one in ax.get_lines() if one.get_linestyle() == "--"]
    assert dashed == [1.0, 1.0, 1.1, 1.0]
    words = plots.describe_verdicts(judged)
    assert "digits: 0.9 [0, ∞], undecided" in words
    assert "mnist" not in words
    with pytest.raises(ValueError, match="no verdict has a number"):
        plots.plot_verdicts(judged[4:])


def test_steps_are_shares_of_the_bound():
    one, other = (Configuration("SOFIM", {"lr": 2.0, "rho": rho, "beta": 0.9}) for rho in (0.25, 1.0))
    lengths = [0.0, 0, 0, 0, 0.1, 0.2, 0.3, 0, 0, 0, 1.0]
    sweep = Sweep(
        (
            run_of(one, 0, [1], lengths=lengths),
            run_of(one, 1, [1], lengths=[*lengths[:-1], 2.0]),
            run_of(other, 0, [1], lengths=lengths),
        )
    )
    ax = plots.plot_step_shares(sweep)
    marks = [float(one.get_ydata()[0]) for one in ax.get_lines() if one.get_marker() == "o"]
    assert marks == pytest.approx([0.2 / 2, 0.2 / 1])  # bounds 2/(2·0.5) = 2 and 2/(2·1) = 1
    assert "The longest of all is 1 of it" in plots.describe_step_shares(sweep)
    with pytest.raises(ValueError, match="holds no run with steps"):
        plots.plot_step_shares(Sweep(()))


@pytest.mark.parametrize("rows", [1, 8, 41])
def test_the_legend_of_the_verdicts_is_in_the_picture(rows):
    ax = plots.plot_verdicts([verdict(0.6, 0.7, 0.8, "supported")] * rows)
    whole, legend = ax.figure.bbox, ax.get_legend().get_window_extent()
    assert whole.y0 <= ax.get_tightbbox().y0
    assert legend.y1 <= whole.y1
    assert legend.y0 >= ax.bbox.y1


def test_few_ratios_close_together_still_have_ticks_on_their_axis():
    near, far = ([verdict(low, 1.0, high, "undecided")] for low, high in ((0.7, 1.2), (0.12, 9.0)))
    assert list(plots.plot_verdicts(near).get_xticks()) == [0.7, 1.0, 1.5]
    assert list(plots.plot_verdicts(far).get_xticks()) == [0.2, 0.5, 1.0, 2.0, 5.0, 10.0]
