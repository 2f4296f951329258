"""Writes the API reference to build/api: the public names of each room, from their docstrings, without the network.

python docs/build_api.py
"""

import importlib
import shutil
from pathlib import Path

import pdoc

ROOMS = (
    "problems", "curvature", "optim", "training", "benchmark", "federated", "distributed",
    "landscape", "plots", "widgets", "lessons",
)  # fmt: skip
TEMPLATES = Path(__file__).parent / "api_templates"
FOLDER = Path(__file__).resolve().parents[1] / "build" / "api"


def build(folder: Path = FOLDER) -> None:
    """One page a room, an index, and a search over all of them.

    Args:
        folder: Where they go.
    """
    names = ["sofim_lab", *(f"sofim_lab.{room}" for room in ROOMS)]
    for name in names:
        module = importlib.import_module(name)
        for public in module.__all__:  # some are imported only when they are asked for, and pdoc does not ask
            vars(module)[public] = getattr(module, public)
    # A room's modules are its own affair, also where one bears the name of the function it holds.
    pdoc.render.configure(docformat="google", template_directory=TEMPLATES, footer_text="sofim_lab")
    pdoc.pdoc(*names, r"!sofim_lab\.\w+\.", output_directory=folder)


if __name__ == "__main__":
    shutil.rmtree(FOLDER, ignore_errors=True)
    build()
    print(FOLDER / "index.html")
