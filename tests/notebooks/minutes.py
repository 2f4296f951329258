"""How long a learner needs: the rule of docs/adding_a_lesson.md, section 3, counted in the notebook."""

import re

from nbformat import NotebookNode

STOP = "**A good place to stop for today.**"
WORDS_A_MINUTE = 180
MINUTES = {"formula": 2, "play": 3, "exercise": 6}


def sittings(notebook: NotebookNode) -> list[float]:
    """Minutes up to the first place to stop, from there to the next one, and so on."""
    minutes = [0.0]
    for cell in notebook.cells:
        if cell.source.startswith("## References"):
            break
        if cell.cell_type == "markdown":
            if cell.source.startswith(STOP):
                minutes.append(0.0)
            minutes[-1] += words(cell.source) / WORDS_A_MINUTE + MINUTES["formula"] * cell.source.count(r"\tag{")
        minutes[-1] += sum(MINUTES.get(tag, 0) for tag in cell.metadata.get("tags", []) if cell.cell_type == "code")
    return minutes


def words(prose: str) -> int:
    """Words to be read; a formula in a line counts as one, a displayed one and a badge as none."""
    prose = re.sub(r"\$\$.*?\$\$|^\[!\[[^\n]*|<[^>]+>", " ", prose, flags=re.S | re.M)
    return len(re.findall(r"\w[\w'’-]*", re.sub(r"\$[^$]*\$", " x ", prose)))
