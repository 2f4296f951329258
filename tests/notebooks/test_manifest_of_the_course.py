from pathlib import Path

from sofim_lab.lessons.manifest import load_manifest

FOLDER = Path(__file__).resolve().parents[2] / "notebooks"


def test_the_committed_manifest_loads_and_answers_to_numbers():
    manifest = load_manifest(FOLDER)
    assert [lesson.id for lesson in manifest.select(["5", "start_here"])] == ["00_start_here", "05_sherman_morrison"]
    assert all(lesson.path.is_file() for lesson in manifest)
