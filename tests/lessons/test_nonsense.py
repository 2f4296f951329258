"""Each place of each file that is read, filled with nonsense: a sentence or an answer, never a traceback."""

import copy
import importlib
import json
from functools import cache

import pytest
import yaml
from small_lessons import write_lesson, write_manifest
from synthetic import ENVIRONMENT, LESSON, baseline, lesson_run, outcome

from sofim_lab.cli.main import main
from sofim_lab.lessons.judging.baselines import Expected
from sofim_lab.lessons.outcome import Metric
from sofim_lab.lessons.reporting.history import append_history, read_history
from sofim_lab.lessons.reporting.runfile import Run, load_run, save_run

commands = importlib.import_module("sofim_lab.cli.main")  # the package's attribute of that name is the function
NONSENSE = (None, True, -1, 10**400, float("nan"), "\x1b[31mé", "\ud800", "x: y", [], [1], {"a": 1})
RUN = Run(ENVIRONMENT, (lesson_run(outcome(Metric("a", 1.0, "", "lower"), Metric("b", 2.0, "s", compare=False))),))


def places(data, path=()):
    """The way to every value in plain data."""
    yield path
    for key in range(len(data)) if isinstance(data, list) else data if isinstance(data, dict) else ():
        yield from places(data[key], (*path, key))


def spoiled(data):
    """The data with one value replaced by nonsense, in all ways."""
    for path in places(data):
        for nonsense in NONSENSE:
            whole = {"": copy.deepcopy(data)}
            at = whole
            for key in ("", *path)[:-1]:
                at = at[key]
            at[("", *path)[-1]] = nonsense
            yield whole[""]


@pytest.fixture
def judged(capsys, monkeypatch):
    """Runs a command: its exit status is one that is known, and what it says cannot steer a terminal."""
    monkeypatch.setattr(commands, "_parser", cache(commands._parser))  # made once, not for each of 2,700 commands

    def run(*command):
        status = main([str(word) for word in command])
        shown = capsys.readouterr()
        assert status in (0, 1, 2)
        assert "\x1b" not in shown.out + shown.err
        assert status != 2 or shown.err.startswith("sofim-lab: ")
        return status

    return run


def test_the_record_of_a_run(tmp_path, judged):
    ours, theirs = tmp_path / "a", tmp_path / "b"
    good = json.loads(save_run(RUN, ours).read_text(encoding="utf-8"))
    save_run(RUN, theirs)
    for data in spoiled(good):
        (ours / "run.json").write_text(json.dumps(data), encoding="utf-8")
        judged("compare", ours, "--notebooks", tmp_path)
        judged("compare", theirs, ours, "--notebooks", tmp_path)
    (ours / "run.json").write_text("[" * 100_000, encoding="utf-8")
    assert judged("compare", ours, "--notebooks", tmp_path) == 2


def test_the_place_is_named(tmp_path, capsys):
    path = save_run(RUN, tmp_path)
    path.write_text(path.read_text(encoding="utf-8").replace('"unit": "s"', '"unit": null'), encoding="utf-8")
    with pytest.raises(ValueError, match=r"run\.lessons\[0\]\.outcome\.metrics\[1\]\.unit should be str, it is None"):
        load_run(tmp_path)


def test_a_baseline(tmp_path, judged):
    save_run(RUN, tmp_path / "run")
    path = tmp_path / "baselines" / f"{LESSON}.json"
    path.parent.mkdir()
    for data in spoiled(json.loads(baseline(a=Expected(1.0, 1e-3, 1e-3, "lower")).to_text())):
        path.write_text(json.dumps(data), encoding="utf-8")
        assert judged("compare", tmp_path / "run", "--notebooks", tmp_path) != 2


def test_a_history(tmp_path):
    path = tmp_path / "history.jsonl"
    append_history(RUN, path)
    good = path.read_text(encoding="utf-8")
    for data in spoiled(json.loads(good)):
        path.write_text(json.dumps(data) + "\n" + good, encoding="utf-8")
        entries, unreadable = read_history(path)
        assert len(entries) + unreadable == 2


def test_a_manifest(tmp_path, judged):
    path = write_manifest(tmp_path, write_lesson(tmp_path, "01_a", "print(1)"))
    for data in spoiled(yaml.safe_load(path.read_text(encoding="utf-8"))):
        path.write_text(yaml.safe_dump(data), encoding="utf-8")
        judged("list", "--notebooks", tmp_path)
        judged("list", "--readme", "--notebooks", tmp_path)
    path.write_text("lessons: 2020-13-45", encoding="utf-8")
    assert judged("list", "--notebooks", tmp_path) == 2


def test_a_notebook(tmp_path, judged):
    lesson = write_lesson(tmp_path / "notebooks", "01_a", "print(1)")
    write_manifest(tmp_path / "notebooks", lesson)
    for data in spoiled(json.loads(lesson.path.read_text(encoding="utf-8"))):
        lesson.path.write_text(json.dumps(data), encoding="utf-8")
        before = lesson.path.read_bytes()
        judged("student-edition", tmp_path / "class", "--notebooks", tmp_path / "notebooks")
        if judged("clean", lesson.path) == 2:
            assert lesson.path.read_bytes() == before
    lesson.path.write_text("[" * 100_000, encoding="utf-8")
    assert judged("clean", lesson.path) == 2
