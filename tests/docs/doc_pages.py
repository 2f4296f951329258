"""The pages that people read, as they are written: Markdown files, and the texts of the lessons."""

import re
from dataclasses import dataclass
from pathlib import Path

from sofim_lab.lessons.notebook import read_notebook, text

ROOT = Path(__file__).resolve().parents[2]
FENCED = re.compile(r"^```[^\n]*\n(.*?)^```$", re.M | re.S)
INLINE = re.compile(r"`([^`\n]+)`")


@dataclass(frozen=True)
class Page:
    """One file that people read."""

    path: Path
    text: str

    @property
    def name(self) -> str:
        return self.path.relative_to(ROOT).as_posix()

    @property
    def prose(self) -> str:
        """Without code and formulas, in which brackets mean other things."""
        plain = INLINE.sub("", FENCED.sub("", self.text))
        return re.sub(r"\$\$.*?\$\$|\$[^$\n]+\$", "", plain, flags=re.S)

    @property
    def code(self) -> list[str]:
        """What stands in code, line by line for blocks."""
        blocks = [line for block in FENCED.findall(self.text) for line in block.splitlines()]
        return blocks + INLINE.findall(FENCED.sub("", self.text))


def read_page(path: Path) -> Page:
    """A Markdown file, or the texts of a notebook."""
    if path.suffix != ".ipynb":
        return Page(path, path.read_text(encoding="utf-8"))
    cells = read_notebook(path)["cells"]
    return Page(path, "\n\n".join(text(cell["source"]) for cell in cells if cell["cell_type"] == "markdown"))


PLACES = ("*.md", "docs/*.md", "notebooks/*.md", "notebooks/*.ipynb", "benchmarks/*.md")
PAGES = [read_page(path) for place in PLACES for path in sorted(ROOT.glob(place))]
