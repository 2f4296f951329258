"""Small lessons made on the spot, so that a test shows the cells it is about."""

import dataclasses
from pathlib import Path

import nbformat
import yaml
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from sofim_lab.lessons.manifest import PROFILES, Budget, Lesson

PARAMETERS = 'DEVICE = "auto"\nPROFILE = "quick"\nSEED = 0\nRHO = 0.5\nSOLUTIONS = False'


def write_lesson(
    folder: Path,
    lesson_id: str,
    *cells: str,
    parameters: str | None = PARAMETERS,
    cell_timeout: float = 60,
    lesson_timeout: float = 120,
    devices: tuple[str, ...] = ("cpu",),
) -> Lesson:
    """A notebook with a title (cell 1), its parameters (cell 2) and then `cells`, and its entry in a manifest."""
    folder.mkdir(parents=True, exist_ok=True)
    head = [] if parameters is None else [new_code_cell(parameters, id="params", metadata={"tags": ["parameters"]})]
    code = [new_code_cell(source, id=f"code-{number}") for number, source in enumerate(cells, 1)]
    # A kernelspec from another machine: the runner must not depend on it.
    metadata = {"kernelspec": {"name": "somebody-elses", "display_name": "Somebody else's"}}
    notebook = new_notebook(cells=[new_markdown_cell("# A lesson", id="title"), *head, *code], metadata=metadata)
    path = folder / f"{lesson_id}.ipynb"
    nbformat.write(notebook, path)
    return Lesson(
        id=lesson_id,
        path=path,
        title=lesson_id,
        question="Does it work?",
        minutes=5,
        objectives=("see that it works",),
        devices=devices,
        budgets=dict.fromkeys(PROFILES, Budget(60, 1000)),
        cell_timeout=dict.fromkeys(PROFILES, cell_timeout),
        lesson_timeout=dict.fromkeys(PROFILES, lesson_timeout),
    )


def write_manifest(folder: Path, *lessons: Lesson) -> Path:
    """The manifest of lessons in this folder."""
    entries = []
    for lesson in lessons:
        entry = dataclasses.asdict(lesson) | {"objectives": list(lesson.objectives), "devices": list(lesson.devices)}
        del entry["path"]
        entries.append(entry)
    path = folder / "lessons.yml"
    path.write_text(yaml.safe_dump({"lessons": entries}), encoding="utf-8")
    return path
