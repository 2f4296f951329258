"""Looking into a notebook without running it: tags, headings, and the syntax tree of its code."""

import ast
import re
from collections.abc import Iterator

from IPython.core.inputtransformer2 import TransformerManager
from nbformat import NotebookNode

Numbered = Iterator[tuple[int, NotebookNode]]


def tags(cell: NotebookNode) -> list[str]:
    """The cell's tags."""
    return list(cell.metadata.get("tags", []))


def code(notebook: NotebookNode, tag: str | None = None) -> Numbered:
    """Code cells with their place (from 0), all of them or those with a tag."""
    return _cells(notebook, "code", tag)


def text(notebook: NotebookNode, tag: str | None = None) -> Numbered:
    """Markdown cells with their place (from 0), all of them or those with a tag."""
    return _cells(notebook, "markdown", tag)


def _cells(notebook: NotebookNode, kind: str, tag: str | None) -> Numbered:
    """Cells of one kind, all of them or those with a tag."""
    for place, cell in enumerate(notebook.cells):
        if cell.cell_type == kind and (tag is None or tag in tags(cell)):
            yield place, cell


def tree(cell: NotebookNode) -> ast.Module:
    """The syntax tree of a code cell; `%pip ...` becomes the call get_ipython().run_line_magic("pip", ...)."""
    return ast.parse(TransformerManager().transform_cell(cell.source))


def called_name(node: ast.AST) -> str:
    """`f` for a call of f(...) or module.f(...), else nothing."""
    if not isinstance(node, ast.Call):
        return ""
    return getattr(node.func, "id", None) or getattr(node.func, "attr", "")


def calls(cell: NotebookNode, *names: str) -> list[ast.Call]:
    """The calls of functions with these names in a code cell."""
    return [node for node in ast.walk(tree(cell)) if called_name(node) in names]


def first_text(call: ast.Call) -> tuple[str, bool]:
    """A call's first argument as far as it is written down, and whether that is all of it (not so for f"a{b}")."""
    first = call.args[0] if call.args else next((k.value for k in call.keywords if k.arg in ("id", "name")), None)
    if isinstance(first, ast.JoinedStr):
        start = first.values[0] if first.values else None
        return (start.value if isinstance(start, ast.Constant) else "", False)
    written = isinstance(first, ast.Constant) and isinstance(first.value, str)
    return (first.value, True) if written else ("", False)


def strings(cell: NotebookNode) -> Iterator[str]:
    """The texts in a code cell as they begin: whole literals, and of an f-string what stands before its first field."""
    module = tree(cell)
    later = {id(part) for n in ast.walk(module) if isinstance(n, ast.JoinedStr) for part in n.values[1:]}
    for node in ast.walk(module):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in later:
            yield node.value


def imports(cell: NotebookNode) -> Iterator[str]:
    """The modules that a code cell imports, in full: `a.b` for `import a.b`, `a.b.c` for `from a.b import c`."""
    for node in ast.walk(tree(cell)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def headings(notebook: NotebookNode) -> list[tuple[str, str]]:
    """The `##` headings in order, each with the text up to the next one."""
    prose = "\n".join(cell.source for _, cell in text(notebook))
    parts = re.split(r"^## +(.+?) *$", re.sub(r"^```.*?^```", "", prose, flags=re.M | re.S), flags=re.M)
    return list(zip(parts[1::2], parts[2::2], strict=True))
