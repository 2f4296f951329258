"""The command `sofim-lab`: what it prints, what it writes, and its exit status."""

import dataclasses
import importlib.util
import json
import os
import subprocess
import sys
import types
import xml.etree.ElementTree as ET
from pathlib import Path

import nbformat
import pytest
import yaml
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from sofim_lab.cli import main
from sofim_lab.cli import run as run_command
from sofim_lab.cli import site as site_command
from sofim_lab.cli import update as update_command
from sofim_lab.cli.doctor import _satisfies
from sofim_lab.lessons.outcome import Failure, Metric, Outcome
from sofim_lab.lessons.running.runner import Interrupted

PARAMETERS = 'DEVICE = "auto"\nPROFILE = "quick"\nSEED = 0\nSOLUTIONS = False'
RECORD = """from IPython.display import display
record = {"name": "loss", "value": 0.5, "unit": "", "better": "lower", "compare": True}
display({"application/vnd.sofim-lab.metric+json": record, "text/html": "<b>a record</b>"}, raw=True)"""
LESSONS = ("00_start_here", "05_sherman_morrison")


@pytest.fixture
def notebooks(tmp_path, monkeypatch):
    """A folder of two small lessons, beside the working directory's report."""
    folder = tmp_path / "notebooks"
    folder.mkdir()
    for lesson in LESSONS:
        write_lesson(folder, lesson, RECORD)
    limits = {"quick": 60, "full": 60}
    budget = {"seconds": 100, "memory_mb": 4000}
    entries = [
        {
            "id": lesson,
            "title": f"Title of {lesson}",
            "question": "Why?",
            "minutes": 5,
            "objectives": ["see"],
            "devices": ["cpu", "cuda"],
            "budgets": {"quick": budget, "full": budget},
            "cell_timeout": limits,
            "lesson_timeout": limits,
        }
        for lesson in LESSONS
    ]
    (folder / "lessons.yml").write_text(yaml.safe_dump({"lessons": entries}), encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    return folder


def write_lesson(folder, lesson, source):
    cells = [
        new_markdown_cell("# A lesson", id="title"),
        new_code_cell(PARAMETERS, id="parameters", metadata={"tags": ["parameters"]}),
        new_code_cell(source, id="work"),
    ]
    nbformat.write(new_notebook(cells=cells), folder / f"{lesson}.ipynb")


@pytest.fixture
def fake(monkeypatch):
    """Lessons whose runs are made up; `fake.loss` is what each records, `fake.calls` what was asked for."""
    state = types.SimpleNamespace(loss=lambda seed, threads: 0.5, changes={}, calls=[], interrupt=None)

    def run(lessons, *, output, device, profile, on_finished=None, threads=None, solutions=False, **rest):
        parameters = rest.pop("parameters", {})
        state.calls.append({"lessons": [x.id for x in lessons], "parameters": parameters, "threads": threads, **rest})
        outcomes = []
        for lesson in lessons:
            if state.interrupt == lesson.id or (state.interrupt == "spread" and threads):
                raise Interrupted(tuple(outcomes))
            notebook = output / f"{lesson.id}.ipynb"
            notebook.parent.mkdir(parents=True, exist_ok=True)
            notebook.write_text(lesson.path.read_text(encoding="utf-8"), encoding="utf-8")
            metric = Metric("loss", state.loss(parameters.get("SEED", 0), threads), better="lower")
            outcome = Outcome(
                lesson.id, lesson.title, "passed", "cpu", profile, dict(parameters), 1.0, notebook, metrics=(metric,)
            )
            outcome = dataclasses.replace(outcome, default_parameters=not parameters)
            outcomes.append(dataclasses.replace(outcome, **state.changes.get(lesson.id, {})))
            if on_finished:
                on_finished(outcomes[-1])
        return tuple(outcomes)

    monkeypatch.setattr(run_command, "run_lessons", run)
    monkeypatch.setattr(update_command, "run_lessons", run)
    monkeypatch.setattr(site_command, "run_lessons", run)
    return state


def baseline(notebooks, lesson="05_sherman_morrison"):
    return json.loads((notebooks / "baselines" / f"{lesson}.json").read_text(encoding="utf-8"))


def test_version_and_usage(capsys):
    assert main(["--version"]) == 0
    assert capsys.readouterr().out.startswith("sofim-lab ")
    assert main([]) == 2
    assert main(["dance"]) == 2
    assert "dance" in capsys.readouterr().err


def test_list_shows_order_and_questions(notebooks, capsys):
    assert main(["list"]) == 0
    out = capsys.readouterr().out
    assert out.index("00_start_here") < out.index("05_sherman_morrison")
    assert "5 min" in out
    assert "Why?" in out


def test_run_without_baselines_fails_then_update_then_passes(notebooks, fake, capsys):
    assert main(["run"]) == 1
    out = capsys.readouterr().out
    assert "no baseline" in out
    assert "sofim-lab run 05_sherman_morrison --update-baselines" in out
    fake.loss = lambda seed, threads: 0.5 + 0.01 * seed
    assert main(["run", "--update-baselines", "--spread", "2"]) == 0
    assert "loss: none -> 0.5 ± 0.03" in capsys.readouterr().out
    held = baseline(notebooks)["devices"]["cpu"]["quick"]["loss"]
    assert held == {"value": 0.5, "rtol": 1e-5, "atol": 0.03, "better": "lower"}
    spread = [(call["parameters"], call["threads"]) for call in fake.calls if call["threads"]]
    assert spread[:4] == [({"SEED": 0}, 1), ({"SEED": 0}, 2), ({"SEED": 1}, 1), ({"SEED": 1}, 2)]
    assert main(["run"]) == 0
    assert "All 2 passed" in capsys.readouterr().out
    assert main(["compare"]) == 0


def test_run_writes_the_report_and_names_it(notebooks, fake, capsys):
    main(["run", "5", "--output", "some where/é"])
    folder = Path("some where", "é")
    assert str(folder / "index.html") in capsys.readouterr().out
    names = {path.name for path in folder.iterdir()}
    assert {"index.html", "junit.xml", "summary.md", "run.json", "assets", "05_sherman_morrison.html"} <= names
    assert [suite.get("name") for suite in ET.parse(folder / "junit.xml").getroot()] == ["05_sherman_morrison"]


def test_failure_is_named_with_lesson_cell_and_line(notebooks, fake, capsys):
    failure = Failure("error", "ZeroDivisionError: division by zero", 3, "work", 2, "1 / 0")
    fake.changes = {"00_start_here": {"status": "failed", "failure": failure}}
    assert main(["run", "0"]) == 1
    out = capsys.readouterr().out
    assert "00_start_here  failed" in out
    assert "cell 3 (work), line 2: 1 / 0" in out


def test_metric_out_of_tolerance_fails_run_and_compare(notebooks, fake, capsys):
    assert main(["run", "--update-baselines", "--spread", "1"]) == 0
    fake.loss = lambda seed, threads: 0.6
    assert main(["run"]) == 1
    capsys.readouterr()
    assert main(["compare", "build/report"]) == 1
    assert "loss: out of tolerance, value 0.6, baseline 0.5, difference +0.1" in capsys.readouterr().out


def test_corrupt_baseline_fails_its_lesson_and_no_other(notebooks, fake, capsys):
    assert main(["run", "--update-baselines", "--spread", "1"]) == 0
    (notebooks / "baselines" / "00_start_here.json").write_text("{]", encoding="utf-8")
    capsys.readouterr()
    assert main(["run"]) == 1
    captured = capsys.readouterr()
    assert "00_start_here.json: not readable as JSON" in captured.out
    assert "1 of 2 failed" in captured.out
    assert "Traceback" not in captured.out + captured.err
    fake.calls.clear()
    assert main(["run", "0", "--update-baselines", "--spread", "1"]) == 1
    assert "baseline not updated" in capsys.readouterr().err
    assert len(fake.calls) == 1  # found before the spread is measured


def test_update_refuses_failed_runs(notebooks, fake, capsys):
    fake.changes = {"00_start_here": {"status": "failed"}}
    assert main(["run", "0", "--update-baselines"]) == 1
    assert "baseline not updated: 00_start_here did not pass" in capsys.readouterr().err
    assert not list((notebooks / "baselines").glob("*"))
    assert len(fake.calls) == 1  # no seed is tried for a lesson that fails


def test_other_parameters_are_passed_on_and_not_compared(notebooks, fake, capsys):
    assert main(["run", "0", "-p", "SEED=3", "-p", "MODE=slow", "--jobs", "2", "--cell-timeout", "2.5"]) == 0
    assert fake.calls[0]["parameters"] == {"SEED": 3, "MODE": "slow"}
    assert (fake.calls[0]["jobs"], fake.calls[0]["cell_timeout"]) == (2, 2.5)
    assert "not compared: the run had other than the default parameters" in capsys.readouterr().out


def test_site_says_where_it_is_and_what_failed(notebooks, fake, capsys):
    assert main(["run", "--update-baselines", "--spread", "1"]) == 0
    assert main(["site", "--jobs", "2"]) == 0
    out = capsys.readouterr().out
    assert "All 2 passed" in out
    assert f"Site: {Path('build', 'site', 'index.html')}" in out
    assert (fake.calls[-1]["jobs"], fake.calls[-1]["frames"]) == (2, 3_000_000)
    fake.loss = lambda seed, threads: 0.6
    assert main(["site", "5"]) == 1
    assert "loss: out of tolerance" in capsys.readouterr().out


def test_site_keeps_what_ctrl_c_left(notebooks, fake, capsys):
    fake.interrupt = "05_sherman_morrison"
    assert main(["site"]) == 130
    assert "Interrupted" in capsys.readouterr().out
    assert "05_sherman_morrison" in Path("build/site/index.html").read_text(encoding="utf-8")
    assert Path("build/site/00_start_here.html").is_file()


@pytest.mark.parametrize("interrupt", ["05_sherman_morrison", "spread"])
def test_ctrl_c_keeps_what_was_finished(notebooks, fake, capsys, interrupt):
    fake.interrupt = interrupt
    assert main(["run", "--update-baselines"]) == 130
    assert "Interrupted" in capsys.readouterr().out
    held = json.loads(Path("build/report/run.json").read_text(encoding="utf-8"))
    assert held["interrupted"]
    assert held["lessons"][0]["outcome"]["lesson"] == "00_start_here"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["run", "99"], "unknown lesson '99'"),
        (["run", "--device", "tpu"], "invalid choice: 'tpu'"),
        (["run", "--device", "mps"], "mps"),
        (["run", "--profile", "slow"], "invalid choice: 'slow'"),
        (["run", "-p", "SEDE=1"], "unknown parameter 'SEDE'"),
        (["run", "-p", "SEED"], "'SEED' is not of the form NAME=VALUE"),
        (["run", "-p", "1X=2"], "NAME=VALUE"),
        (["run", "--jobs", "0"], "'0' is not a whole number of at least 1"),
        (["run", "--spread", "x"], "'x' is not a whole number"),
        (["run", "--lesson-timeout", "-1"], "'-1' is not a number of seconds"),
        (["run", "--cell-timeout", "nan"], "'nan' is not a number of seconds"),
        (["run", "--output", "file"], "cannot write"),
        (["run", "--notebooks", "nowhere"], "nowhere"),
        (["run", "--frobnicate"], "unrecognized arguments: --frobnicate"),
        (["run", "--update-baselines", "-p", "SEED=1"], "leave out -p"),
        (["compare", "nowhere"], "no run found"),
        (["lab", "--notebooks", "nowhere"], "there is no folder"),
        (["site", "--output", "notebooks"], "holds something that is no site"),
        (["site", "--output", "file"], "holds something that is no site"),
    ],
)
def test_requests_that_cannot_be_carried_out(notebooks, capsys, monkeypatch, arguments, words):
    monkeypatch.setattr("torch.backends.mps.is_available", lambda: False)
    Path("file").write_text("in the folder's place", encoding="utf-8")
    assert main(arguments) == 2
    captured = capsys.readouterr()
    assert words in captured.err
    assert "Traceback" not in captured.err


def test_no_lessons_here(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["list"]) == 2
    assert "--notebooks" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("command", "package"), [("run", "papermill"), ("run", "nbconvert"), ("run", "ipykernel"), ("lab", "jupyterlab")]
)
def test_missing_packages_are_named_with_their_remedy(notebooks, fake, monkeypatch, capsys, command, package):
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == package else find(name))
    assert main([command]) == 2
    assert f"'{package}' is missing: pip install \"sofim-lab[notebooks]\"" in capsys.readouterr().err
    assert fake.calls == []


def test_missing_package_at_import(notebooks, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "yaml", None)
    for name in ("manifest", "listing"):
        monkeypatch.delitem(sys.modules, f"sofim_lab.lessons.{name}", raising=False)
        monkeypatch.delitem(sys.modules, f"sofim_lab.cli.{name}", raising=False)
    assert main(["list"]) == 2
    assert "'yaml' is missing: pip install" in capsys.readouterr().err


def test_lab_opens_the_start_page_with_the_callers_options(notebooks, monkeypatch):
    started = []

    class Server:
        def __init__(self, command, env):
            started.extend(command)
            self.interrupts = 1

        def wait(self):
            if self.interrupts:
                self.interrupts -= 1
                raise KeyboardInterrupt
            return 7

    monkeypatch.setattr(subprocess, "Popen", Server)
    assert main(["lab", "--no-browser", "--port=9999"]) == 7
    assert started[:3] == [sys.executable, "-m", "jupyterlab"]
    assert f"--ServerApp.root_dir={notebooks}" in started
    assert "--LabApp.default_url=/lab/tree/00_start_here.ipynb" in started
    assert started[-2:] == ["--no-browser", "--port=9999"]


def test_doctor_says_what_there_is(notebooks, capsys):
    assert main(["doctor"]) == 0
    out = capsys.readouterr().out
    for subject in ("Python", "torch", "papermill", "device cpu", "device cuda", "kernel python3", "output"):
        assert f"  {subject}" in out
    assert "2 in " in out
    assert not Path("build").exists()


def test_doctor_fails_where_something_needed_is_missing(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    Path("file").write_text("", encoding="utf-8")
    monkeypatch.setattr("sofim_lab.cli.doctor.installed_version", lambda name: "" if name == "papermill" else "99.1")
    assert main(["doctor", "--output", "file"]) == 1
    failed = [line for line in capsys.readouterr().out.splitlines() if line.startswith("fail")]
    assert any("papermill" in line and "pip install" in line for line in failed)
    assert any("lessons" in line for line in failed)
    assert any("cannot write to file" in line for line in failed)
    assert len(failed) == 3


def test_doctor_sees_that_the_disk_is_full(notebooks, monkeypatch, capsys):
    monkeypatch.setattr("shutil.disk_usage", lambda folder: types.SimpleNamespace(free=3e6))
    assert main(["doctor"]) == 1
    assert "3 MB are left at" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("version", "needed", "fits"),
    [
        ("2.13.0+cpu", ">=2.6", True),
        ("2.5.9", ">=2.6", False),
        ("2.10", ">=2.9", True),
        ("3.0", ">=2.6,<3", False),
        ("3.0rc1", ">=3.0", True),
        ("1.2.0", "==1.2", True),
        ("1.2", "!=1.2", False),
        ("7", "", True),
    ],
)
def test_version_ranges(version, needed, fits):
    assert _satisfies(version, needed) == fits


def test_from_a_notebook_to_a_judged_report(notebooks, capsys):
    """The road end to end, with a real kernel: measure a baseline, then break the lesson."""
    assert main(["run", "5", "--update-baselines", "--spread", "1", "--no-progress"]) == 0
    held = baseline(notebooks)["devices"]["cpu"]["quick"]["loss"]
    assert held["value"] == 0.5
    assert "<b>a record</b>" in Path("build/report/05_sherman_morrison.html").read_text(encoding="utf-8")
    write_lesson(notebooks, "05_sherman_morrison", "x = 0\nprint(1 / x)")
    capsys.readouterr()
    assert main(["run", "5", "--no-progress"]) == 1
    assert "cell 3 (work), line 2: print(1 / x)" in capsys.readouterr().out


def test_the_output_may_not_be_the_lessons_own_folder(notebooks, capsys):
    before = (notebooks / "05_sherman_morrison.ipynb").read_bytes()
    assert main(["run", "--output", str(notebooks)]) == 2
    assert "holds the lessons themselves" in capsys.readouterr().err
    assert (notebooks / "05_sherman_morrison.ipynb").read_bytes() == before


@pytest.mark.parametrize(("command", "status"), [("list", 0), ("doctor", 1)])
def test_a_reader_that_goes_away_is_no_verdict(notebooks, monkeypatch, command, status):
    def broken(arguments):
        raise BrokenPipeError

    monkeypatch.setattr(sys, "stdout", sys.stdout)  # `main` replaces it
    module = {"list": "listing", "doctor": "doctor"}[command]
    monkeypatch.setattr(importlib.import_module(f"sofim_lab.cli.{module}"), "command", broken)
    assert main([command]) == status


def test_an_ascii_terminal_gets_escapes_and_no_traceback(notebooks):
    manifest = notebooks / "lessons.yml"
    manifest.write_text(manifest.read_text(encoding="utf-8").replace("Title of", "The ρ of"), encoding="utf-8")
    command = [sys.executable, "-c", "import sys; from sofim_lab.cli import main; sys.exit(main(['list']))"]
    run = subprocess.run(
        command, env={**os.environ, "PYTHONIOENCODING": "ascii"}, capture_output=True, cwd=notebooks, check=False
    )
    assert (run.returncode, run.stderr) == (0, b"")
    assert rb"The \u03c1 of" in run.stdout


def test_what_is_finished_is_in_the_report_before_the_rest_is_done(notebooks, fake, monkeypatch, capsys):
    seen = []
    write = run_command._write
    monkeypatch.setattr(run_command, "_write", lambda run, *rest: seen.append(run) or write(run, *rest))
    main(["run"])
    assert [(len(run.lessons), run.interrupted) for run in seen][-1] == (len(seen[-1].lessons), False)
    assert (len(seen[0].lessons), seen[0].interrupted) == (1, True)
