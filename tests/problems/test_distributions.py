import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from sofim_lab.problems.distributions import bernoulli, categorical, gaussian, log_hessians, scores

F64 = {"dtype": torch.float64}
TORCH = {
    gaussian: lambda w: torch.distributions.Normal(w[0], w[1]),
    bernoulli: lambda w: torch.distributions.Bernoulli(w[0]),
    categorical: lambda w: torch.distributions.Categorical(logits=w),
}


def at(family, seed):
    random = torch.Generator().manual_seed(seed)
    z = torch.randn(5, generator=random, **F64)
    return {gaussian: torch.stack([z[0], z[1].exp()]), bernoulli: torch.sigmoid(z[:1]), categorical: z}[family]


each = pytest.mark.parametrize("family", TORCH, ids=lambda family: family.name)


@each
@pytest.mark.parametrize("seed", range(3))
def test_density_and_divergence_are_those_of_torch(family, seed):
    v, w = at(family, seed), at(family, seed + 10)
    x, _ = family.outcomes(v)
    torch.testing.assert_close(family.log_prob(v, x), TORCH[family](v).log_prob(x.double()), rtol=1e-12, atol=1e-12)
    expected = torch.distributions.kl_divergence(TORCH[family](v), TORCH[family](w))
    torch.testing.assert_close(family.kl(v, w), expected, rtol=1e-10, atol=1e-14)


@each
@pytest.mark.parametrize("seed", range(3))
def test_the_three_definitions_of_the_fisher_matrix_agree(family, seed):
    w = at(family, seed)
    s, p = scores(family, w)
    h, _ = log_hessians(family, w)
    closed = family.fisher(w)
    torch.testing.assert_close(p @ s, torch.zeros_like(w), rtol=0, atol=1e-10 * float(s.abs().max()))
    torch.testing.assert_close(s.T @ (p[:, None] * s), closed, rtol=1e-9, atol=1e-12)
    torch.testing.assert_close(-torch.einsum("k,kij->ij", p, h), closed, rtol=1e-9, atol=1e-9)
    curvature = torch.func.hessian(lambda u: family.kl(w, u))(w)
    torch.testing.assert_close(curvature, closed, rtol=1e-9, atol=1e-12)


@each
def test_the_gradient_of_the_divergence(family):
    v, w = at(family, 1), at(family, 2)
    torch.testing.assert_close(family.kl_gradient(v, w), torch.func.grad(lambda u: family.kl(v, u))(w))


def test_expectations_under_a_gaussian_are_exact_for_high_powers():
    x, p = gaussian.outcomes(torch.tensor([0.5, 2.0], **F64))
    z = (x - 0.5) / 2
    for power, moment in ((0, 1), (1, 0), (2, 1), (4, 3), (8, 105), (12, 10395)):
        assert float(p @ z**power) == pytest.approx(moment, abs=1e-9, rel=1e-10)


@given(st.floats(-3, 3), st.floats(0.01, 100), st.floats(-3, 3), st.floats(0.01, 100))
@settings(max_examples=50)
def test_the_divergence_of_gaussians_is_never_negative(mean, std, other_mean, other_std):
    v, w = torch.tensor([mean, std], **F64), torch.tensor([other_mean, other_std], **F64)
    assert float(gaussian.kl(v, w)) >= 0
    assert float(gaussian.kl(v, v)) == 0


def test_tiny_divergences_keep_their_digits():
    v, step = torch.tensor([0.0, 2.0], **F64), 1e-7
    w = v + torch.tensor([0.0, step], **F64)
    assert float(gaussian.kl(v, w)) == pytest.approx(0.5 * 2 / 4 * step**2, rel=1e-6)


def test_divergences_broadcast():
    v = torch.tensor([0.0, 1.0], **F64)
    w = torch.tensor([[0.0, 1.0], [1.0, 1.0]], **F64)
    assert gaussian.kl(v, w).tolist() == [0.0, 0.5]


@pytest.mark.parametrize(
    ("family", "w"),
    [(gaussian, [0.0, -1.0]), (gaussian, [math.nan, 1.0]), (bernoulli, [1.0]), (categorical, [math.inf, 0])],
)
def test_what_is_no_distribution_is_refused(family, w):
    with pytest.raises(ValueError, match=f"is no {family.name} distribution"):
        scores(family, torch.tensor(w, **F64))


def test_the_entry_that_is_not_finite_is_shown():
    with pytest.raises(ValueError, match=r"nan.* all must be finite"):
        scores(categorical, torch.tensor([1.0, math.nan], **F64))
