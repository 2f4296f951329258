"""What came out of one lesson's run: the plain data that the runner writes and baselines and report read.

Everything here converts to and from JSON, so that a run can be judged again later without executing anything.
"""

import dataclasses
import math
from pathlib import Path
from typing import Any, Literal

METRIC_MIME = "application/vnd.sofim-lab.metric+json"
VERIFY_MIME = "application/vnd.sofim-lab.verify+json"
CHECK_MIME = "application/vnd.sofim-lab.check+json"

Better = Literal["lower", "higher"]
Status = Literal["passed", "failed", "timeout", "interrupted"]


@dataclasses.dataclass(frozen=True)
class Metric:
    """One number that a notebook recorded with `metric(...)`.

    `better` says that only a change in the other direction is a regression; `compare=False` marks a number that
    is shown but depends on the machine (a time), so that no baseline holds it.
    """

    name: str
    value: float
    unit: str = ""
    better: Better | None = None
    compare: bool = True


@dataclasses.dataclass(frozen=True)
class Verification:
    """One formula that a notebook verified: the largest residual beside its tolerance."""

    id: str
    passed: bool
    residual: float
    tolerance: float
    what: str = ""


@dataclasses.dataclass(frozen=True)
class Check:
    """The last answer to one exercise: not attempted (`solved=None`), right or wrong."""

    id: str
    solved: bool | None
    message: str = ""


@dataclasses.dataclass(frozen=True)
class Failure:
    """Why a lesson did not end well, where: the cell's number (from 1), its id, the source line and its number."""

    kind: str
    message: str
    cell: int | None = None
    cell_id: str | None = None
    line: int | None = None
    source: str = ""
    traceback: str = ""

    def __str__(self) -> str:
        """`cell 7 (a1b2), line 3: assert x` and the message, as far as each is known."""
        where = "" if self.cell is None else f"cell {self.cell}"
        where += f" ({self.cell_id})" if self.cell_id else ""
        where += f", line {self.line}: {self.source.strip()}" if self.line is not None else ""
        return f"{where}\n{self.message}".strip()


@dataclasses.dataclass(frozen=True)
class Outcome:
    """Everything that is known about one executed lesson.

    `device` is the class that was really used (`cpu`, `cuda`, `mps`), `seconds` wall time, `peak_memory_mb` the
    largest resident memory seen of the kernel and its children, `notebook` the executed file, kept whatever happened.
    """

    lesson: str
    title: str
    status: Status
    device: str
    profile: str
    parameters: dict[str, Any]
    seconds: float
    notebook: Path
    peak_memory_mb: float | None = None
    default_parameters: bool = True
    failure: Failure | None = None
    metrics: tuple[Metric, ...] = ()
    verifications: tuple[Verification, ...] = ()
    checks: tuple[Check, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Plain types only; non-finite numbers become their names, as JSON has none. `typed` is the inverse."""
        return _encode(dataclasses.asdict(self))


def _encode(item: Any) -> Any:
    """JSON's types from ours."""
    if isinstance(item, dict):
        return {key: _encode(value) for key, value in item.items()}
    if isinstance(item, list | tuple):
        return [_encode(value) for value in item]
    if isinstance(item, float) and not math.isfinite(item):
        return repr(item)
    return str(item) if isinstance(item, Path) else item
