"""A room's private modules and names are its own: other rooms, and other files, import what is public."""

import ast
import re
import tomllib
from pathlib import Path

import pytest

import sofim_lab

ROOT = Path(sofim_lab.__file__).parent
FILES = sorted(path for path in ROOT.rglob("*.py") if path.parent != ROOT)


def test_the_readme_names_the_rooms_in_the_order_of_the_contract():
    project = tomllib.loads((ROOT.parent / "pyproject.toml").read_text(encoding="utf-8"))
    layers = project["tool"]["importlinter"]["contracts"][0]["layers"]
    rooms = [name.removeprefix("sofim_lab.") for layer in reversed(layers) for name in layer.split(" | ")]
    readme = (ROOT.parent / "README.md").read_text(encoding="utf-8")
    sentence = re.search(r"each imports only those before it: ([^.]+)\.", readme)[1]
    assert re.findall(r"`(\w+)`", sentence) == rooms
    found = [path.stem for path in ROOT.iterdir() if path.suffix == ".py" or path.is_dir()]
    assert {name for name in found if not name.startswith("__")} == set(rooms)


def borrowed(source, room):
    """What a file of a room imports although it is private: a module of another room, or a name of any file of ours."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("sofim_lab."):
            _, theirs, *inside = node.module.split(".")
            for name in (one.name for one in node.names):
                module = any(part.startswith("_") for part in [*inside, name])
                if (module and theirs != room) or (
                    name.startswith("_") and not (ROOT / "/".join([theirs, *inside, f"{name}.py"])).is_file()
                ):
                    yield f"{node.module}.{name}"


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_what_is_private_stays_at_home(path):
    assert list(borrowed(path.read_text(encoding="utf-8"), path.relative_to(ROOT).parts[0])) == []


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("from sofim_lab.optim._sofim.reduce import pair", ["sofim_lab.optim._sofim.reduce.pair"]),
        ("from sofim_lab.curvature import _products", ["sofim_lab.curvature._products"]),
        ("from sofim_lab.plots.scale import _levels", ["sofim_lab.plots.scale._levels"]),
        ("from sofim_lab.plots.scale import _levels as levels, number", ["sofim_lab.plots.scale._levels"]),
        ("from sofim_lab.plots import _nothing", ["sofim_lab.plots._nothing"]),
        ("from sofim_lab.curvature.vjp import pull", []),
        ("from torch._utils import _flatten_dense_tensors", []),
    ],
)
def test_a_loan_is_found(source, found):
    assert list(borrowed(source, "plots")) == found


def test_a_room_may_use_its_own_modules():
    assert list(borrowed("from sofim_lab.curvature import _products", "curvature")) == []
    assert list(borrowed("from sofim_lab.curvature._products import keep", "curvature")) == []
