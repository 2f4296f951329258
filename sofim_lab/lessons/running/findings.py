"""What an executed notebook holds: the records in its outputs, and the first thing that went wrong."""

import dataclasses
import re
from collections.abc import Iterator
from typing import Any

from sofim_lab.lessons.colours import without_colours
from sofim_lab.lessons.notebook import Cell, own_cells, text
from sofim_lab.lessons.outcome import (
    CHECK_MIME,
    METRIC_MIME,
    VERIFY_MIME,
    Check,
    Failure,
    Metric,
    Verification,
)

WIDGET_STATE = "application/vnd.jupyter.widget-state+json"
WIDGET_VIEW = "application/vnd.jupyter.widget-view+json"

_NAMED = re.compile(r"^[ |+]*([\w.]*(?:Error|Exception|Group|Warning): .*)$", re.MULTILINE)
_FRAME = re.compile(r"Cell In\s*\[(\d+)\], line (\d+)")


@dataclasses.dataclass(frozen=True)
class Findings:
    """What an executed notebook says about its run."""

    metrics: tuple[Metric, ...]
    verifications: tuple[Verification, ...]
    checks: tuple[Check, ...]
    failure: Failure | None


def collect_findings(notebook: dict[str, Any], *, solutions: bool = False) -> Findings:
    """Collect the records of an executed notebook and find its first failure.

    Args:
        notebook: JSON of the executed file, widget state included.
        solutions: Whether the lesson ran with its solutions, so that every exercise must be solved.

    Returns:
        Metrics, verified formulas and exercises in the order of the cells (of an exercise the last answer), and the
        failure: an error that stopped a cell, else one that a widget swallowed, else a name recorded twice, else an
        unsolved exercise.
    """
    cells = own_cells(notebook)
    metrics: dict[str, tuple[int, Metric]] = {}
    formulas: dict[str, tuple[int, Verification]] = {}
    checks: dict[str, tuple[int, Check]] = {}
    later: list[Failure] = []
    for number, cell in enumerate(cells, 1):
        for mime, payload in _payloads(cell):
            try:
                if mime == METRIC_MIME:
                    metric = Metric(**{**payload, "value": float(payload["value"])})
                    later += _twice("metric", metric.name, number, cell, metrics)
                    metrics.setdefault(metric.name, (number, metric))
                elif mime == VERIFY_MIME:
                    sides = {key: float(payload[key]) for key in ("residual", "tolerance")}
                    formula = Verification(**{**payload, **sides})
                    later += _twice("formula", formula.id, number, cell, formulas)
                    formulas.setdefault(formula.id, (number, formula))
                    if not formula.passed:
                        later.append(_at(number, cell, "formula", f"formula {formula.id!r} does not hold"))
                else:
                    solved = payload.get("solved", payload.get("passed"))
                    check = Check(payload["id"], solved, str(payload.get("message", "")))
                    checks[check.id] = (number, check)
            except (KeyError, TypeError, ValueError, AttributeError) as error:
                later.append(_at(number, cell, "record", f"unreadable record {payload!r}: {error}"))
    unsolved = [(number, check) for number, check in checks.values() if solutions and check.solved is not True]
    for number, check in unsolved:
        message = f"exercise {check.id!r} is not solved by its own solution: {check.message}".rstrip(": ")
        later.append(_at(number, cells[number - 1], "exercise", message))
    failures = [*_raised(cells), *_swallowed(notebook, cells), *later]
    return Findings(
        tuple(metric for _, metric in metrics.values()),
        tuple(formula for _, formula in formulas.values()),
        tuple(check for _, check in checks.values()),
        failures[0] if failures else None,
    )


def caught_failure(notebook: dict[str, Any], number: int, error: dict[str, Any]) -> Failure:
    """The failure of an error that a widget caught while cell `number` ran, although its output is cleared by now."""
    failure = _located(number, own_cells(notebook)[number - 1], "widget", error)
    return dataclasses.replace(failure, message=f"caught by a widget: {failure.message}")


def _payloads(cell: Cell) -> Iterator[tuple[str, Any]]:
    """Our records among a cell's outputs."""
    for output in cell.get("outputs", []):
        for mime in (METRIC_MIME, VERIFY_MIME, CHECK_MIME):
            if mime in output.get("data", {}):
                yield mime, output["data"][mime]


def _at(number: int, cell: Cell, kind: str, message: str) -> Failure:
    """A failure at a cell as a whole."""
    return Failure(kind, message, number, cell.get("id"))


def _twice(what: str, name: str, number: int, cell: Cell, seen: dict[str, tuple[int, Any]]) -> list[Failure]:
    """The failure of recording a name again."""
    if name not in seen:
        return []
    first = seen[name][0]
    where = f"in cell {first} and in cell {number}" if first != number else f"twice in cell {number}"
    return [_at(number, cell, "duplicate", f"{what} {name!r} is recorded {where}: names are unique in a lesson")]


def _raised(cells: list[Cell]) -> Iterator[Failure]:
    """Errors among the outputs of cells."""
    for number, cell in enumerate(cells, 1):
        for output in cell.get("outputs", []):
            if output.get("output_type") == "error":
                kind = "formula" if output.get("ename") == "VerificationError" else "error"
                yield _located(number, cell, kind, output)
        if cell.get("metadata", {}).get("papermill", {}).get("exception") and not any(
            output.get("output_type") == "error" for output in cell.get("outputs", [])
        ):  # IPython cannot show every exception: groups go to stderr, others are lost
            words = "".join(text(o.get("text", "")) for o in cell.get("outputs", []) if o.get("name") == "stderr")
            named = _NAMED.search(words)
            message = named[1] if named else "the cell raised an exception that IPython could not show"
            yield Failure("error", message, number, cell.get("id"), traceback=without_colours(words))


def _swallowed(notebook: dict[str, Any], cells: list[Cell]) -> Iterator[Failure]:
    """Errors that an `Output` widget (`interact`, too) caught, so that the run went on."""
    state = notebook.get("metadata", {}).get("widgets", {}).get(WIDGET_STATE, {}).get("state", {})
    for model, widget in state.items():
        for output in widget.get("state", {}).get("outputs") or []:
            if output.get("output_type") != "error":
                continue
            frames = _FRAME.findall(error_traceback(output))
            counts = {cell.get("execution_count"): n for n, cell in enumerate(cells, 1)}
            number = counts.get(int(frames[-1][0])) if frames else _shown_in(model, state, cells)
            if number is None:
                yield Failure(
                    "widget", f"caught by a widget: {error_message(output)}", traceback=error_traceback(output)
                )
            else:
                failure = _located(number, cells[number - 1], "widget", output)
                yield dataclasses.replace(failure, message=f"caught by a widget: {failure.message}")


def _shown_in(model: str, state: dict[str, Any], cells: list[Cell]) -> int | None:
    """Number of the first cell that displays this widget or a container of it."""

    def holds(root: str, seen: frozenset[str] = frozenset()) -> bool:
        children = state.get(root, {}).get("state", {}).get("children") or []
        names = {str(child).removeprefix("IPY_MODEL_") for child in children} - seen
        return root == model or any(holds(name, seen | names) for name in names)

    for number, cell in enumerate(cells, 1):
        for output in cell.get("outputs", []):
            view = output.get("data", {}).get(WIDGET_VIEW)
            if view and holds(view.get("model_id", "")):
                return number
    return None


def _located(number: int, cell: Cell, kind: str, output: dict[str, Any]) -> Failure:
    """A failure at the deepest line of this cell that the traceback names."""
    traceback = error_traceback(output)
    own = [int(line) for count, line in _FRAME.findall(traceback) if int(count) == cell.get("execution_count")]
    lines = text(cell.get("source", "")).splitlines()
    blank = next((n for n, content in enumerate(lines) if content.strip()), 0)  # IPython counts without them
    line = own[-1] + blank if own and own[-1] + blank <= len(lines) else None
    source = "" if line is None else lines[line - 1]
    return Failure(kind, error_message(output), number, cell.get("id"), line, source, traceback)


def error_message(output: dict[str, Any]) -> str:
    """`NameError: name 'x' is not defined`."""
    return without_colours(f"{output.get('ename', 'Error')}: {output.get('evalue', '')}").rstrip(": ")


def error_traceback(output: dict[str, Any]) -> str:
    """IPython's traceback without its colours."""
    return without_colours("\n".join(output.get("traceback", [])))
