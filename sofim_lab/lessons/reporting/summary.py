"""A run as Markdown, for a CI job's summary page or a pull request."""

from collections.abc import Sequence

from sofim_lab.lessons.judging.verdict import Verdict, share
from sofim_lab.lessons.reporting.environment import Environment


def summary_markdown(verdicts: Sequence[Verdict], environment: Environment, *, interrupted: bool = False) -> str:
    """The run in GitHub-flavoured Markdown: a verdict, a table of lessons, and what failed.

    Args:
        verdicts: the judged lessons.
        environment: where the run was made.
        interrupted: whether the run was stopped before its end.

    Returns:
        Markdown that ends with a line end.
    """
    lines = [
        f"## Lessons: {headline(verdicts, interrupted=interrupted)}",
        "",
        "| Lesson | Status | Seconds | Memory, MB | Formulas | Metrics | Device |",
        "|---|---|---:|---:|---:|---:|---|",
    ]
    for verdict in verdicts:
        outcome, budget = verdict.run.outcome, verdict.run.budget
        formulas = f"{sum(f.passed for f in outcome.verifications)} of {len(outcome.verifications)}"
        rows = verdict.comparison.rows
        compared = [row for row in rows if row.status != "not compared"]
        mark = "✅" if verdict.passed else "❌"
        seconds, memory = share(outcome.seconds, budget.seconds), share(outcome.peak_memory_mb, budget.memory_mb)
        metrics = f"{sum(row.passed for row in compared)} of {len(compared)}"
        device = f"{outcome.device}, {outcome.profile}"
        cells = [outcome.lesson, f"{mark} {verdict.word}", seconds, memory, formulas, metrics, device]
        lines.append(f"| {' | '.join(map(_cell, cells))} |")
    for verdict in verdicts:
        if verdict.failures or verdict.warnings:
            lines += ["", f"**{_cell(verdict.run.outcome.lesson)}**", ""]
            lines += [f"- {_cell(text)}" for text in verdict.failures]
            lines += [f"- warning: {_cell(text)}" for text in verdict.warnings]
    versions = ", ".join(f"{name} {version}" for name, version in environment.packages.items())
    commit = f" · commit {environment.commit}" if environment.commit else ""
    lines += ["", f"<sub>{environment.date} · Python {environment.python} · {_cell(versions)}{commit}</sub>", ""]
    return "\n".join(lines)


def headline(verdicts: Sequence[Verdict], *, interrupted: bool = False) -> str:
    """The whole run in a phrase: `all 2 passed`, `1 of 2 failed`, `interrupted, 1 of 2 passed`."""
    failed, total = sum(not verdict.passed for verdict in verdicts), len(verdicts)
    if interrupted:
        return f"interrupted, {total - failed} of {total} passed"
    if not total:
        return "none was run"
    return f"{failed} of {total} failed" if failed else f"all {total} passed"


def _cell(text: str) -> str:
    """Text that neither breaks a table nor becomes markup."""
    text = " ".join(text.split()).replace("\\", "\\\\").replace("&", "&amp;").replace("<", "&lt;")
    for sign in "|`*_[]":
        text = text.replace(sign, "\\" + sign)
    return text
