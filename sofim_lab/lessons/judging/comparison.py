"""A run's metrics beside their baseline: what agrees, what does not, and by how much."""

import dataclasses
import math
from pathlib import Path
from typing import Literal

from sofim_lab.lessons.judging.baselines import Baseline, BaselineError, Expected, baseline_path, load_baseline
from sofim_lab.lessons.outcome import Metric, Outcome

RowStatus = Literal["ok", "better", "out of tolerance", "missing", "new", "non-finite", "not compared"]
BAD = frozenset({"out of tolerance", "missing", "new", "non-finite"})


@dataclasses.dataclass(frozen=True)
class Row:
    """One metric: its value in the run, in the baseline, their difference, and how large that may be."""

    name: str
    status: RowStatus
    value: float | None = None
    baseline: float | None = None
    difference: float | None = None
    allowed: float | None = None
    unit: str = ""
    note: str = ""

    @property
    def passed(self) -> bool:
        """Whether nothing is wrong with this metric."""
        return self.status not in BAD

    def __str__(self) -> str:
        """One sentence, as a failure message needs it."""
        parts = [f"{self.name}: {self.status}"]
        if self.value is not None:
            parts.append(f"value {self.value:.6g}{' ' + self.unit if self.unit else ''}")
        if self.baseline is not None:
            parts.append(f"baseline {self.baseline:.6g}")
        if self.difference is not None and self.allowed is not None:
            parts.append(f"difference {self.difference:+.3g}, allowed {self.allowed:.3g}")
        return ", ".join(parts) + (f" ({self.note})" if self.note else "")


@dataclasses.dataclass(frozen=True)
class Comparison:
    """All metrics of one lesson judged. `error` says why nothing could be judged, `warning` why nothing had to be."""

    rows: tuple[Row, ...] = ()
    error: str = ""
    warning: str = ""

    @property
    def passed(self) -> bool:
        """Whether every metric agrees with its baseline, as far as there is anything to agree with."""
        return not self.error and all(row.passed for row in self.rows)


def compare(outcome: Outcome, baseline: Baseline | None) -> Comparison:
    """Judge the metrics of one run against a baseline.

    A metric agrees where |value − baseline| ≤ atol + rtol·|baseline|; further off it is `better` if it moved the way
    that its baseline calls better, else `out of tolerance`. A metric that only the run has is `new`, one that only the
    baseline has is `missing`: both fail, since either says that lesson and baseline no longer belong together.
    Metrics recorded with `compare=False` are shown and never judged.

    The lessons must be judged on a CPU, which everyone has: no baseline there is a failure. `cuda` and `mps` are held
    to the CPU's until they have one of their own; what is off then is a warning, because a maintainer without such a
    device cannot measure one, and a learner with one has done nothing wrong. As soon as a device has any section, a
    missing profile fails there too.

    Args:
        outcome: what the runner found.
        baseline: the lesson's baseline, None where there is no file.

    Returns:
        One row a metric. For a run with other than the default parameters every row is `not compared`.

    Example:
        >>> from sofim_lab.lessons.judging.baselines import Expected
        >>> run = Outcome("05", "", "passed", "cpu", "quick", {}, 1.0, Path("x"), metrics=(Metric("loss", 0.3),))
        >>> held = Baseline("05", {("cpu", "quick"): {"loss": Expected(0.2, rtol=0.0, atol=0.01)}})
        >>> print(compare(run, held).rows[0])
        loss: out of tolerance, value 0.3, baseline 0.2, difference +0.1, allowed 0.01
    """
    shown = Comparison(tuple(_row(metric, "not compared") for metric in outcome.metrics))
    if not outcome.default_parameters:
        return dataclasses.replace(shown, warning="not compared: the run had other than the default parameters")
    section = baseline.section(outcome.device, outcome.profile) if baseline else None
    if section is None:
        measured = baseline is not None and any(device == outcome.device for device, _ in baseline.sections)
        if outcome.device != "cpu" and not measured:
            return _beside_the_cpu(outcome, baseline, shown)
        if outcome.status != "passed" or not any(metric.compare for metric in outcome.metrics):
            return shown  # nothing that a baseline could hold
        profile = "" if outcome.profile == "quick" else f" --profile {outcome.profile}"
        command = f"sofim-lab run {outcome.lesson} --update-baselines{profile}"
        place = f"{outcome.device}, profile {outcome.profile}"
        return dataclasses.replace(shown, error=f"no baseline for {place}; measure one: `{command}`")
    return Comparison(tuple(_rows(outcome, section)))


def _beside_the_cpu(outcome: Outcome, baseline: Baseline | None, shown: Comparison) -> Comparison:
    """A run on a device without a baseline against the CPU's: rounding there does no more than another seed."""
    section = baseline.section("cpu", outcome.profile) if baseline else None
    if section is None:
        return dataclasses.replace(shown, warning=f"not compared: no baseline for {outcome.device} yet")
    rows = _rows(outcome, section)
    if off := [str(row) for row in rows if not row.passed]:
        words = f"no baseline for {outcome.device} yet, and off the CPU's: {'; '.join(off)}"
        return dataclasses.replace(shown, warning=words)
    return Comparison(tuple(rows))


def compare_with_file(outcome: Outcome, folder: Path) -> Comparison:
    """`compare` with the file in `notebooks/baselines`; a corrupt file is this lesson's error, not everyone's."""
    try:
        return compare(outcome, load_baseline(baseline_path(folder, outcome.lesson)))
    except BaselineError as error:
        rows = tuple(_row(metric, "not compared") for metric in outcome.metrics)
        return Comparison(rows, error=str(error))


def _rows(outcome: Outcome, section: dict[str, Expected]) -> list[Row]:
    """The run's metrics in their order, then what the run lacks."""
    rows = [_judge(metric, section.get(metric.name)) for metric in outcome.metrics]
    for name in sorted(section.keys() - {metric.name for metric in outcome.metrics}):
        expected = section[name]
        finished = outcome.status == "passed"
        rows.append(
            Row(
                name,
                "missing" if finished else "not compared",
                baseline=expected.value,
                allowed=expected.allowed,
                note="not recorded by this run" if finished else "not reached",
            )
        )
    return rows


def _judge(metric: Metric, expected: Expected | None) -> Row:
    """One metric beside its baseline, if it has one."""
    if not metric.compare:
        if expected is None:
            return _row(metric, "not compared")
        return _row(metric, "missing", expected, note="recorded with compare=False, but its baseline expects it")
    if not math.isfinite(metric.value):
        return _row(metric, "non-finite", expected)
    if expected is None:
        return _row(metric, "new", note="not in the baseline")
    difference = metric.value - expected.value
    if abs(difference) <= expected.allowed:
        return _row(metric, "ok", expected)
    improved = {"lower": difference < 0, "higher": difference > 0, None: False}[expected.better]
    return _row(metric, "better" if improved else "out of tolerance", expected)


def _row(metric: Metric, status: RowStatus, expected: Expected | None = None, note: str = "") -> Row:
    """A row for a metric that the run recorded."""
    row = Row(metric.name, status, value=metric.value, unit=metric.unit, note=note)
    if expected is None:
        return row
    return dataclasses.replace(
        row, baseline=expected.value, difference=metric.value - expected.value, allowed=expected.allowed
    )
