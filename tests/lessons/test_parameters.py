import re

import pytest

from sofim_lab.lessons.errors import LessonError, ParameterError
from sofim_lab.lessons.parameters import declared_parameters, resolve_parameters


def resolve(lesson, wanted=(), **options):
    return resolve_parameters(
        lesson.path, dict(wanted), **{"device": "cpu", "profile": "full", "solutions": True} | options
    )


def test_literals_are_read_without_executing(make_lesson):
    source = "# comment\nSEED: int = 0\nRATES = [0.1, -1e-3]\nNAME = None\n"
    lesson = make_lesson("01_a", parameters=source)
    assert declared_parameters(lesson.path) == {"SEED": 0, "RATES": [0.1, -0.001], "NAME": None}
    assert declared_parameters(make_lesson("02_b", parameters=None).path) == {}


@pytest.mark.parametrize(
    ("source", "line"),
    [("SEED = 0\nTWICE = 2 * SEED", 2), ("import torch", 1), ("A = B = 1", 1), ("A += 1", 1), ("A: int", 1),
     ("A, B = 1, 2", 1), ("f(1)", 1), ("A = = 1", 1)],
)  # fmt: skip
def test_a_cell_with_more_than_literals_is_refused(make_lesson, source, line):
    with pytest.raises(ParameterError, match=rf"01_a\.ipynb, cell 2 \('parameters'\), line {line}: "):
        declared_parameters(make_lesson("01_a", parameters=source).path)


def test_options_are_given_only_where_they_are_declared(make_lesson):
    full = resolve(make_lesson("01_a"), {"RHO": 2})
    assert full.given == {"DEVICE": "cpu", "PROFILE": "full", "SOLUTIONS": True, "RHO": 2.0}
    assert full.effective == full.given | {"SEED": 0}
    assert isinstance(full.given["RHO"], float)
    bare = resolve(make_lesson("02_b", parameters="SEED = 0"))
    assert (bare.given, bare.effective) == ({}, {"SEED": 0})


def test_values_that_are_the_defaults_leave_the_run_comparable(make_lesson):
    lesson = make_lesson("01_a")
    assert resolve(lesson).default
    assert resolve(lesson, {"SEED": 0, "RHO": 0.5}).default
    assert not resolve(lesson, {"SEED": 1}).default


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("RO", 1.0, "01_a: unknown parameter 'RO': did you mean 'RHO'? Known: SEED, RHO"),
        ("SEED", 1.0, "parameter SEED=1.0 is of type float, but its default 0 is of type int"),
        ("SEED", True, "parameter SEED=True is of type bool"),
        ("RHO", "big", "parameter RHO='big' is of type str, but its default 0.5 is of type float"),
        ("RHO", True, "is of type bool"),
        ("RHO", float("nan"), "parameter RHO=nan must be a literal"),
        ("DEVICE", "cuda", "parameter 'DEVICE' is set by its own option, --device"),
        ("SOLUTIONS", True, "--solutions"),
    ],
)
def test_a_wrong_parameter_is_refused(make_lesson, name, value, words):
    with pytest.raises(ParameterError, match=re.escape(words)):
        resolve(make_lesson("01_a"), {name: value})


@pytest.mark.parametrize("content", ["{", "[]", '{"cells": 3}'])
def test_a_file_that_is_no_notebook(make_lesson, content):
    lesson = make_lesson("01_a")
    lesson.path.write_text(content, encoding="utf-8")
    with pytest.raises(LessonError, match=r"01_a\.ipynb is not a notebook"):
        declared_parameters(lesson.path)
