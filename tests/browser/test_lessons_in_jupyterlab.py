"""Every lesson as a learner meets it: opened in JupyterLab, run from the menu, each widget moved with the keyboard."""

from pathlib import Path

import pytest
from explorer_view import CLASS, ExplorerView
from lab_server import wait_for
from playwright.sync_api import expect

from sofim_lab.lessons.manifest import load_manifest

pytestmark = pytest.mark.browser
ROOT = Path(__file__).parents[2]
QUICK = "05_sherman_morrison"  # is opened by every `dev.py test`, the others by `dev.py test --all`
LESSONS = [
    pytest.param(lesson, id=lesson.id, marks=[] if lesson.id == QUICK else pytest.mark.slow)
    for lesson in load_manifest(ROOT / "notebooks")
]


@pytest.mark.parametrize("lesson", LESSONS)
def test_a_lesson_runs_and_every_widget_moves_its_picture(lab, lesson):
    folder = ROOT / "build" / "browser" / lesson.id
    folder.mkdir(parents=True, exist_ok=True)
    lab.open(lesson.path)
    lab.run_from_menu(lesson.lesson_timeout["quick"])
    assert lab.errors() == []
    count = lab.page.locator(CLASS).count()
    assert count >= 1, "the lesson has no explorer"
    for nth in range(count):
        explorer = ExplorerView(lab, nth)
        play_with(explorer, folder / f"explorer_{nth}")
        assert lab.errors() == []
    lab.page.set_viewport_size({"width": 800, "height": 1000})
    for nth in range(count):
        explorer = ExplorerView(lab, nth)
        explorer.keep(folder / f"explorer_{nth}_narrow.png")
        assert explorer.cut_off() == []


def play_with(explorer, name):
    """Move everything there is, and go back to the start; pictures are kept under the name."""
    explorer.wait_for_other_than(None)
    explorer.keep(f"{name}_first.png")
    assert explorer.cut_off() == []
    expect(explorer.status).to_contain_text("○ open")
    first = explorer.shown()

    def moves(act, *args):
        before = explorer.shown()
        act(*args)
        explorer.wait_for_other_than(before)

    silent = [nth for nth in range(explorer.handles.count()) if not speaks(explorer, nth)]
    for nth in range(explorer.menus.count()):
        moves(explorer.choose_next, nth)
    for nth in silent:  # a setting that the first method of the menu does not have
        moves(explorer.press, nth)
    for nth in range(explorer.counters.count()):
        moves(explorer.type, explorer.counters.nth(nth), "7")
    explorer.keep(f"{name}_moved.png")
    for nth in range(explorer.texts.count()):
        box, shown = explorer.texts.nth(nth), explorer.shown()
        standing = box.input_value()
        explorer.type(box, "1e9")
        expect(explorer.alert).to_contain_text("It stays at")
        expect(box).to_have_value(standing)
        assert explorer.shown() == shown
    explorer.keep(f"{name}_refused.png")
    reset(explorer, first)
    if explorer.button("Play").count():
        moves(explorer.button("Play").press, "Enter")
        moves(lambda: None)  # it plays on
        explorer.button("Play").press("Enter")
        explorer.wait_until_still()
        for button in ("Back", "Step"):
            moves(twice, explorer.button(button))
        reset(explorer, first)


def twice(button):
    """Press a button two times: one step of η · steps can be half a step of the method, which shows nothing new."""
    for _ in range(2):
        button.press("Enter")


def speaks(explorer, nth):
    """Press an arrow key on a slider: whether the picture follows, and then with its words."""
    before = explorer.shown()
    explorer.press(nth)
    explorer.wait_until_still()
    if explorer.shown() == before:
        return False
    explorer.wait_for_other_than(before)
    return True


def reset(explorer, first):
    """Press the button; everything is as it was."""
    explorer.button("Reset").press("Enter")
    wait_for(lambda: explorer.shown() == first, 60, "the first picture after the reset")
    expect(explorer.status).to_contain_text("○ open")
    expect(explorer.alert).to_have_count(0)
