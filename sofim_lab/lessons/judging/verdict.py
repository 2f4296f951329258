"""The verdict on one lesson: did it run, did its formulas hold, do its metrics agree, did it cost what it may?"""

import dataclasses
from pathlib import Path

from sofim_lab.lessons.judging.comparison import Comparison, compare_with_file
from sofim_lab.lessons.reporting.runfile import LessonRun

FAR_BEYOND = {"time": 2.0, "memory": 2.0}  # times the budget


@dataclasses.dataclass(frozen=True)
class Verdict:
    """A lesson's run with what is wrong (`failures`) and what is worth a look (`warnings`), in sentences."""

    run: LessonRun
    comparison: Comparison
    failures: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()

    @property
    def passed(self) -> bool:
        """Whether nothing is wrong."""
        return not self.failures

    @property
    def word(self) -> str:
        """The verdict in a word or two, for tables: why it failed, not only that."""
        outcome = self.run.outcome
        if outcome.status != "passed":
            return outcome.status
        if self.passed:
            return "passed, warnings" if self.warnings else "passed"
        if self.comparison.passed:
            return "failed"
        if any(not row.passed for row in self.comparison.rows):
            return "metrics differ"
        return "no baseline" if self.comparison.error.startswith("no baseline") else "bad baseline"


def judge_lesson(run: LessonRun, baselines: Path) -> Verdict:
    """Judge one lesson of a run.

    It passes if it ran to its end, every formula held, every metric agrees with its baseline, its page shows
    everything, and it stayed below twice its budget. Between one and two times the budget is a warning: another
    machine may well be slower, but not that much, unless something has gone wrong.

    Args:
        run: one lesson of a run.
        baselines: the folder `notebooks/baselines`.

    Returns:
        The verdict with its reasons.
    """
    outcome, comparison = run.outcome, compare_with_file(run.outcome, baselines)
    failures, warnings = [], []
    if outcome.status != "passed":
        failures.append(str(outcome.failure) if outcome.failure else outcome.status)
    for formula in outcome.verifications:
        if not formula.passed and outcome.status == "passed":  # else the failure above names it
            numbers = f"residual {formula.residual:.3g}, tolerance {formula.tolerance:.3g}"
            failures.append(f"formula {formula.id} does not hold: {numbers}")
    if comparison.error:
        failures.append(comparison.error)
    failures += [f"metric {row}" for row in comparison.rows if not row.passed]
    if comparison.warning:
        warnings.append(comparison.warning)
    spent = [
        ("time", outcome.seconds, run.budget.seconds, "s"),
        ("memory", outcome.peak_memory_mb, run.budget.memory_mb, "MB"),
    ]
    for what, used, budget, unit in spent:
        if used is None or used <= budget:
            continue
        text = f"over its {what} budget: {used:.0f} {unit} of {budget:g} {unit}"
        (failures if used > FAR_BEYOND[what] * budget else warnings).append(text)
    failures += [f"page: {problem}" for problem in run.problems]
    return Verdict(run, comparison, tuple(failures), tuple(warnings))


def share(used: float | None, budget: float) -> str:
    """What was spent of a budget, for tables: `12 of 60`, or `– of 60` where nobody measured."""
    text = "–" if used is None else f"{used:.1f}" if used < 10 else f"{used:.0f}"
    return f"{text} of {budget:g}"
