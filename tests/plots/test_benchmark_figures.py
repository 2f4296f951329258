"""Figures of the benchmark on made-up verdicts and runs."""

import math

import matplotlib.pyplot as plt
import pytest

from sofim_lab import plots
from sofim_lab.benchmark import Claim, Final, Interval, Task, Verdict
from sofim_lab.training import Configuration, Sweep

TARGETS = {"train_loss": 0.1, "test_loss": 0.2, "test_accuracy": 0.9, "val_loss": 0.2}
TASK = Task("digits", "mlp", epochs=4, targets=TARGETS)


def line(configuration, seed, losses, lengths=(0.1,) * 11):
    history = {"epoch": list(range(len(losses)))}
    history |= {key: list(losses) for key in ("train_loss", "val_loss", "test_loss")}
    history |= {key: [1 - x / 10 for x in losses] for key in ("train_accuracy", "val_accuracy", "test_accuracy")}
    history |= {"seconds": [0.1] * len(losses), "gradient_evaluations": [0.0] * len(losses)}
    head = {"configuration": configuration.key, "optimizer": configuration.optimizer, "seed": seed}
    head |= {"settings": dict(configuration.settings), "model": "mlp", "data": "digits", "stream": "shuffled"}
    head["device"] = "cpu"
    tail = {"batch_size": 64, "status": "ok", "error": "", "steps": 10, "step_length_quantiles": list(lengths)}
    return {**head, "history": history, **tail}


@pytest.fixture
def final():
    chosen = {name: Configuration(name, {"lr": 1.0}) for name in ("SGD", "SOFIM", "Adam")}
    curves = {"SGD": [2, 1, 1, 1, 1], "SOFIM": [2, 1, 1, 0.1, 0.1], "Adam": [2, 0.1, 0.1, 0.1, 0.1]}
    runs = [line(chosen[name], seed, curves[name]) for name in chosen for seed in range(3)]
    return Final(TASK, chosen, Sweep(tuple(runs)))


def verdict(low, estimate, high, status, threshold=1.0):
    claim = Claim("fewer epochs than Adam", "Adam", threshold=threshold)
    return Verdict(claim, "digits", status, Interval(estimate, low, high), (3, 1, 1, 1))


def test_the_fastest_is_on_top_and_who_never_arrives_stands_beyond(final):
    ax = plots.plot_times(final)
    assert [label.get_text() for label in ax.get_yticklabels()] == ["Adam", "SOFIM", "SGD"]
    marks = {tuple(one.get_ydata()): one.get_xdata()[0] for one in ax.get_lines() if len(one.get_xdata()) == 1}
    assert marks[0.0,] == 1
    assert marks[1.0,] == 3
    assert marks[2.0,] > TASK.epochs
    assert plots.describe_times(final) == (
        "Epochs to training loss 0.1 on digits, mlp, median over seeds, fastest first: Adam 1, SOFIM 3, "
        "SGD more than 4 (3 of 3 seeds never)."
    )
    assert not plt.get_fignums()


def test_verdicts_have_their_threshold_and_arrows_for_what_is_endless():
    judged = [
        verdict(0.6, 0.7, 0.8, "supported"),
        verdict(0.0, 0.9, math.inf, "undecided"),
        verdict(1.2, 1.3, 1.5, "not supported", 1.1),
        Verdict(Claim("not there", "Adam"), "mnist", "undecided", reason="not run"),
    ]
    ax = plots.plot_verdicts(judged)
    assert len(ax.get_yticklabels()) == 3
    arrows = [one.get_marker() for one in ax.get_lines() if one.get_marker() in ("<", ">")]
    assert arrows == ["<", ">"]
    dashed = [one.get_xdata()[0] for one in ax.get_lines() if one.get_linestyle() == "--"]
    assert dashed == [1.0, 1.0, 1.1]
    words = plots.describe_verdicts(judged)
    assert "digits: 0.9 [0, ∞], undecided" in words
    assert "mnist" not in words
    with pytest.raises(ValueError, match="no verdict has a number"):
        plots.plot_verdicts(judged[3:])


def test_steps_are_shares_of_the_bound():
    one, other = (Configuration("SOFIM", {"lr": 2.0, "rho": rho, "beta": 0.9}) for rho in (0.25, 1.0))
    lengths = [0.0, 0, 0, 0, 0.1, 0.2, 0.3, 0, 0, 0, 1.0]
    sweep = Sweep((line(one, 0, [1], lengths), line(one, 1, [1], [*lengths[:-1], 2.0]), line(other, 0, [1], lengths)))
    ax = plots.plot_step_shares(sweep)
    marks = [float(one.get_ydata()[0]) for one in ax.get_lines() if one.get_marker() == "o"]
    assert marks == pytest.approx([0.2 / 2, 0.2 / 1])  # bounds 2/(2·0.5) = 2 and 2/(2·1) = 1
    assert "The longest of all is 1 of it" in plots.describe_step_shares(sweep)
    with pytest.raises(ValueError, match="holds no run with steps"):
        plots.plot_step_shares(Sweep(()))
