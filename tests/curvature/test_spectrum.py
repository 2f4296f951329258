"""Top eigenpairs, trace and density from products alone, against the dense spectrum."""

import curvature_cases as cases
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from sofim_lab.curvature import fisher_operator, hessian, hessian_operator
from sofim_lab.curvature.spectrum import SpectralDensity, spectral_density, top_eigenpairs, trace
from sofim_lab.problems import mlp

WHICH = {"largest": lambda v: -v, "smallest": lambda v: v, "magnitude": lambda v: -v.abs()}


def wanted(values, which, k):
    return values[WHICH[which](values).argsort()[:k]]


def with_spectrum(values, seed=0, dtype=torch.float64):
    """A dense matrix of known eigenvalues in a random basis."""
    generator = torch.Generator().manual_seed(seed)
    Q = torch.linalg.qr(torch.randn(len(values), len(values), generator=generator, dtype=torch.float64)).Q
    A = Q @ torch.diag(torch.as_tensor(values, dtype=torch.float64)) @ Q.mT
    return ((A + A.mT) / 2).to(dtype)


def area_under(x, y):
    return float(torch.trapezoid(torch.from_numpy(y), torch.from_numpy(x)))


def network(name="tanh"):
    build, shape = cases.MODELS[name]
    model = cases.seeded(build)
    return model, *cases.data(nn.CrossEntropyLoss(), shape)


@pytest.mark.parametrize("which", WHICH)
@pytest.mark.parametrize("name", cases.MODELS)
def test_eigenpairs_are_those_of_the_dense_hessian(name, which):
    model, x, y = network(name)
    loss_fn = nn.CrossEntropyLoss()
    H = hessian(model, loss_fn, x, y)
    found = top_eigenpairs(hessian_operator(model, loss_fn, x, y), 4, which=which, tol=1e-11)
    exact = wanted(torch.linalg.eigvalsh(H), which, 4)
    torch.testing.assert_close(found.values, exact, rtol=0, atol=1e-11)
    true = (H @ found.vectors - found.vectors * found.values).norm(dim=0)
    assert true.max() <= 2e-11 * exact.abs().max()
    torch.testing.assert_close(found.residuals, true, rtol=0, atol=1e-14)
    torch.testing.assert_close(found.vectors.mT @ found.vectors, torch.eye(4, dtype=torch.float64), rtol=0, atol=1e-9)


def test_float32_reaches_its_tolerance_and_says_so():
    torch.manual_seed(0)
    x, y = torch.rand(50, 64, dtype=torch.float64), torch.arange(50) % 10
    narrow, wide = mlp((64, 6, 10), device="cpu"), mlp((64, 6, 10), device="cpu").double()
    wide.load_state_dict(narrow.state_dict())
    H = hessian(wide, nn.CrossEntropyLoss(), x, y)
    found = top_eigenpairs(hessian_operator(narrow, nn.CrossEntropyLoss(), x.float(), y), 5)
    exact = wanted(torch.linalg.eigvalsh(H), "largest", 5)
    assert found.vectors.dtype == torch.float32
    torch.testing.assert_close(found.values, exact, rtol=0, atol=float(2e-6 * exact[0]))
    vectors = found.vectors.double()
    assert ((H @ vectors - vectors * found.values).norm(dim=0) <= 1.1e-5 * exact[0]).all()


def test_repeated_eigenvalues_are_all_found():
    values = [7.0] * 5 + [3.0] * 2 + np.linspace(-1, 1, 73).tolist()
    for seed in range(5):
        found = top_eigenpairs(with_spectrum(values), 8, seed=seed)
        assert found.values.tolist() == pytest.approx([7] * 5 + [3, 3, 1], abs=1e-4)


def test_without_a_second_look_there_are_fewer_products_and_a_double_eigenvalue_is_found_once():
    A = with_spectrum([7.0, 7.0, 5.0, *np.linspace(-1, 1, 77).tolist()])
    once, twice = (top_eigenpairs(A, 2, confirm=confirm) for confirm in (False, True))
    assert once.values.tolist() == pytest.approx([7, 5], abs=1e-4)
    assert twice.values.tolist() == pytest.approx([7, 7], abs=1e-4)
    distinct = with_spectrum(np.linspace(0, 1, 200) ** 3)
    once, twice = (top_eigenpairs(distinct, 3, confirm=confirm) for confirm in (False, True))
    torch.testing.assert_close(once.values, twice.values, rtol=0, atol=1e-5)
    assert once.residuals.max() <= 1e-5 * once.values[0]
    assert once.products < 0.8 * twice.products


class Diagonal:
    """A diagonal matrix that is too large to be dense."""

    def __init__(self, values):
        self.values, self.shape = values, torch.Size((len(values), len(values)))
        self.dtype, self.device = values.dtype, values.device

    def __matmul__(self, v):
        return self.values * v


@pytest.mark.parametrize("seed", range(4))
def test_the_search_goes_on_where_a_second_look_leaves_off(seed):
    values = torch.arange(1.0, 20001.0).rsqrt()
    values[:6] = torch.tensor([3.0, 3, 3, 2, 2, 1])
    found = top_eigenpairs(Diagonal(values), 5, seed=seed, max_products=60)
    assert found.values.tolist() == pytest.approx([3, 3, 3, 2, 2], rel=1e-5)


def test_the_fisher_matrix_of_a_blank_softmax_regression_has_its_double_eigenvalues():
    model = nn.Linear(6, 3, bias=False).double()
    nn.init.zeros_(model.weight)  # F = (I/3 − 11ᵀ/9) ⊗ E[xxᵀ]: each eigenvalue of E[xxᵀ]/3 twice, and 0
    x = cases.data(nn.CrossEntropyLoss(), (6,), n=20)[0]
    found = top_eigenpairs(fisher_operator(model, nn.CrossEntropyLoss(), x), 6, tol=1e-10)
    exact = torch.linalg.eigvalsh(x.mT @ x / 20).flip(0)[:3].repeat_interleave(2) / 3
    torch.testing.assert_close(found.values, exact)


@pytest.mark.parametrize("scale", [0.0, 1.0, -1e-30, 1e30])
def test_multiples_of_the_identity(scale):
    found = top_eigenpairs(scale * torch.eye(5, dtype=torch.float64), 5)
    assert found.values.tolist() == pytest.approx([scale] * 5)
    torch.testing.assert_close(found.vectors.mT @ found.vectors, torch.eye(5, dtype=torch.float64))


@settings(max_examples=40)
@given(
    d=st.integers(1, 12),
    k=st.integers(1, 12),
    which=st.sampled_from(sorted(WHICH)),
    distinct=st.integers(1, 5),
    seed=st.integers(0, 999),
)
def test_any_small_matrix(d, k, which, distinct, seed):
    k = min(k, d)
    generator = torch.Generator().manual_seed(seed)
    values = torch.randint(-distinct, distinct + 1, (d,), generator=generator).double()  # many repeat
    found = top_eigenpairs(with_spectrum(values, seed), k, which=which, tol=1e-9, seed=seed)
    exact = wanted(values, which, k)
    if which == "magnitude":  # 2 and −2 are equally large
        found_values, exact = found.values.abs(), exact.abs()
    else:
        found_values = found.values
    torch.testing.assert_close(found_values, exact, rtol=0, atol=1e-7)


def test_a_start_that_is_blind_to_the_top_finds_it_all_the_same():
    A = torch.diag(torch.arange(1.0, 41.0, dtype=torch.float64))
    start = torch.eye(40, dtype=torch.float64)[0]
    assert float(top_eigenpairs(A, start=start).values[0]) == pytest.approx(40)


def test_a_good_start_saves_products():
    A = with_spectrum(np.linspace(0, 1, 300) ** 3)
    found = top_eigenpairs(A, tol=1e-8)
    assert top_eigenpairs(A, tol=1e-7, start=found.vectors[:, 0]).products < found.products / 2


def test_a_seed_gives_the_same_bytes_and_the_random_state_stays():
    A = with_spectrum(range(30), dtype=torch.float32)
    state = torch.get_rng_state()
    for compute in (
        lambda: top_eigenpairs(A, 3, seed=4).vectors,
        lambda: torch.tensor(trace(A, deflate=2, seed=4).value),
        lambda: torch.from_numpy(spectral_density(A, seed=4).density),
    ):
        assert torch.equal(compute(), compute())
    assert torch.equal(torch.get_rng_state(), state)


def test_the_model_is_left_as_it_is():
    model, x, y = network()
    before = [p.clone() for p in model.parameters()]
    A = hessian_operator(model, nn.CrossEntropyLoss(), x, y)
    top_eigenpairs(A), trace(A, probes=2), spectral_density(A, steps=3, probes=1)
    assert all(torch.equal(p, q) and p.grad is None for p, q in zip(model.parameters(), before, strict=True))


def test_the_trace_lies_within_its_standard_error():
    model, x, y = network()
    A = hessian_operator(model, nn.CrossEntropyLoss(), x, y)
    exact = float(hessian(model, nn.CrossEntropyLoss(), x, y).trace())
    for deflate in (0, 6):
        runs = [trace(A, probes=10, deflate=deflate, seed=seed) for seed in range(60)]
        z = np.array([(run.value - exact) / run.standard_error for run in runs])
        assert abs(z.mean()) < 0.5  # no bias
        assert 0.6 < np.sqrt((z**2).mean()) < 1.8  # and the error is what it says
        assert runs[0].products == 10 + 2 * deflate
    plain, deflated = (np.mean([trace(A, deflate=r, seed=s).standard_error for s in range(9)]) for r in (0, 12))
    assert deflated < plain / 2


def test_deflation_takes_a_matrix_of_low_rank_exactly():
    A = with_spectrum([5.0, -3.0, 2.0] + [0.0] * 37)
    estimate = trace(A, probes=2, deflate=3)
    assert estimate.value == pytest.approx(4)
    assert estimate.standard_error < 1e-12


def test_quadrature_has_the_moments_of_its_start_vector():
    A = with_spectrum(np.linspace(-1, 2, 50))
    found = spectral_density(A, steps=6, probes=1, seed=3)
    q = torch.randn(50, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    q = v = q / q.norm()
    for power in range(12):  # a Gauss rule of m nodes: 2m moments
        assert found.weights @ found.nodes**power == pytest.approx(float(q @ v), abs=1e-10)
        v = A @ v
    assert found.products == 6


def test_density_against_the_dense_spectrum():
    model, x, y = network()
    loss_fn = nn.CrossEntropyLoss()
    exact = torch.linalg.eigvalsh(hessian(model, loss_fn, x, y))
    A = hessian_operator(model, loss_fn, x, y)
    reach = float(exact[-1] - exact[0])
    coarse, fine = (spectral_density(A, probes=n).wasserstein(exact) / reach for n in (2, 100))
    assert coarse < 0.1
    assert fine < 0.01
    assert fine < coarse


def test_density_is_a_density():
    found = spectral_density(with_spectrum([0.0] * 30 + [4.0] * 10), probes=200, sigma=0.1)
    assert found.weights.sum() == pytest.approx(1)
    area = area_under(found.grid, found.density)
    assert area == pytest.approx(1, abs=1e-3)
    right = found.grid > 2
    assert area_under(found.grid[right], found.density[right]) == pytest.approx(0.25, abs=0.03)
    assert found.sigma == 0.1
    assert len(found.grid) == 1001


def test_all_steps_find_all_eigenvalues_and_the_width_is_a_hundredth_of_their_range():
    values = [-1.0, 0.0, 0.5, 1.0, 2.0, 2.5, 3.0, 4.0]
    found = spectral_density(with_spectrum(values), probes=1)
    assert found.nodes == pytest.approx(np.array(values), abs=1e-10)
    assert found.products == 8
    assert found.sigma == pytest.approx(5 / 100)
    assert found.grid[[0, -1]] == pytest.approx([-1.2, 4.2])


def test_wasserstein_distance_is_mass_times_way():
    one = np.ones(1)
    density = SpectralDensity(np.array([0.0, 3.0]), np.array([0.5, 0.5]), one, one, 1.0, 0)
    assert density.wasserstein(torch.tensor([0.0, 3.0])) == 0
    assert density.wasserstein(torch.tensor([0.0, 5.0])) == pytest.approx(1)
    assert density.wasserstein(torch.tensor([3.0, 3.0])) == pytest.approx(1.5)


def test_a_constant_spectrum_is_drawn_too():
    found = spectral_density(torch.eye(4), steps=3, probes=2)
    assert found.nodes.tolist() == pytest.approx([1, 1])
    assert found.grid[found.density.argmax()] == pytest.approx(1, abs=1e-3)


@pytest.mark.parametrize(("level", "sigma"), [(0.0, 0.01), (0.5, 0.01), (-0.5, 0.01), (-4.0, 0.04), (4.0, 0.04)])
def test_a_spectrum_of_one_value_has_a_width_of_its_size(level, sigma):
    found = spectral_density(level * torch.eye(4, dtype=torch.float64), steps=3, probes=2)
    assert found.sigma == pytest.approx(sigma, rel=1e-9)


@pytest.mark.parametrize(("start", "got"), [([1.0, 0.0, 0.0], "got list"), (torch.ones(2), r"got \(2,\)")])
def test_a_start_that_is_no_vector_of_the_matrix_is_named(start, got):
    with pytest.raises(ValueError, match=rf"start must be a tensor of shape \(3,\), {got}"):
        top_eigenpairs(torch.eye(3), start=start)


class Broken:
    """A matrix whose products are not finite."""

    shape, dtype, device = torch.Size((3, 3)), torch.float64, torch.device("cpu")

    def __matmul__(self, v):
        return v * torch.nan


@pytest.mark.parametrize("compute", [top_eigenpairs, trace, spectral_density])
def test_products_that_are_not_finite(compute):
    with pytest.raises(FloatingPointError, match="not finite"):
        compute(Broken())


@pytest.mark.parametrize("compute", [top_eigenpairs, trace, spectral_density])
@pytest.mark.parametrize(
    ("A", "error", "words"),
    [
        ([[1.0]], TypeError, "hessian_operator"),
        (torch.ones(2, 3), ValueError, r"\(2, 3\)"),
        (torch.ones(0, 0), ValueError, "square"),
        (torch.ones(2, 2, dtype=torch.int64), ValueError, "double"),
        (torch.tensor([[1.0, 2.0], [0.0, 1.0]]), ValueError, "symmetric"),
        (torch.full((2, 2), torch.inf), ValueError, "finite"),
    ],
)
def test_bad_matrices(compute, A, error, words):
    with pytest.raises(error, match=words):
        compute(A)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"k": 0}, "k=0 must be from 1 to 4"),
        ({"k": 5}, "k=5 must be from 1 to 4"),
        ({"which": "LM"}, "largest, magnitude, smallest"),
        ({"tol": 1e-7}, "float64"),
        ({"tol": float("nan")}, "tol=nan"),
        ({"k": 3, "max_products": 2}, "max_products=2"),
        ({"start": torch.ones(3)}, r"\(4,\)"),
        ({"start": torch.ones(4, dtype=torch.float64)}, "float32"),
        ({"start": torch.zeros(4)}, "zero"),
    ],
)
def test_bad_arguments_of_eigenpairs(settings, words):
    with pytest.raises(ValueError, match=words):
        top_eigenpairs(torch.eye(4), **settings)


@pytest.mark.parametrize(
    ("compute", "settings", "words"),
    [
        (trace, {"probes": 1}, "standard error"),
        (trace, {"deflate": 5}, "from 0 to 4"),
        (spectral_density, {"steps": 0}, "steps=0"),
        (spectral_density, {"probes": 0}, "probes=0"),
        (spectral_density, {"points": 1}, "points=1"),
        (spectral_density, {"sigma": 0.0}, "sigma=0.0"),
    ],
)
def test_bad_arguments_of_trace_and_density(compute, settings, words):
    with pytest.raises(ValueError, match=words):
        compute(torch.eye(4), **settings)


def test_giving_up_says_how_far_it_came():
    with pytest.raises(RuntimeError, match=r"after 12 products the largest residual is .* max_products=12"):
        top_eigenpairs(with_spectrum(np.linspace(0, 1, 400)), 2, tol=1e-10, max_products=12)
