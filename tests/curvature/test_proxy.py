import math
from itertools import pairwise

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from sofim_lab.curvature import empirical_fisher, fisher, hessian
from sofim_lab.curvature.proxy import proxy_spectra, proxy_spectrum


def matrix_and_vector(seed, d=9, indefinite=False):
    random = torch.Generator().manual_seed(seed)
    rows = torch.randn(d + 3, d, generator=random, dtype=torch.float64)
    A = rows.mT @ rows / d - (3 * torch.eye(d, dtype=torch.float64) if indefinite else 0)
    return A, torch.randn(d, generator=random, dtype=torch.float64)


@settings(max_examples=30)
@given(seed=st.integers(0, 10**6), rho=st.floats(1e-4, 1e3))
def test_the_measures_agree_with_the_matrix_itself(seed, rho):
    A, m = matrix_and_vector(seed)
    seen = proxy_spectrum(A, m)
    unit = m / m.norm()
    values, vectors = torch.linalg.eigh(A)
    assert seen.share == pytest.approx(float(unit @ A @ unit / torch.trace(A)))
    assert seen.top_share == pytest.approx(float(values[-1] / torch.trace(A)))
    assert seen.cosine == pytest.approx(abs(float(unit @ vectors[:, -1])), abs=1e-12)
    assert seen.gap == pytest.approx(1 - float(values[-2] / values[-1]))
    whole = torch.linalg.solve(A + rho * torch.eye(len(m), dtype=m.dtype), m)
    assert seen.direction_cosine(rho) == pytest.approx(float(torch.cosine_similarity(m, whole, dim=0)), abs=1e-9)
    assert 0 <= seen.share <= seen.top_share * (1 + 1e-12)


@settings(max_examples=20)
@given(seed=st.integers(0, 10**6), indefinite=st.booleans())
def test_the_direction_cosine_grows_with_rho(seed, indefinite):
    A, m = matrix_and_vector(seed, indefinite=indefinite)
    seen = proxy_spectrum(A, m)
    cosines = [seen.direction_cosine(10.0**power) for power in range(-4, 7)]
    assert all(after >= before - 1e-12 for before, after in pairwise(cosines))
    assert cosines[-1] == pytest.approx(1, abs=1e-6)


def test_an_indefinite_matrix_counts_with_absolute_eigenvalues():
    A, m = matrix_and_vector(3, indefinite=True)
    values, vectors = torch.linalg.eigh(A)
    assert values[0] < 0 < values[-1]
    absolute = vectors @ torch.diag(values.abs()) @ vectors.mT
    whole = torch.linalg.solve(absolute + 0.5 * torch.eye(len(m), dtype=m.dtype), m)
    expected = float(torch.cosine_similarity(m, whole, dim=0))
    assert proxy_spectrum(A, m).direction_cosine(0.5) == pytest.approx(expected)


def test_the_smallest_rho_is_found():
    seen = proxy_spectrum(*matrix_and_vector(1))
    rho = seen.rho_for(0.99)
    assert seen.direction_cosine(rho) >= 0.99
    assert seen.direction_cosine(0.999 * rho) < 0.99
    with pytest.raises(ValueError, match=r"cosine=1.0 must be below 1"):
        seen.rho_for(1.0)


def test_the_top_eigenvector_has_all_that_one_direction_can_have():
    A, _ = matrix_and_vector(0)
    top = torch.linalg.eigh(A)[1][:, -1]
    seen = proxy_spectrum(A, -5 * top)
    assert seen.cosine == pytest.approx(1)
    assert seen.share == pytest.approx(seen.top_share)
    assert seen.direction_cosine(1e-3) == pytest.approx(1)
    trace, moment = seen.covered()
    torch.testing.assert_close(moment, torch.ones_like(moment))
    assert float(trace[0]) == pytest.approx(seen.top_share)
    assert float(trace[-1]) == pytest.approx(1)


def test_coverage_is_the_norm_of_a_projection():
    A, m = matrix_and_vector(2)
    vectors = torch.linalg.eigh(A)[1].flip(1)
    _, moment = proxy_spectrum(A, m).covered()
    assert float(moment[3]) == pytest.approx(float((vectors[:, :4].mT @ m).square().sum() / m.square().sum()))


@pytest.mark.parametrize(
    ("m", "words"),
    [(torch.zeros(9), "m is zero"), (torch.ones(4), r"matrix must have the shape \(4, 4\)")],
)
def test_what_does_not_fit_is_refused(m, words):
    with pytest.raises(ValueError, match=words):
        proxy_spectrum(matrix_and_vector(0)[0], m.double())


def test_the_three_matrices_are_those_of_the_library():
    random = torch.Generator().manual_seed(0)
    model = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 3)).double()
    x = torch.randn(20, 3, generator=random, dtype=torch.float64)
    y = torch.randint(3, (20,), generator=random)
    loss_fn = nn.CrossEntropyLoss()
    m = torch.randn(31, generator=random, dtype=torch.float64)
    spectra = proxy_spectra(model, loss_fn, x, y, m)
    for name, matrix in (
        ("exact FIM", fisher(model, loss_fn, x)),
        ("empirical FIM", empirical_fisher(model, loss_fn, x, y)),
        ("Hessian", hessian(model, loss_fn, x, y)),
    ):
        torch.testing.assert_close(spectra[name].eigenvalues, torch.linalg.eigvalsh(matrix))
        assert math.isclose(float(spectra[name].weights.sum()), 1)
