"""Rules about what a notebook teaches and what its code may do. Each yields what is wrong, in words."""

import ast
import re
from collections import Counter
from collections.abc import Iterator

from nbformat import NotebookNode
from notebook_reading import called_name, calls, code, first_text, imports, strings, tags, text, tree

LONGEST_CELL = 15
SWALLOWS_ERRORS = {"interact", "interact_manual", "interactive", "interactive_output", "Output"}
NETWORK = {"aiohttp", "datasets", "ftplib", "http", "httpx", "huggingface_hub", "requests", "socket", "urllib"}
SHELLS = {"pip", "conda", "mamba", "uv", "bash", "sh", "system", "sx", "cmd", "powershell"}
ABSOLUTE = re.compile(r"(/[\w.-]+/|/(home|root|tmp|content|work)\b|~[/\\]|[A-Za-z]:[\\/]|file:)")
ABSOLUTE_IN_TEXT = re.compile(r"(?<![\w.])(/(?:home|root|tmp|content|work|Users)/|[A-Z]:\\[A-Z]|file:)")


def verifies_every_numbered_equation(notebook: NotebookNode, name: str) -> Iterator[str]:
    """After each \\tag{n} comes a cell that verifies it, before the next one; numbers are not given twice."""
    open_tag, numbers = None, Counter()
    for cell in notebook.cells:
        if cell.cell_type == "code":
            if "verify" in tags(cell) and calls(cell, "verify"):
                open_tag = None
            continue
        for number in re.findall(r"\\tag\{([^}]*)\}", cell.source):
            if open_tag is not None:
                yield f"equation ({open_tag}) is not verified before equation ({number})"
            open_tag = number
            numbers[number] += 1
    if open_tag is not None:
        yield f"equation ({open_tag}) is not verified"
    yield from (f"equation number ({number}) is given {n} times" for number, n in numbers.items() if n > 1)


def tags_what_it_records(notebook: NotebookNode, name: str) -> Iterator[str]:
    """A cell tagged verify or metric does that, and a cell that does it is tagged."""
    for place, cell in code(notebook):
        for what in ("verify", "metric"):
            if (what in tags(cell)) != bool(calls(cell, what)):
                yield f"cell {place}: tag '{what}' and a call of {what}() go together"


def names_are_unique(notebook: NotebookNode, name: str) -> Iterator[str]:
    """Ids of verify() and check() begin with the lesson's number; no id and no metric's name is given twice.

    A solution asks the check of its exercise again; that is no second id.
    """
    prefix = name[:2] + "."
    seen: Counter[tuple[str, str]] = Counter()
    for place, cell in code(notebook):
        for call in calls(cell, "verify", "check", "metric"):
            kind, (written, complete) = called_name(call), first_text(call)
            if kind != "metric" and not written.startswith(prefix):
                yield f"cell {place}: the id of {kind}() does not begin with {prefix!r}: {written!r}"
            if complete and not (kind == "check" and "solution" in tags(cell)):
                seen[kind, written] += 1
    yield from (f"{kind}({written!r}) stands there {n} times" for (kind, written), n in seen.items() if n > 1)


def runs_solutions_only_on_demand(notebook: NotebookNode, name: str) -> Iterator[str]:
    """A solution is one `if SOLUTIONS:` in a cell whose source is folded."""
    for place, cell in code(notebook, "solution"):
        body = tree(cell).body
        guarded = len(body) == 1 and isinstance(body[0], ast.If) and ast.unparse(body[0].test) == "SOLUTIONS"
        if not guarded or body[0].orelse:
            yield f"cell {place}: a solution is one 'if SOLUTIONS:' and nothing beside it"
        if not cell.metadata.get("jupyter", {}).get("source_hidden"):
            yield f"cell {place}: the solution is not folded (jupyter.source_hidden)"


def helps_with_every_exercise(notebook: NotebookNode, name: str) -> Iterator[str]:
    """An exercise is checked; folded hints and a solution that passes the same check follow it."""
    exercises = [place for place, _ in code(notebook, "exercise")]
    for start in exercises:
        end = next((place for place in exercises if place > start), len(notebook.cells))
        asked = [first_text(call)[0] for call in calls(notebook.cells[start], "check")]
        if not asked:
            yield f"cell {start}: the exercise calls no check()"
        hints = [cell for place, cell in text(notebook, "hint") if start < place < end]
        if not any("<details>" in cell.source for cell in hints):
            yield f"cell {start}: no folded hint follows the exercise"
        solutions = [cell for place, cell in code(notebook, "solution") if start < place < end]
        if not solutions:
            yield f"cell {start}: no solution follows the exercise"
        elif {first_text(call)[0] for cell in solutions for call in calls(cell, "check")} != set(asked):
            yield f"cell {start}: the solution does not pass through check({asked})"


def has_short_cells(notebook: NotebookNode, name: str) -> Iterator[str]:
    """A cell shows the idea; the machinery lives in the library. Imports of a set-up cell are not counted."""
    for place, cell in code(notebook):
        length = sum(1 for line in cell.source.splitlines() if line.strip())
        if "setup" in tags(cell):
            found = [n for n in tree(cell).body if isinstance(n, ast.Import | ast.ImportFrom)]
            length -= sum(n.end_lineno - n.lineno + 1 for n in found)
        if length > LONGEST_CELL and "parameters" not in tags(cell):
            yield f"cell {place} has {length} lines of code, more than {LONGEST_CELL}"


def swallows_no_errors(notebook: NotebookNode, name: str) -> Iterator[str]:
    """Neither interact() nor Output: an exception inside them leaves the run green."""
    for place, cell in code(notebook):
        named = {getattr(n, "id", None) or getattr(n, "attr", None) for n in ast.walk(tree(cell))}
        named |= {module.rpartition(".")[2] for module in imports(cell)}
        yield from (f"cell {place}: {bad} swallows errors" for bad in sorted(SWALLOWS_ERRORS & named))


def describes_its_figures(notebook: NotebookNode, name: str) -> Iterator[str]:
    """No pyplot: what it shows has no alternative text."""
    for place, cell in code(notebook):
        if any(module.startswith(("matplotlib.pyplot", "pylab")) for module in imports(cell)):
            yield f"cell {place}: figures of pyplot have no alternative text; use new_axes() and picture()"


def needs_no_network(notebook: NotebookNode, name: str) -> Iterator[str]:
    """No downloads, no shell, no pictures from elsewhere, but for the badges and the set-up on Colab."""
    for place, cell in code(notebook):
        found = {module for module in imports(cell) if module.partition(".")[0] in NETWORK}
        for call in (node for node in ast.walk(tree(cell)) if isinstance(node, ast.Call)):
            if called_name(call).startswith("fetch_") or any(k.arg == "download" for k in call.keywords):
                found.add(ast.unparse(call.func))
            is_magic = called_name(call) in ("run_line_magic", "run_cell_magic") and first_text(call)[0] in SHELLS
            if (is_magic and "setup" not in tags(cell)) or called_name(call) in ("system", "getoutput"):
                found.add(ast.unparse(call))
        found |= {s for s in strings(cell) if re.match(r"(https?|ftp)://", s)}
        yield from (f"cell {place} reaches for the network or the shell: {what}" for what in sorted(found))
    for place, cell in text(notebook):
        remote = r"!\[[^\]]*\]\(https?:|<(img|script|iframe|link)\b[^>]*https?:"
        if place > 0 and re.search(remote, cell.source):
            yield f"cell {place} shows something from the network"


def has_no_absolute_paths(notebook: NotebookNode, name: str) -> Iterator[str]:
    """Nothing that exists on one machine only."""
    for place, cell in code(notebook):
        yield from (f"cell {place} has an absolute path: {s[:40]!r}" for s in strings(cell) if ABSOLUTE.match(s))
    for place, cell in text(notebook):
        if found := ABSOLUTE_IN_TEXT.search(cell.source):
            yield f"cell {place} has an absolute path: {found[0]!r}"


RULES = [
    verifies_every_numbered_equation,
    tags_what_it_records,
    names_are_unique,
    runs_solutions_only_on_demand,
    helps_with_every_exercise,
    has_short_cells,
    swallows_no_errors,
    describes_its_figures,
    needs_no_network,
    has_no_absolute_paths,
]
