"""The website of executed lessons: its pages, its links, and what is left when a lesson fails."""

import dataclasses
import json
import re

import nbformat
import pytest
from bs4 import BeautifulSoup
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output
from synthetic import ENVIRONMENT, outcome

from sofim_lab.lessons.errors import LessonError
from sofim_lab.lessons.outcome import Failure
from sofim_lab.lessons.site import build
from sofim_lab.lessons.site.build import build_site
from sofim_lab.lessons.site.links import check_links, mend_links
from sofim_lab.lessons.site.reading import read_page
from sofim_lab.lessons.site.weight import weigh

FRAMES = '<div class="sofim-frames" data-frames="12" data-failed="1" data-seconds="3.5"><img alt="a" src=""></div>'
BADGE = "[![Binder](https://mybinder.org/badge_logo.svg)](https://mybinder.org/v2/gh/OWNER/sofim_lab/HEAD)"
TEXT = r"""## 1. Damping & Größe

[back](00_first.ipynb#Question) · [the page](../docs/notation.md) · [paper](https://arxiv.org/abs/2403.02833)

With $\lambda > 0$ the step is short.

$$x = 1$$
"""


@pytest.fixture(autouse=True)
def no_look_around(monkeypatch):
    monkeypatch.setattr(build, "describe_environment", lambda folder: ENVIRONMENT)


@pytest.fixture
def lessons(make_lesson):
    made = [make_lesson("00_first"), make_lesson("01_second"), make_lesson("02_third")]
    return [dataclasses.replace(lesson, title=f"Title <{lesson.id}>") for lesson in made]


def write_executed(folder, lesson, *extra):
    show = new_code_cell("explorer()", outputs=[new_output("display_data", {"text/html": FRAMES})], id="play")
    head = new_markdown_cell(f"# A lesson\n\n{BADGE}\n\n## Question\n\nWhy?", id="head")
    cells = [head, new_markdown_cell(TEXT, id="text"), show, *extra]
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{lesson.id}.ipynb"
    nbformat.write(new_notebook(cells=cells), path)
    return outcome(lesson=lesson.id, title=lesson.title, notebook=path, verifications=())


def made(lessons, output, without=(), changes=None, extra=(), interrupted=False):
    def execute(folder):
        done = [write_executed(folder, lesson, *extra) for lesson in lessons if lesson.id not in without]
        return [dataclasses.replace(one, **(changes or {}).get(one.lesson, {})) for one in done], interrupted

    return build_site(lessons, execute, output)


def soup(folder, name):
    return BeautifulSoup((folder / name).read_text(encoding="utf-8"), "html.parser")


def test_pages_lead_to_each_other_and_every_link_leads_somewhere(lessons, tmp_path):
    site = made(lessons, tmp_path / "site")
    assert site.problems == ()
    assert site.passed
    index = soup(tmp_path / "site", "index.html")
    assert [link["href"] for link in index.select("h2 a")] == ["00_first.html", "01_second.html", "02_third.html"]
    assert "Does it work?" in index.text
    assert "5 minutes" in index.text
    middle = soup(tmp_path / "site", "01_second.html")
    steps = [(link["href"], link.text) for link in middle.select(".lesson-steps a")]
    assert steps == [("00_first.html", "PreviousTitle <00_first>"), ("02_third.html", "NextTitle <02_third>")]
    assert middle.select_one(".lesson-nav a")["href"] == "index.html"
    assert len(soup(tmp_path / "site", "00_first.html").select(".lesson-steps a")) == 1
    contents = {link.text: link["href"] for link in middle.select(".lesson-contents a")}
    assert list(contents) == ["Question", "1. Damping & Größe"]
    assert middle.find(id=contents["1. Damping & Größe"][1:])
    assert (tmp_path / "site" / "01_second.ipynb").read_bytes() == lessons[1].path.read_bytes()
    assert not (tmp_path / "site" / "executed").exists()


def test_links_between_lessons_and_to_the_placeholder(lessons, tmp_path):
    made(lessons, tmp_path / "site")
    page = soup(tmp_path / "site", "01_second.html")
    assert page.find("a", string="back")["href"] == "00_first.html#Question"
    assert page.find("a", string="the page") is None
    assert "the page" in page.text
    assert page.find("a", string="paper")["href"] == "https://arxiv.org/abs/2403.02833"
    assert "OWNER" not in str(page)
    assert "Binder" not in page.text
    own = mend_links('<p><a href="https://mybinder.org/v2/gh/ada/x"><span>Binder</span></a></p>', {})
    assert own.count("<a ") == 1


def test_nothing_is_loaded_from_another_host(lessons, tmp_path):
    made(lessons, tmp_path / "site")
    for path in (tmp_path / "site").glob("*.html"):
        html = path.read_text(encoding="utf-8")
        assert not [source for source in read_page(html).sources if re.match(r"(\w+:)?//", source)]
        assert not re.search(r"(@import|url\(|fetch\()\s*['\"]?(https?:)?//", html)


def test_what_a_browser_would_miss_is_said(tmp_path):
    pages = {
        "a.html": read_page('<h1 id="x">x</h1><a href="b.html#none">1</a><a href="#x">2</a><a href="gone.html">3</a>'),
        "b.html": read_page('<img src="https://example.org/x.png"><script src="//cdn/x.js"></script><p id="y">'),
    }
    for name in pages:
        (tmp_path / name).touch()
    assert check_links(pages, tmp_path) == (
        "a.html: the link b.html#none leads to no section",
        "a.html: the link gone.html leads to no file",
        "b.html: loads //cdn/x.js from another host",
        "b.html: loads https://example.org/x.png from another host",
    )


def test_a_link_that_leads_nowhere_fails_the_site(lessons, tmp_path):
    site = made(lessons[:1], tmp_path / "site", extra=[new_markdown_cell("[gone](#nowhere)", id="gone")])
    assert site.problems == ("00_first.html: the link #nowhere leads to no section",)
    assert site.entries[0].verdict.passed
    assert not site.passed


def test_titles_and_texts_are_escaped(lessons, tmp_path):
    evil = "</script><script>alert(1)</script>"
    lessons[0] = dataclasses.replace(lessons[0], title=evil, question=evil, objectives=(f"`{evil}`",))
    failure = Failure("error", evil, 1, "head")
    changes = {"00_first": {"status": "failed", "failure": failure}}
    made(lessons, tmp_path / "site", changes=changes, extra=[new_markdown_cell("## &lt;/script>x", id="more")])
    for name in ("index.html", "00_first.html", "01_second.html"):
        page = soup(tmp_path / "site", name)
        assert not [script for script in page("script") if "alert(1)" in script.text and not script.get("type")]
    assert soup(tmp_path / "site", "index.html").h2.a.text == evil
    assert "alert(1)" in soup(tmp_path / "site", "00_first.html").select_one(".lesson-notice").text


def test_the_search_index_holds_every_section(lessons, tmp_path):
    made(lessons, tmp_path / "site")
    script = (tmp_path / "site" / "assets" / "search-index.js").read_text(encoding="utf-8")
    sections = json.loads(script.removeprefix("window.SOFIM_SECTIONS = ").rstrip().removesuffix(";"))
    assert len(sections) == 3 * 3
    section = sections[2]
    assert section["lesson"] == "Title <00_first>"
    assert section["title"] == "1. Damping & Größe"
    assert section["text"] == ["back · the page · paper", r"With $\lambda > 0$ the step is short.", "…"]
    name, _, anchor = section["href"].partition("#")
    assert soup(tmp_path / "site", name).find(id=anchor)


def test_a_failed_lesson_is_shown_with_a_sentence(lessons, tmp_path):
    failure = Failure("error", "ValueError: no", 2, "text")
    site = made(lessons, tmp_path / "site", changes={"01_second": {"status": "failed", "failure": failure}})
    assert not site.passed
    notice = soup(tmp_path / "site", "01_second.html").select_one(".lesson-notice").text
    assert "did not run to its end" in notice
    assert "ValueError: no" in notice
    assert "Not everything went well in" in soup(tmp_path / "site", "index.html").select_one("header .note").text


def test_an_interrupted_run_leaves_a_site_of_what_there_is(lessons, tmp_path):
    site = made(lessons, tmp_path / "site", without=("02_third",), interrupted=True)
    assert site.interrupted
    assert not site.passed
    assert site.problems == ()
    index = soup(tmp_path / "site", "index.html")
    assert "1 of 3 lessons are missing here, the run was interrupted: 02_third." in index.text
    assert "not run" in index.text
    assert [link["href"] for link in index.select("h2 a")] == ["00_first.html", "01_second.html"]


def test_weights_are_counted_and_too_much_is_a_failure(lessons, tmp_path, monkeypatch):
    site = made(lessons, tmp_path / "site")
    weight = site.entries[0].weight
    assert (weight.explorers, weight.frames, weight.failed, weight.seconds) == (1, 12, 1, 3.5)
    assert weight.bytes == len(FRAMES)
    facts = json.loads((tmp_path / "site" / "site.json").read_text(encoding="utf-8"))
    assert facts["frames_budget"] == 3_000_000
    assert facts["lessons"][0]["frames"]["bytes"] == len(FRAMES)
    monkeypatch.setattr(build, "BUDGET", len(FRAMES) - 1)
    failures = made(lessons, tmp_path / "site").entries[0].verdict.failures
    assert any("more than" in failure for failure in failures)


def test_a_notebook_without_frames_weighs_nothing(tmp_path):
    path = tmp_path / "x.ipynb"
    nbformat.write(new_notebook(cells=[new_code_cell("1", outputs=[new_output("stream", text="1")])]), path)
    assert weigh(path).bytes == 0


def test_an_older_site_is_replaced_as_a_whole_and_nothing_else_is(lessons, tmp_path):
    made(lessons, tmp_path / "site")
    made(lessons[:1], tmp_path / "site")
    assert sorted(path.name for path in (tmp_path / "site").glob("*.html")) == ["00_first.html", "index.html"]
    precious = tmp_path / "thesis"
    precious.mkdir()
    (precious / "index.html").write_text("mine", encoding="utf-8")
    with pytest.raises(LessonError, match="holds something that is no site"):
        made(lessons, precious)
    assert [path.name for path in precious.iterdir()] == ["index.html"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["notebooks", "site", "thesis"]


def test_an_error_on_the_way_leaves_the_older_site(lessons, tmp_path):
    made(lessons, tmp_path / "site")
    before = (tmp_path / "site" / "index.html").read_bytes()

    def execute(folder):
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        build_site(lessons, execute, tmp_path / "site")
    assert (tmp_path / "site" / "index.html").read_bytes() == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["notebooks", "site"]
