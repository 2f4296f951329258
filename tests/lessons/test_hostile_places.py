"""Where a run cannot work as usual: a full disk, a home that nobody may write to, a broken kernel, a second run."""

import json
import os
import subprocess
import sys
from contextlib import ExitStack
from unittest.mock import Mock

import pytest
from filelock import FileLock
from small_lessons import write_manifest
from synthetic import ENVIRONMENT, lesson_run, outcome

from sofim_lab.cli import lab, main
from sofim_lab.files import copy_atomically
from sofim_lab.lessons.errors import LessonError
from sofim_lab.lessons.judging.verdict import judge_lesson
from sofim_lab.lessons.outcome import Failure
from sofim_lab.lessons.reporting.report import write_report
from sofim_lab.lessons.reporting.runfile import Run
from sofim_lab.lessons.running.locking import locked
from sofim_lab.lessons.running.runner import run_lessons

COMMAND = "from sofim_lab.cli import main; raise SystemExit(main())"


@pytest.fixture
def course(make_lesson, tmp_path):
    """A course of one lesson, in a folder with spaces and letters of three alphabets."""
    lesson = make_lesson("01_a", "print('all is well')")
    write_manifest(lesson.path.parent, lesson)
    place = tmp_path / "mit Leerzeichen ö日"
    place.mkdir()
    lesson.path.parent.rename(place / "notebooks")
    return place


def run(course, *arguments, **options):
    """`sofim-lab run` in a process of its own."""
    command = [sys.executable, "-c", COMMAND, "run", "--no-progress", *arguments]
    return subprocess.run(command, cwd=course, capture_output=True, text=True, encoding="utf-8", **options)


def files(folder):
    """Everything below a folder."""
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.skipif(os.name != "posix", reason="limits the size of files")
def test_a_full_disk_is_said_and_leaves_no_half_of_a_file(course):
    import resource

    (course / "out").mkdir()
    (course / "out" / "index.html").write_text("of an earlier run", encoding="utf-8")

    def limit():
        resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, resource.RLIM_INFINITY))

    done = run(course, "--output", "out", preexec_fn=limit)
    assert done.returncode == 2
    assert done.stderr.startswith("sofim-lab: out/assets/mathjax/tex-svg-full.js: File too large"), done.stderr
    assert "Traceback" not in done.stderr
    assert files(course / "out") == {".lock", "01_a.ipynb", "assets/mathjax/LICENSE", "index.html"}
    assert (course / "out" / "index.html").read_text(encoding="utf-8") == "of an earlier run"


def test_a_report_that_does_not_fit_leaves_the_earlier_one_whole(small_disk, tmp_path):
    def report(words):
        failed = outcome(status="failed", failure=Failure("error", "ValueError", traceback=words))
        found = Run(ENVIRONMENT, (lesson_run(failed),))
        write_report(found, [judge_lesson(found.lessons[0], tmp_path)], small_disk)

    report("short")
    before = {path.name: path.read_bytes() for path in small_disk.iterdir()}
    with pytest.raises(OSError, match="No space left on device") as caught:
        report("long" * 30_000)
    assert caught.value.filename == str(small_disk / "run.json")
    assert {path.name: path.read_bytes() for path in small_disk.iterdir()} == before


def test_a_copy_that_does_not_fit_leaves_nothing(small_disk, tmp_path):
    (tmp_path / "large").write_bytes(b"x" * 100_000)
    with pytest.raises(OSError, match="No space left on device"):
        copy_atomically(tmp_path / "large", small_disk / "copy")
    assert files(small_disk) == set()


def test_a_second_run_in_the_same_folder_is_refused(course, monkeypatch, capsys):
    monkeypatch.chdir(course)
    (course / "build" / "report").mkdir(parents=True)
    with locked(course / "build" / "report"):
        assert main(["run"]) == 2
    words = f"another run is writing to {os.path.join('build', 'report')}: wait for its end"
    assert words in capsys.readouterr().err
    assert files(course / "build" / "report") == {".lock"}


def test_baselines_that_cannot_be_written_are_found_before_anything_runs(course, monkeypatch, capsys):
    (course / "notebooks" / "baselines").write_text("a file in the folder's place", encoding="utf-8")
    monkeypatch.chdir(course)
    assert main(["run", "--update-baselines"]) == 2
    assert "sofim-lab: cannot write to the baselines in " in capsys.readouterr().err
    assert not (course / "build").exists()


def test_the_folder_is_held_as_long_as_there_is_something_to_write(make_lesson, tmp_path):
    out = tmp_path / "out"
    with ExitStack() as hold:
        run_lessons([make_lesson("01_a")], output=out, device="cpu", progress=False, hold=hold)
        with pytest.raises(LessonError, match="another run"), locked(out):
            pass
    with locked(out):
        pass


def test_on_a_drive_without_locks_a_run_says_so_and_goes_on(make_lesson, tmp_path, monkeypatch):
    monkeypatch.setattr(FileLock, "acquire", Mock(side_effect=NotImplementedError("no flock here")))
    out = tmp_path / "out"
    with pytest.warns(UserWarning, match="lies on a drive without locks: do not write two runs"):
        (run,) = run_lessons([make_lesson("01_a")], output=out, device="cpu", progress=False)
    assert run.failure is None
    with pytest.warns(UserWarning, match="without locks"), pytest.raises(OSError, match="full") as error, locked(out):
        raise OSError("full")
    assert error.value.__context__ is None  # the missing lock is not blamed for what happens later


def test_a_home_that_cannot_be_written(make_lesson, tmp_path, monkeypatch, capsys):
    (tmp_path / "home").write_text("a file in the folder's place", encoding="utf-8")
    home = str(tmp_path / "home" / "me")
    for name in ("HOME", "USERPROFILE", "APPDATA"):
        monkeypatch.setenv(name, home)
    for name in lab.KEPT:
        monkeypatch.delenv(name, raising=False)
    (found,) = run_lessons([make_lesson("01_a")], output=tmp_path / "out", device="cpu", progress=False)
    assert found.status == "passed", found.failure
    monkeypatch.setenv("JUPYTER_RUNTIME_DIR", home)
    environment = lab._environment(tmp_path / "spare")
    assert {environment[name] for name in lab.KEPT} == {str(tmp_path / "spare" / name.lower()) for name in lab.KEPT}
    assert "what you set in JupyterLab lasts until it ends" in capsys.readouterr().err
    monkeypatch.setenv("JUPYTER_RUNTIME_DIR", str(tmp_path / "new"))
    assert lab._environment(tmp_path / "spare") == dict(os.environ)


@pytest.mark.parametrize(
    ("kernel", "words"),
    [('{"argv": ["/nowhere/python"], "display_name": "x", "language": "python"}', "FileNotFoundError"),
     ('{"argv":', "JSONDecodeError")], ids=["no interpreter", "no JSON"],
)  # fmt: skip
def test_a_missing_kernel_comes_with_its_remedy(make_lesson, tmp_path, monkeypatch, capsys, kernel, words):
    place = tmp_path / "jupyter" / "kernels" / "python3"
    place.mkdir(parents=True)
    (place / "kernel.json").write_text(kernel, encoding="utf-8")
    monkeypatch.setenv("JUPYTER_PATH", str(tmp_path / "jupyter"))
    (found,) = run_lessons([make_lesson("01_a")], output=tmp_path / "out", device="cpu", progress=False)
    assert (found.status, found.failure.kind) == ("failed", "no kernel")
    assert words in found.failure.message
    assert "run: python -m ipykernel install --sys-prefix" in found.failure.message
    assert json.loads(found.notebook.read_text(encoding="utf-8"))["cells"]
    assert main(["doctor", "--output", str(tmp_path)]) == 1
    assert "fail  kernel python3" in capsys.readouterr().out
