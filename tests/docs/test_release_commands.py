"""What docs/teaching.md gives a maintainer to type before a release does what it says, in a copy of the files."""

import json
import re
import shutil
import subprocess

import pytest
import yaml
from doc_pages import ROOT, read_page

FILES = ["sofim_lab/__init__.py", "CITATION.cff", "docs/adding_a_lesson.md"]
COMMANDS = re.findall(r"^perl .+$", read_page(ROOT / "docs" / "teaching.md").text, re.M)
LESSONS = sorted(path.name for path in (ROOT / "notebooks").glob("*.ipynb"))

needs_perl = pytest.mark.skipif(
    shutil.which("perl") is None or shutil.which("bash") is None, reason="perl and bash, in which the commands are"
)


@pytest.fixture
def copy(tmp_path):
    """The files that name the version."""
    shutil.copytree(ROOT / "notebooks", tmp_path / "notebooks")
    for name in FILES:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        shutil.copy(ROOT / name, tmp_path / name)
    return tmp_path


def differences(copy, name):
    """The lines of a file that are others now."""
    before, after = ((folder / name).read_text(encoding="utf-8").splitlines() for folder in (ROOT, copy))
    return [new for old, new in zip(before, after, strict=True) if old != new]


@needs_perl
def test_a_new_version_is_named_everywhere_and_nothing_else_changes(copy):
    subprocess.run(["bash", "-c", COMMANDS[0]], cwd=copy, check=True)
    assert differences(copy, "sofim_lab/__init__.py") == ['__version__ = "1.2.3"']
    assert differences(copy, "CITATION.cff") == ["version: 1.2.3"]
    assert yaml.safe_load((copy / "CITATION.cff").read_text(encoding="utf-8"))["version"] == "1.2.3"
    for name in ["docs/adding_a_lesson.md", *(f"notebooks/{name}" for name in LESSONS)]:
        (line,) = differences(copy, name)
        assert re.search(r'RELEASE = \\?"1\.2\.3\\?"  # of sofim_lab', line)


@needs_perl
def test_a_repository_takes_the_place_of_the_release(copy):
    subprocess.run(["bash", "-c", COMMANDS[1]], cwd=copy, check=True)
    for name in LESSONS:
        (line,) = differences(copy, f"notebooks/{name}")
        assert json.loads(line.strip().rstrip(",")) == "    %pip install --quiet git+https://github.com/you/sofim_lab\n"
