"""The four matrices against naive double loops, each other, torch and curvlinops."""

import curvature_cases as cases
import pytest
import torch
from curvature_cases import LOSSES, MODELS, WIDE, data, error, loss_name, seeded
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from sofim_lab.curvature import empirical_fisher, fisher, ggn, hessian, per_sample_gradients

CE, MSE = nn.CrossEntropyLoss(), nn.MSELoss()
MATRICES = {"fisher": fisher, "empirical_fisher": empirical_fisher, "ggn": ggn, "hessian": hessian}
both_losses = pytest.mark.parametrize("loss_fn", [CE, MSE], ids=["CE", "MSE"])


def matrix_of(kind, model, loss_fn, x, y, **options):
    arguments = (x,) if kind == "fisher" else (x, y)
    return MATRICES[kind](model, loss_fn, *arguments, **options)


@pytest.mark.parametrize("chunk_bytes", [1, 20_000, 2**27], ids=["one", "some", "all"])
@pytest.mark.parametrize("loss_fn", LOSSES, ids=loss_name)
@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("kind", MATRICES)
def test_it_is_the_naive_double_loop(kind, name, loss_fn, chunk_bytes):
    build, shape = MODELS[name]
    model = seeded(build)
    x, y = data(loss_fn, shape)
    matrix = matrix_of(kind, model, loss_fn, x, y, chunk_bytes=chunk_bytes)
    assert matrix.dtype == WIDE
    assert not matrix.requires_grad
    assert torch.equal(matrix, matrix.T)
    assert error(matrix, getattr(cases, f"naive_{kind}")(model, loss_fn, x, y)) <= 1e-12


@pytest.mark.parametrize("loss_fn", LOSSES, ids=loss_name)
def test_the_hessian_is_that_of_torch(loss_fn):
    model = seeded(MODELS["tanh"][0])
    x, y = data(loss_fn)
    names, weights = zip(*model.named_parameters(), strict=True)

    def loss(*weights):
        return loss_fn(torch.func.functional_call(model, dict(zip(names, weights, strict=True)), (x,)), y)

    blocks = torch.autograd.functional.hessian(loss, weights)
    whole = torch.cat(
        [torch.cat([b.reshape(w.numel(), -1) for b in row], dim=1) for row, w in zip(blocks, weights, strict=True)]
    )
    assert error(hessian(model, loss_fn, x, y), whole) <= 1e-12


@pytest.mark.parametrize("loss_fn", LOSSES, ids=loss_name)
@pytest.mark.parametrize("name", ["tanh", "conv"])
def test_curvlinops_agrees(name, loss_fn):
    curvlinops = pytest.importorskip("curvlinops", reason="curvlinops is not among the test requirements")
    build, shape = MODELS[name]
    model = seeded(build)
    x, y = data(loss_fn, shape)
    theirs = {
        "ggn": curvlinops.GGNLinearOperator,
        "empirical_fisher": curvlinops.EFLinearOperator,
        "hessian": curvlinops.HessianLinearOperator,
    }
    params = list(model.parameters())
    for kind, operator in theirs.items():
        A = operator(model, loss_fn, params, [(x, y)])
        ours = matrix_of(kind, model, loss_fn, x, y)
        assert error(ours, A @ torch.eye(len(ours), dtype=WIDE)) <= 1e-10
    sampled = curvlinops.FisherMCLinearOperator(model, loss_fn, params, [(x, y)], mc_samples=4000, seed=0)
    exact = fisher(model, loss_fn, x)
    assert error(sampled @ torch.eye(len(exact), dtype=WIDE), exact) < 0.1


@settings(max_examples=25)
@given(
    n=st.integers(1, 6),
    widths=st.lists(st.integers(1, 5), min_size=2, max_size=4),
    loss_fn=st.sampled_from(LOSSES),
    kind=st.sampled_from(sorted(MATRICES)),
    chunk_bytes=st.integers(1, 20_000),
    seed=st.integers(0, 2**16),
)
def test_any_shape_agrees_with_the_loops(n, widths, loss_fn, kind, chunk_bytes, seed):
    model = seeded(lambda: cases.mlp(nn.Tanh, widths), seed)
    x, y = data(loss_fn, (widths[0],), n, widths[-1], seed)
    naive = getattr(cases, f"naive_{kind}")(model, loss_fn, x, y)
    ours = matrix_of(kind, model, loss_fn, x, y, chunk_bytes=chunk_bytes)
    torch.testing.assert_close(ours, naive, rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize("loss_fn", LOSSES, ids=loss_name)
@pytest.mark.parametrize("name", MODELS)
def test_fisher_is_gauss_newton_and_positive_semidefinite(name, loss_fn):
    build, shape = MODELS[name]
    model = seeded(build)
    x, y = data(loss_fn, shape)
    F, G, E = fisher(model, loss_fn, x), ggn(model, loss_fn, x, y), empirical_fisher(model, loss_fn, x, y)
    assert error(F, G) <= 1e-13
    for matrix in (F, G, E):
        values = torch.linalg.eigvalsh(matrix)
        assert values[0] >= -1e-13 * values[-1]
        assert values[-1] > 0


@both_losses
def test_gauss_newton_does_not_depend_on_the_labels_and_the_empirical_matrix_does(loss_fn):
    model = seeded(MODELS["tanh"][0])
    x, y = data(loss_fn)
    _, other = data(loss_fn, seed=2)
    assert error(ggn(model, loss_fn, x, y), ggn(model, loss_fn, x, other)) <= 1e-14
    assert error(empirical_fisher(model, loss_fn, x, y), empirical_fisher(model, loss_fn, x, other)) > 0.1


@pytest.mark.parametrize("loss_fn", LOSSES, ids=loss_name)
def test_on_a_linear_model_fisher_is_the_hessian(loss_fn):
    model = seeded(lambda: nn.Linear(4, 3))
    x, y = data(loss_fn)
    assert error(fisher(model, loss_fn, x), hessian(model, loss_fn, x, y)) <= 1e-13


@both_losses
def test_on_a_network_fisher_is_neither_the_hessian_nor_the_empirical_matrix(loss_fn):
    model = seeded(MODELS["tanh"][0])
    x, y = data(loss_fn)
    F = fisher(model, loss_fn, x)
    assert error(hessian(model, loss_fn, x, y), F) > 0.1
    assert error(empirical_fisher(model, loss_fn, x, y), F) > 0.1


def test_the_hessian_becomes_fisher_as_the_residuals_vanish():
    model = seeded(MODELS["tanh"][0])
    x, _ = data(MSE)
    f = model(x).detach()
    F = fisher(model, MSE, x)
    distances = [error(hessian(model, MSE, x, f + size), F) for size in (1.0, 0.1, 0.0)]
    assert distances[0] > 5 * distances[1] > 0
    assert distances[2] <= 1e-13


@both_losses
def test_the_empirical_matrix_has_fisher_as_its_mean_over_labels_of_the_model(loss_fn):
    model = seeded(MODELS["tanh"][0])
    x, _ = data(loss_fn, n=3)
    f, F = model(x).detach(), fisher(model, loss_fn, x)
    generator = torch.Generator().manual_seed(0)
    draws = 4000
    if loss_fn is CE:
        y = torch.multinomial(f.softmax(1), draws, replacement=True, generator=generator).T.flatten()
    else:
        y = (f + 0.5**0.5 * torch.randn(draws, *f.shape, generator=generator, dtype=WIDE)).flatten(0, 1)
    many = x.repeat(draws, 1)
    few = empirical_fisher(model, loss_fn, many[:30], y[:30])
    mean = empirical_fisher(model, loss_fn, many, y)
    assert error(mean, F) < 0.08
    assert error(mean, F) < error(few, F) / 3


@pytest.mark.parametrize("name", MODELS)
def test_the_score_has_mean_zero_under_labels_of_the_model(name):
    build, shape = MODELS[name]
    model = seeded(build)
    x, _ = data(CE, shape)
    p = model(x).softmax(1).detach()
    rows = [per_sample_gradients(model, CE, x, torch.full((len(x),), c)) for c in range(cases.CLASSES)]
    mean = sum(p[:, c, None] * rows[c] for c in range(cases.CLASSES))
    assert mean.abs().max() <= 1e-14
    assert max(row.abs().max() for row in rows) > 0.1


@pytest.mark.parametrize("kind", MATRICES)
def test_a_subset_of_the_parameters_gives_its_block(kind):
    model = seeded(MODELS["tanh"][0])
    x, y = data(CE)
    whole = matrix_of(kind, model, CE, x, y)
    last = matrix_of(kind, model, CE, x, y, params=model[2].parameters())
    assert error(last, whole[25:, 25:]) <= 1e-13
    swapped = matrix_of(kind, model, CE, x, y, params=[model[2].bias, model[0].bias])
    order = torch.cat([torch.arange(40, 43), torch.arange(20, 25)])
    assert error(swapped, whole[order][:, order]) <= 1e-13
    model[0].requires_grad_(False)
    assert torch.equal(matrix_of(kind, model, CE, x, y), last)


@pytest.mark.parametrize("kind", MATRICES)
@both_losses
def test_float32_follows_float64(kind, loss_fn):
    model = seeded(MODELS["conv"][0])
    x, y = data(loss_fn, (1, 6, 6))
    wide = matrix_of(kind, model, loss_fn, x, y)
    narrow = matrix_of(kind, model.float(), loss_fn, x.float(), y if loss_fn is CE else y.float())
    assert narrow.dtype == torch.float32
    assert error(narrow.double(), wide) < 1e-5


class Tied(nn.Module):
    """One weight used twice, a scalar parameter, and one that takes no part."""

    def __init__(self):
        super().__init__()
        self.first, self.second = nn.Linear(3, 3), nn.Linear(3, 3)
        self.second.weight = self.first.weight
        self.gain, self.idle = nn.Parameter(torch.tensor(1.5)), nn.Parameter(torch.ones(2))

    def forward(self, x):
        return self.gain * self.second(self.first(x).tanh())


class Recurrent(nn.Module):
    """torch.func cannot run nn.LSTM over samples: the loop behind it must."""

    def __init__(self):
        super().__init__()
        self.cell, self.head = nn.LSTM(1, 2, batch_first=True), nn.Linear(2, 3)

    def forward(self, x):
        return self.head(self.cell(x[:, :, None])[0][:, -1])


class Attention(nn.Module):
    """Attention's fused kernels have no second derivative."""

    def __init__(self):
        super().__init__()
        self.layer, self.head = nn.TransformerEncoderLayer(2, 1, 3, batch_first=True), nn.Linear(2, 3)

    def forward(self, x):
        return self.head(self.layer(torch.stack([x, x.cos()], -1)).mean(1))


@pytest.mark.parametrize("kind", MATRICES)
@pytest.mark.parametrize(
    "build",
    [Tied, Recurrent, Attention, lambda: nn.Sequential(nn.Linear(3, 3), nn.BatchNorm1d(3), nn.Dropout())],
    ids=["tied", "recurrent", "attention", "evaluating"],
)
def test_unusual_modules(build, kind):
    model = seeded(build).eval()
    x, y = data(CE, (3,), n=4)
    with sdpa_kernel(SDPBackend.MATH):
        naive = getattr(cases, f"naive_{kind}")(model, CE, x, y)
    assert error(matrix_of(kind, model, CE, x, y), naive) <= 1e-12


@pytest.mark.parametrize("kind", MATRICES)
def test_the_model_and_the_random_state_stay_as_they_are(kind):
    model = seeded(lambda: nn.Sequential(nn.Linear(4, 3), nn.BatchNorm1d(3), nn.Dropout(0.0)))
    model[1].eval()
    before = {name: t.clone() for name, t in model.state_dict().items()}
    modes, random = [m.training for m in model.modules()], torch.get_rng_state()
    x, y = data(CE)
    with torch.no_grad():  # as inside an optimizer's step
        matrix = matrix_of(kind, model, CE, x, y)
    assert torch.equal(matrix, matrix_of(kind, model, CE, x, y))
    assert all(p.grad is None and p.requires_grad for p in model.parameters())
    assert [m.training for m in model.modules()] == modes
    assert torch.equal(torch.get_rng_state(), random)
    assert all(torch.equal(t, before[name]) for name, t in model.state_dict().items())


@pytest.mark.parametrize("chunk_bytes", [1, 3000, 2**27])
@pytest.mark.parametrize("loss_fn", LOSSES, ids=loss_name)
def test_the_gradients_of_the_samples_add_up_to_that_of_the_loss(loss_fn, chunk_bytes):
    model = seeded(MODELS["tanh"][0])
    x, y = data(loss_fn)
    rows = per_sample_gradients(model, loss_fn, x, y, chunk_bytes=chunk_bytes)
    assert rows.shape == (7, 43)
    whole = cases.slope(loss_fn(model(x), y), cases.weights_of(model))
    torch.testing.assert_close(rows.sum(0) * cases.factor(loss_fn, 7, 3), whole, rtol=1e-12, atol=1e-14)
    torch.testing.assert_close(rows[2:4], per_sample_gradients(model, loss_fn, x[2:4], y[2:4]), rtol=1e-12, atol=1e-14)


def test_matrices_of_several_blocks_are_put_together_rightly():
    model = seeded(lambda: nn.Linear(400, 3))  # d = 1,203: three blocks
    x, y = data(CE, (400,), n=5)
    F = fisher(model, CE, x)
    assert torch.equal(F, F.T)
    assert error(F, cases.naive_fisher(model, CE, x)) <= 1e-12
    assert error(F, ggn(model, CE, x, y)) <= 1e-12
    assert error(F, hessian(model, CE, x, y)) <= 1e-12
