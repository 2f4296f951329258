"""The map of the course, as Markdown: written from the manifest and from what the notebooks say of themselves."""

import re

from sofim_lab.lessons.manifest import Lesson, Manifest
from sofim_lab.lessons.notebook import Cell, read_notebook, text

README = "README.md"
NOTE = "<!-- Written by `sofim-lab list --readme` from lessons.yml and the notebooks: edit those, not this page. -->"
HEAD = "| lesson | question | minutes | open |\n|---|---|---|---|"


def course_map(manifest: Manifest) -> str:
    """The page `notebooks/README.md`: all lessons in a table, then what each one teaches, shows and needs.

    Args:
        manifest: The lessons; their notebooks are read, not run.

    Returns:
        Markdown, beginning with a note that says how it was made.

    Raises:
        LessonError: A notebook cannot be read.
    """
    hours = sum(lesson.minutes for lesson in manifest) / 60
    intro = f"{len(manifest)} lessons, about {hours:.0f} hours in all. Each names what it presupposes."
    parts = [NOTE, "# The course", intro, overview(manifest), *map(_section, manifest)]
    return "\n\n".join(parts) + "\n"


def overview(manifest: Manifest) -> str:
    """The table of all lessons that this page and the repository's README share."""
    rows = []
    for lesson in manifest:
        places = online(read_notebook(lesson.path)["cells"]) or {"open": lesson.path.name}
        links = " · ".join(f"[{name}]({link})" for name, link in places.items())
        rows.append(f"| {name_of(lesson)} | {lesson.question} | {lesson.minutes} | {links} |")
    return "\n".join([HEAD, *rows])


def name_of(lesson: Lesson) -> str:
    """Number and short title: what stands before a colon in the manifest's title.

    Example:
        >>> from types import SimpleNamespace
        >>> name_of(SimpleNamespace(id="01_newton", title="Newton: why is a gradient step not enough?"))
        '01 Newton'
    """
    return f"{lesson.id.partition('_')[0]} {lesson.title.partition(':')[0]}"


def online(cells: list[Cell]) -> dict[str, str]:
    """Where the lesson opens in a browser, by the badges of its first cell: `{"Binder": address, "Colab": address}`."""
    places = {
        "Binder": r"https://mybinder\.org/v2/[^)\s]+",
        "Colab": r"https://colab\.research\.google\.com/github/[^)\s]+",
    }
    first = text(cells[0]["source"]) if cells else ""
    found = {name: re.search(rf"\(({address})\)", first) for name, address in places.items()}
    return {name: match[1] for name, match in found.items() if match}


def _section(lesson: Lesson) -> str:
    """What one lesson teaches, what can be moved and written in it, and what it needs."""
    cells = read_notebook(lesson.path)["cells"]
    prose = "\n".join(text(cell["source"]) for cell in cells if cell["cell_type"] == "markdown")
    budget = lesson.budgets["quick"]
    lines = [
        f"## {name_of(lesson)}",
        "",
        f"**{lesson.question}** [Notebook]({lesson.path.name}), {lesson.minutes} minutes. After it you can",
        "",
        *(f"- {objective}" for objective in lesson.objectives),
        "",
    ]
    for what, pattern in (("Widgets", r"^### Play: (.+)$"), ("Exercises", r"^### Exercise \d+: (.+)$")):
        if titles := re.findall(pattern, prose, flags=re.M):
            lines.append(f"{what}: {'; '.join(title.strip() for title in titles)}.  ")
    devices = ", ".join(lesson.devices)
    lines.append(f"Runs on {devices}; a quick run may take {budget.seconds:g} s and {budget.memory_mb:g} MB.")
    return "\n".join(lines)
