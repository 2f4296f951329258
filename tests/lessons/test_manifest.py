import re
from pathlib import Path

import pytest
import yaml
from small_lessons import write_lesson

from sofim_lab.lessons.errors import LessonError, ManifestError
from sofim_lab.lessons.manifest import Budget, find_notebooks, load_manifest

ENTRY = {
    "id": "05_sherman_morrison",
    "title": "Sherman–Morrison",
    "question": "How?",
    "minutes": 35,
    "objectives": ["derive it"],
    "devices": ["cpu", "cuda"],
    "budgets": {"quick": {"seconds": 60, "memory_mb": 900}, "full": {"seconds": 600, "memory_mb": 2000.5}},
    "cell_timeout": {"quick": 30, "full": 300},
    "lesson_timeout": {"quick": 100, "full": 1000},
}


def write(folder: Path, content: object) -> Path:
    """A manifest of these entries (or this raw text) with the notebooks 00 and 05 beside it."""
    for name in ("00_start_here", "05_sherman_morrison"):
        write_lesson(folder, name)
    raw = (
        content
        if isinstance(content, str)
        else yaml.safe_dump({"lessons": content}, allow_unicode=True, sort_keys=False)
    )
    (folder / "lessons.yml").write_text(raw, encoding="utf-8")
    return folder


def test_entries_are_read_in_order(tmp_path):
    manifest = load_manifest(write(tmp_path, [ENTRY | {"id": "00_start_here"}, ENTRY]))
    assert [lesson.id for lesson in manifest] == ["00_start_here", "05_sherman_morrison"]
    lesson = manifest.lessons[1]
    assert lesson.path == tmp_path / "05_sherman_morrison.ipynb"
    assert (lesson.title, lesson.minutes, lesson.devices) == ("Sherman–Morrison", 35, ("cpu", "cuda"))
    assert lesson.budgets["full"] == lesson.budget("full", "cpu") == Budget(600, 2000.5)
    assert lesson.budget("full", "cuda") == Budget(600, 3200.5)
    assert (lesson.cell_timeout["quick"], lesson.lesson_timeout["full"]) == (30, 1000)


def without(key: str) -> dict:
    return {name: value for name, value in ENTRY.items() if name != key}


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("lessons: [", "is not valid YAML"),
        ("lessons: []", "lists no lessons: add an entry"),
        ("- 1", "must hold one key, 'lessons'"),
        ("lessons: []\nextra: 1", "must hold one key, 'lessons'"),
        ([3], "entry 1: the entry must be a mapping"),
        ([without("title")], "entry 1 (05_sherman_morrison): the entry lacks 'title': add it"),
        ([ENTRY, ENTRY | {"titel": "x"}], "entry 2 (05_sherman_morrison): the entry has an unknown key 'titel': did "
         "you mean 'title'?"),
        ([ENTRY, ENTRY], "entries 1 and 2 have the same id '05_sherman_morrison': rename one"),
        ([ENTRY | {"id": "06_sofim"}], "there is no notebook 06_sofim.ipynb"),
        ([ENTRY | {"id": "sofim"}], "'id' must look like 05_sherman_morrison"),
        ([ENTRY | {"id": 5}], "'id' must be a text, got 5; put it in quotes"),
        ([ENTRY | {"question": " "}], "'question' must be a text"),
        ([ENTRY | {"minutes": "ten"}], "'minutes' must be a number > 0, got 'ten'"),
        ([ENTRY | {"minutes": True}], "'minutes' must be a number > 0, got True"),
        ([ENTRY | {"minutes": 1.5}], "'minutes' must be whole"),
        ([ENTRY | {"objectives": "one"}], "'objectives' must be a list of texts"),
        ([ENTRY | {"devices": ["gpu"]}], "unknown device 'gpu'"),
        ([ENTRY | {"budgets": {"quick": {"seconds": 1, "memory_mb": 1}}}], "'budgets' lacks 'full'"),
        ([ENTRY | {"budgets": {p: {"seconds": 1} for p in ("quick", "full")}}], "'budgets.quick' lacks 'memory_mb'"),
        ([ENTRY | {"cell_timeout": 30}], "'cell_timeout' must be a mapping with the keys quick, full, got 30"),
        ([ENTRY | {"lesson_timeout": {"quick": 0, "full": 1}}], "'lesson_timeout.quick' must be a number > 0, got 0"),
        ([ENTRY | {"lesson_timeout": {"quik": 1, "full": 1}}], "unknown key 'quik': did you mean 'quick'?"),
    ],
)  # fmt: skip
def test_a_mistake_is_named_with_file_entry_and_remedy(tmp_path, content, words):
    write(tmp_path, content)
    with pytest.raises(ManifestError, match=re.escape(words)) as caught:
        load_manifest(tmp_path)
    assert "lessons.yml" in str(caught.value)


def test_a_manifest_nested_beyond_reason(tmp_path):
    (tmp_path / "lessons.yml").write_text("[" * 5000, encoding="utf-8")
    with pytest.raises(ManifestError, match="not valid YAML"):
        load_manifest(tmp_path)


def test_a_manifest_that_is_not_there(tmp_path):
    with pytest.raises(ManifestError, match=r"cannot read .*lessons\.yml: No such file.*--notebooks"):
        load_manifest(tmp_path)


@pytest.mark.parametrize("name", ["05_sherman_morrison", "05", "5", "sherman_morrison", "sherman-morrison"])
def test_a_lesson_answers_to_id_number_and_slug(tmp_path, name):
    manifest = load_manifest(write(tmp_path, [ENTRY | {"id": "00_start_here"}, ENTRY]))
    assert [lesson.id for lesson in manifest.select([name])] == ["05_sherman_morrison"]


def test_selection_keeps_the_order_and_takes_all_by_default(tmp_path):
    manifest = load_manifest(write(tmp_path, [ENTRY | {"id": "00_start_here"}, ENTRY]))
    assert manifest.select() == manifest.lessons
    assert manifest.select(["05", "0", "05_sherman_morrison"]) == manifest.lessons


def test_an_unknown_lesson_lists_the_known_ones_and_the_closest(tmp_path):
    manifest = load_manifest(write(tmp_path, [ENTRY | {"id": "00_start_here"}, ENTRY]))
    with pytest.raises(LessonError) as caught:
        manifest.select(["05_sherman_morison"])
    assert str(caught.value) == (
        "unknown lesson '05_sherman_morison': did you mean '05_sherman_morrison'? "
        "Known: 00_start_here, 05_sherman_morrison"
    )


def test_the_notebooks_are_found_from_any_folder_below(tmp_path, monkeypatch):
    write(tmp_path / "clone" / "notebooks", [ENTRY])
    deep = tmp_path / "clone" / "a" / "b"
    deep.mkdir(parents=True)
    for start in (deep, tmp_path / "clone", tmp_path / "clone" / "notebooks"):
        assert find_notebooks(start) == tmp_path / "clone" / "notebooks"
    monkeypatch.chdir(deep)
    assert find_notebooks() == tmp_path / "clone" / "notebooks"
    with pytest.raises(LessonError, match=r"inside a clone of the repository, or name the folder with --notebooks"):
        find_notebooks(tmp_path)
