import pytest

from sofim_lab.lessons.outcome import CHECK_MIME, METRIC_MIME, VERIFY_MIME
from sofim_lab.lessons.running.findings import collect_findings


def metric(name, value=1.0):
    return {METRIC_MIME: {"name": name, "value": value, "unit": "", "better": None, "compare": True}}


def formula(id, passed=True):
    return {VERIFY_MIME: {"id": id, "passed": passed, "residual": 0.0, "tolerance": 1e-9, "what": ""}}


def exercise(id, solved):
    return {CHECK_MIME: {"id": id, "solved": solved, "message": "said"}}


def notebook(*cells, tags=(), widgets=None):
    """An executed notebook whose code cells have these outputs; a bundle stands for its display."""
    made = []
    for count, outputs in enumerate(cells, 1):
        outputs = [out if "output_type" in out else {"output_type": "display_data", "data": out} for out in outputs]
        made.append({"cell_type": "code", "id": f"c{count}", "source": ["a\n", "b\n", "c"], "metadata": {},
                     "execution_count": count, "outputs": outputs})  # fmt: skip
    for position, tag in tags:
        made.insert(position, {"cell_type": "markdown", "source": "", "metadata": {"tags": [tag]}})
    state = {"application/vnd.jupyter.widget-state+json": {"state": widgets or {}}}
    return {"cells": made, "metadata": {"widgets": state}}


def error(ename="ValueError", traceback=()):
    return {"output_type": "error", "ename": ename, "evalue": "\x1b[31mbad\x1b[0m", "traceback": list(traceback)}


def test_records_come_in_order_and_the_last_answer_counts():
    found = collect_findings(
        notebook([metric("b", "nan"), formula("f")], [exercise("e", None)], [metric("a", 2)], [exercise("e", True)])
    )
    assert [m.name for m in found.metrics] == ["b", "a"]
    assert str(found.metrics[0].value) == "nan"
    assert found.metrics[1].value == 2.0
    assert [v.id for v in found.verifications] == ["f"]
    assert [(c.id, c.solved, c.message) for c in found.checks] == [("e", True, "said")]
    assert found.failure is None


@pytest.mark.parametrize(
    ("cells", "where"),
    [
        ([[metric("x")], [], [metric("x")]], "in cell 1 and in cell 3"),
        ([[metric("x"), metric("x")]], "twice in cell 1"),
    ],
)
def test_a_metric_recorded_twice_names_both_cells(cells, where):
    failure = collect_findings(notebook(*cells)).failure
    assert (failure.kind, failure.cell) == ("duplicate", len(cells))
    assert failure.message == f"metric 'x' is recorded {where}: names are unique in a lesson"


def test_a_formula_verified_twice_is_a_failure_too():
    failure = collect_findings(notebook([formula("f")], [formula("f")])).failure
    assert "formula 'f' is recorded in cell 1 and in cell 2" in failure.message


def test_a_formula_that_did_not_hold_fails_even_where_its_error_was_caught():
    failure = collect_findings(notebook([], [formula("f", passed=False)])).failure
    assert (failure.kind, failure.cell, failure.message) == ("formula", 2, "formula 'f' does not hold")


def test_an_exercise_must_be_solved_only_with_solutions():
    executed = notebook([exercise("e", False)])
    assert collect_findings(executed).failure is None
    failure = collect_findings(executed, solutions=True).failure
    assert (failure.kind, failure.cell) == ("exercise", 1)
    assert failure.message == "exercise 'e' is not solved by its own solution: said"


def test_an_unreadable_record_is_a_failure():
    failure = collect_findings(notebook([{METRIC_MIME: {"name": "x"}}])).failure
    assert (failure.kind, failure.cell) == ("record", 1)


def test_an_error_is_placed_in_the_cell_that_its_author_knows():
    traceback = ["\x1b[36mCell\x1b[39m\x1b[36m \x1b[39m\x1b[32mIn[2]\x1b[39m\x1b[32m, line 2\x1b[39m in <module>",
                 "Cell In[1], line 3, in f(x)", "File torch.py:7"]  # fmt: skip
    tags = [(1, "papermill-error-cell-tag"), (0, "papermill-error-cell-tag"), (1, "injected-parameters")]
    failure = collect_findings(notebook([metric("x"), metric("x")], [error("KeyError", traceback)], tags=tags)).failure
    assert (failure.kind, failure.cell, failure.cell_id) == ("error", 2, "c2")  # before the duplicate of cell 1
    assert (failure.line, failure.source) == (2, "b")
    assert failure.message == "KeyError: bad"
    assert "\x1b" not in failure.traceback


def test_the_deepest_line_within_the_failing_cell_is_named():
    failure = collect_findings(notebook([error("E", ["Cell In[1], line 3", "Cell In[1], line 1, in f(x)"])])).failure
    assert failure.line == 1


def test_an_error_caught_by_an_output_widget_is_found_where_the_widget_is_shown():
    view = {"application/vnd.jupyter.widget-view+json": {"model_id": "box"}}
    widgets = {
        "box": {"state": {"children": ["IPY_MODEL_slider", "IPY_MODEL_out"]}},
        "out": {"state": {"outputs": [{"output_type": "stream"}, error("ValueError", ["File torch.py:7"])]}},
    }
    failure = collect_findings(notebook([], [view], widgets=widgets)).failure
    assert (failure.kind, failure.cell, failure.message) == ("widget", 2, "caught by a widget: ValueError: bad")
    assert collect_findings(notebook([], widgets=widgets)).failure.cell is None  # shown nowhere
