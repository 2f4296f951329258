"""Conjugate gradients against the dense solve, and each reason to stop."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from second_order_cases import WIDE

from sofim_lab.optim._exact.cg import _slow, conjugate_gradients


def spd(d, seed, condition=1e3):
    generator = torch.Generator().manual_seed(seed)
    Q, _ = torch.linalg.qr(torch.randn(d, d, generator=generator, dtype=WIDE))
    e = torch.logspace(0, torch.log10(torch.tensor(condition)).item(), d, dtype=WIDE)
    return Q @ torch.diag(e) @ Q.mT, torch.randn(d, generator=generator, dtype=WIDE)


def solve(A, b, *, tol=0.0, max_iter=1000, floor=0.0):
    return conjugate_gradients(lambda v: A @ v, b, tol=tol, max_iter=max_iter, floor=floor)


@settings(max_examples=30)
@given(d=st.integers(1, 30), seed=st.integers(0, 1000))
def test_iterated_to_rounding_it_is_the_dense_solve(d, seed):
    A, b = spd(d, seed)
    found = solve(A, b)
    torch.testing.assert_close(found.x, torch.linalg.solve(A, b), rtol=1e-8, atol=1e-8)
    assert found.stop in ("residual", "progress")  # without progress where rounding keeps the residual up
    assert found.curvature is None


def test_k_different_eigenvalues_take_k_iterations():
    A = torch.diag(torch.tensor([1.0, 1.0, 5.0, 5.0, 9.0], dtype=WIDE))
    found = solve(A, torch.ones(5, dtype=WIDE), tol=0.0)
    assert found.iterations == 3
    torch.testing.assert_close(found.x, 1 / A.diagonal())


def test_each_product_counts_and_their_number_is_bounded():
    A, b = spd(30, 0)
    seen = []
    found = conjugate_gradients(lambda v: (seen.append(v), A @ v)[1], b, tol=0.0, max_iter=7)
    assert (found.iterations, found.stop, len(seen)) == (7, "max_iter", 7)


def textbook_values(A, b, iterations):
    """φ after each iteration of the textbook method."""
    x, r, d = torch.zeros_like(b), b, b
    values = [0.0]
    for _ in range(iterations):
        a = (r @ r) / (d @ A @ d)
        x, before, r = x + a * d, r, r - a * (A @ d)
        d = r + (r @ r) / (before @ before) * d
        values.append((0.5 * x @ A @ x - b @ x).item())
    return values


@pytest.mark.parametrize("tol", [5e-4, 1e-4, 1e-5])
def test_the_progress_rule_is_that_of_martens(tol):
    """Stopped after the first i > k with (φ_i − φ_{i−k})/φ_i < k·tol, k = 10 up to i = 109."""
    A, b = spd(200, 1)
    found = solve(A, b, tol=tol)
    phi = textbook_values(A, b, found.iterations)
    ends = [i for i in range(11, found.iterations + 1) if (phi[i] - phi[i - 10]) / phi[i] < 10 * tol]
    assert found.stop == "progress"
    assert ends == [found.iterations]
    assert 20 < found.iterations < 110


def test_the_progress_rule_looks_back_a_tenth_of_the_way():
    """The last progress was 15 iterations ago: within a tenth of 200, not of 100."""
    assert not _slow([-1.0] * 186 + [-2.0] * 15, tol=1e-4)
    assert _slow([-1.0] * 86 + [-2.0] * 15, tol=1e-4)


def test_nothing_to_solve_takes_no_product():
    found = conjugate_gradients(lambda v: 1 / 0, torch.zeros(3), tol=0.0, max_iter=5)
    assert not found.x.any()
    assert found.iterations == 0


def test_negative_curvature_in_the_first_direction():
    """Down the right-hand side, as far as the absolute curvature there says."""
    A = torch.diag(torch.tensor([1.0, -3.0], dtype=WIDE))
    b = torch.tensor([1.0, 1.0], dtype=WIDE)
    found = solve(A, b)
    assert (found.stop, found.iterations, found.curvature) == ("curvature", 1, -1.0)
    assert torch.equal(found.x, b / 1.0)
    assert torch.equal(solve(A, b, floor=4.0).x, b / 4.0)


def test_negative_curvature_later_keeps_the_iterate():
    A = torch.diag(torch.tensor([1.0, 2.0, -0.1], dtype=WIDE))
    b = torch.tensor([1.0, 1.0, 0.1], dtype=WIDE)
    found = solve(A, b)
    assert found.stop == "curvature"
    assert found.curvature < 0
    assert found.iterations > 1
    assert torch.equal(found.x, solve(A, b, max_iter=found.iterations - 1).x)
    assert b @ found.x > 0


def test_curvature_below_the_floor_stops_though_it_is_positive():
    A = torch.diag(torch.tensor([1.0, 1e-3], dtype=WIDE))
    b = torch.ones(2, dtype=WIDE)
    assert solve(A, b).stop == "residual"
    found = solve(A, b, floor=0.1)
    assert found.stop == "curvature"
    assert 0 < found.curvature < 0.1


def test_no_curvature_at_all():
    b = torch.tensor([3.0, 4.0])
    found = conjugate_gradients(torch.zeros_like, b, tol=0.0, max_iter=5)
    assert torch.equal(found.x, b)
    assert found.stop == "curvature"


@settings(max_examples=50)
@given(d=st.integers(1, 12), seed=st.integers(0, 1000), max_iter=st.integers(1, 12), floor=st.sampled_from([0.0, 0.3]))
def test_whatever_the_matrix_the_result_is_a_direction_of_descent(d, seed, max_iter, floor):
    generator = torch.Generator().manual_seed(seed)
    A = torch.randn(d, d, generator=generator, dtype=WIDE)
    b = torch.randn(d, generator=generator, dtype=WIDE)
    assert b @ solve(A + A.mT, b, max_iter=max_iter, floor=floor).x > 0


def test_products_that_are_not_finite_are_refused():
    with pytest.raises(ValueError, match="not finite"):
        conjugate_gradients(lambda v: v * torch.nan, torch.ones(3), tol=0.0, max_iter=5)
