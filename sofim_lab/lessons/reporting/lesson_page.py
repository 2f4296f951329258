"""An executed lesson as an HTML page that needs neither kernel nor network."""

import dataclasses
import functools
import logging
import re
from pathlib import Path
from typing import Any

import nbformat
from nbconvert import HTMLExporter
from nbformat import NotebookNode
from traitlets.config import Config

from sofim_lab.files import write_atomically
from sofim_lab.lessons.errors import LessonError
from sofim_lab.lessons.notebook import ADDED_TAGS, tags
from sofim_lab.lessons.reporting.mathjax import CONFIG, SCRIPT, copy_mathjax

HERE = Path(__file__).parent
# Pictures and words before scripts: a page without a kernel can show only what is already there.
SHOWN = ["text/html", "text/markdown", "image/svg+xml", "text/latex", "image/png", "image/jpeg", "text/plain"]
WIDGET = "application/vnd.jupyter.widget-view+json"
NO_ALT = re.compile(r'<img\b[^>]*\balt="No description has been provided for this image"')  # nbconvert's filler
CELL = re.compile(r'id="cell-id=([^"]+)"')
REMOTE = re.compile(r'<img\b[^>]*\bsrc="(?:https?:)?//[^>]*>', re.IGNORECASE)
ALT = re.compile(r'\balt="([^"]*)"')
BAR = re.compile(r"\d+%\|[^\n]*\|\s*\d+/\d+")  # as tqdm draws them


class PageError(LessonError):
    """The executed notebook cannot be made a page; the text names the file and the reason."""


@dataclasses.dataclass(frozen=True)
class Page:
    """A lesson's page and what is wrong with it, cell by cell."""

    path: Path
    problems: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True)
class Around:
    """What stands around a lesson, addresses as seen from its page.

    Attributes:
        index: The list of all lessons.
        index_title: What it is called.
        previous: Address and title of the lesson before, if any.
        following: Address and title of the lesson after, if any.
        notebook: Address of the notebook to take away, if it lies there.
        notice: A sentence on top, for a lesson that did not end well.
    """

    index: str
    index_title: str = "All lessons"
    previous: tuple[str, str] | None = None
    following: tuple[str, str] | None = None
    notebook: str = ""
    notice: str = ""


def write_page(notebook: Path, page: Path, *, title: str = "", index: str | None = None) -> Page:
    """Convert an executed notebook, whole or partial: `page_html` in a file, with MathJax copied beside it once.

    Args:
        notebook: the executed `.ipynb`.
        page: where the HTML belongs.
        title: the page's title; the notebook's file name otherwise.
        index: address of the list of all lessons, seen from the page.

    Returns:
        The page, and its problems: pictures without alternative text, widgets without a static picture.

    Raises:
        PageError: the notebook is truncated or no notebook.
        OSError: the page cannot be written.
    """
    html, problems = page_html(notebook, title=title, around=None if index is None else Around(index))
    copy_mathjax(page.parent)
    write_atomically(page, html)
    return Page(page, problems)


def page_html(notebook: Path, *, title: str = "", around: Around | None = None) -> tuple[str, tuple[str, ...]]:
    """An executed notebook, whole or partial, as an HTML document.

    Equations are set by MathJax from `assets/mathjax` beside the page. Of an output's forms the first that shows
    without a kernel is taken: HTML, Markdown, pictures, text. Solutions lie folded.

    Args:
        notebook: the executed `.ipynb`.
        title: the page's title; the notebook's file name otherwise.
        around: what stands around the lesson.

    Returns:
        The document, and its problems: pictures without alternative text, widgets without a static picture.

    Raises:
        PageError: the notebook is truncated or no notebook.
    """
    try:
        content = nbformat.read(notebook, as_version=4)
    except Exception as error:  # the converters of old formats break in ways of their own
        raise PageError(f"{notebook}: no readable notebook ({type(error).__name__}: {error})") from None
    if title:
        content.metadata["title"] = title
    problems = _prepare(content)
    resources = {
        "metadata": {"name": notebook.stem, "path": str(notebook.parent)},
        "mathjax_src": SCRIPT.as_posix(),
        "mathjax_config": CONFIG,
        "lesson_css": (HERE / "static" / "lesson.css").read_text(encoding="utf-8"),
        "around": around,
    }
    try:
        html, _ = _exporter().from_notebook_node(content, resources)
    except Exception as error:  # one lesson that cannot be shown must not take the report of all others with it
        raise PageError(f"{notebook}: cannot be shown ({type(error).__name__}: {error})") from None
    html = REMOTE.sub(_in_words, html)
    problems += _missing_alternatives(html, content)
    return html, tuple(problems)


@functools.cache
def _exporter() -> HTMLExporter:
    """Nbconvert with our template; loading its templates is the slow part, so one serves all lessons."""
    quiet = logging.getLogger("sofim_lab.html")
    quiet.addHandler(logging.NullHandler())
    quiet.propagate = False  # what nbconvert would warn of, `_missing_alternatives` reports with the cell
    config = Config({"NbConvertBase": {"display_data_priority": SHOWN}})
    templates = [str(HERE / "templates")]
    return HTMLExporter(config=config, template_name="lesson", extra_template_basedirs=templates, log=quiet)


def _prepare(content: NotebookNode) -> list[str]:
    """Take out what means nothing without a kernel; report widgets that leave no picture behind."""
    content.metadata.pop("widgets", None)
    numbers, problems = _numbers(content), []
    for cell in content.cells:
        if cell.cell_type != "code":
            continue
        cell.outputs = [output for output in map(_without_bars, cell.outputs) if output is not None]
        for output in cell.outputs:
            if WIDGET in output.get("data", {}) and not set(SHOWN[:-1]) & output.data.keys():
                where = _where(cell.get("id"), numbers)
                problems.append(f"{where}: a widget without a static picture")
    return problems


def _numbers(content: NotebookNode) -> dict[str | None, int]:
    """The number of each cell, by id, as its author counts: without the cells that papermill puts in."""
    own = (cell for cell in content.cells if not ADDED_TAGS.intersection(tags(cell)))
    return {cell.get("id"): number for number, cell in enumerate(own, start=1)}


def _in_words(image: re.Match[str]) -> str:
    """A picture from the network, such as a badge, as its alternative text."""
    alt = ALT.search(image[0])
    return f"<span>{alt[1]}</span>" if alt else ""


def _without_bars(output: NotebookNode) -> NotebookNode | None:
    """An output without progress bars, which a page would show at a stale percentage."""
    data: dict[str, Any] = output.get("data", {})
    if WIDGET in data and BAR.search(data.get("text/plain", "")):
        return None
    if output.get("name") == "stderr" and BAR.search(output.text):
        output.text = "\n".join(
            last for line in output.text.split("\n") if not BAR.search(last := line.rstrip("\r").split("\r")[-1])
        )
        return output if output.text.strip() else None
    return output


def _missing_alternatives(html: str, content: NotebookNode) -> list[str]:
    """Where pictures lack alternative text."""
    numbers, problems = _numbers(content), []
    for picture in NO_ALT.finditer(html):
        names = CELL.findall(html, 0, picture.start())
        where = _where(names[-1] if names else None, numbers)
        problems.append(f"{where}: a picture without alternative text")
    return problems


def _where(cell_id: str | None, numbers: dict[str | None, int]) -> str:
    """`cell 7 (a1b2)`."""
    return f"cell {numbers.get(cell_id, '?')} ({cell_id})"
