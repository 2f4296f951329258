"""A run as JUnit XML, which every CI service reads: a suite a lesson, a case for each thing that can fail."""

import re
import xml.etree.ElementTree as ET
from collections.abc import Sequence

from sofim_lab.lessons.colours import without_colours
from sofim_lab.lessons.judging.verdict import Verdict
from sofim_lab.lessons.reporting.environment import Environment

# XML 1.0 has no place for most control characters, escaped or not.
FORBIDDEN = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def junit_xml(verdicts: Sequence[Verdict], environment: Environment) -> str:
    """The run as a JUnit XML document.

    Args:
        verdicts: the judged lessons.
        environment: where the run was made; its date is each suite's timestamp.

    Returns:
        XML with one `testsuite` a lesson: cases for its execution, budget, page and baseline, for every verified
        formula and every metric. Metrics that are not compared are `skipped`.
    """
    root = ET.Element("testsuites", name="sofim-lab")
    for verdict in verdicts:
        root.append(_suite(verdict, environment))
    for key in ("tests", "failures", "skipped"):
        root.set(key, str(sum(int(suite.get(key, "0")) for suite in root)))
    root.set("errors", "0")
    root.set("time", f"{sum(j.run.outcome.seconds for j in verdicts):.3f}")
    ET.indent(root)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ET.tostring(root, encoding="unicode") + "\n"


def _suite(verdict: Verdict, environment: Environment) -> ET.Element:
    """One lesson."""
    lesson, comparison = verdict.run, verdict.comparison
    outcome = lesson.outcome
    suite = ET.Element("testsuite", name=outcome.lesson, timestamp=environment.date)
    case = _case(suite, outcome.lesson, "execution", seconds=outcome.seconds)
    if outcome.status != "passed":
        details = outcome.failure.traceback if outcome.failure else ""
        _fail(case, str(outcome.failure or outcome.status), outcome.status, details)
    for formula in outcome.verifications:
        case = _case(suite, outcome.lesson, f"formula {formula.id}")
        if not formula.passed:
            _fail(case, f"residual {formula.residual:.3g} > tolerance {formula.tolerance:.3g}", "formula", formula.what)
    for row in comparison.rows:
        case = _case(suite, outcome.lesson, f"metric {row.name}")
        if not row.passed:
            _fail(case, str(row), row.status)
        elif row.status == "not compared":
            ET.SubElement(case, "skipped", message=_clean(row.note or "not compared"))
    case = _case(suite, outcome.lesson, "baseline")
    if comparison.error:
        _fail(case, comparison.error, "baseline")
    elif comparison.warning:
        ET.SubElement(case, "skipped", message=_clean(comparison.warning))
    case = _case(suite, outcome.lesson, "page")
    if lesson.problems:
        _fail(case, "; ".join(lesson.problems), "page")
    case = _case(suite, outcome.lesson, "budget")
    if over := [text for text in verdict.failures if text.startswith("over its")]:
        _fail(case, "; ".join(over), "budget")
    suite.set("tests", str(len(suite)))
    suite.set("failures", str(len(suite.findall("testcase/failure"))))
    suite.set("skipped", str(len(suite.findall("testcase/skipped"))))
    suite.set("errors", "0")
    suite.set("time", f"{outcome.seconds:.3f}")
    return suite


def _case(suite: ET.Element, lesson: str, name: str, seconds: float = 0.0) -> ET.Element:
    """A test case of a suite."""
    return ET.SubElement(suite, "testcase", classname=f"lessons.{lesson}", name=_clean(name), time=f"{seconds:.3f}")


def _fail(case: ET.Element, message: str, kind: str, details: str = "") -> None:
    """Mark a case as failed."""
    failure = ET.SubElement(case, "failure", message=_clean(message), type=kind)
    failure.text = _clean(details or message)


def _clean(text: str) -> str:
    """Text that XML can hold."""
    return FORBIDDEN.sub("", without_colours(text))
