import json
import math
import re
import sys

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from sofim_lab.lessons.outcome import METRIC_MIME, VERIFY_MIME
from sofim_lab.lessons.recording import VerificationError, metric, verify


@pytest.fixture
def shown(monkeypatch):
    """Bundles that a notebook would display."""
    import IPython
    import IPython.display

    bundles = []
    monkeypatch.setattr(IPython, "get_ipython", lambda: object())
    monkeypatch.setattr(IPython.display, "display", lambda bundle, raw: bundles.append(bundle) or raw)
    return bundles


@pytest.mark.parametrize(
    "value",
    [0.25, np.float32(0.25), np.array(0.25), torch.tensor(0.25), torch.tensor(0.25, dtype=torch.bfloat16),
     torch.tensor(0.25, requires_grad=True)],
    ids=lambda value: type(value).__name__,
)  # fmt: skip
def test_metric_takes_every_kind_of_real_number(shown, value):
    metric("loss", value, unit="nat", better="lower")
    (bundle,) = shown
    assert bundle[METRIC_MIME] == {"name": "loss", "value": 0.25, "unit": "nat", "better": "lower", "compare": True}
    assert "loss" in bundle["text/plain"]
    assert "0.25 nat" in bundle["text/html"]
    json.dumps(bundle, allow_nan=False)


@pytest.mark.parametrize(("value", "name"), [(math.nan, "nan"), (math.inf, "inf"), (torch.tensor(-math.inf), "-inf")])
def test_a_metric_that_is_not_finite_is_recorded_by_its_name(shown, value, name):
    metric("loss", value)
    assert shown[0][METRIC_MIME]["value"] == name
    json.dumps(shown[0], allow_nan=False)


@pytest.mark.parametrize(
    "value", [True, "0.5", None, 1j, [1.0], np.zeros(2), torch.zeros(1), torch.tensor(True)], ids=repr
)
def test_metric_refuses_what_is_no_real_number(shown, value):
    with pytest.raises(TypeError, match=r"metric 'loss': value must be one real number, got"):
        metric("loss", value)
    assert not shown


@pytest.mark.parametrize(
    ("arguments", "error", "words"),
    [
        ({"name": ""}, ValueError, "name='' must be a non-empty text"),
        ({"better": "best"}, ValueError, "better='best' is unknown: choose 'lower', 'higher' or None"),
        ({"unit": 3}, TypeError, "unit must be a text"),
        ({"compare": 1}, TypeError, "compare a bool"),
    ],
)
def test_metric_names_the_argument_that_is_wrong(arguments, error, words):
    with pytest.raises(error, match=re.escape(words)):
        metric(**{"name": "loss", "value": 1.0} | arguments)


numbers = st.floats(-1e6, 1e6)
vectors = st.integers(1, 5).flatmap(lambda n: st.tuples(*[st.lists(numbers, min_size=n, max_size=n)] * 2))


@given(vectors, st.sampled_from([0.0, 1e-6, 0.1]), st.sampled_from([0.0, 1e-3, 10.0]))
def test_verify_decides_as_its_formula_says(sides, rtol, atol):
    left, right = map(np.array, sides)
    # Row by row in Python, against the vectorised form under test.
    residual = max(abs(a - b) for a, b in zip(*sides, strict=True))
    tolerance = atol + rtol * max(abs(b) for b in sides[1])
    if residual <= tolerance:
        verify("f", left, right, rtol=rtol, atol=atol)
    else:
        with pytest.raises(VerificationError):
            verify("f", left, right, rtol=rtol, atol=atol)


def test_verify_records_what_decided(shown):
    verify("05.x", torch.tensor([1.0, 2.0]), np.array([1.0, 2.5]), rtol=0.1, atol=0.5, what="$a < b$")
    bundle = shown[0]
    assert bundle[VERIFY_MIME] == {"id": "05.x", "passed": True, "residual": 0.5, "tolerance": 0.75, "what": "$a < b$"}
    assert "✓" in bundle["text/html"]
    assert "$a &lt; b$" in bundle["text/html"]
    assert "residual 0.5 ≤ tolerance 0.75" in bundle["text/plain"]


def test_a_formula_that_does_not_hold_is_shown_and_then_raised(shown):
    words = "formula '05.x' does not hold: residual 1 > tolerance 2e-10"
    with pytest.raises(VerificationError, match=words) as caught:
        verify("05.x", 3, 2)
    assert isinstance(caught.value, AssertionError)
    assert shown[0][VERIFY_MIME]["passed"] is False
    assert "✗" in shown[0]["text/html"]
    assert "does not hold" in shown[0]["text/html"]


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64, torch.int64])
def test_verify_does_not_care_for_the_dtype(dtype):
    values = [1.0, -2.0, 4.0]
    verify("f", torch.tensor(values, dtype=dtype, requires_grad=dtype.is_floating_point), values)
    with pytest.raises(VerificationError):
        verify("f", torch.tensor(values, dtype=dtype), [1.0, -2.0, 4.001])


def test_verify_compares_complex_and_sparse_tensors():
    verify("conjugate", torch.tensor([1 + 2j]).conj(), [1 - 2j])
    with pytest.raises(VerificationError):
        verify("conjugate", torch.tensor([1 + 2j]), [1 - 2j])
    verify("sparse", torch.eye(3).to_sparse(), np.eye(3))


@pytest.mark.parametrize(
    ("left", "right", "words"),
    [
        ([1.0, math.nan], [1.0, 2.0], "residual nan ≰ tolerance 2e-10 (not finite: 1 of left, of 2 each)"),
        ([1.0, 2.0], [math.nan, math.nan], "residual nan"),
        ([math.inf], [math.inf], "residual inf > tolerance 0 (not finite: 1 of left, 1 of right"),
        ([1.0, 5.0], [1.0, math.inf], "residual inf"),
        ([1e-300], [0.0], "right is zero everywhere, so rtol has no scale: give atol"),
    ],
)
def test_verify_says_why_numbers_alone_do_not_decide(shown, left, right, words):
    with pytest.raises(VerificationError, match=re.escape(words)):
        verify("f", torch.tensor(left, dtype=torch.float64), right)
    json.dumps(shown[0], allow_nan=False)


@pytest.mark.parametrize(
    ("left", "right", "options", "error", "words"),
    [
        (torch.zeros(3), torch.zeros(3, 1), {}, ValueError, "left has shape (3,), right (3, 1): they must be equal"),
        (1.0, [1.0], {}, ValueError, "left has shape (), right (1,)"),
        ([], [], {}, ValueError, "both sides are empty"),
        (1, 1, {"rtol": -1}, ValueError, "rtol=-1 must be a finite number ≥ 0"),
        (1, 1, {"atol": math.nan}, ValueError, "atol=nan"),
        (1, 1, {"id": " "}, ValueError, "id=' ' must be a non-empty text"),
        ("a", 1, {}, TypeError, "left is not an array of numbers"),
        (1, [[1], [1, 2]], {}, TypeError, "right is not an array of numbers"),
    ],
)
def test_verify_refuses_what_it_cannot_compare(shown, left, right, options, error, words):
    arguments = {"id": "f"} | options
    with pytest.raises(error, match=re.escape(words)) as caught:
        verify(arguments.pop("id"), left, right, **arguments)
    assert not isinstance(caught.value, VerificationError)
    assert not shown


def test_outside_a_notebook_the_text_is_printed(capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "IPython", None)
    metric("d", 7)
    verify("f", 1, 1, what="one")
    assert capsys.readouterr().out == "metric d = 7\n✓ f: residual 0 ≤ tolerance 1e-10  one\n"
