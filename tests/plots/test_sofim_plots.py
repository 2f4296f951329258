import torch

from sofim_lab.optim import SOFIM
from sofim_lab.plots import new_axes
from sofim_lab.plots.sofim import (
    describe_kin,
    describe_records,
    describe_sofim_path,
    plot_batch_losses,
    plot_kin,
    plot_length_histogram,
    plot_path_lengths,
    plot_records,
)
from sofim_lab.problems import load_digits, mlp
from sofim_lab.training import step_bound, train
from sofim_lab.training.sofim_path import sofim_path


def short_run(**options):
    model = mlp((64, 10), device="cpu")
    optimizer = SOFIM(model.parameters(), diagnostics=True, **options)
    return train(model, load_digits("cpu"), optimizer, epochs=1, batch_size=200, progress=False), optimizer.records


def test_the_kin_have_four_curves_and_the_words_their_lengths():
    ax = plot_kin(2.0, 4.0)
    assert [line.get_label() for line in ax.get_lines()[:4]] == ["constant rate", "clipped", "normalised", "SOFIM"]
    assert "constant rate 10, clipped 0.5, normalised 0.5, SOFIM 0.099" in describe_kin(2.0, 4.0)


def test_of_the_kin_some_may_be_drawn_with_a_dot_each():
    ax = plot_kin(1.0, 0.5, rules=("constant rate", "SOFIM"), at=2.0)
    curves = [line.get_label() for line in ax.get_lines() if not line.get_label().startswith("_")]
    dots = [line.get_ydata()[0] for line in ax.get_lines() if len(line.get_xdata()) == 1]
    assert curves == ["constant rate", "SOFIM"]
    assert dots == [4.0, 2.0 / 4.5]


def test_the_bound_is_drawn_where_there_is_one():
    settings = {"lr": 1.0, "beta": 0.9, "rho": 0.25, "steps": 12}
    bounded = plot_path_lengths(sofim_path("quadratic", (1.0, 1.0), **settings))
    free = plot_path_lengths(sofim_path("quadratic", (1.0, 1.0), **settings, direction="gradient"))
    assert "bound η/(2√ρ) = 1" in [line.get_label() for line in bounded.get_lines()]
    assert len(free.get_lines()) == 1


def test_the_words_of_a_path_say_when_it_left():
    path = sofim_path("quadratic", (1.0, 1.0), lr=10.0, beta=0.0, rho=0.1, direction="gradient", noise=5.0, steps=9)
    assert "outside the picture" in describe_sofim_path(path)
    near = sofim_path("quadratic", (1.0, 1.0), lr=0.1, beta=0.0, rho=5.0, steps=9)
    assert "outside the picture" not in describe_sofim_path(near)


def test_the_histogram_holds_every_step_and_the_bound():
    run, _ = short_run(lr=1.0, rho=0.5)
    ax = plot_length_histogram(run)
    assert ax.patches[0].get_data().values.sum() == len(run.steps)
    assert ax.get_lines()[0].get_xdata()[0] == step_bound(run)
    assert not plot_length_histogram(short_run(lr=0.1, rho=0.5, direction="gradient")[0]).get_lines()


def test_batch_losses_are_cut_off():
    run, _ = short_run(lr=400.0, rho=0.5)
    ax = plot_batch_losses([run], new_axes()[0])
    assert max(ax.get_lines()[0].get_ydata()) <= 100


def test_the_records_are_three_curves_with_their_marks():
    _, records = short_run(lr=1.0, rho=0.5)
    first = plot_records(records, 1.0, 0.5)
    assert len(first.figure.axes) == 3
    assert torch.tensor(first.get_lines()[0].get_ydata()).shape == (len(records),)
    assert "begins at 1 and is" in describe_records(records, 1.0, 0.5)
