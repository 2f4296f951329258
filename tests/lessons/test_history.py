"""The history of runs, and the page that draws it."""

import dataclasses
import json
import math
import types

import pytest
from bs4 import BeautifulSoup
from small_lessons import write_manifest
from synthetic import ENVIRONMENT, LESSON, baseline, lesson_run, outcome

from sofim_lab.cli import main
from sofim_lab.cli import run as run_command
from sofim_lab.files import write_atomically
from sofim_lab.lessons.errors import LessonError
from sofim_lab.lessons.judging.baselines import Expected, baseline_path
from sofim_lab.lessons.outcome import Metric
from sofim_lab.lessons.reporting.history import append_history, check_history, read_history
from sofim_lab.lessons.reporting.runfile import Run
from sofim_lab.lessons.reporting.trends import Trend, write_trends

EVIL = "<script>alert('x')</script>"


def a_run(*metrics, day=1, **changes):
    environment = dataclasses.replace(ENVIRONMENT, date=f"2030-01-{day:02d}", threads="2")
    return Run(environment, (lesson_run(outcome(*metrics, **changes)),))


def test_a_run_is_kept_with_what_it_was_made_with(tmp_path):
    path = tmp_path / "history.jsonl"
    append_history(a_run(Metric("loss", 0.5), Metric("x", math.nan)), path)
    append_history(a_run(Metric("loss", 0.6), day=2), path)
    (first, second), unreadable = read_history(path)
    assert unreadable == 0
    assert first.metrics == {"loss": 0.5, "x": None}
    assert (second.lesson, second.device, second.profile, second.metrics) == (LESSON, "cpu", "quick", {"loss": 0.6})
    assert (second.date, second.commit, second.torch, second.threads) == ("2030-01-02", "abc1234", "2.13", "2")
    assert (second.seconds, second.budget_seconds, second.memory_mb, second.budget_memory_mb) == (12.5, 60, 400, 1000)


def test_a_run_with_other_parameters_is_left_out(tmp_path):
    append_history(a_run(Metric("loss", 0.5), default_parameters=False), tmp_path / "h")
    assert read_history(tmp_path / "h") == ((), 0)


def test_a_line_that_was_cut_off_costs_no_other(tmp_path):
    path = tmp_path / "h"
    append_history(a_run(Metric("loss", 0.5)), path)
    good = path.read_text(encoding="utf-8")
    bad = ["[]", "{}", good.replace("12.5", "NaN"), good.replace("0.5", '"a"'), good[:50]]
    path.write_text(good + "\n".join(line.strip() for line in bad), encoding="utf-8")
    append_history(a_run(Metric("loss", 0.6), day=2), path)
    entries, unreadable = read_history(path)
    assert [entry.metrics["loss"] for entry in entries] == [0.5, 0.6]
    assert unreadable == len(bad)


def test_a_history_that_cannot_be_written_is_refused(tmp_path):
    with pytest.raises(LessonError, match=r"cannot append to the history .*; name another with --history"):
        check_history(tmp_path)


@pytest.fixture
def page(tmp_path):
    held = baseline(
        loss=Expected(0.5, 0.0, 0.1), score=Expected(0.9, 0.0, 0.01, "higher"), error=Expected(1.0, 0.0, 0.5, "lower")
    )
    write_atomically(baseline_path(tmp_path / "baselines", LESSON), held.to_text())
    for day, loss in enumerate((0.5, 0.55, 0.8), start=1):
        append_history(
            a_run(Metric("loss", loss), Metric("score", 0.99), Metric("error", 0.1), Metric(EVIL, 1), day=day),
            tmp_path / "h",
        )
    append_history(a_run(Metric("loss", 7.0), day=4, status="failed"), tmp_path / "h")
    name = write_trends(tmp_path / "h", tmp_path, tmp_path / "baselines")
    return BeautifulSoup((tmp_path / name).read_text(encoding="utf-8"), "html.parser")


def test_the_page_draws_each_metric_in_its_band(page):
    rows = {row.th.text: row for row in page("tr") if row.find("svg")}
    assert list(rows) == ["seconds", "memory, MB", "loss", "score", "error", EVIL]
    loss = rows["loss"]
    assert loss["class"] == ["bad"]
    assert [cell.text for cell in loss("td")[:2]] == ["0.8", "0.4 to 0.6"]
    assert len(loss("circle")) == 2
    assert loss.find(class_="out").title.text == "2030-01-03: 0.8, outside"
    assert loss.svg["aria-label"] == (
        "loss over 3 runs: last 0.8, lowest 0.5, highest 0.8; allowed 0.4 to 0.6; 1 outside."
    )
    assert rows["score"]("td")[1].text == "from 0.89"
    assert not rows["score"].find(class_="out")  # above the band is better
    assert rows["error"]("td")[1].text == "up to 1.5"
    assert not rows["error"].find(class_="out")
    assert rows["seconds"]("td")[1].text == "up to 60"


def test_the_page_needs_nothing_from_elsewhere_and_runs_nothing(page):
    assert not page("script")
    assert not page.find(attrs={"src": True})
    assert {link["href"] for link in page("a")} == {"index.html"}


def test_a_picture_holds_its_points_and_its_band():
    trend = Trend("x", ("a", "b", "c"), (1.0, None, 3.0), (0.0, 2.0))
    assert trend.inside == (True, False, False)
    (x1, y1, *_), (x2, y2, *_) = trend.points
    assert (x1, x2) == (6, 314)
    assert y1 > y2  # larger is higher
    top, height = trend.strip
    assert top < y1 < top + height
    assert Trend("x", ("a",), (1.0,)).points[0][1] == 40
    assert Trend("x", ("a",), (None,)).words == "x: no value in 1 runs."


def test_run_appends_and_links_the_page(make_lesson, tmp_path, monkeypatch, capsys):
    lesson = make_lesson(LESSON)
    write_manifest(lesson.path.parent, lesson)
    monkeypatch.chdir(tmp_path)
    found = outcome(Metric("loss", 0.5))
    asked = types.SimpleNamespace(calls=0)

    def run_lessons(lessons, *, output, on_finished, **_):
        asked.calls += 1
        on_finished(found)
        return (found,)

    monkeypatch.setattr(run_command, "run_lessons", run_lessons)
    for _ in range(2):
        main(["run", "--history", "kept/history.jsonl", "--jobs", "2"])
    assert len(read_history(tmp_path / "kept" / "history.jsonl")[0]) == 2
    report = BeautifulSoup((tmp_path / "build" / "report" / "index.html").read_text(encoding="utf-8"), "html.parser")
    assert report.find("a", href="trends.html")
    assert (tmp_path / "build" / "report" / "trends.html").is_file()
    assert json.loads((tmp_path / "build" / "report" / "run.json").read_text(encoding="utf-8"))["environment"][
        "threads"
    ]
    assert main(["run", "--history", "kept"]) == 2  # a folder
    assert asked.calls == 2
    assert "cannot append to the history" in capsys.readouterr().err
