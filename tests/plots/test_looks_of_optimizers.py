"""An optimizer of the registry has one colour, marker and label in every figure."""

import re
from itertools import chain, combinations
from pathlib import Path

import pytest

from sofim_lab import plots
from sofim_lab.optim import registry
from sofim_lab.plots.style import LINES, MARKERS, PALETTE, look, looks_of
from sofim_lab.training import EpochRecord, RaceResult, StepRecord, TrainingResult


def made_up_race(*names):
    epochs = tuple(EpochRecord(e, 1 / (1 + e), 1.0, 0.5, 0.5, 0.1) for e in range(3))
    settings = {"lr": 1.0, "rho": 0.25, "direction": "gradient", "weight_decay": 0.0}
    steps = (StepRecord(1, 1, 1.0, 0.1),)
    return RaceResult(tuple(TrainingResult(n, "SOFIM", settings, 0, "cpu", steps, epochs) for n in names))


def drawn(*names):
    ax = plots.plot_race(made_up_race(*names))
    lines = zip(ax.get_lines(), ax.get_legend().get_texts(), strict=False)
    return {text.get_text(): (line.get_color(), line.get_marker()) for line, text in lines}


def test_the_company_does_not_change_an_optimizers_look():
    alone = drawn("Newton")["Newton"]
    entry = registry.get("Newton")
    assert alone == (entry.colour, MARKERS[entry.marker])
    assert drawn("mine", "SOFIM", "Newton")["Newton"] == alone
    assert drawn("Newton", "Adam")["Newton"] == alone


def test_the_legend_uses_the_label_of_the_registry():
    assert set(drawn("NystromSGD", "NaturalGradient", "mine")) == {"Nyström-SGD", "natural gradient", "mine"}
    ax = plots.plot_step_lengths(made_up_race("NystromSGD"))
    assert ax.get_lines()[0].get_label() == "Nyström-SGD"
    assert ax.get_lines()[0].get_color() == registry.get("NystromSGD").colour


def fields_of_the_lessons():
    """The names of the registry's optimizers in each notebook."""
    notebooks = sorted((Path(__file__).parents[2] / "notebooks").glob("*.ipynb"))
    for path in notebooks:
        quoted = set(re.findall(r'\\"([^"\\]+)\\"', path.read_text(encoding="utf-8")))
        yield pytest.param([name for name in registry.names() if name in quoted], id=path.stem)


def alike(names):
    """The pairs that share a colour, a marker or a line when all of the names are drawn together."""
    looks = zip(names, looks_of(names), strict=True)
    shared = lambda a, b: a.color == b.color or a.marker == b.marker or a.linestyle == b.linestyle  # noqa: E731
    return [(one, other) for (one, a), (other, b) in combinations(looks, 2) if shared(a, b)]


@pytest.mark.parametrize("field", list(fields_of_the_lessons()))
def test_no_two_optimizers_of_a_lesson_look_alike(field):
    assert alike(field) == []


def test_the_lessons_have_a_field_that_would_collide():
    (all_of_them,) = [field.values[0] for field in fields_of_the_lessons() if field.id == "07_loss_landscape"]
    assert {"SGD", "SGD momentum", "NaturalGradient", "SOFIM"} <= set(all_of_them)


@pytest.mark.unmeasured
def test_no_two_of_up_to_seven_optimizers_look_alike():
    fields = chain.from_iterable(combinations(registry.names(), count) for count in range(2, 8))
    assert not [field for field in fields if alike(field)]


def test_who_has_the_look_first_keeps_it():
    momentum, plain = looks_of(["SGD momentum", "SGD"])
    assert looks_of(["SGD", "SGD momentum"]) == [plain, momentum]
    assert (momentum, looks_of(["SGD"])[0].color) == (look(1), PALETTE[1])


def test_other_names_get_colours_that_nobody_has():
    looks = looks_of(["A", "SOFIM", "B", "Adam", "C"])
    assert len({own.color for own in looks}) == 5
    assert looks[0].color not in (PALETTE[0], PALETTE[2])
    assert looks_of(["A", "B", "C"]) == [look(0), look(1), look(2)]


def test_a_second_curve_of_a_name_is_told_apart():
    first, second = looks_of(["SOFIM", "SOFIM"])
    assert first == look(0)
    assert second.color != first.color


def test_all_optimizers_in_one_figure_are_told_apart():
    looks = looks_of(registry.names())
    assert len({(own.color, own.marker, str(own.linestyle)) for own in looks}) == len(registry.names())
    assert all(LINES[MARKERS.index(own.marker)] == own.linestyle for own in looks)


@pytest.mark.parametrize("count", [8, 20])
def test_there_are_looks_for_any_number_of_curves(count):
    assert len(looks_of([f"run {i}" for i in range(count)])) == count
