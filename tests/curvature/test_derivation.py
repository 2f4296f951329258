import pytest
import torch

from sofim_lab.curvature import derivation_residuals


def vectors(d=50, seed=0):
    return torch.randn(2, d, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def residuals(dtype, rho):
    m, v = vectors()
    lines = derivation_residuals((m / torch.linalg.vector_norm(m)).to(dtype), v.to(dtype), rho)
    return {line.label: line.residual for line in lines}


@pytest.mark.parametrize("rho", [1e-8, 1e-4, 0.3, 10.0])
def test_in_float64_every_line_of_the_derivation_holds(rho):
    found = residuals(torch.float64, rho)
    for label in ("(1)", "(2)", "(3)", "(4)", "(8)"):
        assert found[label] < 1e-14, label


def test_the_references_are_those_of_an_independent_dense_solve():
    # The lines are measured against the library's stable forms; here LAPACK stands on the other side.
    assert residuals(torch.float64, 0.3)["dense"] < 1e-13


def test_in_float32_only_the_subtractions_and_the_dense_solve_lose_their_digits():
    found = residuals(torch.float32, 1e-8)
    assert max(found[label] for label in ("(1)", "(2)", "(3)", "(4)", "(8)")) < 1e-6
    assert found["textbook"] > 0.1
    assert found["guarded"] > 1e3
    assert found["dense"] > 0.01


def test_bfloat16_has_no_dense_solve():
    assert "dense" not in residuals(torch.bfloat16, 0.3)
    assert residuals(torch.bfloat16, 0.3)["(8)"] < 0.02


def test_a_line_that_is_wrong_shows(monkeypatch):
    # The residual of a line is a measurement: with another formula in its place it must be large.
    monkeypatch.setattr("sofim_lab.curvature.derivation.textbook_direction", lambda m, rho: m / (rho - m @ m))
    assert residuals(torch.float64, 0.3)["textbook"] > 0.1


def test_bad_input_is_named():
    m, v = vectors()
    with pytest.raises(ValueError, match=r"rho=0\.0 must be positive"):
        derivation_residuals(m, v, 0.0)
    with pytest.raises(ValueError, match=r"m \(50,\) torch\.float64 and v \(50,\) torch\.float32"):
        derivation_residuals(m, v.float(), 1.0)
