"""The pages of the site: one a lesson, the list of all, and the words to search."""

import html
import json
import re
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from markupsafe import Markup

from sofim_lab.files import write_atomically
from sofim_lab.lessons.judging.verdict import Verdict
from sofim_lab.lessons.manifest import Lesson
from sofim_lab.lessons.reporting.environment import Environment
from sofim_lab.lessons.reporting.index_page import STATIC, jinja
from sofim_lab.lessons.reporting.lesson_page import Around, page_html
from sofim_lab.lessons.reporting.mathjax import CONFIG, SCRIPT
from sofim_lab.lessons.site.links import mend_links
from sofim_lab.lessons.site.reading import Reading, Section, read_page
from sofim_lab.lessons.site.weight import Weight

TITLE = "The lessons"
INDEX = "index.html"
ASSETS = Path("assets")
_BODY = "<main>"  # the template's own; text in cells is escaped


@dataclass(frozen=True)
class Entry:
    """A lesson of the site; without a verdict it was not run, without a page there is nothing to read."""

    lesson: Lesson
    verdict: Verdict | None = None
    weight: Weight = field(default_factory=Weight)
    page: str = ""


def page_name(lesson: Lesson) -> str:
    """The file name of a lesson's page."""
    return f"{lesson.id}.html"


def write_lesson(
    executed: Path, lesson: Lesson, lessons: Sequence[Lesson], folder: Path, notice: str = ""
) -> tuple[str, ...]:
    """A lesson's page, and beside it the notebook without outputs to take away.

    Args:
        executed: The executed notebook, whole or partial.
        lesson: The lesson.
        lessons: All lessons of the site, in order.
        folder: The site's folder.
        notice: What the reader has to know first.

    Returns:
        What is wrong with the page: pictures without alternative text, widgets without a static picture.

    Raises:
        PageError: The notebook cannot be shown.
    """
    place = lessons.index(lesson)
    before = lessons[place - 1] if place else None
    after = lessons[place + 1] if place + 1 < len(lessons) else None
    around = Around(
        INDEX,
        "All lessons and search",
        (page_name(before), before.title) if before else None,
        (page_name(after), after.title) if after else None,
        lesson.path.name,
        notice,
    )
    document, problems = page_html(executed, title=lesson.title, around=around)
    document = mend_links(document, {one.path.name: page_name(one) for one in lessons})
    start = document.index(_BODY) + len(_BODY)
    document = document[:start] + _contents(read_page(document).sections) + document[start:]
    write_atomically(folder / page_name(lesson), document)
    shutil.copyfile(lesson.path, folder / lesson.path.name)
    return problems


def _contents(sections: Sequence[Section]) -> str:
    """The sections of a page, to jump to."""
    chosen = [section for section in sections if section.level == 2]
    if not chosen:
        return ""
    items = "".join(f'<li><a href="#{html.escape(one.id)}">{html.escape(one.title)}</a></li>' for one in chosen)
    return f'<details class="lesson-contents"><summary>On this page</summary><ol>{items}</ol></details>'


def write_index(entries: Sequence[Entry], environment: Environment, notices: Sequence[str], folder: Path) -> None:
    """The list of all lessons with its search.

    Args:
        entries: The lessons in order.
        environment: Where they were run.
        notices: What the reader has to know first, a sentence each.
        folder: The site's folder.
    """
    pages = [entry.page for entry in entries if entry.page]
    found = {page: read_page((folder / page).read_text(encoding="utf-8")) for page in pages}
    titles = {entry.page: entry.lesson.title for entry in entries}
    words = json.dumps(_words(found, titles), ensure_ascii=False, separators=(",", ":"))
    write_atomically(folder / ASSETS / "search-index.js", f"window.SOFIM_SECTIONS = {words};\n")
    shutil.copyfile(STATIC / "search.js", folder / ASSETS / "search.js")
    template = jinja(prose=_prose).get_template("site.html.j2")
    page = template.render(
        title=TITLE,
        entries=entries,
        environment=environment,
        notices=notices,
        css="".join((STATIC / name).read_text(encoding="utf-8") for name in ("report.css", "site.css")),
        mathjax=SCRIPT.as_posix(),
        mathjax_config=CONFIG,
    )
    write_atomically(folder / INDEX, page)


def _words(pages: dict[str, Reading], titles: dict[str, str]) -> list[dict[str, object]]:
    """Every section with its address and its text, as the search reads them."""
    return [
        {
            "href": f"{page}#{section.id}",
            "lesson": titles[page],
            "title": titles[page] if section.level == 1 else section.title,
            "text": section.paragraphs,
        }
        for page, reading in pages.items()
        for section in reading.sections
    ]


def _prose(text: str) -> Markup:
    """A text with code in backticks."""
    return Markup(re.sub(r"`([^`]*)`", r"<code>\1</code>", html.escape(text)))
