"""The edition for a class: no solution is left in it, the rest is unchanged, it runs, and it respects what is there."""

import ast
import json
import shutil
from pathlib import Path

import pytest

from sofim_lab.cli import main
from sofim_lab.lessons import student_edition as module
from sofim_lab.lessons.errors import LessonError
from sofim_lab.lessons.grading import grade_notebook
from sofim_lab.lessons.manifest import load_manifest
from sofim_lab.lessons.notebook import read_notebook, tags, text
from sofim_lab.lessons.student_edition import RECORD, student_edition, without_solutions

FOLDER = Path(__file__).resolve().parents[2] / "notebooks"
LESSONS = sorted(FOLDER.glob("*.ipynb"))
each_lesson = pytest.mark.parametrize("path", LESSONS, ids=lambda path: path.stem)


@pytest.fixture(scope="module")
def edition(tmp_path_factory):
    folder = tmp_path_factory.mktemp("class") / "student"
    student_edition(load_manifest(FOLDER), folder)
    return folder


def sources(path, *, kind=None, tag=None):
    """Cell sources by id."""
    return {
        cell["id"]: text(cell["source"])
        for cell in read_notebook(path)["cells"]
        if kind in (None, cell["cell_type"]) and (tag is None or tag in tags(cell))
    }


def solution_lines(path):
    """The code of a lesson's solutions, line by line, without the heads that the exercise gives and trivial lines."""
    given = "\n".join(source for id, source in sources(path).items() if id not in sources(path, tag="solution"))
    for source in sources(path, tag="solution").values():
        for node in ast.walk(ast.parse(source)):
            if isinstance(node, ast.stmt) and not hasattr(node, "body"):
                lines = [line.strip() for line in ast.get_source_segment(source, node).splitlines()]
                yield from (line for line in lines if len(line) > 8 and line not in given)


@each_lesson
def test_no_solution_is_left(edition, path):
    page = (edition / path.name).read_text(encoding="utf-8")
    assert "SOLUTIONS" not in page
    assert not sources(edition / path.name, tag="solution")
    everything = "\n".join(sources(edition / path.name).values())
    assert [line for line in solution_lines(path) if line in everything] == []


def test_the_search_for_solutions_finds_some():
    """Without this, a search that finds nothing to look for would pass."""
    assert sum(len(list(solution_lines(path))) for path in LESSONS) > len(LESSONS)


@each_lesson
def test_all_else_is_unchanged(edition, path):
    before, after = sources(path), sources(edition / path.name)
    assert list(after) == [id for id in before if id not in sources(path, tag="solution")]
    changed = {id for id in after if after[id] != before[id]}
    assert changed == {"title", "parameters"}
    assert before["title"].startswith(after["title"])
    assert set(before["parameters"].splitlines()) - set(after["parameters"].splitlines()) == {
        next(line for line in before["parameters"].splitlines() if line.startswith("SOLUTIONS"))
    }


def test_folded_solutions_in_a_text_go_and_hints_and_answers_stay():
    folded = "<details>\n<summary>A solution</summary>\n42\n</details>\n"
    kept = "<details><summary>Hint 1</summary>The solution is even.</details>"
    cells = [
        {"cell_type": "markdown", "id": "t", "metadata": {}, "source": "# T\n\n[![Binder](a)](b)\n"},
        {"cell_type": "markdown", "id": "a", "metadata": {"collapsed": True}, "source": folded},
        {"cell_type": "markdown", "id": "b", "metadata": {}, "source": folded + kept},
    ]
    notebook = {"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": cells}
    made = without_solutions(notebook, "a.ipynb")["cells"]
    assert [text(cell["source"]) for cell in made] == ["# T", kept]
    cells.append({"cell_type": "code", "id": "c", "metadata": {}, "source": "print(SOLUTIONS)", "outputs": []})
    with pytest.raises(LessonError, match=r"a\.ipynb, cell 4: SOLUTIONS is used outside of a cell tagged 'solution'"):
        without_solutions(notebook, "a.ipynb")


def test_the_edition_has_its_own_manifest_map_and_baselines(edition, capsys):
    assert main(["list", "--notebooks", str(edition)]) == 0
    assert "05_sherman_morrison" in capsys.readouterr().out
    page = (edition / "README.md").read_text(encoding="utf-8")
    assert "](05_sherman_morrison.ipynb)" in page
    assert "mybinder" not in page
    assert (edition / "LICENSE").is_file()
    assert {path.name for path in (edition / "baselines").iterdir()} == {f"{path.stem}.json" for path in LESSONS}


def test_a_lesson_of_it_runs_and_is_graded(edition, tmp_path):
    """From top to bottom with one answer written in."""
    notebook = read_notebook(edition / "05_sherman_morrison.ipynb")
    (cell,) = [cell for cell in notebook["cells"] if cell["id"] == "e1-answer"]
    answer = text(cell["source"]).replace("return None", "return (v - m * (m @ v) / (rho + m @ m)) / rho")
    cell["source"] = answer
    path = tmp_path / "ada.ipynb"
    path.write_text(json.dumps(notebook), encoding="utf-8")
    grade = grade_notebook(path)
    assert {exercise.id: exercise.answer for exercise in grade.exercises} == {
        "05.solve": "solved",
        "05.groups": "not attempted",
    }
    assert grade.trouble == ""


@pytest.mark.slow
@pytest.mark.usefixtures("time_does_not_count")
def test_every_lesson_of_it_runs_and_agrees_with_its_baseline(edition, tmp_path):
    status = main(["run", "--notebooks", str(edition), "--output", str(tmp_path), "--no-progress"])
    assert status == 0, (tmp_path / "summary.md").read_text(encoding="utf-8")


def test_solutions_cannot_be_asked_of_it(edition, capsys):
    assert main(["run", "5", "--solutions", "--notebooks", str(edition)]) == 2
    assert "05_sherman_morrison has no parameter SOLUTIONS" in capsys.readouterr().err


@pytest.fixture
def course(tmp_path):
    """Two of the lessons, in a repository of their own."""
    folder = tmp_path / "repository" / "notebooks"
    folder.mkdir(parents=True)
    entries = (FOLDER / "lessons.yml").read_text(encoding="utf-8").split("\n  - id: ")
    (folder / "lessons.yml").write_text("\n  - id: ".join(entries[:3]), encoding="utf-8")
    for path in LESSONS[:2]:
        shutil.copy(path, folder)
    return folder


def make(course, folder, capsys):
    status = main(["student-edition", str(folder), "--notebooks", str(course)])
    return status, capsys.readouterr().err


def test_its_own_files_are_written_again_and_others_are_left_alone(course, tmp_path, capsys):
    folder = tmp_path / "student"
    folder.mkdir()
    (folder / "notes.txt").write_text("mine", encoding="utf-8")
    assert make(course, folder, capsys) == (0, "")
    page = folder / "01_newton.ipynb"
    first = page.read_bytes()
    page.write_bytes(first.replace(b"\n", b"\r\n"))  # as git may check it out
    assert make(course, folder, capsys) == (0, "")
    assert page.read_bytes() == first
    assert (folder / "notes.txt").read_text(encoding="utf-8") == "mine"


def test_a_changed_file_and_a_foreign_one_are_refused_before_anything_is_written(course, tmp_path, capsys):
    folder = tmp_path / "student"
    make(course, folder, capsys)
    before = {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}
    (folder / "00_start_here.ipynb").unlink()
    (folder / "01_newton.ipynb").write_text("a teacher's own", encoding="utf-8")
    status, error = make(course, folder, capsys)
    assert (status, "01_newton.ipynb was changed since it was written" in error) == (2, True)
    assert not (folder / "00_start_here.ipynb").exists()
    assert (folder / RECORD).read_bytes() == before[RECORD]
    (folder / RECORD).unlink()
    assert "01_newton.ipynb was not written by this command" in make(course, folder, capsys)[1]
    assert (folder / "01_newton.ipynb").read_text(encoding="utf-8") == "a teacher's own"


def test_the_lessons_themselves_are_never_the_target(course, capsys):
    before = {path.name: path.read_bytes() for path in course.iterdir()}
    status, error = make(course, course, capsys)
    assert (status, "was not written by this command" in error) == (2, True)
    assert {path.name: path.read_bytes() for path in course.iterdir()} == before


def test_a_lesson_that_is_no_more_goes(course, tmp_path, capsys):
    folder = tmp_path / "student"
    make(course, folder, capsys)
    manifest = course / "lessons.yml"
    text = manifest.read_text(encoding="utf-8")
    manifest.write_text(text[: text.index("\n  - id: 01_newton")], encoding="utf-8")
    assert make(course, folder, capsys) == (0, "")
    assert [path.name for path in folder.glob("*.ipynb")] == ["00_start_here.ipynb"]


def test_an_interrupted_call_can_be_made_again(course, tmp_path, capsys, monkeypatch):
    folder = tmp_path / "student"
    write, count = module.write_atomically, iter(range(100))

    def interrupted(path, content):
        if path.is_relative_to(folder) and next(count) == 2:
            raise OSError(28, "No space left on device", str(path))
        write(path, content)

    monkeypatch.setattr(module, "write_atomically", interrupted)
    status, error = make(course, folder, capsys)
    assert (status, "No space left on device" in error) == (2, True)
    monkeypatch.setattr(module, "write_atomically", write)
    assert make(course, folder, capsys) == (0, "")


@pytest.mark.parametrize("damage", ["{", "[]"])
def test_folders_that_will_not_do(course, tmp_path, capsys, damage):
    (tmp_path / "file").write_text("", encoding="utf-8")
    assert "is a file: name a folder" in make(course, tmp_path / "file", capsys)[1]
    folder = tmp_path / "student"
    make(course, folder, capsys)
    (folder / RECORD).write_text(damage, encoding="utf-8")
    assert "is damaged" in make(course, folder, capsys)[1]
