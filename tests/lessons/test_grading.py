"""Learners' notebooks, as they come back: right, wrong, half done, broken, slow, and made up."""

import json

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_notebook, new_output

from sofim_lab.cli import main
from sofim_lab.lessons.errors import LessonError
from sofim_lab.lessons.grading import grade_notebook

START = "from sofim_lab.lessons import check"
RIGHT = "def solve(m, v, rho):\n    return (v - m * (m @ v) / (rho + m @ m)) / rho\ncheck('05.solve', solve)"
WRONG = "def solve(m, v, rho):\n    return v / rho\ncheck('05.solve', solve)"


def hand_in(folder, *cells, name="ada.ipynb", tags=None, outputs=()):
    made = [new_code_cell(source, id=f"c{i}") for i, source in enumerate([START, *cells])]
    for i, tag in (tags or {}).items():
        made[i].metadata["tags"] = [tag]
    made[-1].outputs = list(outputs)
    path = folder / name
    nbformat.write(new_notebook(cells=made), path)
    return path


def answers(grade):
    return {exercise.id: exercise.answer for exercise in grade.exercises}


def test_right_and_missing_answers_are_told_apart(tmp_path):
    path = hand_in(tmp_path, RIGHT)
    before = path.read_bytes()
    grade = grade_notebook(path)
    assert answers(grade) == {"05.solve": "solved", "05.groups": "not attempted"}
    assert (grade.solved, grade.trouble) == (1, "")
    assert path.read_bytes() == before


def test_a_cell_that_raises_does_not_stop_the_ones_after_it(tmp_path):
    grade = grade_notebook(hand_in(tmp_path, "1 / 0", RIGHT))
    assert answers(grade)["05.solve"] == "solved"
    assert "ZeroDivisionError" in grade.trouble


def test_time_runs_out_and_what_was_solved_counts(tmp_path):
    path = hand_in(tmp_path, RIGHT, "import time\ntime.sleep(600)")
    for patience in (5, 20, 60):  # seconds; on a busy machine the first cell, which imports PyTorch, may need more
        grade = grade_notebook(path, cell_timeout=patience)
        if answers(grade)["05.solve"] == "solved":
            break
    assert answers(grade)["05.solve"] == "solved"
    assert grade.trouble.startswith("timeout")


def test_outputs_and_solutions_in_the_file_count_for_nothing(tmp_path):
    record = {"id": "05.solve", "solved": True, "passed": True, "message": ""}
    bundle = {"application/vnd.sofim-lab.check+json": record, "text/plain": "solved"}
    made_up = new_output("display_data", data=bundle)
    grade = grade_notebook(hand_in(tmp_path, "# check('05.solve', solve)", outputs=[made_up]))
    assert grade.solved == 0
    handed_back = grade_notebook(hand_in(tmp_path, RIGHT, tags={1: "solution"}))
    assert handed_back.solved == 0


def test_what_is_no_lesson_is_refused(tmp_path):
    with pytest.raises(LessonError, match="asks no exercise"):
        grade_notebook(hand_in(tmp_path, "1 + 1"))
    (tmp_path / "bad.ipynb").write_text("{", encoding="utf-8")
    with pytest.raises(LessonError, match="not a notebook"):
        grade_notebook(tmp_path / "bad.ipynb")


def test_the_command_prints_a_wrong_answer_as_text(tmp_path, capsys):
    path = hand_in(tmp_path, WRONG)
    assert main(["grade", str(path), "--no-progress"]) == 1
    text = capsys.readouterr().out
    assert f"{path}: 0 of 2 solved" in text
    assert "✗ 05.solve: wrong:" in text
    assert "– 05.groups: not attempted" in text
    assert main(["grade", str(tmp_path / "none.ipynb")]) == 2


def test_the_command_prints_json_and_a_file_that_is_no_notebook_does_not_stop_the_class(tmp_path, capsys):
    (tmp_path / "bad.ipynb").write_text("{", encoding="utf-8")
    half = hand_in(tmp_path, WRONG, "check('05.groups', lambda m, r: m / r / (1 + m @ (m / r)))")
    assert main(["grade", "--json", str(tmp_path / "bad.ipynb"), str(half)]) == 2
    bad, good = json.loads(capsys.readouterr().out)
    assert (bad["of"], "not a notebook" in bad["trouble"]) == (0, True)
    assert (good["solved"], good["of"]) == (1, 2)
    assert [exercise["answer"] for exercise in good["exercises"]] == ["wrong", "solved"]
    assert good["exercises"][0]["message"]
