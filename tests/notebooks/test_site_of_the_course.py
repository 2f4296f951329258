"""The whole course as a website: every lesson within its budget, every explorer moving, every link checked."""

import pytest

from sofim_lab.lessons.manifest import find_notebooks, load_manifest
from sofim_lab.lessons.notebook import read_notebook, tags
from sofim_lab.lessons.running.runner import run_lessons
from sofim_lab.lessons.site.build import build_site
from sofim_lab.lessons.site.weight import BUDGET


@pytest.mark.slow
def test_the_site_of_the_course(tmp_path):
    lessons = load_manifest(find_notebooks()).select()

    def execute(folder):
        return run_lessons(lessons, output=folder, device="cpu", frames=BUDGET), False

    site = build_site(lessons, execute, tmp_path / "site")
    assert site.problems == ()
    for entry in site.entries:
        assert entry.verdict.passed, entry.verdict.failures
        cells = read_notebook(entry.lesson.path)["cells"]
        assert entry.weight.explorers == sum(cell["cell_type"] == "code" and "play" in tags(cell) for cell in cells)
        assert 0 < entry.weight.bytes <= BUDGET
        assert entry.weight.failed == 0
