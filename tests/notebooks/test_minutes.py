"""The minutes that a lesson promises are those of the rule, and one sitting is not too long."""

from pathlib import Path

import nbformat
import pytest
from minutes import STOP, sittings, words
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from sofim_lab.lessons.manifest import load_manifest

LESSONS = [pytest.param(lesson, id=lesson.id) for lesson in load_manifest(Path(__file__).parents[2] / "notebooks")]


@pytest.mark.parametrize("lesson", LESSONS)
def test_the_minutes_are_those_of_the_rule(lesson):
    counted = sum(sittings(nbformat.read(lesson.path, as_version=4)))
    assert abs(lesson.minutes - counted) <= 5, f"{lesson.id}: the rule gives {counted:.0f} minutes"


@pytest.mark.parametrize("lesson", LESSONS)
def test_a_sitting_is_at_most_three_quarters_of_an_hour(lesson):
    counted = sittings(nbformat.read(lesson.path, as_version=4))
    assert max(counted) <= 45, f"{counted}: add '{STOP}' between two sections"


def test_what_the_rule_counts():
    cells = [
        new_markdown_cell("[![Binder](https://badge)](https://link)\n" + "word " * 179 + "$a = b$ <details></details>"),
        new_markdown_cell("$$a = b \\tag{1}$$"),
        new_code_cell("...", metadata={"tags": ["play"]}),
        new_markdown_cell(f"{STOP} Later."),
        new_code_cell("...", metadata={"tags": ["exercise"]}),
        new_markdown_cell("## References\n\n" + "word " * 1800),
    ]
    first, second = sittings(new_notebook(cells=cells))
    assert first == pytest.approx(1 + 2 + 3)
    assert second == pytest.approx(6 + words(STOP + " Later.") / 180)
