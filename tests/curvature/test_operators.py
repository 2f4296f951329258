"""The products against the dense matrices and the loops, and what an operator is bound to."""

import gc
import weakref
from typing import ClassVar

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


@pytest.mark.unmeasured
@pytest.mark.parametrize(
    ("chunk_bytes", "keep_bytes"),
    [(1, 0), (1, 700), (2_000, 1_500), (5_000, 2**28), (2**27, 2**28)],
    ids=["one by one", "some kept", "chunks, some kept", "chunks, all kept", "all at once"],
)
@pytest.mark.parametrize("loss_fn", LOSSES, ids=loss_name)
@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("kind", KINDS)
def test_products_are_those_of_the_naive_matrix(kind, name, loss_fn, chunk_bytes, keep_bytes):
    build, shape = MODELS[name]
    model = seeded(build)
    x, y = data(loss_fn, shape)
    A = operator_of(kind, model, loss_fn, x, y, chunk_bytes=chunk_bytes, keep_bytes=keep_bytes)
    naive = getattr(cases, f"naive_{kind}")(model, loss_fn, x, y)
    assert A.shape == naive.shape
    assert (A.dtype, A.device) == (WIDE, torch.device("cpu"))
    for v in (vectors(len(naive)), vectors(len(naive), 1), vectors(len(naive), 7), vectors(len(naive), 9)[:, ::2]):
        product = A @ v
        assert product.shape == v.shape
        assert not product.requires_grad
        assert torch.equal(product, A.matvec(v))
        assert error(product, naive @ v) <= 1e-12


@settings(max_examples=25)
@given(
    n=st.integers(1, 6),
    widths=st.lists(st.integers(1, 5), min_size=2, max_size=4),
    k=st.none() | st.integers(1, 5),
    loss_fn=st.sampled_from(LOSSES),
    kind=st.sampled_from(KINDS),
    chunk_bytes=st.integers(1, 20_000),
    keep_bytes=st.integers(0, 5_000),
    seed=st.integers(0, 2**16),
)
def test_any_shape_agrees_with_the_dense_matrix(n, widths, k, loss_fn, kind, chunk_bytes, keep_bytes, seed):
    model = seeded(lambda: cases.mlp(nn.Tanh, widths), seed)
    x, y = data(loss_fn, (widths[0],), n, widths[-1], seed)
    dense = dense_of(kind, model, loss_fn, x, y)
    v = vectors(len(dense), k)
    product = operator_of(kind, model, loss_fn, x, y, chunk_bytes=chunk_bytes, keep_bytes=keep_bytes) @ v
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


@pytest.mark.parametrize("keep_bytes", [0, 2_000, 2**28])
@pytest.mark.parametrize("kind", KINDS)
def test_it_belongs_to_the_parameters_that_it_was_made_at(kind, keep_bytes):
    model = seeded(MODELS["tanh"][0])
    x, y = data(CE)
    v = vectors(len(cases.naive_fisher(model, CE, x)))
    for params in (None, [model[0].weight]):
        A = operator_of(kind, model, CE, x, y, params=params, chunk_bytes=1, keep_bytes=keep_bytes)
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
    A = fisher_operator(model, CE, x, keep_bytes=0)
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
        operator_of(kind, model, CE, x, y, chunk_bytes=chunk_bytes, keep_bytes=0) @ vectors(43)
        largest.append(max(sizes[2:]))  # the first two calls check two samples, and one
    assert largest[0] > largest[1]
    assert largest[2] <= 2  # another check


def held_bytes(A):
    """What the graphs of an operator hold beyond parameters and data: every tensor saved in them, once."""
    cells = [cell.cell_contents for product in A._kept for cell in product.__closure__]
    tensors = [t for c in cells for t in (c if isinstance(c, tuple) else (c,)) if isinstance(t, torch.Tensor)]
    nodes, todo, found = set(), [t.grad_fn for t in tensors], {}
    while todo:
        node = todo.pop()
        if node is None or node in nodes:
            continue
        nodes.add(node)
        todo += [following for following, _ in node.next_functions]
        saved = [getattr(node, name) for name in dir(node) if name.startswith("_saved_")]
        for t in [t for one in saved for t in (one if isinstance(one, tuple) else (one,))]:
            if isinstance(t, torch.Tensor):
                found[t.untyped_storage().data_ptr()] = t.untyped_storage().nbytes()
    bound = A._bound
    for own in (*bound.weights, *bound.constants.values(), bound.x, bound.y):
        found.pop(own.untyped_storage().data_ptr() if own is not None else 0, None)
    return sum(found.values())


def normed():
    return nn.Sequential(
        nn.Unflatten(1, (1, 6, 6)),
        nn.Conv2d(1, 3, 3, padding=1, bias=False),
        nn.BatchNorm2d(3),
        nn.Tanh(),
        nn.MaxPool2d(2),
        nn.Conv2d(3, 4, 3),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(4, 3),
    )


@pytest.mark.parametrize("kind", KINDS)
def test_the_kept_graphs_stay_within_their_budget(kind):
    for build, shape in [*MODELS.values(), (normed, (36,))]:
        model = seeded(build).eval()
        x, y = data(CE, shape, n=60)
        whole = held_bytes(operator_of(kind, model, CE, x, y, chunk_bytes=10_000))
        assert whole > 0
        for keep_bytes in (0, whole // 3, whole, 10 * whole):
            A = operator_of(kind, model, CE, x, y, chunk_bytes=10_000, keep_bytes=keep_bytes)
            assert held_bytes(A) <= keep_bytes
        assert held_bytes(A) == whole


@pytest.mark.parametrize("kind", KINDS)
def test_kept_graphs_are_not_made_again_and_the_others_are(kind):
    model = seeded(MODELS["tanh"][0])
    x, y = data(CE)
    calls = []
    model.register_forward_pre_hook(lambda module, inputs: calls.append(len(inputs[0])))
    one = 3 * hessian_operator(model, CE, x, y)._bound.sample_bytes
    for keep_bytes, again in ((2**28, 0), (len(x) * one, 0), (3 * one, len(x) - 3), (one - 1, len(x)), (0, len(x))):
        A = operator_of(kind, model, CE, x, y, chunk_bytes=1, keep_bytes=keep_bytes)
        calls.clear()
        A @ vectors(43)
        assert len(calls) == again


class Token:
    """Something that lives as long as a node of a graph."""


class Marked(torch.autograd.Function):
    """The identity; its nodes can be counted."""

    alive: ClassVar[list] = []

    @staticmethod
    def forward(ctx, x):
        ctx.token = Token()
        Marked.alive.append(weakref.ref(ctx.token))
        return x.clone()

    @staticmethod
    def backward(ctx, g):
        return g


class Marking(nn.Module):
    def forward(self, x):
        return Marked.apply(x)


@pytest.mark.parametrize("kind", KINDS)
def test_the_graphs_go_with_the_operator(kind):
    model = seeded(lambda: nn.Sequential(nn.Linear(4, 5), Marking(), nn.Tanh(), nn.Linear(5, 3)))
    x, y = data(CE, n=12)
    A = operator_of(kind, model, CE, x, y, chunk_bytes=2_000)
    Marked.alive.clear()
    gc.disable()  # without the collector of cycles: counting references has to do
    try:
        A = operator_of(kind, model, CE, x, y, chunk_bytes=2_000)
        A @ vectors(A.shape[0], 2)
        kept = [ref() for ref in Marked.alive]
        assert sum(token is not None for token in kept) == len(A._kept) > 1
        del A, kept
        assert all(ref() is None for ref in Marked.alive)
        A = operator_of(kind, model, CE, x, y, chunk_bytes=2_000, keep_bytes=0)
        A @ vectors(A.shape[0])
        assert all(ref() is None for ref in Marked.alive)
    finally:
        gc.enable()


@pytest.mark.parametrize("kind", KINDS)
def test_batch_norm_in_evaluation_is_differentiated_and_left_alone(kind):
    model = seeded(normed)
    x, y = data(CE, (36,), n=9)
    model.train()(x)  # statistics that differ from the defaults
    model.eval()
    before = {name: t.clone() for name, t in model.state_dict().items()}
    naive = getattr(cases, f"naive_{kind}")(model, CE, x, y)
    v = vectors(len(naive), 3)
    for chunk_bytes, keep_bytes in ((1, 0), (10_000, 20_000), (2**27, 2**28)):
        product = operator_of(kind, model, CE, x, y, chunk_bytes=chunk_bytes, keep_bytes=keep_bytes) @ v
        assert error(product, naive @ v) <= 1e-12
    assert all(torch.equal(t, before[name]) for name, t in model.state_dict().items())
    assert all(p.grad is None for p in model.parameters())


def test_a_budget_below_nothing_is_refused():
    x, y = data(CE)
    with pytest.raises(ValueError, match=r"keep_bytes=-1 must be at least 0: the default is 268435456"):
        hessian_operator(seeded(MODELS["tanh"][0]), CE, x, y, keep_bytes=-1)
