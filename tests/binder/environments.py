"""What each file says about a dependency: pyproject.toml, constraints.txt and the two conda files, one form for all."""

import re
import tomllib
from pathlib import Path

import yaml
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).resolve().parents[2]

# conda-forge's names where they are not PyPI's. Some of its packages have a smaller twin without heavy extras.
CONDA_NAMES = {
    "torch": {"pytorch", "pytorch-cpu"},
    "matplotlib": {"matplotlib", "matplotlib-base"},
    "seaborn": {"seaborn", "seaborn-base"},
    "nbconvert": {"nbconvert", "nbconvert-core"},
}
PYPI_NAMES = {conda: pypi for pypi, twins in CONDA_NAMES.items() for conda in twins}

Ranges = dict[str, SpecifierSet]


def read_pyproject(*extras: str) -> Ranges:
    """The ranges of the library's dependencies and of those extras, by PyPI name."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    lines = project["dependencies"] + [line for extra in extras for line in project["optional-dependencies"][extra]]
    return {canonicalize_name(r.name): r.specifier for r in map(Requirement, lines)}


def read_python_range() -> SpecifierSet:
    """The Python versions that pyproject.toml allows."""
    return SpecifierSet(
        tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["requires-python"]
    )


def read_constraints() -> dict[str, Version]:
    """The pinned versions, by PyPI name. Anything but `name==version` is an error."""
    pins: dict[str, Version] = {}
    for line in (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines():
        if line.strip() and not line.startswith("#"):
            name, pin, version = line.partition("==")
            assert pin, f"constraints.txt: {line!r} is not a pin (name==version)"
            assert canonicalize_name(name) not in pins, f"constraints.txt: {name} is pinned twice"
            pins[canonicalize_name(name)] = Version(version)
    return pins


def read_conda(text: str) -> tuple[str, Ranges]:
    """Python's minor version, and the ranges by PyPI name. Only `python=3.x`, `pip` and `name>=version` are allowed."""
    python, ranges = "", {}
    for line in yaml.safe_load(text)["dependencies"]:
        assert isinstance(line, str), f"{line!r}: a list of pip packages would not be seen by conda's solver"
        if line == "pip":
            continue
        if match := re.fullmatch(r"python=(3\.\d+)", line):
            python = match[1]
            continue
        match = re.fullmatch(r"([a-z0-9_-]+)>=(\d[\d.]*)", line)
        assert match, f"{line!r} is not of the form name>=version, which conda and pip read alike"
        name = PYPI_NAMES.get(match[1], canonicalize_name(match[1]))
        assert name not in ranges, f"{name} stands there twice"
        ranges[name] = SpecifierSet(f">={match[2]}")
    return python, ranges


def lower_bound(ranges: SpecifierSet) -> Version:
    """The version in `>=version`, the one form of range in use here."""
    (only,) = ranges
    assert only.operator == ">=", f"{only}: ranges are written >=version"
    return Version(only.version)


def disagreements(conda_text: str, wanted: Ranges, pins: dict[str, Version]) -> list[str]:
    """What a conda file says differently from pyproject.toml (`wanted`) and constraints.txt (`pins`)."""
    _, ranges = read_conda(conda_text)
    said = [f"{name} is missing" for name in sorted(wanted.keys() - ranges.keys())]
    said += [f"{name} is not in pyproject.toml" for name in sorted(ranges.keys() - wanted.keys())]
    for name in sorted(wanted.keys() & ranges.keys()):
        if lower_bound(ranges[name]) < lower_bound(wanted[name]):
            said.append(f"{name}{ranges[name]} allows more than pyproject.toml's {wanted[name]}")
        if name in pins and pins[name] not in ranges[name]:
            said.append(f"{name}{ranges[name]} excludes {pins[name]} of constraints.txt")
    return said
