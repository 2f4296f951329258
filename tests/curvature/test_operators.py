"""The products against the dense matrices and the loops, and what an operator is bound to."""

import curvature_cases as cases
import pytest
import torch
from curvature_cases import LOSSES, MODELS, WIDE, data, error, loss_name, seeded
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from sofim_lab import curvature
from sofim_lab.curvature import fisher_operator, hessian_operator

CE, MSE = nn.CrossEntropyLoss(), nn.MSELoss()
KINDS = ["fisher", "empirical_fisher", "ggn", "hessian"]


def operator_of(kind, model, loss_fn, x, y, **options):
    arguments = (x,) if kind == "fisher" else (x, y)
    return getattr(curvature, f"{kind}_operator")(model, loss_fn, *arguments, **options)


def dense_of(kind, model, loss_fn, x, y, **options):
    arguments = (x,) if kind == "fisher" else (x, y)
    return getattr(curvature, kind)(model, loss_fn, *arguments, **options)


def vectors(d, k=None, dtype=WIDE):
    return torch.randn(*((d,) if k is None else (d, k)), generator=torch.Generator().manual_seed(3), dtype=dtype)


@pytest.mark.parametrize("chunk_bytes", [1, 5_000, 2**27], ids=["one", "some", "all"])
@pytest.mark.parametrize("loss_fn", LOSSES, ids=loss_name)
@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("kind", KINDS)
def test_products_are_those_of_the_naive_matrix(kind, name, loss_fn, chunk_bytes):
    build, shape = MODELS[name]
    model = seeded(build)
    x, y = data(loss_fn, shape)
    A = operator_of(kind, model, loss_fn, x, y, chunk_bytes=chunk_bytes)
    naive = getattr(cases, f"naive_{kind}")(model, loss_fn, x, y)
    assert A.shape == naive.shape
    assert (A.dtype, A.device) == (WIDE, torch.device("cpu"))
    for v in (vectors(len(naive)), vectors(len(naive), 1), vectors(len(naive), 7), vectors(len(naive), 9)[:, ::2]):
        product = A @ v
        assert product.shape == v.shape
        assert not product.requires_grad
        assert torch.equal(product, A.matvec(v))
        assert error(product, naive @ v) <= 1e-12


@settings(max_examples=25, deadline=None)
@given(
    n=st.integers(1, 6),
    widths=st.lists(st.integers(1, 5), min_size=2, max_size=4),
    k=st.none() | st.integers(1, 5),
    loss_fn=st.sampled_from(LOSSES),
    kind=st.sampled_from(KINDS),
    chunk_bytes=st.integers(1, 20_000),
    seed=st.integers(0, 2**16),
)
def test_any_shape_agrees_with_the_dense_matrix(n, widths, k, loss_fn, kind, chunk_bytes, seed):
    model = seeded(lambda: cases.mlp(nn.Tanh, widths), seed)
    x, y = data(loss_fn, (widths[0],), n, widths[-1], seed)
    dense = dense_of(kind, model, loss_fn, x, y)
    v = vectors(len(dense), k)
    product = operator_of(kind, model, loss_fn, x, y, chunk_bytes=chunk_bytes) @ v
    torch.testing.assert_close(product, dense @ v, rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize("kind", KINDS)
def test_a_subset_of_the_parameters_gives_its_block(kind):
    model = seeded(MODELS["tanh"][0])
    x, y = data(CE)
    whole = dense_of(kind, model, CE, x, y)
    for params, block in (([model[2].bias], whole[40:, 40:]), (model[0].parameters(), whole[:25, :25])):
        A = operator_of(kind, model, CE, x, y, params=params)
        v = vectors(len(block), 2)
        assert A.shape == block.shape
        assert error(A @ v, block @ v) <= 1e-12


@pytest.mark.parametrize("chunk_bytes", [1, 2**27])
@pytest.mark.parametrize("kind", KINDS)
def test_it_belongs_to_the_parameters_that_it_was_made_at(kind, chunk_bytes):
    model = seeded(MODELS["tanh"][0])
    x, y = data(CE)
    v = vectors(len(cases.naive_fisher(model, CE, x)))
    for params in (None, [model[0].weight]):
        A = operator_of(kind, model, CE, x, y, params=params, chunk_bytes=chunk_bytes)
        v = vectors(A.shape[0])
        before = A @ v
        with torch.no_grad():
            for p in model.parameters():
                p.mul_(1.5)
        assert torch.equal(A @ v, before)
        after = operator_of(kind, model, CE, x, y, params=params) @ v
        assert error(after, before) > 1e-2


@pytest.mark.parametrize("kind", KINDS)
def test_it_works_without_gradients_and_leaves_none(kind):
    model = seeded(MODELS["conv"][0])
    x, y = data(CE, (1, 6, 6))
    with torch.no_grad():
        A = operator_of(kind, model, CE, x, y)
        v = vectors(A.shape[0])
        product = A @ v
    assert error(product, dense_of(kind, model, CE, x, y) @ v) <= 1e-12
    assert all(p.grad is None for p in model.parameters())


@pytest.mark.parametrize("kind", KINDS)
def test_float32_follows_float64(kind):
    model = seeded(MODELS["tanh"][0])
    x, y = data(CE)
    wide = operator_of(kind, model, CE, x, y) @ vectors(43)
    narrow = operator_of(kind, model.float(), CE, x.float(), y) @ vectors(43).float()
    assert narrow.dtype == torch.float32
    assert error(narrow.double(), wide) < 1e-5


class Idle(nn.Module):
    """A parameter that takes no part, and a scalar one."""

    def __init__(self):
        super().__init__()
        self.idle, self.gain, self.layer = nn.Parameter(torch.ones(2)), nn.Parameter(torch.tensor(2.0)), nn.Linear(4, 3)

    def forward(self, x):
        return self.gain * self.layer(x)


@pytest.mark.parametrize("kind", KINDS)
def test_a_parameter_that_takes_no_part_has_no_curvature(kind):
    model = seeded(Idle)
    x, y = data(MSE)
    A = operator_of(kind, model, MSE, x, y) @ torch.eye(18, dtype=WIDE)
    assert not A[:2].any()
    assert not A[:, :2].any()
    assert error(A, getattr(cases, f"naive_{kind}")(model, MSE, x, y)) <= 1e-12


def test_its_text_names_what_it_is():
    x, y = data(MSE)
    A = hessian_operator(seeded(MODELS["tanh"][0]), MSE, x, y)
    assert repr(A) == "CurvatureOperator(hessian, d=43, torch.float64, cpu)"


def test_vectors_that_do_not_fit_are_refused():
    x, _ = data(CE)
    A = fisher_operator(seeded(MODELS["tanh"][0]), CE, x)
    for v in (torch.ones(42, dtype=WIDE), torch.ones(1, 43, dtype=WIDE), torch.ones(43, 1, 1, dtype=WIDE)):
        with pytest.raises(ValueError, match=r"v must be a tensor of shape \(43,\) or \(43, k\).*got \("):
            A @ v
    with pytest.raises(ValueError, match="got list"):
        A.matvec([1.0] * 43)
    with pytest.raises(ValueError, match=r"v must be torch.float64 on cpu.*got torch.float32 on cpu: use v.to"):
        A @ torch.ones(43)
    with pytest.raises(ValueError, match=r"got torch.float64 on meta"):
        A @ torch.ones(43, dtype=WIDE, device="meta")


def test_a_mode_that_changes_under_a_rebuilt_operator_is_noticed():
    model = seeded(lambda: nn.Sequential(nn.Linear(4, 3), nn.Dropout())).eval()
    x, _ = data(CE)
    A = fisher_operator(model, CE, x, chunk_bytes=1)
    model.train()
    with pytest.raises(ValueError, match=r"model\.1 is a Dropout in training mode"):
        A @ vectors(15)


@pytest.mark.parametrize("kind", KINDS)
def test_the_budget_bounds_how_many_samples_go_through_the_model_together(kind):
    model = seeded(MODELS["tanh"][0])
    x, y = data(CE, n=40)
    sizes = []
    model.register_forward_pre_hook(lambda module, inputs: sizes.append(len(inputs[0])))
    dense_of(kind, model, CE, x, y)
    operator_of(kind, model, CE, x, y) @ vectors(43)
    assert max(sizes) == 40
    largest = []
    for chunk_bytes in (100_000, 10_000, 1):
        sizes.clear()
        dense_of(kind, model, CE, x, y, chunk_bytes=chunk_bytes)
        operator_of(kind, model, CE, x, y, chunk_bytes=chunk_bytes) @ vectors(43)
        largest.append(max(sizes[2:]))  # the first two calls check two samples, and one
    assert largest[0] > largest[1]
    assert largest[2] <= 2  # another check


@pytest.mark.parametrize("kind", KINDS)
def test_a_batch_within_the_budget_keeps_its_graph(kind):
    model = seeded(MODELS["tanh"][0])
    x, y = data(CE)
    calls = []
    model.register_forward_pre_hook(lambda module, inputs: calls.append(1))
    for chunk_bytes, again in ((2**27, 0), (1, len(x))):
        A = operator_of(kind, model, CE, x, y, chunk_bytes=chunk_bytes)
        calls.clear()
        A @ vectors(43)
        assert len(calls) == again
