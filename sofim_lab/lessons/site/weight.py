"""What the explorers' pictures, drawn beforehand, weigh in an executed lesson."""

import re
from dataclasses import dataclass
from pathlib import Path

from sofim_lab.lessons.notebook import read_notebook, text

BUDGET = 3_000_000  # bytes of a lesson's page
_FRAMES = re.compile(
    r'<div class="sofim-frames" data-frames="(\d+)" data-failed="(\d+)" data-seconds="([\d.]+)">', re.ASCII
)


@dataclass(frozen=True)
class Weight:
    """Explorers that move without a kernel, their pictures, those that could not be drawn, bytes, and seconds."""

    explorers: int = 0
    frames: int = 0
    failed: int = 0
    bytes: int = 0
    seconds: float = 0.0

    def __str__(self) -> str:
        """`2 explorers, 175 pictures, 2.6 MB`."""
        return f"{self.explorers} explorers, {self.frames} pictures, {self.bytes / 1e6:.2f} MB"


def weigh(notebook: Path) -> Weight:
    """Weigh the frames in the outputs of an executed notebook.

    Args:
        notebook: The executed `.ipynb`.

    Returns:
        Their weight, as they will be on the page.

    Raises:
        LessonError: It cannot be read.
    """
    found = []
    for cell in read_notebook(notebook)["cells"]:
        for output in cell.get("outputs", []):
            html = text(output.get("data", {}).get("text/html", ""))
            if seen := _FRAMES.match(html):
                found.append((int(seen[1]), int(seen[2]), len(html.encode()), float(seen[3])))
    if not found:
        return Weight()
    frames, failed, size, seconds = map(sum, zip(*found, strict=True))
    return Weight(len(found), frames, failed, size, seconds)
