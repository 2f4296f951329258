"""One manifest, and the pages that repeat it: the map of the course, the README's table, the table of lesson 00."""

import dataclasses
import re
from pathlib import Path

import pytest
from form_rules import BINDER, COLAB

from sofim_lab.cli import main
from sofim_lab.lessons.course_map import NOTE, README, course_map, name_of, overview
from sofim_lab.lessons.manifest import Manifest, load_manifest
from sofim_lab.lessons.notebook import own_cells, read_notebook, text

FOLDER = Path(__file__).resolve().parents[2] / "notebooks"


@pytest.fixture(scope="module")
def manifest():
    return load_manifest(FOLDER)


def disagreements(manifest, page):
    """What of the manifest the page does not say."""
    lines = page.splitlines()
    said = [f"| {name_of(one)} | {one.question} | {one.minutes} | [Binder](" for one in manifest]
    said += [f"- {objective}" for one in manifest for objective in one.objectives]
    return [words for words in said if not any(line.startswith(words) for line in lines)]


def test_the_map_is_what_the_command_would_write(manifest):
    assert (FOLDER / README).read_text(encoding="utf-8") == course_map(manifest), "run: sofim-lab list --readme"


def test_the_map_says_what_the_manifest_says(manifest):
    page = course_map(manifest)
    assert disagreements(manifest, page) == []
    first, *rest = manifest
    longer = Manifest(FOLDER, (dataclasses.replace(first, minutes=first.minutes + 1), *rest))
    assert len(disagreements(longer, page)) == 1


def test_the_map_names_every_widget_and_exercise(manifest):
    sections = course_map(manifest).split("\n## ")[1:]
    for lesson, section in zip(manifest, sections, strict=True):
        cells = read_notebook(lesson.path)["cells"]
        prose = [text(cell["source"]) for cell in cells if cell["cell_type"] == "markdown"]
        titles = [title for one in prose for title in re.findall(r"^### (?:Play|Exercise.*?): *(.*)$", one, re.M)]
        assert len(titles) >= sum(
            {"play", "exercise"} & set(cell["metadata"].get("tags", [])) != set() for cell in cells
        )
        assert [title for title in titles if title not in section] == []


def test_a_lesson_and_its_entry_have_the_same_title_and_as_many_objectives(manifest):
    for lesson in manifest:
        first, *others = own_cells(read_notebook(lesson.path))
        number, short = name_of(lesson).split(" ", 1)
        assert re.match(rf"# {number} · {re.escape(short)}(?:\n|:)", text(first["source"])), lesson.id
        (objectives,) = [text(cell["source"]) for cell in others if text(cell["source"]).startswith("## Objectives")]
        assert len(re.findall(r"^\d+\. ", objectives, re.M)) == len(lesson.objectives), lesson.id


def test_the_readme_has_the_same_table(manifest):
    readme = (FOLDER.parent / "README.md").read_text(encoding="utf-8")
    table = overview(manifest)
    assert f"\n\n{table}\n\n" in readme, f"the table of lessons should be\n{table}"


@pytest.mark.parametrize("page", ["README.md", "notebooks/README.md"])
def test_a_page_opens_each_lesson_once_on_binder_and_once_on_colab(manifest, page):
    """In its row of the table; beside the tables only the first lesson is offered, by badges."""
    lines = (FOLDER.parent / page).read_text(encoding="utf-8").splitlines()
    for lesson in manifest:
        (row,) = [line for line in lines if line.startswith(f"| {name_of(lesson)} |")]
        places = re.findall(r"\[(\w+)\]\((https://\S+?)\)", row)
        assert [name for name, _ in places] == ["Binder", "Colab"]
        owner = places[0][1].split("/gh/")[1].split("/")[0]
        assert [link for _, link in places] == [form.format(owner=owner, name=lesson.id) for form in (BINDER, COLAB)]
        assert (FOLDER / f"{lesson.id}.ipynb").is_file()
    others = "\n".join(line for line in lines if not line.startswith("| "))
    assert set(re.findall(r"(?:mybinder\.org|research\.google\.com)/\S+/(\w+)\.ipynb", others)) <= {
        manifest.lessons[0].id
    }


def test_lesson_00_leads_to_the_lessons_that_there_are(manifest):
    first, *others = manifest
    (cell,) = [c for c in own_cells(read_notebook(first.path)) if text(c["source"]).startswith("## Where this leads")]
    rows = [line for line in text(cell["source"]).splitlines() if line.startswith("|")][2:]
    assert rows[0] == f"| **{name_of(first)}** | {first.question} |"
    here = [f"| [{name_of(lesson)}]({lesson.path.name}) | {lesson.question} |" for lesson in others]
    assert rows[1 : len(manifest)] == here
    assert not [row for row in rows[len(manifest) :] if "](" in row], "a lesson that the manifest does not list"


def test_the_command_writes_over_its_own_page_only(tmp_path, capsys):
    manifest = (FOLDER / "lessons.yml").read_text(encoding="utf-8")
    (tmp_path / "lessons.yml").write_text(manifest, encoding="utf-8")
    for notebook in FOLDER.glob("*.ipynb"):
        (tmp_path / notebook.name).write_bytes(notebook.read_bytes())
    page = tmp_path / README
    for before in (None, NOTE):
        if before:
            page.write_text(before, encoding="utf-8")
        assert main(["list", "--readme", "--notebooks", str(tmp_path)]) == 0
        assert page.read_text(encoding="utf-8") == (FOLDER / README).read_text(encoding="utf-8")
    page.write_text("my notes", encoding="utf-8")
    assert main(["list", "--readme", "--notebooks", str(tmp_path)]) == 2
    assert "was not written by this command" in capsys.readouterr().err
    assert page.read_text(encoding="utf-8") == "my notes"
