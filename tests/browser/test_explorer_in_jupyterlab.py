"""One explorer by keyboard alone: in which order the controls come, that the focus is seen, and what typing does."""

import re
from pathlib import Path

import nbformat
import pytest
from explorer_view import ExplorerView
from playwright.sync_api import expect

pytestmark = pytest.mark.browser
ROOT = Path(__file__).parents[2]
THEME = "name => jupyterapp.commands.execute('apputils:change-theme', { theme: name })"
FOCUS = """() => {
    const one = document.activeElement, label = one.closest(".jupyter-widgets")?.querySelector(".widget-label");
    return [one.className.includes("noUi-handle") ? "slider" : one.tagName.toLowerCase(),
            one.innerText || label?.textContent || "", getComputedStyle(one).outlineStyle];
}"""


@pytest.fixture(scope="module")
def opened(shared_lab, tmp_path_factory):
    """The explorer of the spectrum, alone in a notebook."""
    path = tmp_path_factory.mktemp("notebook") / "spectrum.ipynb"
    notebook = nbformat.v4.new_notebook(metadata={"kernelspec": {"name": "python3", "display_name": "Python 3"}})
    source = "from sofim_lab.widgets import spectrum_explorer\nspectrum_explorer()"
    notebook.cells = [nbformat.v4.new_code_cell(source)]
    nbformat.write(notebook, path)
    shared_lab.open(path)
    shared_lab.run_all()
    view = ExplorerView(shared_lab, 0)
    view.wait_until_still()
    return view, view.shown()[1]


@pytest.fixture
def explorer(opened):
    """The same one again, as it was when it was opened."""
    view, words = opened
    yield view
    assert view.lab.errors() == []
    view.lab.page.evaluate(THEME, "JupyterLab Light")
    view.button("Reset").click()
    expect(view.alert).to_have_count(0)
    view.wait_until_still()
    expect(view.image).to_have_attribute("alt", words)


def test_a_typed_number_between_two_steps_is_kept(explorer):
    explorer.type(explorer.texts.first, "0.05")
    expect(explorer.image).to_have_attribute("alt", re.compile(r"F has the eigenvalue ρ = 0\.05 in 39 directions"))
    explorer.wait_until_still()
    assert "ρ = 0.05 in" in explorer.shown()[1]
    expect(explorer.texts.first).to_have_value("0.05")
    explorer.press(0)
    expect(explorer.image).to_have_attribute("alt", re.compile(r"F has the eigenvalue ρ = 0\.0631 in 39 directions"))
    expect(explorer.texts.first).to_have_value("0.0631")


def test_what_cannot_be_taken_is_said_and_taken_back(explorer):
    explorer.type(explorer.texts.first, "ten")
    expect(explorer.alert).to_have_text("ρ: 'ten' is not a number: type a number from 1e-6 to 10. It stays at 1.")
    expect(explorer.texts.first).to_have_value("1")
    explorer.press(1)
    expect(explorer.alert).to_have_count(0)


def test_tab_reaches_everything_in_order_and_the_focus_is_seen(explorer):
    explorer.handles.first.focus()
    keyboard, seen = explorer.lab.page.keyboard, []
    keyboard.press("Shift")  # the focus is the keyboard's, not the pointer's
    for _ in range(8):
        seen.append(explorer.lab.page.evaluate(FOCUS))
        keyboard.press("Tab")
    names = [(kind, name.strip()) for kind, name, _ in seen]
    controls = [("slider", "ρ"), ("input", "ρ"), ("slider", "‖m‖"), ("input", "‖m‖")]
    assert names == [*controls, *(("button", name) for name in ("Back", "Play", "Step", "Reset"))]
    assert {outline for *_, outline in seen} == {"solid"}


def test_a_screen_reader_gets_names(explorer):
    for name in ("ρ", "‖m‖"):
        expect(explorer.box.get_by_role("textbox", name=name)).to_be_visible()
    for name in ("Back", "Play", "Step", "Reset"):
        expect(explorer.button(name)).to_be_visible()


def test_under_a_dark_theme_the_words_are_light_and_the_picture_stays_white(explorer):
    explorer.lab.page.evaluate(THEME, "JupyterLab Dark")
    expect(explorer.lab.page.locator("body")).to_have_attribute("data-jp-theme-light", "false")
    for words in (explorer.caption, explorer.status):
        color = words.evaluate("element => getComputedStyle(element).color")
        assert min(int(part) for part in re.findall(r"\d+", color)[:3]) > 150, color
    expect(explorer.image).to_have_css("background-color", "rgb(255, 255, 255)")
    folder = ROOT / "build" / "browser"
    folder.mkdir(parents=True, exist_ok=True)
    explorer.keep(folder / "dark_theme.png")
