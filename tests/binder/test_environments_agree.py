"""environment.yml, binder/environment.yml, pyproject.toml and constraints.txt say the same."""

import pytest
import yaml
from environments import ROOT, disagreements, read_conda, read_constraints, read_pyproject, read_python_range

CONDA_FILES = ["environment.yml", "binder/environment.yml"]
EXTRAS = ["notebooks", "test", "bench", "cluster"]


def text_of(name):
    return (ROOT / name).read_text(encoding="utf-8")


@pytest.mark.parametrize("name", CONDA_FILES)
def test_conda_file_lists_what_the_lessons_need(name):
    assert disagreements(text_of(name), read_pyproject("notebooks"), read_constraints()) == []


@pytest.mark.parametrize("name", CONDA_FILES)
def test_conda_file_is_plain(name):
    parsed = yaml.safe_load(text_of(name))
    assert parsed["channels"] == ["conda-forge"]  # PyTorch's own conda channel ended with torch 2.5
    assert not (ROOT / name).is_symlink()


def test_both_conda_files_have_one_python_that_the_project_allows():
    pythons = {read_conda(text_of(name))[0] for name in CONDA_FILES}
    (python,) = pythons
    assert python
    assert f"{python}.0" in read_python_range()


def test_binder_takes_the_small_builds():
    lines = yaml.safe_load(text_of("binder/environment.yml"))["dependencies"]
    names = {line.partition(">=")[0] for line in lines}
    assert {"pytorch-cpu", "matplotlib-base", "seaborn-base", "nbconvert-core"} <= names


def test_constraints_pin_exactly_the_direct_dependencies():
    pins, ranges = read_constraints(), read_pyproject(*EXTRAS)
    assert sorted(pins) == sorted(ranges)
    assert {n: f"{pins[n]} not in {r}" for n, r in ranges.items() if pins[n] not in r} == {}


@pytest.mark.parametrize(
    ("before", "after", "complaint"),
    [
        ("  - pytorch-cpu>=2.6\n", "", "torch is missing"),
        ("pytorch-cpu>=2.6", "pytorch-cpu>=2.5", "torch>=2.5 allows more than pyproject.toml's >=2.6"),
        ("pytorch-cpu>=2.6", "pytorch-cpu>=99", "torch>=99 excludes"),
        ("  - pip\n", "  - pip\n  - scrapbook>=0.5\n", "scrapbook is not in pyproject.toml"),
    ],
)
def test_a_disagreement_is_named(before, after, complaint):
    text = text_of("binder/environment.yml")
    assert before in text
    said = disagreements(text.replace(before, after), read_pyproject("notebooks"), read_constraints())
    assert len(said) == 1
    assert said[0].startswith(complaint)


@pytest.mark.parametrize("line", ["numpy", "numpy=2.1", "numpy>=1.26,<3", "pip: [-e .]", "pytorch>=2.6"])
def test_a_line_that_cannot_be_compared_is_refused(line):
    text = text_of("binder/environment.yml").replace("  - numpy>=1.26", f"  - {line}")
    with pytest.raises(AssertionError):
        read_conda(text)
