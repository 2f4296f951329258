"""Every committed lesson keeps the conventions, and the manifest and the folder agree."""

import re
from pathlib import Path

import pytest
from conventions import complaints
from nbformat import reader
from notebook_reading import code, headings, tags

from sofim_lab.lessons.manifest import load_manifest

FOLDER = Path(__file__).resolve().parents[2] / "notebooks"
NOTEBOOKS = sorted(FOLDER.glob("*.ipynb"))
each_notebook = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)


def read(path):
    """The notebook as it stands there: nothing repaired, nothing converted."""
    return reader.reads(path.read_text(encoding="utf-8"))


def test_the_lessons_are_found():
    """Without this, an empty folder would pass."""
    assert "00_start_here" in [path.stem for path in NOTEBOOKS]


@each_notebook
def test_notebook_keeps_the_conventions(path):
    assert complaints(read(path), path.stem) == []


def test_manifest_lists_just_the_notebooks_that_are_there():
    assert sorted(lesson.id for lesson in load_manifest(FOLDER)) == [path.stem for path in NOTEBOOKS]


def test_notebook_and_manifest_promise_the_same_time():
    promised = {lesson.id: lesson.minutes for lesson in load_manifest(FOLDER)}
    said = {p.stem: re.search(r"(\d+) min", dict(headings(read(p)))["Before you start"]) for p in NOTEBOOKS}
    assert {name: int(found[1]) for name, found in said.items()} == promised


def test_all_links_name_one_repository():
    """OWNER is a placeholder; whoever replaces it replaces it everywhere."""
    pages = [*NOTEBOOKS, FOLDER.parent / "README.md"]
    links = r"(?:mybinder\.org/v2/gh|research\.google\.com/github|git\+https://github\.com)/([\w-]+)/sofim_lab"
    owners = {path.name: set(re.findall(links, path.read_text(encoding="utf-8"))) for path in pages}
    assert len(set.union(*owners.values())) == 1, owners


@each_notebook
def test_parameters_come_before_the_set_up_that_uses_them(path):
    first, second = [tags(cell) for _, cell in code(read(path))][:2]
    assert (first, second) == (["parameters"], ["setup"])
