"""Equations without the network: MathJax travels with the package and is copied beside the pages that use it."""

import json
from pathlib import Path

from sofim_lab.files import copy_atomically

SOURCE = Path(__file__).parent / "static" / "mathjax"
SCRIPT = Path("assets", "mathjax", "tex-svg-full.js")  # seen from the pages; the small tex-svg.js lacks \boldsymbol

# No menu, which would fetch parts that are not here; no \href and \require, which would let a formula run scripts.
_OPTIONS = {"enableMenu": False, "ignoreHtmlClass": "no-tex|cm-editor", "processHtmlClass": "tex"}
_TEX = {
    "inlineMath": [["$", "$"], ["\\(", "\\)"]],
    "displayMath": [["$$", "$$"], ["\\[", "\\]"]],
    "processEscapes": True,
    "packages": {"[-]": ["html", "require", "autoload"]},
}
CONFIG = json.dumps({"tex": _TEX, "options": _OPTIONS, "svg": {"fontCache": "global"}})


def copy_mathjax(folder: Path) -> str:
    """MathJax in a report's folder, copied once.

    Args:
        folder: where the pages lie.

    Returns:
        The script's address as seen from them.

    Raises:
        OSError: the folder cannot be written.
    """
    target = folder / SCRIPT
    if not (target.is_file() and target.stat().st_size == (SOURCE / target.name).stat().st_size):
        for name in ("LICENSE", target.name):
            copy_atomically(SOURCE / name, target.with_name(name))
    return SCRIPT.as_posix()
