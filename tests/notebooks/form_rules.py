"""Rules about a notebook's form: the file, its first cells, its sections. Each yields what is wrong, in words."""

import ast
import copy
import re
import warnings
from collections import Counter
from collections.abc import Iterator

import nbformat
from nbformat import NotebookNode
from notebook_reading import code, headings, tags, text, tree

from sofim_lab import __version__

TAGS = {"parameters", "setup", "formula", "verify", "play", "exercise", "hint", "solution", "quiz", "metric"}
PARAMETERS = ["DEVICE", "PROFILE", "SEED", "SOLUTIONS"]
SECTIONS = ["Question", "Objectives", "Before you start", "Quiz", "What we found", "References"]
BINDER = "https://mybinder.org/v2/gh/{owner}/sofim_lab/HEAD?urlpath=lab/tree/notebooks/{name}.ipynb"
COLAB = "https://colab.research.google.com/github/{owner}/sofim_lab/blob/main/notebooks/{name}.ipynb"
# What every lesson begins with. A repository may stand in the place of the release: see docs/teaching.md.
INSTALLED = "sofim-lab=={RELEASE}"
FROM_REPOSITORY = r"git\+https://github\.com/[\w-]+/sofim_lab(@[\w.-]+)?"
SET_UP = """
import sys

RELEASE = "0.0"  # of sofim_lab, which this lesson belongs to
try:
    import sofim_lab
except ModuleNotFoundError:
    if "google.colab" not in sys.modules:
        raise
    # all other packages are on Colab already
    %pip install --quiet sofim-lab=={RELEASE}
    import sofim_lab
if sofim_lab.__version__ != RELEASE:
    print(f"This lesson belongs to sofim_lab {RELEASE}, and {sofim_lab.__version__} is installed: numbers may differ.")
    print(f"To make them agree: pip install sofim-lab=={RELEASE}, then restart the kernel.")
""".strip().replace("0.0", __version__)


def is_valid_and_current(notebook: NotebookNode, name: str) -> Iterator[str]:
    """nbformat 4.5, whose cells have ids, each its own; the kernel is called python3 on every machine."""
    version = (notebook.nbformat, notebook.nbformat_minor)
    if version != (4, 5):
        yield f"nbformat is {version[0]}.{version[1]}, not 4.5"
    counted = Counter(cell.get("id") for cell in notebook.cells)
    yield from (f"cell id {key!r} is missing or not unique" for key, n in counted.items() if n > 1 or not key)
    try:
        with warnings.catch_warnings(action="ignore"):  # about ids, which validate() would repair in its argument
            nbformat.validate(copy.deepcopy(notebook))
    except nbformat.ValidationError as error:
        yield f"not a valid notebook: {error.message}"
    if notebook.metadata.get("kernelspec", {}).get("name") != "python3":
        yield "kernelspec is not python3"


def is_stripped(notebook: NotebookNode, name: str) -> Iterator[str]:
    """Nothing that a run leaves behind is committed: outputs, counts, widget state, versions, times."""
    for place, cell in code(notebook):
        if cell.outputs or cell.execution_count is not None:
            yield f"cell {place} has outputs or an execution count"
    for place, cell in enumerate(notebook.cells):
        if extra := cell.metadata.keys() - {"tags", "jupyter"}:
            yield f"cell {place} has metadata {sorted(extra)}"
    if extra := notebook.metadata.keys() - {"kernelspec", "language_info"}:
        yield f"the notebook has metadata {sorted(extra)}"
    if notebook.metadata.get("language_info", {}).keys() - {"name"}:
        yield "language_info holds more than a name: the version is that of one machine"


def has_known_tags(notebook: NotebookNode, name: str) -> Iterator[str]:
    """Tags come from the list, so that a misspelt one does not switch a rule off."""
    for place, cell in enumerate(notebook.cells):
        if unknown := set(tags(cell)) - TAGS:
            yield f"cell {place} has unknown tags {sorted(unknown)}"


def has_one_parameters_cell(notebook: NotebookNode, name: str) -> Iterator[str]:
    """The first code cell holds the four parameters, as literals: papermill recomputes nothing."""
    found = list(code(notebook, "parameters"))
    if len(found) != 1:
        yield f"{len(found)} parameters cells, not one"
        return
    if found[0] != next(code(notebook)):
        yield "the parameters cell is not the first code cell"
    names = []
    for node in tree(found[0][1]).body:
        if not (isinstance(node, ast.Assign) and len(node.targets) == 1 and isinstance(node.targets[0], ast.Name)):
            yield f"the parameters cell has a line that is no assignment to a name: {ast.unparse(node)}"
            continue
        names.append(node.targets[0].id)
        try:
            ast.literal_eval(node.value)
        except ValueError:
            yield f"parameter {names[-1]} is not a literal: {ast.unparse(node.value)}"
    if missing := [wanted for wanted in PARAMETERS if wanted not in names]:
        yield f"parameters {missing} are missing"


def has_title_and_badges(notebook: NotebookNode, name: str) -> Iterator[str]:
    """The first cell: a title, and the links that open just this notebook on Binder and on Colab."""
    first = notebook.cells[0]
    if first.cell_type != "markdown" or not re.match(r"# \S", first.source):
        yield "the first cell does not begin with a title (# ...)"
    owner = found[1] if (found := re.search(r"mybinder\.org/v2/gh/([\w-]+)/", first.source)) else "OWNER"
    for address in (BINDER, COLAB):
        link = address.format(owner=owner, name=name)
        if not re.search(rf"\[!\[[^\]]+\]\([^)]+\)\]\({re.escape(link)}\)", first.source):
            yield f"the first cell has no badge that leads to {link}"


def set_up_cell(notebook: NotebookNode) -> str:
    """The source of the first set-up cell; nothing if there is none."""
    return next((cell.source for _, cell in code(notebook, "setup")), "")


def installs_only_what_is_missing(notebook: NotebookNode, name: str) -> Iterator[str]:
    """The first set-up cell is that of all lessons; what it does is tested by running it."""
    if re.sub(FROM_REPOSITORY, INSTALLED, set_up_cell(notebook)) != SET_UP:
        yield f"the first set-up cell is not the one that all lessons of release {__version__} begin with"


def has_its_sections_in_order(notebook: NotebookNode, name: str) -> Iterator[str]:
    """The sections that every lesson has, in their order, with sections of its own between them."""
    found = [title for title, _ in headings(notebook)]
    for title in SECTIONS:
        if found.count(title) != 1:
            yield f"the section '## {title}' stands there {found.count(title)} times"
    known = [title for title in found if title in SECTIONS]
    if known != sorted(known, key=SECTIONS.index):
        yield f"the sections are out of order: {', '.join(known)}"
    elif known == SECTIONS and found.index("Quiz") == found.index("Before you start") + 1:
        yield "there is nothing between 'Before you start' and 'Quiz'"


def says_what_to_expect(notebook: NotebookNode, name: str) -> Iterator[str]:
    """3-5 objectives; prerequisites and time; 3-5 questions in the quiz, their answers folded."""
    body = dict(headings(notebook))
    objectives = re.findall(r"^(?:[-*]|\d+\.) ", body.get("Objectives", ""), flags=re.M)
    if not 3 <= len(objectives) <= 5:
        yield f"{len(objectives)} objectives, not 3 to 5"
    before = body.get("Before you start", "")
    if not re.search(r"\d+ (min|minutes)\b", before) or "Prerequisites" not in before:
        yield "'Before you start' does not name prerequisites and minutes"
    answers = sum(cell.source.count("<details>") for _, cell in text(notebook, "quiz"))
    if not 3 <= answers <= 5:
        yield f"{answers} folded answers in cells tagged quiz, not 3 to 5"


RULES = [
    is_valid_and_current,
    is_stripped,
    has_known_tags,
    has_one_parameters_cell,
    has_title_and_badges,
    installs_only_what_is_missing,
    has_its_sections_in_order,
    says_what_to_expect,
]
