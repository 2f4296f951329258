"""Baselines: the numbers a lesson gave when a maintainer last looked, and how far they may move.

One file a lesson, `notebooks/baselines/<lesson>.json`, written only by `sofim-lab run --update-baselines`:

    {"schema": 1, "lesson": "05_sherman_morrison",
     "devices": {"cpu": {"quick": {"residual": {"value": 1e-7, "rtol": 1e-5, "atol": 9e-7, "better": "lower"}}}}}

A metric agrees where |value − baseline| ≤ atol + rtol·|baseline|. Further away it is still no regression if it moved
in the direction that `better` names.
"""

import dataclasses
import json
import math
from pathlib import Path
from typing import Any, get_args

from sofim_lab.lessons.errors import LessonError
from sofim_lab.lessons.manifest import DEVICE_CLASSES, PROFILES
from sofim_lab.lessons.outcome import Better

SCHEMA = 1


class BaselineError(LessonError):
    """A baseline file that cannot be trusted; the text names the file, the place in it and the remedy."""


@dataclasses.dataclass(frozen=True)
class Expected:
    """One metric's baseline: a value and how far a run may be from it."""

    value: float
    rtol: float
    atol: float
    better: Better | None = None

    @property
    def allowed(self) -> float:
        """Largest distance from the value that still agrees: atol + rtol·|value|."""
        return self.atol + self.rtol * abs(self.value)


Section = dict[str, Expected]


@dataclasses.dataclass(frozen=True)
class Baseline:
    """All that is known of one lesson: a section of expected metrics for each device class and profile."""

    lesson: str
    sections: dict[tuple[str, str], Section]

    def section(self, device: str, profile: str) -> Section | None:
        """Expected metrics of one device class and profile; None where none were ever measured."""
        return self.sections.get((device, profile))

    def with_section(self, device: str, profile: str, section: Section) -> "Baseline":
        """A copy in which one section is replaced."""
        return dataclasses.replace(self, sections={**self.sections, (device, profile): section})

    def to_text(self) -> str:
        """The file's contents: keys sorted, one number a line, a line end at the end, so that diffs are readable."""
        devices: dict[str, dict[str, Any]] = {}
        for (device, profile), section in self.sections.items():
            devices.setdefault(device, {})[profile] = {name: _to_json(item) for name, item in section.items()}
        data = {"schema": SCHEMA, "lesson": self.lesson, "devices": devices}
        return json.dumps(data, indent=2, sort_keys=True, ensure_ascii=False, allow_nan=False) + "\n"


def baseline_path(folder: Path, lesson: str) -> Path:
    """Where the baseline of a lesson lies, `folder` being `notebooks/baselines`."""
    return folder / f"{lesson}.json"


def load_baseline(path: Path) -> Baseline | None:
    """Read and check one baseline file.

    Args:
        path: `notebooks/baselines/<lesson>.json`.

    Returns:
        The baseline, or None if there is no such file.

    Raises:
        BaselineError: the file is not readable, no JSON, of another schema, or holds anything but the numbers it
            should: a negative or non-finite tolerance, a boolean, a key that nobody knows.
    """
    try:
        data = json.loads(path.read_text(encoding="utf-8"), parse_constant=_refuse, object_pairs_hook=_unique)
    except FileNotFoundError:
        return None
    except (OSError, ValueError, RecursionError) as error:  # ValueError: no JSON, or no UTF-8
        raise BaselineError(f"{path}: not readable as JSON ({error}). {_remedy(path)}") from None
    try:
        return _parse(data, path.stem)
    except _Nonsense as error:
        raise BaselineError(f"{path}: {error}. {_remedy(path)}") from None


def _remedy(path: Path) -> str:
    """What to do about a file that cannot be trusted."""
    command = f"sofim-lab run {path.stem} --update-baselines"
    return f"Restore it from version control, or delete it and measure anew: `{command}`."


class _Nonsense(Exception):
    """What is wrong, and where in the file."""


def _refuse(constant: str) -> float:
    """JSON has no NaN and no Infinity; Python's reader would take them."""
    raise ValueError(f"{constant} is no JSON number")


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object whose keys are all different; Python's reader would keep the last of two."""
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        raise ValueError(f"the key {next(n for n in names if names.count(n) > 1)!r} occurs twice")
    return found


def _parse(data: Any, lesson: str) -> Baseline:
    """Baseline from the file's plain data."""
    _object(data, "the file", required={"schema", "lesson", "devices"})
    if type(data["schema"]) is not int or data["schema"] != SCHEMA:
        raise _Nonsense(f"schema is {data['schema']!r}, this version of sofim_lab reads {SCHEMA}")
    if data["lesson"] != lesson:
        raise _Nonsense(f"lesson is {data['lesson']!r}, the file's name says {lesson!r}")
    sections = {}
    for device, profiles in _object(data["devices"], "devices", allowed=set(DEVICE_CLASSES)).items():
        for profile, metrics in _object(profiles, f"devices.{device}", allowed=set(PROFILES)).items():
            place = f"devices.{device}.{profile}"
            metrics = _object(metrics, place)
            sections[device, profile] = {name: _expected(m, f"{place}.{name}") for name, m in metrics.items()}
    return Baseline(lesson, sections)


def _object(
    data: Any, place: str, *, allowed: set[str] | None = None, required: set[str] | None = None
) -> dict[str, Any]:
    """The data, if it is an object with the right keys."""
    if not isinstance(data, dict):
        raise _Nonsense(f"{place} should be an object, it is {data!r:.40}")
    if missing := sorted((required or set()) - data.keys()):
        raise _Nonsense(f"{place} lacks {', '.join(map(repr, missing))}")
    known = (allowed or set()) | (required or set())
    if known and (unknown := sorted(data.keys() - known)):
        raise _Nonsense(f"{place} has {unknown[0]!r}, known are {', '.join(sorted(known))}")
    return data


def _expected(data: Any, place: str) -> Expected:
    """One metric's expected value from plain data."""
    _object(data, place, required={"value", "rtol", "atol"}, allowed={"better"})
    better = data.get("better")
    if better is not None and better not in get_args(Better):
        raise _Nonsense(f"{place}.better is {better!r}, it can be 'lower' or 'higher'")
    numbers = {key: _number(data[key], f"{place}.{key}") for key in ("value", "rtol", "atol")}
    for key in ("rtol", "atol"):
        if numbers[key] < 0:
            raise _Nonsense(f"{place}.{key} is {numbers[key]:g}, a tolerance cannot be negative")
    return Expected(**numbers, better=better)


def _number(data: Any, place: str) -> float:
    """A finite number; True is none, although Python thinks so."""
    if isinstance(data, bool) or not isinstance(data, int | float):
        raise _Nonsense(f"{place} should be a number, it is {data!r:.40}")
    try:
        number = float(data)
    except OverflowError:
        number = math.inf
    if not math.isfinite(number):
        raise _Nonsense(f"{place} is not finite")
    return number


def _to_json(item: Expected) -> dict[str, Any]:
    """One metric as it stands in the file; `better` only where there is one."""
    return {key: value for key, value in dataclasses.asdict(item).items() if value is not None}
