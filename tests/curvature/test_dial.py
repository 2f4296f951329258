import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from sofim_lab.curvature import LowRankFIM
from sofim_lab.curvature.dial import (
    dial,
    dial_errors,
    nested_means,
    push_through_direction,
    woodbury_direction,
)


def gradients(n=16, d=12, seed=0, dtype=torch.float64):
    return torch.randn(n, d, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def dense(rows, rho):
    return rows.mT @ rows / len(rows) + rho * torch.eye(rows.shape[1], dtype=rows.dtype)


def test_groups_are_cut_in_order():
    samples = gradients(6, 4)
    means = nested_means(samples, 3)
    for j in range(3):
        torch.testing.assert_close(means[j], (samples[2 * j] + samples[2 * j + 1]) / 2)
    torch.testing.assert_close(nested_means(samples, 6), samples)
    torch.testing.assert_close(nested_means(samples, 1)[0], samples.mean(0))


@pytest.mark.parametrize("k", [0, 4, 7, -1])
def test_a_k_that_does_not_divide_n_is_refused(k):
    with pytest.raises(ValueError, match=f"k={k} must divide the number of samples, n=6"):
        nested_means(gradients(6), k)


def test_a_vector_is_refused():
    with pytest.raises(ValueError, match=r"samples must have the shape \(n, d\)"):
        nested_means(torch.ones(4), 2)


@settings(max_examples=20)
@given(seed=st.integers(0, 10**6), k=st.sampled_from([1, 2, 4, 8]), rho=st.floats(1e-3, 10))
def test_finer_groups_never_have_less_curvature(seed, k, rho):
    samples = gradients(seed=seed)
    coarse, fine = nested_means(samples, k), nested_means(samples, 2 * k)
    halves = fine.reshape(k, 2, -1)
    difference = halves[:, 0] - halves[:, 1]
    grown = LowRankFIM(fine, rho).dense() - LowRankFIM(coarse, rho).dense()
    torch.testing.assert_close(grown, difference.mT @ difference / (4 * k), atol=1e-12, rtol=0)
    assert torch.linalg.eigvalsh(grown)[0] > -1e-12


@settings(max_examples=20)
@given(seed=st.integers(0, 10**6), rho=st.floats(1e-3, 10))
def test_positions_agree_with_dense_solves(seed, rho):
    samples = gradients(seed=seed)
    positions = dial(samples, rho)
    assert [p.k for p in positions] == [1, 2, 4, 8, 16]
    full = torch.linalg.solve(dense(samples, rho), samples.mean(0))
    for position in positions:
        matrix = dense(nested_means(samples, position.k), rho)
        x = torch.linalg.solve(matrix, samples.mean(0))
        assert position.cosine == pytest.approx(float(torch.cosine_similarity(x, full, dim=0)), abs=1e-9)
        assert position.length == pytest.approx(float(x.norm() / full.norm()), rel=1e-8)
        torch.testing.assert_close(position.eigenvalues, torch.linalg.eigvalsh(matrix), atol=1e-10, rtol=0)


def test_positions_can_be_chosen_and_all_samples_are_the_last_by_default():
    assert [p.k for p in dial(gradients(12), 0.1)] == [1, 2, 4, 12]
    assert [p.k for p in dial(gradients(12), 0.1, ks=(3, 6))] == [3, 6]


def test_the_first_position_is_sofim():
    samples = gradients()
    g = samples.mean(0)
    torch.testing.assert_close(LowRankFIM(nested_means(samples, 1), 0.3).solve_mean(), g / (0.3 + g @ g))


@pytest.mark.parametrize("form", [woodbury_direction, push_through_direction])
def test_both_forms_are_the_dense_solve_in_float64(form):
    rows = gradients(5, 30)
    torch.testing.assert_close(form(rows, 0.2), torch.linalg.solve(dense(rows, 0.2), rows.mean(0)))
    with pytest.raises(ValueError, match="rho must be a finite number > 0"):
        form(rows, 0.0)


def test_only_the_difference_loses_its_digits_in_float32():
    errors = dial_errors(gradients(8, 200, dtype=torch.float32) / 200**0.5, [1.0, 1e-4, 1e-8])
    assert [error.rho for error in errors] == [1.0, 1e-4, 1e-8]
    assert all(error.push_through < 1e-5 for error in errors)
    assert errors[0].woodbury < 1e-5
    assert errors[2].woodbury > 0.1
