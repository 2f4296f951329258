"""Measuring baselines: from several runs of a lesson, the value of each metric and how far it may move.

`sofim-lab run --update-baselines` runs a lesson with its defaults, which gives each metric's value, and then again
over seeds and thread counts, which shows how much of that value is chance. See `tolerance` for the rule.
"""

import dataclasses
import math
from collections.abc import Sequence
from pathlib import Path

from sofim_lab.files import write_atomically
from sofim_lab.lessons.errors import LessonError
from sofim_lab.lessons.judging.baselines import Baseline, Expected, Section, baseline_path, load_baseline
from sofim_lab.lessons.outcome import Metric, Outcome

SAFETY = 3.0
FLOAT_NOISE = 1e-5
RESIDUAL = 1e-6
RESIDUAL_FACTOR = 10.0
RESIDUAL_FLOOR = 1e-12


class UpdateError(LessonError):
    """The runs do not make a baseline; the text says which run, and why."""


@dataclasses.dataclass(frozen=True)
class Change:
    """What an update did to one metric; `old` is None for a new one, `new` None for one that is gone."""

    lesson: str
    name: str
    old: Expected | None
    new: Expected | None

    def __str__(self) -> str:
        """`lesson metric: old -> new`, each as value ± what is allowed."""
        texts = ["none" if item is None else f"{item.value:.6g} ± {item.allowed:.2g}" for item in (self.old, self.new)]
        return f"{self.lesson} {self.name}: {texts[0]} -> {texts[1]}"


def tolerance(value: float, others: Sequence[float], better: str | None = None) -> tuple[float, float]:
    """How far a metric may be from `value`, given what the same lesson gave with other seeds and thread counts.

    allowed = atol + rtol·|value| with

        rtol = 1e-5,
        atol = 3 · max_i |other_i − value|,
        and for residuals (all |numbers| < 1e-6, not `better="higher"`): atol ≥ 10 · max |numbers| + 1e-12.

    Why. Another processor rounds differently (vector width, order of a sum, threads). In a computation that does not
    amplify this, float32 sums agree to about 1e-5 relative, which is `rtol`; in training, the difference grows until,
    at worst, the run is one more draw from the distribution that other seeds give. So the spread over seeds bounds
    what another processor can do, and 3 × the largest of the few deviations seen makes a false alarm rare: with three
    seeds that is 4.6 standard deviations on average, and even a wholly new draw leaves it once in twenty times, while
    the same seed on another processor is usually far closer than that. What exceeds it is more than a change of seed
    ever did: a real regression. A metric that depends on neither seed nor threads, such as a count or a closed form,
    shows no deviation and is held to 1e-5. A residual is rounding noise itself: its size means something, its digits
    do not. It may grow tenfold; a formula that has become wrong or unstable misses that by orders of magnitude.

    Args:
        value: the metric in the run with defaults.
        others: the metric in the other runs; may be empty.
        better: as the notebook recorded it.

    Returns:
        `(rtol, atol)`.

    Example:
        >>> tolerance(0.5, [0.5, 0.48, 0.53])
        (1e-05, 0.09)
        >>> tolerance(144.0, [144.0, 144.0])
        (1e-05, 0.0)
    """
    atol = SAFETY * max((abs(other - value) for other in others), default=0.0)
    largest = max(abs(number) for number in (value, *others))
    if largest < RESIDUAL and better != "higher":
        atol = max(atol, RESIDUAL_FACTOR * largest + RESIDUAL_FLOOR)
    return FLOAT_NOISE, float(f"{atol:.2g}")


def measure(runs: Sequence[Outcome]) -> Section:
    """Expected metrics from several runs of one lesson on one device and profile; the first gives the values.

    Args:
        runs: the run with defaults first, then those with other seeds and thread counts.

    Returns:
        A value with tolerances for each metric that is to be compared, by name.

    Raises:
        UpdateError: a run failed or verified a formula in vain, gave a non-finite metric, or other metrics than the
            first; nothing can be learnt from such a run about what is normal.
    """
    _require_sound(runs)
    first = {metric.name: metric for metric in _compared(runs[0])}
    tables = [{metric.name: metric.value for metric in _compared(run)} for run in runs]
    for run, table in zip(runs, tables, strict=True):
        if differing := sorted(table.keys() ^ first.keys()):
            raise UpdateError(f"{run.lesson}: metric {differing[0]!r} is not in every run ({_which(run)})")
        for name, value in table.items():
            if not math.isfinite(value):
                raise UpdateError(f"{run.lesson}: metric {name!r} is {value} ({_which(run)})")
    section = {}
    for name, metric in first.items():
        rtol, atol = tolerance(metric.value, [table[name] for table in tables[1:]], metric.better)
        section[name] = Expected(metric.value, rtol, atol, metric.better)
    return section


def update_baseline(runs: Sequence[Outcome], folder: Path) -> tuple[Change, ...]:
    """Write what `measure(runs)` says into `notebooks/baselines`; sections of other devices and profiles stay.

    Args:
        runs: runs of one lesson on one device and profile, the one with defaults first.
        folder: `notebooks/baselines`.

    Returns:
        What has changed, metric by metric; nothing for a metric that stayed as it was.

    Raises:
        UpdateError: see `measure`; the old file stays.
        BaselineError: the old file is corrupt. It may hold what other devices measured, so it is not overwritten.
        OSError: the file cannot be written; the old one stays.
    """
    section = measure(runs)
    run = runs[0]
    path = baseline_path(folder, run.lesson)
    baseline = load_baseline(path) or Baseline(run.lesson, {})
    old = baseline.section(run.device, run.profile) or {}
    write_atomically(path, baseline.with_section(run.device, run.profile, section).to_text())
    names = [*section, *sorted(old.keys() - section.keys())]
    changes = (Change(run.lesson, name, old.get(name), section.get(name)) for name in names)
    return tuple(change for change in changes if change.old != change.new)


def _require_sound(runs: Sequence[Outcome]) -> None:
    """Refuse runs that do not belong together or went wrong."""
    if not runs:
        raise UpdateError("no run to take a baseline from")
    if not runs[0].default_parameters:
        raise UpdateError(f"{runs[0].lesson}: the first run must have the default parameters ({_which(runs[0])})")
    kind = (runs[0].lesson, runs[0].device, runs[0].profile)
    for run in runs:
        if (run.lesson, run.device, run.profile) != kind:
            raise UpdateError(f"runs of different kinds: {kind} and {(run.lesson, run.device, run.profile)}")
        broken = [formula.id for formula in run.verifications if not formula.passed]
        if run.status != "passed" or broken:
            why = run.failure or (f"formula {broken[0]} does not hold" if broken else run.status)
            raise UpdateError(f"{run.lesson} did not pass, its baseline stays ({_which(run)}): {why}")


def _compared(run: Outcome) -> list[Metric]:
    """The metrics that a baseline holds."""
    return [metric for metric in run.metrics if metric.compare]


def _which(run: Outcome) -> str:
    """The run's parameters, to tell it from the others."""
    return ", ".join(f"{name}={value!r}" for name, value in run.parameters.items()) or "default parameters"
