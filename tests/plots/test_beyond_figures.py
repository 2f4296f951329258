import pytest
import torch

from sofim_lab.distributed import cut
from sofim_lab.federated import class_counts, composed_mu, dirichlet_split, fed_avg, federate, gaussian_epsilon
from sofim_lab.plots.beyond import (
    describe_budget,
    describe_mixtures,
    describe_parts,
    describe_rounds,
    plot_budget,
    plot_mixtures,
    plot_parts,
    plot_rounds,
)
from sofim_lab.problems import load_digits, mlp
from sofim_lab.training import EpochRecord, TrainingResult


def test_the_parts_are_bars_and_the_words_name_the_worst():
    parts = cut([torch.tensor([3.0, 4.0])], 2, rho=1.0)
    left = plot_parts(parts)
    right = left.figure.axes[1]
    assert [bar.get_height() for bar in left.patches] == [9.0, 16.0]
    assert [bar.get_height() for bar in right.patches] == parts.stretch.tolist()
    assert "36 to 64 %" in describe_parts(parts)
    assert "1.53 to 2.6 times" in describe_parts(parts)


def test_the_mixtures_are_shares():
    counts = torch.tensor([[3, 1], [0, 5]])
    ax = plot_mixtures(counts)
    assert ax.images[0].get_array().tolist() == [[0.75, 0.0], [0.25, 1.0]]
    assert "2 clients with 4 to 5 samples" in describe_mixtures(counts)
    assert "100 % at most" in describe_mixtures(counts)


def test_the_rounds_are_curves_with_the_target():
    digits, model = load_digits("cpu"), mlp((64, 10), device="cpu")
    parts = dirichlet_split(digits.train.y, 3, 1.0)
    server = fed_avg(1.0)(model.parameters())
    run = federate(model, digits, server, parts, rounds=4, name="mine", progress=False)
    curve, target = plot_rounds([run], target=0.8).get_lines()
    assert list(curve.get_xdata()) == [0, 1, 2, 3, 4]
    assert curve.get_ydata()[-1] == run.final.val_accuracy
    assert target.get_ydata()[0] == 0.8
    assert plot_rounds([run], lowest=0.5).get_ylim() == (0.5, 1.0)
    assert f"mine {run.final.val_accuracy:.3f}" in describe_rounds([run])
    assert class_counts(digits.train.y, parts).sum() == 1197


def test_a_server_looks_alike_in_every_figure_and_no_two_look_alike_in_one():
    def colors(*names):
        first = EpochRecord(0, 2.3, 2.3, 0.1, 0.1, 0.0)
        runs = [TrainingResult(name, "SGD", {}, 0, "cpu", (), (first,), None) for name in names]
        return dict(zip(names, (curve.get_color() for curve in plot_rounds(runs).get_lines()), strict=True))

    both = colors("FedAvg", "FedAvgM", "SOFIM, momentum")
    assert colors("SOFIM, momentum", "without privacy")["SOFIM, momentum"] == both["SOFIM, momentum"]
    assert len(set(both.values())) == 3
    assert len(set(colors("FedAvgM", "SOFIM, warm-up").values())) == 2
    assert len(set(colors("FedAvg", "mine").values())) == 2


def test_the_budget_is_that_of_the_account():
    ax = plot_budget([5.0, 20.0], 1e-4, 30)
    ends = [curve.get_ydata()[-1] for curve in ax.get_lines()]
    assert ends == pytest.approx([gaussian_epsilon(1e-4, composed_mu(sigma, 30)) for sigma in (5.0, 20.0)])
    assert "2.5 with σ = 5" in describe_budget({5.0: 2.5}, 1e-4, 30)
