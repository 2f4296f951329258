"""Two runs beside each other, metric by metric: CPU and GPU, yesterday and today, old and new torch."""

import dataclasses
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

from sofim_lab.lessons.judging.baselines import BaselineError, Expected, baseline_path, load_baseline
from sofim_lab.lessons.judging.measuring import FLOAT_NOISE
from sofim_lab.lessons.outcome import Metric, Outcome
from sofim_lab.lessons.reporting.runfile import Run

Agreement = Literal["agree", "differ", "only in A", "only in B", "non-finite", "not compared"]


@dataclasses.dataclass(frozen=True)
class Pair:
    """One metric in both runs, or (without a name) a whole lesson that cannot be compared; `note` says why."""

    lesson: str
    verdict: Agreement
    name: str = ""
    a: float | None = None
    b: float | None = None
    difference: float | None = None
    allowed: float | None = None
    unit: str = ""
    note: str = ""

    @property
    def passed(self) -> bool:
        """Whether nothing is wrong with it."""
        return self.verdict == "agree" or (self.verdict == "not compared" and bool(self.name))


def compare_runs(a: Run, b: Run, baselines: Path) -> tuple[Pair, ...]:
    """Every metric of two runs beside the other's.

    Two values agree where |b − a| ≤ allowed. What is allowed is the tolerance of the lesson's baseline, the larger one
    where the runs used different devices: it was measured as the spread over seeds and thread counts, and rounding on
    another device does no more than another seed. A metric without a baseline is held to the noise of float32.

    Args:
        a: One run.
        b: The other.
        baselines: The folder `notebooks/baselines`.

    Returns:
        The metrics of A in its order, what only B has after those of the same lesson, then lessons that only B has.
        A lesson that did not pass in both, or ran with another profile or other parameters, is one entry, which fails.
    """
    ours, theirs = ({run.outcome.lesson: run.outcome for run in side.lessons} for side in (a, b))
    pairs: list[Pair] = []
    for lesson in [*ours, *(lesson for lesson in theirs if lesson not in ours)]:
        pairs += _lesson(lesson, ours.get(lesson), theirs.get(lesson), baselines)
    return tuple(pairs)


def _lesson(lesson: str, a: Outcome | None, b: Outcome | None, baselines: Path) -> Iterator[Pair]:
    """One lesson's metrics, or why there is nothing to compare."""
    if a is None or b is None:
        yield Pair(lesson, "only in A" if b is None else "only in B", note="the lesson is missing in the other run")
        return
    if why := _unlike(a, b):
        yield Pair(lesson, "not compared", note=why)
        return
    held, note = _tolerances(lesson, a, b, baselines)
    others = {metric.name: metric for metric in b.metrics}
    for metric in a.metrics:
        yield _pair(lesson, metric, others.pop(metric.name, None), held.get(metric.name, []), note)
    for metric in others.values():
        yield Pair(lesson, "only in B", metric.name, b=metric.value, unit=metric.unit)


def _unlike(a: Outcome, b: Outcome) -> str:
    """Why two runs of a lesson say nothing about each other; empty where they do."""
    for side, run in (("A", a), ("B", b)):
        if run.status != "passed":
            return f"did not pass in {side}: {run.status}"
    if a.profile != b.profile:
        return f"profile {a.profile} in A, {b.profile} in B"
    for name in sorted(a.parameters.keys() | b.parameters.keys()):
        one, other = (run.parameters.get(name, "absent") for run in (a, b))
        if name != "DEVICE" and one != other:
            return f"{name}={one!r} in A, {other!r} in B"
    return ""


def _tolerances(lesson: str, a: Outcome, b: Outcome, baselines: Path) -> tuple[dict[str, list[Expected]], str]:
    """What the baseline expects of each metric on either device, and why nothing is known where nothing is."""
    try:
        baseline = load_baseline(baseline_path(baselines, lesson))
    except BaselineError:
        return {}, "its baseline cannot be read, so only float32 noise is allowed"
    held: dict[str, list[Expected]] = {}
    for device in {a.device, b.device}:
        section = baseline.section(device, a.profile) if baseline else None
        for name, expected in (section or {}).items():
            held.setdefault(name, []).append(expected)
    return held, "no baseline, so only float32 noise is allowed"


def _pair(lesson: str, a: Metric, b: Metric | None, held: list[Expected], note: str) -> Pair:
    """One metric that A recorded."""
    if b is None:
        return Pair(lesson, "only in A", a.name, a=a.value, unit=a.unit)
    difference = b.value - a.value
    pair = Pair(lesson, "not compared", a.name, a.value, b.value, difference, unit=a.unit)
    if not (a.compare and b.compare):
        return pair
    if not (math.isfinite(a.value) and math.isfinite(b.value)):
        return dataclasses.replace(pair, verdict="non-finite", difference=None)
    scale = max(abs(a.value), abs(b.value))
    allowed = max((expected.atol + expected.rtol * scale for expected in held), default=FLOAT_NOISE * scale)
    verdict: Agreement = "agree" if abs(difference) <= allowed else "differ"
    return dataclasses.replace(pair, verdict=verdict, allowed=allowed, note="" if held else note)
