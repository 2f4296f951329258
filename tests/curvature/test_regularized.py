"""The rank-one matrix and Sherman–Morrison against dense linear algebra."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from sofim_lab.curvature import RegularizedFIM, sherman_morrison

WIDE = torch.float64


def normal(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=WIDE)


@settings(max_examples=60)
@given(
    d=st.integers(1, 30),
    k=st.none() | st.integers(1, 4),
    rho=st.floats(1e-3, 1e3),
    size=st.sampled_from([0.0, 1e-3, 1.0, 10.0]),
    seed=st.integers(0, 2**16),
)
def test_everything_matches_the_dense_matrix(d, k, rho, size, seed):
    m = size * normal(d, seed=seed)
    v = normal(d, seed=seed + 1) if k is None else normal(d, k, seed=seed + 1)
    F = RegularizedFIM(m, rho)
    dense = m[:, None] * m[None, :] + rho * torch.eye(d, dtype=WIDE)
    assert F.shape == dense.shape
    assert F.dtype == WIDE
    assert torch.equal(F.dense(), dense)
    torch.testing.assert_close(F.matvec(v), dense @ v, rtol=1e-11, atol=1e-11)
    tolerance = 1e-13 * (1 + size**2 * d / rho)
    torch.testing.assert_close(F.solve(v), torch.linalg.solve(dense, v), rtol=1e-8, atol=10 * tolerance / rho)
    torch.testing.assert_close(F.eigenvalues(), torch.linalg.eigvalsh(dense), rtol=1e-10, atol=1e-10)
    torch.testing.assert_close(F.logdet(), torch.linalg.slogdet(dense).logabsdet, rtol=1e-10, atol=1e-10)
    torch.testing.assert_close(F.condition_number(), torch.linalg.cond(dense), rtol=1e-8, atol=0)


def test_solving_for_m_itself_collapses_at_any_damping():
    m = normal(1000).float()
    for rho in (1e-8, 1e-4, 1.0):
        exact = m.double() / (rho + m.double() @ m.double())
        assert (RegularizedFIM(m, rho).solve(m).double() - exact).norm() / exact.norm() < 1e-6


def test_the_logarithm_of_the_determinant_does_not_overflow():
    F = RegularizedFIM(torch.zeros(10_000, dtype=WIDE), 1e-3)
    assert F.logdet().item() == pytest.approx(10_000 * math.log(1e-3))


def test_its_text_names_size_and_damping():
    assert repr(RegularizedFIM(torch.ones(4), 0.5)) == "RegularizedFIM(d=4, rho=0.5, squared_norm=4)"


@pytest.mark.parametrize("rho", [0.0, -1.0, float("nan"), float("inf")])
def test_dampings_out_of_range_are_refused(rho):
    with pytest.raises(ValueError, match="rho must be a finite number > 0"):
        RegularizedFIM(torch.ones(2), rho)


@pytest.mark.parametrize(
    ("m", "words"),
    [
        (torch.ones(2, 2), r"m must be a non-empty vector.*\(2, 2\)"),
        (torch.ones(0), "m must be a non-empty vector"),
        (torch.ones(3, dtype=torch.int64), "m must be real floating point, got torch.int64"),
        (torch.ones(3, dtype=torch.complex64), "m must be real floating point"),
        (torch.tensor([1.0, float("nan"), float("inf")]), "m must be finite, 2 of its 3 entries"),
    ],
)
def test_vectors_that_are_none_are_refused(m, words):
    with pytest.raises(ValueError, match=words):
        RegularizedFIM(m, 1.0)


def test_a_list_is_no_vector():
    with pytest.raises(TypeError, match="m must be a tensor, got list"):
        RegularizedFIM([1.0], 1.0)


@pytest.mark.parametrize("method", ["matvec", "solve"])
def test_arguments_that_do_not_fit_are_refused(method):
    apply = getattr(RegularizedFIM(torch.ones(3), 1.0), method)
    for v in (torch.ones(4), torch.ones(2, 3), torch.ones(3, 1, 1), torch.tensor(1.0), [1.0, 2.0, 3.0]):
        with pytest.raises(ValueError, match=r"v must be a tensor of shape \(3,\) or \(3, k\)"):
            apply(v)
    with pytest.raises(ValueError, match="v must have the dtype of m"):
        apply(torch.ones(3, dtype=WIDE))


@settings(max_examples=40)
@given(d=st.integers(1, 12), seed=st.integers(0, 2**16))
def test_sherman_morrison_is_the_inverse(d, seed):
    A = normal(d, d, seed=seed) + 2 * d * torch.eye(d, dtype=WIDE)
    u, v = normal(2, d, seed=seed + 1)
    torch.testing.assert_close(
        sherman_morrison(torch.linalg.inv(A), u, v), torch.linalg.inv(A + torch.outer(u, v)), rtol=1e-8, atol=1e-10
    )


@settings(max_examples=40)
@given(d=st.integers(1, 12), scale=st.sampled_from([1e-6, 1.0, 1e6]), seed=st.integers(0, 2**16))
def test_a_singular_update_is_an_error(d, scale, seed):
    A_inv = torch.linalg.inv(normal(d, d, seed=seed) + 2 * d * torch.eye(d, dtype=WIDE))
    u = scale * normal(d, seed=seed + 1)
    left = A_inv @ u
    v = -left / (left @ left)  # 1 + vᵀA⁻¹u = 0
    with pytest.raises(torch.linalg.LinAlgError, match=r"singular: 1 \+ vᵀA⁻¹u = "):
        sherman_morrison(A_inv, u, v)


def test_nearly_singular_is_still_inverted():
    A_inv, u = torch.eye(2, dtype=WIDE), torch.tensor([1.0, 0.0], dtype=WIDE)
    v = torch.tensor([-1 + 1e-8, 0.0], dtype=WIDE)
    assert sherman_morrison(A_inv, u, v)[0, 0].item() == pytest.approx(1e8, rel=1e-6)


def test_updates_that_do_not_fit_are_refused():
    eye, u = torch.eye(3), torch.ones(3)
    for A_inv, left, right, words in (
        (torch.ones(2, 3), u, u, r"A_inv must be a square matrix.*\(2, 3\)"),
        (u, u, u, "A_inv must be a square matrix"),
        (torch.eye(3, dtype=torch.int64), u, u, "A_inv must be real floating point"),
        (eye, torch.ones(2), u, r"u must have the shape \(3,\)"),
        (eye, u, torch.ones(3, 1), r"v must have the shape \(3,\)"),
        (eye, u, u.double(), "v must have the dtype of A_inv"),
        (eye, u.long(), u, "u must have the dtype of A_inv"),
    ):
        with pytest.raises(ValueError, match=words):
            sherman_morrison(A_inv, left, right)


def test_a_zero_vector_leaves_the_damping_alone():
    F = RegularizedFIM(torch.zeros(3), 0.5)
    assert F.dense().tolist() == [[0.5, 0, 0], [0, 0.5, 0], [0, 0, 0.5]]
    assert F.solve(torch.ones(3)).tolist() == [2.0] * 3
    assert F.condition_number() == 1
