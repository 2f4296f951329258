"""`sofim-lab clean`: a notebook as Jupyter leaves it becomes one that can be committed."""

import shutil
from pathlib import Path

import nbformat
import pytest

from sofim_lab.cli import main

FOLDER = Path(__file__).resolve().parents[2] / "notebooks"


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.ipynb")), ids=lambda path: path.stem)
def test_a_clean_notebook_stays_as_it_is(tmp_path, path):
    copy = tmp_path / path.name
    shutil.copy(path, copy)
    assert main(["clean", str(copy)]) == 0
    assert copy.read_bytes() == path.read_bytes()


def test_what_jupyter_leaves_goes(tmp_path):
    original = FOLDER / "00_start_here.ipynb"
    notebook = nbformat.read(original, as_version=4)
    for cell in notebook.cells:
        cell.metadata["execution"] = {"iopub.execute_input": "2020-01-01"}
        if cell.cell_type == "code":
            cell.execution_count = 1
            cell.outputs = [nbformat.v4.new_output("stream", text="42")]
    notebook.metadata["widgets"] = {}
    notebook.metadata.language_info["version"] = "3.11.7"
    copy = tmp_path / original.name
    nbformat.write(notebook, copy)
    assert main(["clean", str(copy)]) == 0
    assert copy.read_bytes() == original.read_bytes()


def test_nothing_is_changed_where_one_is_no_notebook(tmp_path, capsys):
    good, bad = tmp_path / "a.ipynb", tmp_path / "b.ipynb"
    good.write_text((FOLDER / "00_start_here.ipynb").read_text(encoding="utf-8") + " ", encoding="utf-8")
    bad.write_text("{", encoding="utf-8")
    before = good.read_bytes()
    assert main(["clean", str(good), str(bad)]) == 2
    assert "b.ipynb is not a notebook" in capsys.readouterr().err
    assert good.read_bytes() == before
