"""The report: one run as page, JUnit XML, Markdown and JSON."""

import dataclasses
import math
import xml.etree.ElementTree as ET

import pytest
from bs4 import BeautifulSoup
from synthetic import ENVIRONMENT, LESSON, baseline, lesson_run, outcome

from sofim_lab.files import write_atomically
from sofim_lab.lessons.judging.baselines import Expected, baseline_path
from sofim_lab.lessons.judging.verdict import judge_lesson
from sofim_lab.lessons.outcome import Check, Failure, Metric, Verification
from sofim_lab.lessons.reporting.report import write_report
from sofim_lab.lessons.reporting.runfile import Run, RunFileError, load_run

EVIL = "<script>alert('x')</script>"


@pytest.fixture
def report(tmp_path):
    """A run of three lessons: one passed, one with a metric off, one that raised; written and judged."""
    folder, baselines = tmp_path / "report", tmp_path / "baselines"
    held = baseline(loss=Expected(0.5, 0.0, 0.1), residual=Expected(0.0, 0.0, 1e-12))
    write_atomically(baseline_path(baselines, LESSON), held.to_text())
    time = Metric("seconds", 1.5, "s", compare=False)
    passed = outcome(notebook=folder / "00_start_here.ipynb", lesson="00_start_here", title="Start")
    off = outcome(Metric("loss", 0.9), Metric("residual", math.nan), time, Metric(EVIL, 1.0))
    off = dataclasses.replace(off, notebook=folder / "with space ü.ipynb", checks=(Check("05.a", False, EVIL),))
    failure = Failure("error", f"ValueError: {EVIL}\x00", 7, "a1b2", 3, "x()", "\x1b[31mTraceback\x1b[0m ]]> \x08")
    formula = Verification("07.x", False, math.inf, 1e-9, EVIL)
    raised = outcome(
        lesson="07_loss", title=EVIL, status="failed", failure=failure, verifications=(formula,), peak_memory_mb=None
    )
    lessons = (
        lesson_run(passed),
        lesson_run(off, page=f"{LESSON}.html"),
        lesson_run(raised, problems=(f"cell 1: {EVIL}",)),
    )
    run = Run(ENVIRONMENT, lessons)
    verdicts = [judge_lesson(lesson, baselines) for lesson in lessons]
    write_report(run, verdicts, folder)
    return folder, run, verdicts


def test_run_json_holds_all_that_judging_needs(report):
    folder, run, verdicts = report
    again = load_run(folder)
    assert again.environment == ENVIRONMENT
    assert [lesson.outcome.failure for lesson in again.lessons] == [lesson.outcome.failure for lesson in run.lessons]
    assert [lesson.budget for lesson in again.lessons] == [lesson.budget for lesson in run.lessons]
    baselines = folder.parent / "baselines"
    assert [judge_lesson(lesson, baselines).failures for lesson in again.lessons] == [v.failures for v in verdicts]
    assert again.lessons[0].outcome.notebook.as_posix() == "00_start_here.ipynb"  # the folder can be moved


def test_page_names_every_verdict_and_escapes_everything(report):
    folder, _, verdicts = report
    soup = BeautifulSoup((folder / "index.html").read_text(encoding="utf-8"), "html.parser")
    assert not soup("script")
    assert "2 of 3 failed" in soup.h1.text
    rows = soup.table.tbody("tr")
    assert [row("td")[0].text.strip() for row in rows] == ["passed", "metrics differ", "failed"]
    assert "cell 7 (a1b2), line 3: x()" in soup.text
    assert EVIL in soup.text
    links = {link["href"] for link in soup("a")}
    assert {f"{LESSON}.html", "00_start_here.ipynb", "with%20space%20%C3%BC.ipynb", "junit.xml"} <= links
    metrics = soup.find(id=LESSON).find("table")
    assert [row("td")[-1].find("span").text for row in metrics.tbody("tr")] == [
        "out of tolerance",
        "non-finite",
        "not compared",
        "new",
    ]
    assert "+0.4" in metrics.text
    assert "\x1b" not in soup.text
    assert not soup.find(attrs={"src": True})
    assert len(verdicts) == 3


def test_junit_counts_and_messages(report):
    root = ET.parse(report[0] / "junit.xml").getroot()
    assert root.tag == "testsuites"
    assert [suite.get("name") for suite in root] == ["00_start_here", LESSON, "07_loss"]
    for element in (root, *root):
        assert int(element.get("tests")) == len(element.findall(".//testcase"))
        assert int(element.get("failures")) == len(element.findall(".//failure"))
        assert int(element.get("skipped")) == len(element.findall(".//skipped"))
        assert element.get("errors") == "0"
    names = {case.get("name"): case for case in root[1]}
    assert {"execution", "formula 05.solve", "metric loss", "baseline", "budget", "page"} <= names.keys()
    assert "difference +0.4, allowed 0.1" in names["metric loss"].find("failure").get("message")
    assert names["metric seconds"].find("skipped") is not None
    assert names["execution"].find("failure") is None
    failure = root[2].find("testcase[@name='execution']/failure")
    assert failure.get("message").startswith("cell 7 (a1b2), line 3: x()")
    assert failure.text.startswith("Traceback ]]>")
    assert root[2].find("testcase[@name='formula 07.x']/failure") is not None


def test_summary_is_a_table_and_what_failed(report):
    text = (report[0] / "summary.md").read_text(encoding="utf-8")
    assert text.startswith("## Lessons: 2 of 3 failed\n")
    table = [line for line in text.splitlines() if line.startswith("|")]
    assert len(table) == 2 + 3
    assert len({line.count("|") for line in table}) == 1
    assert "❌ metrics differ" in table[3]
    assert "cell 7 (a1b2), line 3" in text
    assert "<script" not in text


def test_interrupted_run_says_so(tmp_path):
    run = Run(ENVIRONMENT, (), interrupted=True)
    page = write_report(run, [], tmp_path)
    assert "Interrupted, 0 of 0 passed" in page.read_text(encoding="utf-8")
    assert load_run(tmp_path).interrupted


@pytest.mark.parametrize("content", ["{", "[]", "{}", '{"schema": 2}', '{"schema": 1, "lessons": [{}]}'])
def test_a_broken_run_is_an_error_in_words(tmp_path, content):
    (tmp_path / "run.json").write_text(content, encoding="utf-8")
    with pytest.raises(RunFileError, match=r"run\.json"):
        load_run(tmp_path)


def test_no_run(tmp_path):
    with pytest.raises(RunFileError, match="no run found"):
        load_run(tmp_path / "nowhere")


def test_nothing_half_written_is_left_over(report):
    assert sorted(path.name for path in report[0].iterdir()) == ["index.html", "junit.xml", "run.json", "summary.md"]
