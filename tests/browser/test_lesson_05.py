"""Lesson 05 as a learner meets it: the explorers in JupyterLab, moved with the keyboard."""

import re
from pathlib import Path

import pytest
from playwright.sync_api import expect

pytestmark = pytest.mark.browser
LESSON = Path(__file__).parents[2] / "notebooks" / "05_sherman_morrison.ipynb"


def test_the_spectrum_follows_the_slider(lab, tmp_path):
    lab.open(LESSON)
    lab.run_all(until="p1-play")
    picture = lab.picture(0)
    before = picture.get_attribute("src")
    assert lab.move_slider("ρ", steps=2) == "1.6"
    expect(picture).to_have_attribute("alt", re.compile("F has the eigenvalue ρ = 1.58 in 39 directions"))
    assert picture.get_attribute("src") != before
    assert lab.errors() == []
    lab.screenshot(tmp_path / "spectrum.png")


@pytest.mark.slow
def test_the_whole_lesson_runs_and_both_goals_can_be_reached(lab, tmp_path):
    lab.open(LESSON)
    lab.run_all()
    expect(lab.page.get_by_role("status").filter(has_text="Goal, ○ open")).to_have_count(2)
    lab.move_slider(1, steps=-5)  # ‖m‖ from 3.16 down to 1 = √ρ
    expect(lab.page.get_by_role("status").filter(has_text="Goal, ✓ reached")).to_have_count(1)
    lab.move_slider(2, steps=-32)  # ρ of the derivation down to 1e−8
    expect(lab.page.get_by_role("status").filter(has_text="Goal, ✓ reached")).to_have_count(2)
    assert lab.errors() == []
    lab.screenshot(tmp_path / "lesson.png")
