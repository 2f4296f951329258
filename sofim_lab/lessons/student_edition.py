"""The lessons without their solutions, for a class: the same notebooks, which still run from top to bottom."""

import ast
import hashlib
import json
import re
import shutil
import tempfile
from pathlib import Path
from typing import Any

from sofim_lab.files import write_atomically
from sofim_lab.lessons.course_map import README, course_map
from sofim_lab.lessons.errors import LessonError
from sofim_lab.lessons.manifest import MANIFEST, Manifest, load_manifest
from sofim_lab.lessons.notebook import notebook_text, read_notebook, stripped, tags, text

RECORD = ".student-edition.json"  # what was written, so that only that is ever written over
FOLDED = re.compile(r"<details>\s*<summary>[^<]*\bsolutions?\b.*?</details>\n?", re.IGNORECASE | re.DOTALL)
BADGES = re.compile(r"^\[!\[.*\n?", re.MULTILINE)  # they lead to the edition with solutions


def student_edition(manifest: Manifest, folder: Path) -> list[Path]:
    """Write the lessons without solutions into a folder, with what they need to be run, listed and judged.

    Everything is made and checked before the first file is written, and each file is written whole or not at all.
    Other files in the folder stay as they are.

    Args:
        manifest: The lessons.
        folder: A new folder, or one that holds an earlier student edition.

    Returns:
        The files written: the notebooks, the manifest, its map of the course, the baselines and the licences.

    Raises:
        LessonError: A file is in the way that this command did not write, or that was changed since; or a lesson
            uses its solutions elsewhere than in a cell tagged `solution`.
    """
    folder = Path(folder)
    if folder.exists() and not folder.is_dir():
        raise LessonError(f"{folder} is a file: name a folder for the student edition")
    record = _earlier(folder)
    with tempfile.TemporaryDirectory(prefix="sofim-lab-student-") as draft:
        files = _draft(manifest, Path(draft))
    for name, content in files.items():
        path = folder / name
        if path.exists() and _hash(path) not in (_hash_of(content), record.get(name)):
            why = "was changed since it was written" if name in record else "was not written by this command"
            raise LessonError(f"{path} {why}: move it away, or name another folder")
    for name in record.keys() - files.keys():  # a lesson that is no more
        if (folder / name).is_file() and _hash(folder / name) == record[name]:
            (folder / name).unlink()
    for name, content in files.items():
        write_atomically(folder / name, content)
    hashes = {name: _hash_of(content) for name, content in files.items()}
    write_atomically(folder / RECORD, json.dumps(hashes, indent=1) + "\n")
    return [folder / name for name in files]


def without_solutions(notebook: dict[str, Any], name: str) -> dict[str, Any]:
    """The notebook without solution cells, folded solutions, the parameter `SOLUTIONS`, badges and outputs.

    Exercises, hints and the answers of the quiz stay.

    Raises:
        LessonError: Some other cell needs the parameter `SOLUTIONS`, or the parameters are no Python.
    """
    cells = []
    for number, cell in enumerate(stripped(notebook)["cells"], 1):
        if "solution" in tags(cell):
            continue
        source = text(cell["source"])
        if cell["cell_type"] == "markdown":
            source = FOLDED.sub("", BADGES.sub("", source) if number == 1 else source).rstrip("\n")
        elif "parameters" in tags(cell):
            try:
                source = _without_parameter(source)
            except SyntaxError as error:
                raise LessonError(f"{name}, cell {number}: the parameters are no Python ({error})") from None
        if re.search(r"\bSOLUTIONS\b", source):
            raise LessonError(f"{name}, cell {number}: SOLUTIONS is used outside of a cell tagged 'solution'; tag it")
        if source:
            cells.append(cell | {"source": source.splitlines(keepends=True)})
    return {**stripped(notebook), "cells": cells}


def _without_parameter(source: str) -> str:
    """The parameters cell without its line `SOLUTIONS = ...`."""
    lines = source.splitlines(keepends=True)
    for node in reversed(ast.parse(source).body):
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "SOLUTIONS":
            del lines[node.lineno - 1 : node.end_lineno]
    return "".join(lines).rstrip("\n")


def _draft(manifest: Manifest, folder: Path) -> dict[str, str]:
    """All files of the edition by name, made in a folder of their own so that the map describes these notebooks."""
    for lesson in manifest:
        notebook = without_solutions(read_notebook(lesson.path), lesson.path.name)
        write_atomically(folder / lesson.path.name, notebook_text(notebook))
        baseline = manifest.folder / "baselines" / f"{lesson.id}.json"
        if baseline.is_file():
            (folder / "baselines").mkdir(exist_ok=True)
            shutil.copyfile(baseline, folder / "baselines" / baseline.name)
    shutil.copyfile(manifest.folder / MANIFEST, folder / MANIFEST)
    for licence in (manifest.folder.parent / name for name in ("LICENSE", "LICENSE-texts")):
        if licence.is_file():
            shutil.copyfile(licence, folder / licence.name)
    write_atomically(folder / README, course_map(load_manifest(folder)))
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_text(encoding="utf-8") for path in paths}


def _earlier(folder: Path) -> dict[str, str]:
    """What an earlier call wrote: hash by name."""
    try:
        record = json.loads((folder / RECORD).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except ValueError:
        record = None
    if not isinstance(record, dict):
        raise LessonError(f"{folder / RECORD} is damaged: name another folder for the student edition")
    return record


def _hash(path: Path) -> str:
    """Of a file, with the line ends that git may have changed set back."""
    return hashlib.sha256(path.read_bytes().replace(b"\r\n", b"\n")).hexdigest()


def _hash_of(content: str) -> str:
    """Of a text that is still to be written."""
    return hashlib.sha256(content.encode()).hexdigest()
