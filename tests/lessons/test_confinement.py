"""What a learner's notebook may take: memory up to a limit, and no network where that can be had."""

import sys

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_notebook
from small_lessons import write_lesson

from sofim_lab.cli import main
from sofim_lab.cli.grade import as_text
from sofim_lab.lessons.errors import LessonError
from sofim_lab.lessons.grading import Grade, Graded, grade_notebook
from sofim_lab.lessons.running.offline import can_go_offline
from sofim_lab.lessons.running.runner import run_lessons

SOLVED = (
    "from sofim_lab.lessons import check\ncheck('05.solve', lambda m, v, rho: (v - m * (m @ v) / (rho + m @ m)) / rho)"
)
ASKED = "# check('05.solve', f)"  # a lesson, to who grades; it imports nothing
HOARD = "held = []\nwhile True:\n    held.append(bytearray(b'x') * 50_000_000)"
# No address is called: without a network there is no interface but the loopback one.
INTERFACES = "import socket\nassert False, f'interfaces: {[name for _, name in socket.if_nameindex()]}'"

needs_namespaces = pytest.mark.skipif(not can_go_offline(), reason="this system lets no user leave the network")


def hand_in(folder, *cells):
    path = folder / "ada.ipynb"
    nbformat.write(new_notebook(cells=[new_code_cell(cell, id=f"c{i}") for i, cell in enumerate(cells)]), path)
    return path


def test_a_notebook_that_fills_the_memory_is_ended_and_what_was_solved_counts(tmp_path):
    grade = grade_notebook(hand_in(tmp_path, SOLVED, HOARD), memory_limit=900, cell_timeout=60)
    assert grade.solved == 1
    assert "ada, cell 2: it held 9" in grade.trouble
    assert grade.trouble.endswith("its limit is 900 MB")


def test_memory_of_processes_that_it_starts_counts_too(tmp_path):
    child = f"import subprocess, sys\nsubprocess.run([sys.executable, '-c', {HOARD!r}])"
    grade = grade_notebook(hand_in(tmp_path, ASKED, child), memory_limit=600, cell_timeout=60)
    assert "its limit is 600 MB" in grade.trouble


@needs_namespaces
def test_a_graded_notebook_has_no_network_but_its_kernel(tmp_path):
    grade = grade_notebook(hand_in(tmp_path, SOLVED, INTERFACES))
    assert grade.solved == 1
    assert "interfaces: ['lo']" in grade.trouble


@pytest.mark.skipif(sys.platform != "linux", reason="names of interfaces as on Linux")
def test_with_network_nothing_is_taken(tmp_path):
    import socket

    ours = [name for _, name in socket.if_nameindex()]
    grade = grade_notebook(hand_in(tmp_path, ASKED, INTERFACES), offline=False)
    assert f"interfaces: {ours}" in grade.trouble


@needs_namespaces
def test_a_lesson_runs_offline_as_it_does_with_a_network(tmp_path):
    lesson = write_lesson(tmp_path / "in", "a", "import os\nprint(os.getuid())")
    (outcome,) = run_lessons([lesson], output=tmp_path / "out", offline=True, progress=False)
    assert outcome.status == "passed", outcome.failure


def test_a_learners_text_cannot_steer_the_terminal():
    evil = "\x1b]0;owned\x07\x1b[2J\rsolved"
    shown = as_text(Grade("ada\x1b[2J.ipynb", (Graded("05.solve", "wrong", evil),), 1.0, evil))
    assert all(line.isprintable() for line in shown.split("\n"))
    assert "ada\N{REPLACEMENT CHARACTER}[2J.ipynb: 0 of 1 solved" in shown


def test_grading_writes_no_page_that_would_show_a_learners_html(tmp_path, monkeypatch):
    def shown(*_, **__):
        raise AssertionError("a page was made of a learner's notebook")

    monkeypatch.setattr("sofim_lab.lessons.reporting.lesson_page.page_html", shown)
    html = "from IPython.display import HTML\nHTML('<script>alert(1)</script>')"
    monkeypatch.chdir(tmp_path)
    before = sorted(tmp_path.rglob("*"))
    assert grade_notebook(path := hand_in(tmp_path, SOLVED, html)).solved == 1
    assert sorted(tmp_path.rglob("*")) == [*before, path]


def test_where_the_network_cannot_be_taken_it_is_said(tmp_path, monkeypatch, capsys):
    for place in ("cli.grade", "lessons.grading", "lessons.running.runner"):
        monkeypatch.setattr(f"sofim_lab.{place}.can_go_offline", lambda: False)
    path = hand_in(tmp_path, ASKED)
    main(["grade", "--no-progress", str(path)])
    assert "the notebooks can use the network" in capsys.readouterr().err
    main(["grade", "--no-progress", "--network", str(path)])
    assert "network" not in capsys.readouterr().err
    lesson = write_lesson(tmp_path / "in", "a", "1")
    with pytest.raises(LessonError, match="take the network"):
        run_lessons([lesson], output=tmp_path / "out", offline=True, progress=False)
