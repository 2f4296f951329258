"""Low-rank Fisher matrices against the dense solve, and in float32 against float64."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from sofim_lab.curvature import RegularizedFIM
from sofim_lab.curvature.woodbury import LowRankFIM

WIDE = torch.float64


def normal(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=WIDE)


def dense(rows, rho, weights):
    return sum(p * torch.outer(g, g) for p, g in zip(weights, rows, strict=True)) + rho * torch.eye(rows.shape[1]).to(
        rows
    )


def error(value, exact):
    return float((value.double() - exact).norm() / exact.norm())


@settings(max_examples=60)
@given(
    k=st.integers(1, 8),
    d=st.integers(1, 12),
    columns=st.none() | st.integers(1, 3),
    rho=st.floats(1e-3, 1e3),
    size=st.sampled_from([0.0, 1e-3, 1.0, 10.0]),
    weighted=st.booleans(),
    repeated=st.booleans(),
    seed=st.integers(0, 2**16),
)
def test_everything_matches_the_dense_matrix(k, d, columns, rho, size, weighted, repeated, seed):
    rows = size * normal(k, d, seed=seed)
    if repeated:
        rows[-1] = rows[0]  # dependent rows: K is singular
    weights = normal(k, seed=seed + 1).abs() + 0.1 if weighted else torch.full((k,), 1 / k, dtype=WIDE)
    F = LowRankFIM(rows, rho, weights if weighted else None)
    matrix = dense(rows, rho, weights)
    v, a = (normal(n, *([] if columns is None else [columns]), seed=seed + 2) for n in (d, k))
    scale = float(1 + matrix.abs().max() / rho)
    close = {"rtol": 1e-11 * scale, "atol": 1e-13 * scale / rho}
    assert F.shape == matrix.shape
    torch.testing.assert_close(F.dense(), matrix, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(F.matvec(v), matrix @ v, rtol=1e-11, atol=1e-11)
    torch.testing.assert_close(F.solve(v), torch.linalg.solve(matrix, v), **close)
    torch.testing.assert_close(F.solve_rows(a), torch.linalg.solve(matrix, rows.mT @ a), **close)
    torch.testing.assert_close(F.solve_mean(), torch.linalg.solve(matrix, weights @ rows), **close)
    torch.testing.assert_close(F.eigenvalues(), torch.linalg.eigvalsh(matrix), rtol=1e-10, atol=1e-10 * scale)
    torch.testing.assert_close(F.logdet(), torch.linalg.slogdet(matrix).logabsdet, rtol=1e-9, atol=1e-9)


def test_equal_weights_are_the_mean_of_the_outer_products():
    rows = normal(5, 7)
    torch.testing.assert_close(LowRankFIM(rows, 0.3).dense(), rows.mT @ rows / 5 + 0.3 * torch.eye(7, dtype=WIDE))


@settings(max_examples=20)
@given(d=st.integers(1, 20), rho=st.floats(1e-6, 1e2), seed=st.integers(0, 2**16))
def test_one_row_is_the_rank_one_matrix(d, rho, seed):
    m, v = normal(2, d, seed=seed)
    one, two = LowRankFIM(m[None], rho), RegularizedFIM(m, rho)
    torch.testing.assert_close(one.solve_mean(), two.solve(m), rtol=1e-12, atol=0)
    torch.testing.assert_close(one.solve(v), two.solve(v), rtol=1e-8, atol=1e-12 / rho)


@pytest.mark.parametrize("rho", [1.0, 1e-2, 1e-4, 1e-6, 1e-8])
def test_float32_survives_small_damping(rho):
    rows = normal(8, 100_000).float() / 300  # ‖g‖ ≈ 1
    wide = rows.double()
    F = LowRankFIM(rows, rho)
    small = rho * torch.eye(8, dtype=WIDE) + wide @ wide.mT / 8
    mean = wide.mT @ torch.linalg.solve(small, torch.full((8,), 1 / 8, dtype=WIDE))
    assert error(F.solve_mean(), mean) < 2e-7
    v = normal(100_000, seed=9).float()
    textbook = (v.double() - wide.mT @ torch.linalg.solve(small, wide @ v.double()) / 8) / rho
    assert error(F.solve(v), textbook) < 2e-7


@pytest.mark.parametrize("rho", [1e-3, 1e-8])
def test_float32_survives_rows_that_are_nearly_alike(rho):
    rows = (normal(2000) + 1e-4 * normal(6, 2000, seed=1)).float()
    wide = rows.double()
    small = rho * torch.eye(6, dtype=WIDE) + wide @ wide.mT / 6
    exact = wide.mT @ torch.linalg.solve(small, torch.full((6,), 1 / 6, dtype=WIDE))
    assert error(LowRankFIM(rows, rho).solve_mean(), exact) < 2e-7


def test_dependent_rows_spoil_nothing():
    rows = normal(3, 50)
    rows = torch.cat([rows, rows.sum(0)[None], 2 * rows[:1]])
    values, vectors = torch.linalg.eigh(rows.mT @ rows / 5)
    values, top = values[-3:], vectors[:, -3:]
    v, across = normal(2, 50, seed=3)
    along, across = top @ (top.mT @ v), across - top @ (top.mT @ across)
    for rho in (1e-6, 1e-10):
        F, exact = LowRankFIM(rows, rho), top @ ((top.mT @ v) / (values + rho))
        assert error(F.solve_rows(torch.linalg.pinv(rows.mT) @ along), exact) < 1e-10
        assert error(F.solve(along + across) * rho, exact * rho + across) < 1e-12
        assert error(F.solve(across), across / rho) < 1e-12


def test_rows_longer_than_one_piece_are_taken_whole():
    rows, v = normal(3, 70_000).float(), normal(70_000, 2, seed=1).float()
    F = LowRankFIM(rows, 0.7)
    wide = rows.double()
    product = wide.mT @ (wide @ v.double()) / 3 + 0.7 * v.double()
    assert error(F.matvec(v), product) < 1e-6
    assert error(F.matvec(F.solve(v)), v.double()) < 1e-5


def test_the_logarithm_of_the_determinant_does_not_overflow():
    assert LowRankFIM(torch.zeros(2, 10_000, dtype=WIDE), 1e-3).logdet().item() == pytest.approx(
        10_000 * math.log(1e-3)
    )


def test_rows_of_zero_leave_the_damping_alone():
    F = LowRankFIM(torch.zeros(2, 3), 0.5)
    assert F.solve(torch.ones(3)).tolist() == [2.0] * 3
    assert F.solve_mean().tolist() == [0.0] * 3
    assert F.eigenvalues().tolist() == [0.5] * 3


def test_its_text_names_size_and_damping():
    assert repr(LowRankFIM(torch.ones(2, 4), 0.5)) == "LowRankFIM(k=2, d=4, rho=0.5)"


@pytest.mark.parametrize(
    ("arguments", "kind", "words"),
    [
        (([1.0], 1.0), TypeError, "rows must be a tensor, got list"),
        ((torch.ones(3), 1.0), ValueError, r"rows must have the shape \(k, d\), got \(3,\): one row is rows\[None\]"),
        ((torch.ones(0, 3), 1.0), ValueError, "rows must be a non-empty"),
        ((torch.ones(2, 3, dtype=torch.int64), 1.0), ValueError, "rows must be real floating point"),
        ((torch.full((2, 3), math.nan), 1.0), ValueError, "rows must be finite, 6 of its 6 entries"),
        ((torch.ones(2, 3), 0.0), ValueError, "rho must be a finite number > 0"),
        ((torch.ones(2, 3), 1.0, [0.5, 0.5]), TypeError, "weights must be a tensor"),
        ((torch.ones(2, 3), 1.0, torch.ones(3)), ValueError, "weights must be 2 numbers > 0, one for each row"),
        ((torch.ones(2, 3), 1.0, torch.tensor([1.0, 0.0])), ValueError, "weights must be 2 numbers > 0"),
    ],
)
def test_bad_input_is_named(arguments, kind, words):
    with pytest.raises(kind, match=words):
        LowRankFIM(*arguments)


def test_vectors_that_do_not_fit_are_refused():
    F = LowRankFIM(torch.ones(2, 3), 1.0)
    for method in (F.solve, F.matvec):
        for v in (torch.ones(2), torch.ones(3, 1, 1), torch.tensor(1.0), [1.0, 2.0, 3.0]):
            with pytest.raises(ValueError, match=r"v must be a tensor of shape \(3,\) or \(3, c\)"):
                method(v)
        with pytest.raises(ValueError, match="v must have the dtype of the rows"):
            method(torch.ones(3, dtype=WIDE))
    for a in (torch.ones(3), torch.ones(2, 1, 1), [1.0, 1.0]):
        with pytest.raises(ValueError, match=r"a must be a tensor of shape \(2,\) or \(2, c\), one coefficient a row"):
            F.solve_rows(a)
