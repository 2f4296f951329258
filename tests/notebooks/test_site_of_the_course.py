"""The whole course as a website: every lesson within its budget, every explorer moving, every link checked."""

import json

import pytest
from bs4 import BeautifulSoup

from sofim_lab.lessons.manifest import find_notebooks, load_manifest
from sofim_lab.lessons.notebook import read_notebook, tags
from sofim_lab.lessons.running.runner import run_lessons
from sofim_lab.lessons.site.build import build_site
from sofim_lab.lessons.site.weight import BUDGET


@pytest.mark.slow
def test_the_site_of_the_course(tmp_path):
    lessons = load_manifest(find_notebooks()).select()

    def execute(folder):
        return run_lessons(lessons, output=folder, device="cpu", frames=BUDGET, jobs=2), False

    site = build_site(lessons, execute, tmp_path / "site")
    assert site.problems == ()
    for entry in site.entries:
        assert entry.verdict.passed, entry.verdict.failures
        cells = read_notebook(entry.lesson.path)["cells"]
        assert entry.weight.explorers == sum(cell["cell_type"] == "code" and "play" in tags(cell) for cell in cells)
        assert 0 < entry.weight.bytes <= BUDGET
        assert entry.weight.failed == 0
        page = BeautifulSoup((tmp_path / "site" / entry.page).read_text(encoding="utf-8"), "html.parser")
        boxes = page.select(".sofim-frames")
        assert len(boxes) == entry.weight.explorers
        for box in boxes:
            assert leads_to_its_goal(json.loads(box.find("script", type="application/json").string)), box.img["alt"]


def leads_to_its_goal(data):
    """Whether the goal is open at the start, and reached by moving one control after the other among the frames."""
    frames = {tuple(map(int, place.split(","))): reached for place, (_, _, reached) in data["frames"].items()}
    start = tuple(data["start"])
    seen, ahead = {start}, [start]
    while ahead:
        here = ahead.pop()
        near = [place for place in frames if sum(a != b for a, b in zip(place, here, strict=True)) == 1]
        ahead += [place for place in near if place not in seen]
        seen.update(near)
    return not frames[start] and any(frames[place] for place in seen)
