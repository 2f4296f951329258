"""The page on adding a lesson, followed to the letter in a copy of the repository."""

import json
import os
import re
import shutil
import subprocess
import sys

import pytest
from doc_pages import ROOT, read_page

PAGE = read_page(ROOT / "docs" / "adding_a_lesson.md").text
CELL = re.compile(r"^\*(Text|Code)(?:, tags? ([^*]+))?\*\n\n```(?:markdown|py)\n(.*?)^```$", re.M | re.S)
MODULE = re.compile(r"^`(sofim_lab/[\w/]+\.py)`\n\n```py\n(.*?)^```$", re.M | re.S)
ENTRY = re.compile(r"^```yaml\n(.*?)^```$", re.M | re.S)
STEPS = re.compile(r"^(sofim-lab .+?|python3 dev\.py .+?) *#", re.M)


def cells():
    """The cells of the page, as JupyterLab would save them after a run: with a count and a time."""
    for number, (kind, named, source) in enumerate(CELL.findall(PAGE)):
        tags = re.findall(r"`(\w+)`", named)
        metadata = {"tags": tags, "execution": {"iopub.status.busy": "2020-01-01"}}
        if "solution" in tags:
            metadata["jupyter"] = {"source_hidden": True}
        cell = {"id": f"cell-{number}", "metadata": metadata, "source": source.rstrip("\n").splitlines(keepends=True)}
        if kind == "Text":
            yield cell | {"cell_type": "markdown"}
        else:
            yield cell | {"cell_type": "code", "outputs": [], "execution_count": number}


@pytest.fixture
def clone(tmp_path):
    """The repository with the files of the page in it."""
    ignore = shutil.ignore_patterns("__pycache__", ".*", "build")
    for name in ("sofim_lab", "notebooks", "tests", "docs", "benchmarks"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=ignore)
    for path in ROOT.iterdir():
        if path.is_file() and not path.name.startswith("."):
            shutil.copy(path, tmp_path)
    notebook = {
        "nbformat": 4,
        "nbformat_minor": 5,
        "metadata": {"kernelspec": {"name": "python3"}},
        "cells": [*cells()],
    }
    (tmp_path / "notebooks" / "10_memory.ipynb").write_text(json.dumps(notebook), encoding="utf-8")
    ((module, source),) = MODULE.findall(PAGE)
    (tmp_path / module).write_text(source, encoding="utf-8")
    (entry,) = ENTRY.findall(PAGE)
    with open(tmp_path / "notebooks" / "lessons.yml", "a", encoding="utf-8") as manifest:
        manifest.write("\n" + entry)
    return tmp_path


def follow(clone, step):
    """Run one line of the page there; (exit status, what it printed)."""
    name, *words = step.split()
    if name == "sofim-lab":
        command = [sys.executable, "-c", "import sys; from sofim_lab.cli import main; sys.exit(main())", *words]
    else:
        command = [sys.executable, "-m", "pytest", "-q", *words[2:]]
    environment = {**os.environ, "PYTHONPATH": str(clone)}
    done = subprocess.run(command, cwd=clone, env=environment, capture_output=True, encoding="utf-8", check=False)
    return done.returncode, done.stdout + done.stderr


def fill_in_the_tables(clone):
    """The two lines that the page says to add by hand."""
    table = re.compile(r"\| lesson \| question .*?\n\n", re.S)
    made = table.search((clone / "notebooks" / "README.md").read_text(encoding="utf-8"))[0]
    readme = clone / "README.md"
    readme.write_text(table.sub(lambda _: made, readme.read_text(encoding="utf-8")), encoding="utf-8")
    start = clone / "notebooks" / "00_start_here.ipynb"
    notebook = json.loads(start.read_text(encoding="utf-8"))
    lines = next(cell["source"] for cell in notebook["cells"] if cell["id"] == "where")
    last = max(number for number, line in enumerate(lines) if line.startswith("| ["))
    lines.insert(last + 1, "| [10 Memory](10_memory.ipynb) | How long is a gradient remembered? |\n")
    start.write_text(json.dumps(notebook, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


@pytest.mark.slow
def test_the_example_runs_green_and_keeps_the_conventions(clone):
    steps = STEPS.findall(PAGE)
    assert [step.split()[1] for step in steps] == ["clean", "run", "run", "list", "dev.py"]
    for step in steps[:-1]:
        status, printed = follow(clone, step + " --spread 1" * ("--update-baselines" in step))  # one seed, for time
        assert status == 0, f"{step}\n{printed}"
    fill_in_the_tables(clone)
    checks = "tests/notebooks/test_notebook_conventions.py tests/notebooks/test_course_map.py tests/docs/test_links.py"
    status, printed = follow(clone, f"python3 dev.py test {checks}")
    assert status == 0, printed
    assert "10_memory" in (clone / "notebooks" / "README.md").read_text(encoding="utf-8")


def test_without_the_tables_the_last_step_asks_for_them(clone):
    status, printed = follow(clone, "python3 dev.py test tests/notebooks/test_course_map.py")
    assert status == 1
    for test in ("the_readme_has_the_same_table", "lesson_00_leads_to_the_lessons_that_there_are"):
        assert f"test_{test}" in printed
