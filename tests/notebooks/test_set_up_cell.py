"""The first set-up cell of every lesson, run as it stands there: on Colab or not, with the library or without."""

import re
import shlex
import sys
from pathlib import Path
from types import ModuleType

import pytest
from form_rules import FROM_REPOSITORY, set_up_cell
from IPython.core.inputtransformer2 import TransformerManager
from IPython.utils.text import DollarFormatter
from nbformat import reader

from sofim_lab import __version__

NOTEBOOKS = sorted((Path(__file__).resolve().parents[2] / "notebooks").glob("*.ipynb"))


def read(path):
    """Its first set-up cell."""
    return set_up_cell(reader.reads(path.read_text(encoding="utf-8")))


@pytest.fixture(params=NOTEBOOKS, ids=lambda path: path.stem)
def cell(request):
    """The source of the cell in one of the lessons."""
    return read(request.param)


@pytest.fixture(params=[True, False], ids=["colab", "elsewhere"])
def on_colab(request, monkeypatch):
    """Whether it is run on Colab, whose kernel has loaded a module of its own."""
    if request.param:
        monkeypatch.setitem(sys.modules, "google.colab", ModuleType("google.colab"))
    else:
        monkeypatch.delitem(sys.modules, "google.colab", raising=False)
    return request.param


class Kernel:
    """Stands for IPython: its pip writes down what it is asked for, and installs the version `brings`."""

    def __init__(self, monkeypatch, brings=__version__):
        self.asked, self.brings, self.patch = [], brings, monkeypatch
        self.names = {"get_ipython": lambda: self}

    def has(self, version):
        """The library is there in this version, or not at all: None."""
        library = None if version is None else ModuleType("sofim_lab")
        if library is not None:
            library.__version__ = version
        self.patch.setitem(sys.modules, "sofim_lab", library)  # None: an import does not find it
        return self

    def run(self, source):
        """The error that the cell ends with, or None."""
        try:
            exec(compile(TransformerManager().transform_cell(source), "set-up cell", "exec"), self.names)
        except Exception as error:
            return error
        return None

    def run_line_magic(self, name, line):
        self.asked.append([name, *shlex.split(DollarFormatter().vformat(line, (), self.names))])
        if self.brings is not None:
            self.has(self.brings)


def test_nothing_is_done_where_the_library_is(cell, on_colab, monkeypatch, capsys):
    kernel = Kernel(monkeypatch).has(__version__)
    assert kernel.run(cell) is None
    assert kernel.asked == []
    assert capsys.readouterr().out == ""


def test_where_it_is_missing_colab_gets_this_release_and_nobody_else_anything(cell, on_colab, monkeypatch, capsys):
    kernel = Kernel(monkeypatch).has(None)
    error = kernel.run(cell)
    if on_colab:
        assert error is None
        ((*command, what),) = kernel.asked
        assert command == ["pip", "install", "--quiet"]
        assert what == f"sofim-lab=={__version__}" or re.fullmatch(FROM_REPOSITORY, what)
        assert capsys.readouterr().out == ""
    else:
        assert isinstance(error, ModuleNotFoundError)
        assert error.name == "sofim_lab"
        assert kernel.asked == []


def test_another_version_is_left_alone_and_named(cell, on_colab, monkeypatch, capsys):
    kernel = Kernel(monkeypatch).has("0.0.9")
    assert kernel.run(cell) is None
    assert kernel.asked == []
    warning, remedy = capsys.readouterr().out.splitlines()
    assert f"sofim_lab {__version__}, and 0.0.9 is installed" in warning
    assert f"pip install sofim-lab=={__version__}" in remedy


@pytest.mark.parametrize("on_colab", [True], indirect=True)
def test_a_release_that_the_index_does_not_have_ends_the_cell(cell, on_colab, monkeypatch):
    kernel = Kernel(monkeypatch, brings=None).has(None)
    assert isinstance(kernel.run(cell), ModuleNotFoundError)
    assert len(kernel.asked) == 1


def test_the_library_of_this_checkout_belongs_to_the_lessons(cell, monkeypatch, capsys):
    assert Kernel(monkeypatch).run(cell) is None
    assert capsys.readouterr().out == ""


def test_every_lesson_has_the_same():
    assert len({read(path) for path in NOTEBOOKS}) == 1
