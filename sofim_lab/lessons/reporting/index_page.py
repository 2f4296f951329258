"""A run as one page: every lesson's verdict first, then its metrics, formulas and exercises."""

import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

import jinja2

from sofim_lab.lessons.colours import without_colours
from sofim_lab.lessons.judging.verdict import Verdict, share
from sofim_lab.lessons.reporting.mathjax import CONFIG, SCRIPT
from sofim_lab.lessons.reporting.runfile import Run, relative
from sofim_lab.lessons.reporting.summary import headline

STATIC = Path(__file__).parent / "static"
TEMPLATES = Path(__file__).parent / "templates"


def jinja(**filters: Callable[..., Any]) -> jinja2.Environment:
    """Our templates; whatever notebooks and file names bring is escaped.

    Args:
        **filters: More filters than `plain`, which takes a terminal's colours out of a text.

    Returns:
        The environment.
    """
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    environment.filters |= {"plain": without_colours, **filters}
    return environment


def report_html(run: Run, verdicts: Sequence[Verdict], folder: Path, trends: str = "") -> str:
    """The page; it needs neither network nor JavaScript, and escapes whatever notebooks and file names bring.

    Args:
        run: what was found.
        verdicts: the same lessons, judged.
        folder: where the page will lie; links to pages and notebooks inside it are relative.
        trends: the trend page's address, if there is one.

    Returns:
        An HTML document.
    """
    return (
        jinja(number=number, signed=signed)
        .get_template("report.html.j2")
        .render(
            run=run,
            verdicts=verdicts,
            headline=headline(verdicts, interrupted=run.interrupted),
            passed=bool(verdicts) and not run.interrupted and all(verdict.passed for verdict in verdicts),
            css=(STATIC / "report.css").read_text(encoding="utf-8"),
            mathjax=SCRIPT.as_posix() if (folder / SCRIPT).is_file() else "",  # there if a lesson has a page
            mathjax_config=CONFIG,
            share=share,
            trends=trends,
            link=lambda path: quote(relative(folder / path, folder)),
            anchor=lambda name: re.sub(r"[^A-Za-z0-9_-]", "-", name),
        )
    )


def number(value: float | None) -> str:
    """Six digits, enough to see a difference; a dash where there is none."""
    return "–" if value is None else f"{value:.6g}"


def signed(value: float | None) -> str:
    """Three digits with the sign; zero has none."""
    return "–" if value is None else f"{value:+.3g}" if value else "0"
