import dataclasses
import io
import math

import pytest
import torch
from matplotlib.figure import Figure
from PIL import Image

from sofim_lab import plots
from sofim_lab.curvature import RegularizedFIM, cancellation_table, derivation_residuals, solve_times
from sofim_lab.training import EpochRecord, RaceResult, StepRecord, TrainingResult


def made_up_run(name, seed, loss, diverged_at=None):
    epochs = tuple(EpochRecord(e, loss / (1 + e), loss, 0.5, 0.1 * e, 0.1) for e in range(4))
    steps = tuple(StepRecord(s, 1, loss, 0.1 * s) for s in range(1, 8))
    settings = {"lr": 1.0, "rho": 0.25, "direction": "momentum", "weight_decay": 0.0}
    return TrainingResult(name, "SOFIM", settings, seed, "cpu", steps, epochs, diverged_at)


@pytest.fixture
def race():
    runs = [made_up_run(name, seed, loss + seed) for name, loss in (("A", 1.0), ("B", 2.0)) for seed in (0, 1, 2)]
    return RaceResult((*runs, made_up_run("C", 0, 9.0, diverged_at=3)))


def curves(ax):
    return {line.get_label(): line for line in ax.get_lines()}


def test_figures_are_private_white_and_known_to_nobody():
    (ax,) = plots.new_axes()
    assert isinstance(ax.figure, Figure)
    assert ax.figure.get_facecolor() == (1.0, 1.0, 1.0, 1.0)
    import matplotlib.pyplot as plt

    assert plt.get_fignums() == []


def test_looks_differ_in_more_than_colour():
    looks = [plots.look(i) for i in range(6)]
    assert len({look.color for look in looks}) == len({look.marker for look in looks}) == 6
    assert len({str(look.linestyle) for look in looks}) == 6


def test_a_logarithmic_axis_spans_a_decade_and_labels_powers_alone():
    (ax,) = plots.new_axes()
    ax.plot([0, 1], [2.0, 2.2])
    plots.log_y(ax)
    low, high = ax.get_ylim()
    assert low <= 2.0
    assert high >= 10 * low
    assert not any(label.get_text() for label in ax.get_yminorticklabels())
    assert {label.get_text() for label in ax.get_yticklabels()} >= {"10⁰", "10¹"}


def test_a_short_logarithmic_axis_has_ticks_between_the_powers():
    (ax,) = plots.new_axes()
    ax.plot([0, 1], [0.15, 3.0])
    plots.log_y(ax)
    ax.figure.canvas.draw()
    assert {label.get_text() for label in ax.get_yticklabels()} >= {"0.2", "0.5", "1", "2"}
    ax.set_ylim(1e-3, 1e2)  # and none when it grows
    ax.figure.canvas.draw()
    assert {label.get_text() for label in ax.get_yticklabels()} >= {"10⁻²", "10⁰"}
    assert not {label.get_text() for label in ax.get_yticklabels()} & {"0.5", "1", "2"}


def test_epochs_are_whole_numbers(race):
    ax = plots.plot_race(race)
    ax.figure.canvas.draw()
    assert all(float(place).is_integer() for place in ax.get_xticks())


def test_small_powers_are_labelled_as_such():
    (ax,) = plots.new_axes()
    ax.plot([1e-8, 1e2], [0, 1])
    plots.log_x(ax)
    labels = {label.get_text() for label in ax.get_xticklabels()}
    assert labels & {"10⁻⁸", "10⁻⁷"}  # every second power; which half, depends on the version
    assert labels & {"10¹", "10²"}


def test_a_picture_is_a_png_with_its_words_escaped():
    (ax,) = plots.new_axes(width=3, height=2)
    shown = plots.picture(ax, 'A "quoted" <b> & more')
    assert shown.png.startswith(b"\x89PNG")
    assert shown.width == 300
    assert 'alt="A &quot;quoted&quot; &lt;b&gt; &amp; more"' in shown.html()
    assert "<figcaption" in shown.html()
    assert "<figcaption" not in shown.html(caption=False)
    with pytest.raises(ValueError, match="alt='' says nothing"):
        plots.picture(ax, " ")


@pytest.mark.parametrize(("width", "height"), [(9.2, 3.4), (2.3, 10.7), (2.8, 10.2), (6.4, 3.6)])
def test_a_picture_of_any_size_has_its_rows_one_below_the_other(width, height):
    (ax,) = plots.new_axes(width=width, height=height)
    ax.set_position((0, 0, 1, 1))
    ax.axis("off")
    ax.axvspan(0.5, 1, color="black", linewidth=0)
    ax.set_xlim(0, 1)
    shown = plots.picture(ax, "black on the right")
    with Image.open(io.BytesIO(shown.png)) as image:
        assert image.size == ax.figure.canvas.get_width_height()  # which differs by a pixel between versions
        assert image.size == pytest.approx((100 * width, 100 * height), abs=1)
        assert (shown.width, shown.height) == pytest.approx((100 * width, 100 * height), abs=1)
        middle = image.width // 2
        for row in (0, image.height // 2, image.height - 1):
            assert image.getpixel((middle - 2, row)) == (255, 255, 255)
            assert image.getpixel((middle + 2, row)) == (0, 0, 0)


def test_axes_made_beforehand_give_the_same_picture_and_are_used_once():
    def curve():
        left, right = plots.new_axes(2, width=5, height=2)
        left.plot([1, 2, 3], [1e-9, 1, 1e3], label="a")
        plots.log_y(left)
        right.imshow([[0, 1], [2, 3]])
        right.grid(False)
        left.legend()
        return left.figure, plots.picture(left, "a curve").png

    first, drawn = curve()
    plots.style.lay_ready()
    second, again = curve()
    third, _ = curve()
    assert drawn == again
    assert len({first, second, third}) == 3
    plots.new_axes(width=3)
    plots.style.lay_ready()
    assert plots.new_axes(2, width=5, height=2)[0].figure.get_figwidth() == 5


def test_a_race_shows_the_median_and_names_the_diverged(race):
    ax = plots.plot_race(race, "train_loss")
    drawn = ax.get_lines()[:3]
    assert list(drawn[0].get_ydata()) == pytest.approx([2 / (1 + e) for e in range(4)])  # median of 1, 2, 3
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["A", "B", "C (diverged)"]
    assert len({line.get_marker() for line in drawn}) == 3
    assert ax.get_yscale() == "log"
    assert ax.get_xlabel() == "epoch"
    words = plots.describe_race(race, "train_loss")
    assert words.index("A 0.5") < words.index("B 0.75") < words.index("C 2.25")
    assert "Diverged: C." in words
    assert "best first: A" in plots.describe_race(race, "val_accuracy")
    renamed = RaceResult(tuple(dataclasses.replace(run, name="SGD momentum") for run in race["A"]))
    assert "best first: SGD with momentum 0.5." in plots.describe_race(renamed, "train_loss")  # as in the legend
    with pytest.raises(ValueError, match="metric='loss' is unknown: choose one of train_loss"):
        plots.plot_race(race, "loss")


def test_step_lengths_with_their_bound(race):
    run = race["A"][0]
    ax = plots.plot_step_lengths([run])
    lines = curves(ax)
    assert list(lines["A"].get_ydata()) == [step.step_length for step in run.steps]
    assert lines["its bound 1"].get_ydata()[0] == 1.0
    assert "A: longest step 0.7, 70 % of its bound." in plots.describe_step_lengths([run])


def test_the_derivation_has_a_row_a_line():
    m, v = torch.randn(2, 20, generator=torch.Generator().manual_seed(0))
    lines = derivation_residuals(m, v, 1e-8)
    ax = plots.plot_derivation(lines, torch.finfo(torch.float32).eps)
    labels = [label.get_text() for label in ax.get_yticklabels()]
    assert labels == [f"{line.statement}   {line.label}" for line in lines]


def test_a_residual_that_is_not_finite_is_still_drawn():
    from sofim_lab.curvature import DerivationLine

    ax = plots.plot_derivation([DerivationLine("(1)", "x", math.inf), DerivationLine("(2)", "y", 0.0)], 1e-7)
    ends = [line.get_xdata()[-1] for line in ax.get_lines()]
    assert all(math.isfinite(end) and end > 0 for end in ends)


def test_cancellation_draws_each_form_and_says_where_digits_end():
    rows = cancellation_table([1.0, 1e-4, 1e-8], d=100, dtype=torch.float32, seed=0)
    lines = curves(plots.plot_cancellation(rows))
    assert list(lines["textbook"].get_ydata()) == [row.textbook for row in rows]
    words = plots.describe_cancellation(rows)
    assert "textbook form has no correct digit left from ρ = 1e-08 down" in words


def test_the_spectrum_shows_every_eigenvalue():
    fim = RegularizedFIM(torch.tensor([3.0, 4.0], dtype=torch.float64), 0.5)
    ax = plots.plot_spectrum(fim.eigenvalues())
    assert list(ax.get_lines()[0].get_ydata()) == [0.5, 25.5]
    assert "condition number 51" in ax.get_title()


def test_the_step_length_touches_its_bound_at_the_root_of_rho():
    ax = plots.plot_step_length(norm=0.5, rho=0.25, lr=2.0)
    lines = curves(ax)
    assert lines["this step"].get_ydata()[0] == pytest.approx(2.0)
    assert lines["bound η/(2√ρ) = 2"].get_ydata()[0] == pytest.approx(2.0)


def test_cost_ends_where_the_dense_solve_ends():
    times = solve_times([10, 20, 5000], dense_limit=20, repeats=1, seed=0)
    lines = curves(plots.plot_cost(times))
    assert list(lines["dense solve, O(d³)"].get_xdata()) == [10, 20]
    assert list(lines["Sherman–Morrison, O(d)"].get_xdata()) == [10, 20, 5000]
    assert "at d = 20, where it stops" in plots.describe_cost(times)
    assert "At d = 5,000" in plots.describe_cost(times)


def test_everything_draws_into_given_axes(race):
    left, right = plots.new_axes(2)
    assert plots.plot_race(race, ax=left) is left
    assert plots.plot_step_lengths(race, ax=right) is right


def test_a_picture_takes_its_place_before_it_is_loaded():
    (ax,) = plots.new_axes(width=5.0, height=2.0)
    shown = plots.picture(ax, "An empty pair of axes.")
    assert (shown.width, shown.height) == (500, 200)
    assert 'width="500" height="200"' in shown.html()
