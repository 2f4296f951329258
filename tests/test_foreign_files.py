"""No file that somebody else wrote is unpickled: reading a pickle runs whatever it says."""

import ast
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parents[1] / "sofim_lab"
LOADERS = {  # the argument that keeps pickles out
    "torch.load": ("weights_only", True),
    "np.load": ("allow_pickle", False),
    "numpy.load": ("allow_pickle", False),
}
OWN = {"distributed/launch.py"}  # reads what its own child processes wrote into a temporary folder of this user alone
PICKLERS = {"pickle", "cloudpickle", "dill", "joblib.load", "shelve", "marshal"}


def unsafe_readers(source):
    """Calls and imports in a module that would unpickle what they are given."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import | ast.ImportFrom):
            names = [alias.name for alias in node.names]
            names += (
                [f"{node.module}", *(f"{node.module}.{name}" for name in names)]
                if isinstance(node, ast.ImportFrom)
                else []
            )
            yield from (f"line {node.lineno}: {name}" for name in names if name in PICKLERS)
        elif isinstance(node, ast.Call):
            called = ast.unparse(node.func)
            given = {word.arg: getattr(word.value, "value", None) for word in node.keywords}
            if called in LOADERS and given.get(LOADERS[called][0]) is not LOADERS[called][1]:
                yield f"line {node.lineno}: {called} without {LOADERS[called][0]}={LOADERS[called][1]}"
            if called in PICKLERS or called in ("pd.read_pickle", "pandas.read_pickle"):
                yield f"line {node.lineno}: {called}"


def test_the_library_unpickles_nothing():
    modules = sorted(PACKAGE.rglob("*.py"))
    assert len(modules) > 100
    found = {
        module.relative_to(PACKAGE).as_posix(): list(unsafe_readers(module.read_text("utf-8"))) for module in modules
    }
    assert {module: readers for module, readers in found.items() if readers}.keys() == OWN


@pytest.mark.parametrize(
    "source",
    [
        "torch.load(file)",
        "torch.load(file, weights_only=False)",
        "np.load(file)",
        "import pickle",
        "from pickle import loads",
        "from joblib import load",
        "joblib.load(file)",
        "pd.read_pickle(file)",
    ],
)
def test_what_would_unpickle_is_found(source):
    assert list(unsafe_readers(source))
    assert not list(unsafe_readers("np.load(f, allow_pickle=False); torch.load(f, weights_only=True)"))
