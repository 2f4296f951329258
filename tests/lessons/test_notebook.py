import json
import re

import pytest

from sofim_lab.lessons.errors import LessonError
from sofim_lab.lessons.notebook import read_notebook

CELL = {"cell_type": "code", "metadata": {}, "source": "x = 1", "outputs": [], "execution_count": None}
GOOD = {"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": [CELL]}


def write(folder, notebook):
    path = folder / "01_a.ipynb"
    path.write_text(json.dumps(notebook), encoding="utf-8")
    return path


def test_a_notebook_is_read(tmp_path):
    assert read_notebook(write(tmp_path, GOOD)) == GOOD


@pytest.mark.parametrize(
    ("notebook", "words"),
    [
        ([], "it has no list of cells"),
        (GOOD | {"cells": {}}, "it has no list of cells"),
        (GOOD | {"nbformat": 99}, "its nbformat is 99, only 4 is read"),
        ({key: value for key, value in GOOD.items() if key != "nbformat"}, "its nbformat is None"),
        (GOOD | {"metadata": []}, "it has no metadata"),
        (GOOD | {"cells": [CELL, "x = 1"]}, "cell 2 is neither code nor text"),
        (GOOD | {"cells": [CELL | {"cell_type": "cod"}]}, "cell 1 is neither code nor text"),
        (GOOD | {"cells": [CELL | {"metadata": None}]}, "cell 1 has no proper metadata"),
        (GOOD | {"cells": [CELL | {"source": None}]}, "cell 1 has no source"),
        (GOOD | {"cells": [CELL | {"source": ["x", 1]}]}, "cell 1 has no source"),
    ],
)
def test_what_is_malformed_is_named_before_anything_runs(tmp_path, notebook, words):
    with pytest.raises(LessonError, match=rf"01_a\.ipynb is not a notebook: {re.escape(words)}"):
        read_notebook(write(tmp_path, notebook))
