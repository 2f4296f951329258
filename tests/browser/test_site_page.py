"""The website as a reader meets it: opened from a file, without network, explorers moved with the keyboard."""

import dataclasses
import re

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output
from playwright.sync_api import expect

from sofim_lab.lessons.manifest import PROFILES, Budget, Lesson
from sofim_lab.lessons.outcome import Outcome
from sofim_lab.lessons.site.build import build_site
from sofim_lab.plots import new_axes, picture
from sofim_lab.widgets import surface_explorer
from sofim_lab.widgets.frames.wish import FRAMES

pytestmark = pytest.mark.browser
SCREENS = {
    "desktop": {"viewport": {"width": 1280, "height": 900}, "color_scheme": "light"},
    "dark": {"viewport": {"width": 1280, "height": 900}, "color_scheme": "dark"},
    "phone": {"viewport": {"width": 390, "height": 844}, "color_scheme": "light", "has_touch": True},
}


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """One lesson with an explorer of five controls, of which the last two move alone."""
    folder = tmp_path_factory.mktemp("site")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(FRAMES, "400000")
        form = surface_explorer()._repr_mimebundle_()
    play = new_code_cell("explorer()", outputs=[new_output("display_data", {"text/html": form["text/html"]})])
    words = new_markdown_cell(
        "# Lesson\n\n## Damping\n\nA matrix $H + \\lambda I$ is damped.\n\n$$x = \\tfrac12$$\n\n"
        f"$${' + '.join('abcdefghijklmnopqrstuvwxyz')}\\tag{{1}}$$\n\nThere $a = {' = '.join('bcdefghijklmnopqrst')}$."
        "\n\n<details><summary>Answer</summary><span>Both eigenvalues grow.</span></details>"
    )
    (ax,) = new_axes(width=6.4, height=4)
    one = new_output("display_data", {"text/html": picture(ax, "one plot").html()})
    path = folder / "notebooks" / "01_newton.ipynb"
    path.parent.mkdir()
    nbformat.write(new_notebook(cells=[words, play, new_code_cell(f"plot('{'long ' * 60}')", outputs=[one])]), path)
    limits = dict.fromkeys(PROFILES, 60.0)
    budgets = dict.fromkeys(PROFILES, Budget(60, 1000))
    lesson = Lesson("01_newton", path, "Newton", "Why?", 5, ("see",), ("cpu",), budgets, limits, limits)
    outcome = Outcome("01_newton", "Newton", "passed", "cpu", "quick", {}, 1.0, path)
    other = dataclasses.replace(lesson, id="02_other", title="Other <b>")
    also = dataclasses.replace(outcome, lesson="02_other")
    return build_site([lesson, other], lambda _: ([outcome, also], False), folder / "out").index.parent


@pytest.fixture(params=SCREENS)
def open_page(browser, site, request):
    """Opens a page of the site and keeps what a browser complains of and asks for."""
    context = browser.new_context(offline=True, **SCREENS[request.param])
    noise = []

    def opened(name):
        page = context.new_page()
        page.on("console", lambda message: noise.append(message.text))
        page.on("pageerror", lambda error: noise.append(str(error)))
        page.on("request", lambda it: noise.append(it.url) if not it.url.startswith(("file:", "data:")) else None)
        page.goto((site / name).as_uri())
        return page

    yield opened
    context.close()
    assert noise == []


def fits(page):
    return page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_sliders_and_menus_move_the_picture_and_its_words(open_page, tmp_path):
    page = open_page("01_newton.html")
    picture, goal = page.locator(".sofim-frames img"), page.locator(".sofim-goal")
    before, words = picture.get_attribute("src"), picture.get_attribute("alt")
    expect(goal).to_contain_text("Goal, ○ open:")
    start_x = page.get_by_label("start x")
    start_x.focus()
    page.keyboard.press("ArrowLeft")
    expect(picture).not_to_have_attribute("src", before)
    expect(picture).not_to_have_attribute("alt", words)
    assert page.locator(".sofim-frames figcaption").inner_text() == picture.get_attribute("alt")
    assert start_x.get_attribute("aria-valuetext") != "0.60"
    page.keyboard.press("Home")
    expect(start_x).to_have_attribute("aria-valuetext", "−1.00")
    expect(picture).to_have_attribute("alt", re.compile(r"saddle, start \(−?-?2\.00"))
    page.get_by_label("method").select_option("gradient descent")  # start x moves alone: it goes back
    expect(start_x).to_have_attribute("aria-valuetext", "0.60")
    expect(picture).to_have_attribute("alt", re.compile("Gradient descent at η = 0.1"))
    told = page.locator(".sofim-back")
    expect(told).to_have_text("Set back to the start: start x.")
    page.get_by_role("button", name="Reset").click()
    expect(told).to_be_empty()
    expect(picture).to_have_attribute("src", before)
    expect(picture).to_have_attribute("alt", words)
    assert fits(page)
    page.screenshot(path=tmp_path / "lesson.png", full_page=True)


def test_equations_are_set_and_figures_stay_white(open_page):
    page = open_page("01_newton.html")
    expect(page.locator("mjx-container")).to_have_count(4)
    picture = page.locator(".sofim-frames img")
    assert picture.evaluate("it => getComputedStyle(it).backgroundColor") == "rgb(255, 255, 255)"
    dark = page.evaluate("matchMedia('(prefers-color-scheme: dark)').matches")
    background = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert (sum(map(int, re.findall(r"\d+", background)[:3])) < 150) == dark


def test_a_long_formula_scrolls_and_not_its_cell(open_page):
    page = open_page("01_newton.html")
    numbered, end = page.locator("mjx-container[width=full]"), page.locator("[data-labels]").last
    cell = page.locator(".jp-RenderedMarkdown").first
    assert cell.evaluate("it => it.scrollWidth <= it.clientWidth")
    assert numbered.evaluate("it => it.scrollWidth > it.clientWidth")
    numbered.evaluate("it => { it.scrollLeft = 10_000; }")
    box, number = numbered.bounding_box(), end.bounding_box()
    assert number["x"] + number["width"] <= box["x"] + box["width"] + 1


def test_on_a_phone_plots_side_by_side_scroll_and_one_plot_fits(open_page):
    page = open_page("01_newton.html")
    narrow = page.viewport_size["width"] < 400
    pair, single = page.locator("figure", has=page.locator("img.sofim-wide")), page.get_by_role("img", name="one plot")
    assert pair.evaluate("it => it.scrollWidth > it.clientWidth") == narrow
    assert (single.bounding_box()["width"] < 400) == narrow
    assert page.locator("figure", has=single).evaluate("it => it.scrollWidth <= it.clientWidth")


def test_search_finds_sections_and_leads_to_them(open_page, tmp_path):
    page = open_page("index.html")
    assert fits(page)
    page.get_by_label("Search the lessons").fill("DAMPED")
    expect(page.locator("#results a")).to_have_text(["Newton › Damping", "Other <b> › Damping"])
    expect(page.locator("#count")).to_have_text("2 sections")
    expect(page.locator("#results mjx-container")).to_have_count(2)
    page.screenshot(path=tmp_path / "search.png", full_page=True)
    page.locator("#results a").first.click()
    expect(page.get_by_role("heading", name="Damping")).to_be_in_viewport()
    page.get_by_role("link", name="Next").click()
    expect(page).to_have_title("Other <b>")
    page.get_by_label("Search the lessons").is_visible()


def test_the_goal_is_reached_once_and_open_again_after_reset(open_page):
    page = open_page("01_newton.html")
    goal, start_y = page.locator(".sofim-goal"), page.get_by_label("start y")
    start_y.focus()
    for _ in range(20):
        if start_y.get_attribute("aria-valuetext") == "0.10":
            break
        page.keyboard.press("ArrowLeft")
    expect(goal).to_contain_text("Goal, ○ open:")
    page.get_by_label("method").select_option("saddle-free, |H|")
    expect(start_y).to_have_attribute("aria-valuetext", "0.10")  # both moved: the example has its picture
    expect(goal).to_contain_text("Goal, ✓ reached:")
    page.get_by_label("method").select_option("pure Newton")
    expect(goal).to_contain_text("Goal, ✓ reached:")
    page.get_by_role("button", name="Reset").click()
    expect(goal).to_contain_text("Goal, ○ open:")


def test_the_buttons_step_play_and_pause_with_the_keyboard(open_page):
    page = open_page("01_newton.html")
    steps = page.get_by_role("slider", name=re.compile("^steps"))
    caption = page.locator(".sofim-frames figcaption")
    back, play, step = (page.get_by_role("button", name=name, exact=True) for name in ("Back", "Play", "Step"))
    last = int(steps.get_attribute("max"))
    expect(steps).to_have_value(str(last))
    step.press("Enter")  # beyond the last there is nothing
    expect(steps).to_have_value(str(last))
    back.press("Enter")
    expect(steps).to_have_value(str(last - 1))
    steps.press("Home")
    words = caption.inner_text()
    step.press(" ")
    expect(steps).to_have_value("1")
    expect(caption).not_to_have_text(words)
    back.press("Enter")
    expect(caption).to_have_text(words)
    back.press("Enter")
    expect(steps).to_have_value("0")
    steps.press("End")
    page.clock.install()
    play.press("Enter")  # at the last it begins anew
    expect(steps).to_have_value("0")
    expect(caption).to_have_attribute("aria-live", "off")
    page.clock.run_for(1300)
    expect(steps).to_have_value("2")
    page.get_by_role("button", name="Pause").press("Enter")
    page.clock.run_for(5000)
    expect(steps).to_have_value("2")
    expect(caption).to_have_attribute("aria-live", "polite")
    play.press("Enter")  # it goes on from there, to the last
    page.clock.run_for(60_000)
    expect(steps).to_have_value(str(last))
    expect(play).to_be_visible()
    for stop in (
        lambda: page.get_by_label("start y").press("Home"),
        lambda: page.get_by_role("button", name="Reset").press("Enter"),
    ):
        play.press("Enter")
        assert caption.get_attribute("aria-live") == "off"
        stop()
        assert caption.get_attribute("aria-live") == "polite"  # at once, not with the next picture
        before = page.locator(".sofim-frames img").get_attribute("src")
        page.clock.run_for(5000)
        expect(page.locator(".sofim-frames img")).to_have_attribute("src", before)
        expect(play).to_be_visible()


def test_nothing_plays_for_whom_motion_is_too_much(browser, site):
    context = browser.new_context(reduced_motion="reduce")
    page = context.new_page()
    page.goto((site / "01_newton.html").as_uri())
    play = page.get_by_role("button", name=re.compile("Play|Pause"))
    steps = page.get_by_role("slider", name=re.compile("^steps"))
    expect(play).not_to_be_visible()
    page.get_by_role("button", name="Back").press("Enter")
    expect(steps).to_have_value(str(int(steps.get_attribute("max")) - 1))
    page.emulate_media(reduced_motion="no-preference")
    page.clock.install()
    play.press("Enter")
    page.emulate_media(reduced_motion="reduce")  # while it plays
    expect(play).not_to_be_visible()
    now = steps.input_value()
    page.clock.run_for(5000)
    expect(steps).to_have_value(now)
    context.close()


def test_on_paper_answers_are_open_and_on_screen_they_are_not(open_page):
    page = open_page("01_newton.html")
    answer = page.get_by_text("Both eigenvalues grow.")
    expect(answer).not_to_be_visible()
    page.emulate_media(media="print")
    expect(answer).to_be_visible()
    page.emulate_media(media="screen")
    expect(answer).not_to_be_visible()


def test_the_end_of_a_long_line_of_code_is_in_sight(open_page):
    page = open_page("01_newton.html")
    assert page.locator(".highlight pre").last.evaluate("it => it.scrollWidth <= it.clientWidth")
    assert fits(page)


def test_without_scripts_the_first_picture_is_there(browser, site):
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto((site / "01_newton.html").as_uri())
    assert page.locator(".sofim-frames img").get_attribute("alt").startswith("saddle, start (1.20, 0.96).")
    assert not page.locator(".sofim-controls").is_visible()
    assert page.get_by_role("button").count() == 0
    context.close()
