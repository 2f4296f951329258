"""The manifest `notebooks/lessons.yml`: which lessons there are, in which order, and what each may cost."""

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from sofim_lab.lessons.errors import LessonError, ManifestError, unknown

MANIFEST = "lessons.yml"
PROFILES = ("quick", "full")
DEVICE_CLASSES = ("cpu", "cuda", "mps")
CUDA_MB = 1200.0  # of a process's memory for CUDA's own libraries: 350 to 1,160 were measured in the lessons


@dataclasses.dataclass(frozen=True)
class Budget:
    """What a lesson may cost: wall time in seconds, resident memory of its kernel in MB."""

    seconds: float
    memory_mb: float


@dataclasses.dataclass(frozen=True)
class Lesson:
    """One entry of the manifest; `budgets` and the time-outs (seconds) are by profile."""

    id: str
    path: Path
    title: str
    question: str
    minutes: int
    objectives: tuple[str, ...]
    devices: tuple[str, ...]
    budgets: Mapping[str, Budget]
    cell_timeout: Mapping[str, float]
    lesson_timeout: Mapping[str, float]

    @property
    def names(self) -> tuple[str, ...]:
        """What the lesson answers to: id, number, slug, and the number without leading zeros."""
        number, _, slug = self.id.partition("_")
        return (self.id, number, slug, number.lstrip("0") or "0")

    def budget(self, profile: str, device: str) -> Budget:
        """What a run may cost; the manifest speaks of the CPU, and CUDA takes memory of its own."""
        budget = self.budgets[profile]
        return dataclasses.replace(budget, memory_mb=budget.memory_mb + CUDA_MB) if device == "cuda" else budget


@dataclasses.dataclass(frozen=True)
class Manifest:
    """The lessons of one folder, in their order."""

    folder: Path
    lessons: tuple[Lesson, ...]

    def __iter__(self) -> Iterator[Lesson]:
        return iter(self.lessons)

    def __len__(self) -> int:
        return len(self.lessons)

    def select(self, names: Sequence[str] = ()) -> tuple[Lesson, ...]:
        """The lessons called `names`, in the manifest's order; all of them where no name is given.

        Args:
            names: Ids (`05_sherman_morrison`), numbers (`05`, `5`) or slugs (`sherman_morrison`).

        Raises:
            LessonError: Nothing is called so; the message lists what there is.
        """
        chosen = set()
        for name in names:
            plain = name.removesuffix(".ipynb").replace("-", "_")
            found = [lesson.id for lesson in self if plain in lesson.names]
            if not found:
                raise LessonError(unknown("lesson", name, [lesson.id for lesson in self]))
            chosen.update(found)
        return tuple(lesson for lesson in self if not names or lesson.id in chosen)


def find_notebooks(start: Path | None = None) -> Path:
    """The folder with the lessons: the nearest `notebooks/lessons.yml` from `start` upward.

    Args:
        start: Where to look first; the working directory if `None`.

    Raises:
        LessonError: There is none up to the root.
    """
    start = Path.cwd() if start is None else Path(start).absolute()
    for folder in (start, *start.parents):
        for candidate in (folder / "notebooks", folder):
            if (candidate / MANIFEST).is_file():
                return candidate
    raise LessonError(
        f"no notebooks/{MANIFEST} in {start} or above it: run this inside a clone of the repository, "
        "or name the folder with --notebooks"
    )


def load_manifest(folder: Path) -> Manifest:
    """Read and check `lessons.yml`.

    Args:
        folder: The folder that holds the manifest and the notebooks it names.

    Returns:
        The lessons in order.

    Raises:
        ManifestError: Anything is missing, unknown, of the wrong type or named twice; the message says where.
    """
    file = Path(folder) / MANIFEST
    try:
        data = yaml.safe_load(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise ManifestError(
            f"cannot read {file}: {error.strerror}; name the lessons' folder with --notebooks"
        ) from None
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise ManifestError(f"{file} is not valid YAML: {error}") from None
    if not isinstance(data, dict) or set(data) != {"lessons"} or not isinstance(data["lessons"], list):
        raise ManifestError(f"{file} must hold one key, 'lessons', with a list of lessons")
    lessons = [_lesson(_Entry(file, position, item)) for position, item in enumerate(data["lessons"], 1)]
    seen: dict[str, int] = {}
    for position, lesson in enumerate(lessons, 1):
        if lesson.id in seen:
            raise ManifestError(
                f"{file}: entries {seen[lesson.id]} and {position} have the same id {lesson.id!r}: rename one"
            )
        seen[lesson.id] = position
    if not lessons:
        raise ManifestError(f"{file} lists no lessons: add an entry under 'lessons'")
    return Manifest(Path(folder), tuple(lessons))


class _Entry:
    """One raw entry, with errors that say where it stands."""

    def __init__(self, file: Path, position: int, data: Any) -> None:
        self.file, self.data = file, data
        name = data.get("id") if isinstance(data, dict) else None
        self.where = f"{file}, entry {position}" + (f" ({name})" if name else "")

    def error(self, problem: str) -> ManifestError:
        return ManifestError(f"{self.where}: {problem}")

    def fields(self, data: Any, names: Sequence[str], inside: str = "") -> dict[str, Any]:
        """`data` as a mapping with exactly these keys."""
        label = f"{inside!r}" if inside else "the entry"
        if not isinstance(data, dict):
            raise self.error(f"{label} must be a mapping with the keys {', '.join(names)}, got {data!r}")
        for key in data:
            if key not in names:
                raise self.error(f"{label} has an {unknown('key', str(key), names)}")
        if missing := [name for name in names if name not in data]:
            raise self.error(f"{label} lacks {', '.join(map(repr, missing))}: add it")
        return data

    def text(self, key: str) -> str:
        value = self.data[key]
        if not isinstance(value, str) or not value.strip():
            raise self.error(f"{key!r} must be a text, got {value!r}; put it in quotes")
        return value

    def texts(self, key: str) -> tuple[str, ...]:
        value = self.data[key]
        if not isinstance(value, list) or not value or not all(isinstance(item, str) for item in value):
            raise self.error(f"{key!r} must be a list of texts, got {value!r}")
        return tuple(value)

    def number(self, value: Any, label: str) -> float:
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < 1e300:
            raise self.error(f"{label!r} must be a number > 0, got {value!r}")
        return value

    def by_profile(self, key: str) -> dict[str, float]:
        data = self.fields(self.data[key], PROFILES, key)
        return {profile: float(self.number(data[profile], f"{key}.{profile}")) for profile in PROFILES}


def _lesson(entry: _Entry) -> Lesson:
    """A checked lesson from its raw entry."""
    entry.fields(entry.data, [field.name for field in dataclasses.fields(Lesson) if field.name != "path"])
    lesson_id = entry.text("id")
    number, _, slug = lesson_id.partition("_")
    if not (number.isdecimal() and slug.isidentifier()):
        raise entry.error(f"'id' must look like 05_sherman_morrison (number, underscore, words), got {lesson_id!r}")
    path = entry.file.parent / f"{lesson_id}.ipynb"
    if not path.is_file():
        raise entry.error(f"there is no notebook {path.name} beside {MANIFEST}: add it, or correct the id")
    minutes = entry.number(entry.data["minutes"], "minutes")
    if not isinstance(minutes, int):
        raise entry.error(f"'minutes' must be whole, got {minutes!r}")
    devices = entry.texts("devices")
    for device in devices:
        if device not in DEVICE_CLASSES:
            raise entry.error(unknown("device", device, DEVICE_CLASSES))
    budgets = {}
    for profile, limits in entry.fields(entry.data["budgets"], PROFILES, "budgets").items():
        label = f"budgets.{profile}"
        limits = entry.fields(limits, ["seconds", "memory_mb"], label)
        budgets[profile] = Budget(**{key: float(entry.number(limits[key], f"{label}.{key}")) for key in limits})
    return Lesson(
        id=lesson_id,
        path=path,
        title=entry.text("title"),
        question=entry.text("question"),
        minutes=minutes,
        objectives=entry.texts("objectives"),
        devices=devices,
        budgets=budgets,
        cell_timeout=entry.by_profile("cell_timeout"),
        lesson_timeout=entry.by_profile("lesson_timeout"),
    )
