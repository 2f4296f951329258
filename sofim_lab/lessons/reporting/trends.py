"""The trend page: every metric over the runs of a history, in the band that its baseline allows."""

import dataclasses
from collections.abc import Iterator, Sequence
from pathlib import Path

from sofim_lab.files import write_atomically
from sofim_lab.lessons.judging.baselines import BaselineError, Expected, Section, baseline_path, load_baseline
from sofim_lab.lessons.reporting.history import Entry, by_kind, read_history
from sofim_lab.lessons.reporting.index_page import STATIC, jinja

PAGE = "trends.html"
RUNS = 60  # the last ones of each kind are drawn
WIDTH, HEIGHT, EDGE = 320.0, 80.0, 6.0


@dataclasses.dataclass(frozen=True)
class Trend:
    """One quantity over runs, oldest first.

    Attributes:
        name: What it is.
        dates: When each run was.
        values: What each gave; None where it is missing or not finite.
        band: Lowest and highest value that are allowed, either may be None.
    """

    name: str
    dates: tuple[str, ...]
    values: tuple[float | None, ...]
    band: tuple[float | None, float | None] = (None, None)

    @property
    def inside(self) -> tuple[bool, ...]:
        """Whether each value is within the band; a missing one is not."""
        low, high = self.band
        return tuple(
            value is not None and (low is None or value >= low) and (high is None or value <= high)
            for value in self.values
        )

    @property
    def words(self) -> str:
        """The picture in words, for who does not see it."""
        known = [value for value in self.values if value is not None]
        if not known:
            return f"{self.name}: no value in {len(self.values)} runs."
        outside = self.inside.count(False)
        last = f"last {known[-1]:.6g}, lowest {min(known):.6g}, highest {max(known):.6g}"
        return f"{self.name} over {len(self.values)} runs: {last}; allowed {self.limit}; {outside} outside."

    @property
    def limit(self) -> str:
        """What is allowed, for a table."""
        low, high = (None if edge is None else f"{edge:.6g}" for edge in self.band)
        if low is None:
            return "–" if high is None else f"up to {high}"
        return f"{low} to {high}" if high is not None else f"from {low}"

    @property
    def strip(self) -> tuple[float, float]:
        """Top and height of the band in the picture."""
        low, high = self.band
        top = 0.0 if high is None else self.height(high)
        bottom = HEIGHT if low is None else self.height(low)
        return top, max(bottom - top, 1.0)

    @property
    def points(self) -> list[tuple[float, float, bool, str]]:
        """Place in the picture of each known value, whether it is inside, and what to say of it."""
        step = (WIDTH - 2 * EDGE) / max(len(self.values) - 1, 1)
        return [
            (EDGE + number * step, self.height(value), inside, f"{date}: {value:.6g}")
            for number, (value, inside, date) in enumerate(zip(self.values, self.inside, self.dates, strict=True))
            if value is not None
        ]

    def height(self, value: float) -> float:
        """Where a value stands, from the top; everything known and the band fit in."""
        numbers = [number for number in (*self.values, *self.band) if number is not None]
        low, high = min(numbers), max(numbers)
        share = (value - low) / (high - low) if high > low else 0.5
        return HEIGHT - EDGE - share * (HEIGHT - 2 * EDGE)


def write_trends(history: Path, folder: Path, baselines: Path) -> str:
    """Write the trend page of a history.

    Args:
        history: A `history.jsonl`.
        folder: The report's folder.
        baselines: The folder `notebooks/baselines`, for the bands.

    Returns:
        The page's name in the folder.

    Raises:
        OSError: The history cannot be read or the page not be written.
    """
    entries, unreadable = read_history(history)
    groups = [
        (kind, list(_trends(found[-RUNS:], _section(kind, baselines))))
        for kind, found in sorted(by_kind(entries).items())
    ]
    page = (
        jinja()
        .get_template("trends.html.j2")
        .render(
            groups=groups,
            unreadable=unreadable,
            runs=len({entry.date for entry in entries}),
            css=(STATIC / "report.css").read_text(encoding="utf-8"),
            width=WIDTH,
            height=HEIGHT,
        )
    )
    write_atomically(folder / PAGE, page)
    return PAGE


def _trends(entries: Sequence[Entry], section: Section) -> Iterator[Trend]:
    """Time and memory against their budgets, then every metric of the last run or of the baseline."""
    dates = tuple(entry.date for entry in entries)
    last = entries[-1]
    yield Trend("seconds", dates, tuple(entry.seconds for entry in entries), (None, last.budget_seconds))
    yield Trend("memory, MB", dates, tuple(entry.memory_mb for entry in entries), (None, last.budget_memory_mb))
    for name in dict.fromkeys([*last.metrics, *section]):
        held = section.get(name)
        yield Trend(name, dates, tuple(entry.metrics.get(name) for entry in entries), _band(held))


def _band(held: Expected | None) -> tuple[float | None, float | None]:
    """What a baseline allows; open on the side that it calls better."""
    if held is None:
        return None, None
    low = None if held.better == "lower" else held.value - held.allowed
    high = None if held.better == "higher" else held.value + held.allowed
    return low, high


def _section(kind: tuple[str, str, str], baselines: Path) -> Section:
    """What the baseline says of a lesson on a device and profile; nothing where there is none that can be read."""
    lesson, device, profile = kind
    try:
        baseline = load_baseline(baseline_path(baselines, lesson))
    except BaselineError:  # the report says so
        return {}
    return (baseline.section(device, profile) if baseline else None) or {}
