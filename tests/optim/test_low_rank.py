"""The dial: its ends, what lies between them, and what a closure may get wrong."""

import copy
import io
from itertools import pairwise

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from small_classifier import CE, WIDE, batch, net, vector
from torch import nn

from sofim_lab.curvature import empirical_fisher, per_sample_gradients
from sofim_lab.curvature.vjp import pull
from sofim_lab.optim.low_rank import LowRankFisher
from sofim_lab.optim.sofim import SOFIM


def losses_of(model, x, y):
    return lambda: nn.functional.cross_entropy(model(x), y, reduction="none")


def step_of(model, x, y, **options):
    """The parameters' change by one step."""
    before = vector(model)
    LowRankFisher(model.parameters(), **options).step(losses_of(model, x, y))
    return vector(model) - before


def grouped(rows, k):
    """Means and shares of the groups, by slicing."""
    n = len(rows)
    cuts = [j * n // k for j in range(k + 1)]
    means = torch.stack([rows[a:b].mean(0) for a, b in pairwise(cuts)])
    return means, torch.tensor([(b - a) / n for a, b in pairwise(cuts)], dtype=rows.dtype)


@settings(max_examples=25)
@given(n=st.integers(1, 12), share=st.floats(0, 1), rho=st.floats(1e-3, 1e2), seed=st.integers(0, 2**10))
def test_a_step_is_the_dense_solve_for_any_number_of_rows(n, share, rho, seed):
    model, (x, y) = net(seed), batch(n, seed + 1)
    k = 1 + round(share * (n - 1))
    means, p = grouped(per_sample_gradients(model, CE, x, y), k)
    fisher = means.mT @ (p[:, None] * means) + rho * torch.eye(means.shape[1], dtype=WIDE)
    gradient = per_sample_gradients(model, CE, x, y).mean(0)  # whatever k: the gradient of the mean loss
    expected = -0.7 * torch.linalg.solve(fisher, gradient)
    torch.testing.assert_close(step_of(model, x, y, lr=0.7, rho=rho, k=k), expected, rtol=1e-8, atol=1e-12)


@pytest.mark.parametrize("n", [7, 8])
def test_k_equal_to_n_is_the_natural_gradient_of_the_empirical_fisher(n):
    model, (x, y) = net(), batch(n)
    fisher = empirical_fisher(model, CE, x, y)
    gradient = per_sample_gradients(model, CE, x, y).mean(0)
    expected = -torch.linalg.solve(fisher + 0.01 * torch.eye(len(fisher), dtype=WIDE), gradient)
    for k in (n, None):
        torch.testing.assert_close(step_of(net(), x, y, rho=0.01, k=k), expected, rtol=1e-9, atol=1e-13)


@pytest.mark.parametrize("rows", ["samples", "gradients"])
def test_one_row_is_sofim_without_memory(rows):
    ours, theirs = net(), net()
    options = {"lr": 0.5, "rho": 0.1}
    dial, sofim = (
        LowRankFisher(ours.parameters(), k=1, rows=rows, **options),
        SOFIM(theirs.parameters(), beta=0, **options),
    )
    for seed in range(4):
        x, y = batch(9, seed)

        def backward(model, x=x, y=y):
            model.zero_grad()
            loss = CE(model(x), y)
            loss.backward()
            return loss

        dial.step(losses_of(ours, x, y) if rows == "samples" else lambda backward=backward: backward(ours))
        sofim.step(lambda backward=backward: backward(theirs))
        torch.testing.assert_close(vector(ours), vector(theirs), rtol=1e-13, atol=1e-15)


@settings(max_examples=30)
@given(k=st.integers(1, 6), factor=st.integers(1, 4), extra=st.integers(0, 5), seed=st.integers(0, 2**10))
def test_groups_are_nested_so_that_the_matrix_grows_with_the_dial(k, factor, extra, seed):
    from sofim_lab.optim._sample_rows import group_means

    n = k * factor + extra
    rows = torch.randn(n, 3, generator=torch.Generator().manual_seed(seed), dtype=WIDE)
    w = torch.zeros(3, dtype=WIDE, requires_grad=True)

    def matrix(groups):
        means, p = group_means(rows @ w, [w], groups, 0, "LowRankFisher")
        assert p.sum().item() == pytest.approx(1)
        torch.testing.assert_close(p @ means, rows.mean(0))
        return means.mT @ (p[:, None] * means)

    coarse, fine = matrix(k), matrix(k * factor)
    assert torch.linalg.eigvalsh(fine - coarse)[0] > -1e-12
    assert torch.linalg.eigvalsh(rows.mT @ rows / n - fine)[0] > -1e-12


def test_the_last_gradients_make_the_matrix():
    model, data = net(), [batch(6, seed) for seed in range(6)]
    optimizer = LowRankFisher(model.parameters(), lr=0.3, rho=0.05, k=3, rows="gradients")
    seen = []
    for x, y in data:
        before = vector(model)
        gradients = torch.autograd.grad(CE(model(x), y), list(model.parameters()))
        seen = [*seen, nn.utils.parameters_to_vector(gradients)][-3:]
        rows = torch.stack(seen)
        fisher = rows.mT @ rows / len(rows) + 0.05 * torch.eye(len(before), dtype=WIDE)
        for p, g in zip(model.parameters(), gradients, strict=True):
            p.grad = g
        optimizer.step()
        torch.testing.assert_close(
            vector(model) - before, -0.3 * torch.linalg.solve(fisher, seen[-1]), rtol=1e-9, atol=1e-13
        )
    words = sum(s["rows"].numel() for s in optimizer.state.values())
    assert words == 3 * len(before)  # k words a parameter


def test_groups_with_their_own_damping_and_rate_share_one_matrix():
    x, y = batch(6)
    model, twin = net(), net()
    means, p = grouped(per_sample_gradients(twin, CE, x, y), 3)
    first, last = twin[0], twin[2]
    sizes = [sum(w.numel() for w in part.parameters()) for part in (first, last)]
    rho = torch.cat([torch.full((s,), r, dtype=WIDE) for s, r in zip(sizes, (0.1, 2.0), strict=True)])
    rate = torch.cat([torch.full((s,), r, dtype=WIDE) for s, r in zip(sizes, (1.0, 0.2), strict=True)])
    expected = -rate * torch.linalg.solve(means.mT @ (p[:, None] * means) + rho.diag(), p @ means)
    groups = [{"params": model[0].parameters(), "rho": 0.1}, {"params": model[2].parameters(), "rho": 2.0, "lr": 0.2}]
    before = vector(model)
    LowRankFisher(groups, k=3).step(losses_of(model, x, y))
    torch.testing.assert_close(vector(model) - before, expected, rtol=1e-9, atol=1e-13)


@pytest.mark.parametrize("rho", [1.0, 1e-4, 1e-8])
def test_float32_survives_small_damping(rho):
    x, y = batch(8, dtype=torch.float32)
    narrow = net(dtype=torch.float32)
    rows = per_sample_gradients(narrow, CE, x, y).double()
    small = rho * torch.eye(8, dtype=WIDE) + rows @ rows.mT / 8
    exact = -rho * (rows.mT @ torch.linalg.solve(small, torch.full((8,), 1 / 8, dtype=WIDE)))
    with torch.no_grad():
        for w in narrow.parameters():
            w.zero_()  # so that the step is the parameters and is not rounded against them
    weights = [w.detach().clone() for w in net(dtype=torch.float32).parameters()]

    def losses():
        moved = [w + start for w, start in zip(narrow.parameters(), weights, strict=True)]
        names = [name for name, _ in narrow.named_parameters()]
        f = torch.func.functional_call(narrow, dict(zip(names, moved, strict=True)), (x,))
        return nn.functional.cross_entropy(f, y, reduction="none")

    LowRankFisher(narrow.parameters(), lr=rho, rho=rho, k=8).step(losses)
    # The gradients themselves are rounded to 1e-7, which the condition number magnifies; the solve adds nothing.
    assert (vector(narrow).double() - exact).norm() / exact.norm() < 1e-5


def test_memory_is_bounded_by_chunks_of_rows(monkeypatch):
    x, y = batch(10)
    taken = []

    def counted(outputs, inputs, cotangents):
        taken.append(len(cotangents[0]))
        return pull(outputs, inputs, cotangents)

    monkeypatch.setattr("sofim_lab.optim._sample_rows.pull", counted)
    with monkeypatch.context() as patch:
        patch.setattr("sofim_lab.optim._sample_rows.CHUNK_BYTES", 1)
        pieces = step_of(net(), x, y, k=10)
    assert taken == [1] * 10
    torch.testing.assert_close(pieces, step_of(net(), x, y, k=10), rtol=1e-10, atol=1e-14)


def test_a_model_without_batching_rules_is_taken_row_by_row():
    class Sequence(nn.Module):
        def __init__(self):
            super().__init__()
            self.lstm, self.head = nn.LSTM(4, 3, batch_first=True), nn.Linear(3, 3)

        def forward(self, x):
            return self.head(self.lstm(x[:, None])[0][:, 0])

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = Sequence().to(WIDE)
    x, y = batch(5)
    rows = torch.stack(
        [
            nn.utils.parameters_to_vector(torch.autograd.grad(loss, list(model.parameters()), retain_graph=True))
            for loss in losses_of(model, x, y)()
        ]
    )
    expected = -torch.linalg.solve(rows.mT @ rows / 5 + 0.1 * torch.eye(rows.shape[1], dtype=WIDE), rows.mean(0))
    torch.testing.assert_close(step_of(model, x, y, rho=0.1, k=5), expected, rtol=1e-8, atol=1e-12)


def test_gradients_and_modes_are_left_alone_and_the_losses_come_back():
    model, (x, y) = net(), batch()
    model.eval()
    for p in model.parameters():
        p.grad = torch.full_like(p, 7.0)
    expected = losses_of(model, x, y)().detach()
    returned = LowRankFisher(model.parameters(), k=4).step(losses_of(model, x, y))
    torch.testing.assert_close(returned, expected)
    assert not returned.requires_grad
    assert not model.training
    assert all(bool((p.grad == 7).all()) for p in model.parameters())


def test_rho_can_be_scheduled():
    model, (x, y) = net(), batch()
    optimizer = LowRankFisher(model.parameters(), k=4, rho=1.0)
    scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda t: 0.5**t)
    optimizer.step(losses_of(model, x, y))
    scheduler.step()
    optimizer.param_groups[0]["rho"] = 0.01
    twin = copy.deepcopy(model)
    before = vector(model)
    optimizer.step(losses_of(model, x, y))
    torch.testing.assert_close(vector(model) - before, step_of(twin, x, y, lr=0.5, rho=0.01, k=4))


def test_a_run_goes_on_from_its_state_dict_and_from_a_copy():
    def gradients(model, seed):
        x, y = batch(6, seed)
        model.zero_grad()
        CE(model(x), y).backward()

    model = net()
    optimizer = LowRankFisher(model.parameters(), lr=0.3, k=3, rows="gradients")
    for seed in range(5):
        gradients(model, seed)
        optimizer.step()
    file = io.BytesIO()
    torch.save({"model": model.state_dict(), "optimizer": optimizer.state_dict()}, file)
    file.seek(0)
    saved = torch.load(file)
    resumed = net(5)
    resumed.load_state_dict(saved["model"])
    resumed_optimizer = LowRankFisher(resumed.parameters(), rows="gradients")
    resumed_optimizer.load_state_dict(saved["optimizer"])
    copied, copied_optimizer = copy.deepcopy((model, optimizer))
    for m, o in ((model, optimizer), (resumed, resumed_optimizer), (copied, copied_optimizer)):
        for seed in range(5, 9):
            gradients(m, seed)
            o.step()
    assert torch.equal(vector(model), vector(resumed))
    assert torch.equal(vector(model), vector(copied))


def test_a_parameter_without_a_gradient_is_left_out_of_the_step():
    a, b = (torch.nn.Parameter(torch.zeros(2, dtype=WIDE)) for _ in range(2))
    optimizer = LowRankFisher([a, b], k=2, rho=1.0, rows="gradients")
    optimizer.step()
    assert not optimizer.state
    a.grad, b.grad = torch.tensor([[1.0, 2.0], [3.0, 4.0]], dtype=WIDE)
    optimizer.step()
    b.grad, at = None, b.detach().clone()
    optimizer.step()
    assert torch.equal(b, at)
    assert optimizer.state[b]["rows"].tolist() == [[3, 4], [0, 0]]
    rows = optimizer.state[a]["rows"]
    fisher = rows.mT @ rows / 2 + torch.eye(2, dtype=WIDE)
    first = torch.tensor([1.0, 2.0], dtype=WIDE) / (1 + 30)  # ‖g‖² over both
    torch.testing.assert_close(a.detach(), -first - torch.linalg.solve(fisher, a.grad))


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"lr": -1.0}, "lr must be a finite number >= 0, got -1.0"),
        ({"rho": 0.0}, "rho must be a finite number > 0, got 0.0"),
        ({"k": 0}, "k must be a whole number >= 1, got 0"),
        ({"k": 2.0}, "k must be a whole number >= 1, got 2.0"),
        ({"k": True}, "k must be a whole number >= 1, got True"),
        ({"rows": "columns"}, "rows must be 'samples' or 'gradients', got 'columns'"),
        ({"k": None, "rows": "gradients"}, "k=None means a row for each sample"),
    ],
)
def test_options_out_of_range_are_named(options, words):
    with pytest.raises(ValueError, match=words):
        LowRankFisher(net().parameters(), **options)


def test_parameters_that_cannot_be_trained_are_named():
    model = net()
    model[0].bias.requires_grad_(False)
    with pytest.raises(ValueError, match=r"parameter 1 of group 0, shape \(5,\), requires no grad"):
        LowRankFisher(model.parameters())
    with pytest.raises(ValueError, match=r"0\.bias, shape \(5,\), requires no grad"):
        LowRankFisher(model.named_parameters())
    with pytest.raises(ValueError, match=r"complex64.*real dense parameters are needed"):
        LowRankFisher([torch.zeros(2, dtype=torch.complex64, requires_grad=True)])
    with pytest.raises(
        ValueError, match=r"parameter 1 of group 0, shape \(3,\), is on meta, the first parameter on cpu"
    ):
        LowRankFisher([torch.zeros(2, requires_grad=True), torch.zeros(3, device="meta", requires_grad=True)])
    with pytest.raises(ValueError, match=r"lr must be one number: .*got the shape \(2,\)"):
        LowRankFisher(net().parameters(), lr=torch.ones(2))
    with pytest.raises(TypeError, match=r"params is a Sequential: pass its parameters"):
        LowRankFisher(model)
    with pytest.raises(ValueError, match="empty parameter list"):
        LowRankFisher([])


def test_groups_that_do_not_fit_do_not_join():
    model = net()
    optimizer = LowRankFisher(model[0].parameters(), k=4)
    with pytest.raises(ValueError, match=r"k must be the same in all groups.*group 1 has 2, group 0 has 4"):
        optimizer.add_param_group({"params": model[2].parameters(), "k": 2})
    assert len(optimizer.param_groups) == 1
    optimizer.add_param_group({"params": model[2].parameters()})
    assert len(optimizer.param_groups) == 2


def backward_first(model, x, y):
    losses = nn.functional.cross_entropy(model(x), y, reduction="none")
    losses.sum().backward()
    return losses


@pytest.mark.parametrize(
    ("closure", "kind", "words"),
    [
        (None, TypeError, "step needs a closure for rows='samples', got NoneType: return one loss a sample"),
        (lambda m, x, y: None, TypeError, "the closure returned NoneType: return one loss a sample"),
        (lambda m, x, y: CE(m(x), y), ValueError, r"losses of shape \(\), torch.float64: return one loss a sample"),
        (lambda m, x, y: m(x), ValueError, r"losses of shape \(10, 3\)"),
        (lambda m, x, y: losses_of(m, x, y)().detach(), ValueError, "do not depend on the optimizer's parameters"),
        (lambda m, x, y: losses_of(net(3), x, y)(), ValueError, "do not depend on the optimizer's parameters"),
        (lambda m, x, y: losses_of(m, x, y)()[:3], ValueError, "k=4 groups cannot be made of n=3 samples"),
        (lambda m, x, y: losses_of(m, x, y)() * float("nan"), ValueError, "10 of the 10 losses are not finite"),
        (
            lambda m, x, y: (m[2].bias.sum() * 0).sqrt() + losses_of(m, x, y)(),
            ValueError,
            "a gradient is not finite at the present parameters, though the losses are",
        ),
        (backward_first, RuntimeError, "graph is gone, the closure has called backward"),
    ],
)
def test_a_closure_that_does_not_fit_is_named_before_anything_changes(closure, kind, words):
    model, (x, y) = net(), batch()
    before = vector(model)
    optimizer = LowRankFisher(model.parameters(), k=4)
    with pytest.raises(kind, match=words):
        optimizer.step(closure and (lambda: closure(model, x, y)))
    assert torch.equal(vector(model), before)


def test_options_that_go_wrong_later_are_named_then():
    w = torch.nn.Parameter(torch.ones(2))
    optimizer = LowRankFisher([w], k=2, rows="gradients")
    w.grad = torch.ones(2)
    optimizer.step()
    at = w.detach().clone()
    for name, value, words in (
        ("rho", 0.0, "rho must be a finite number > 0"),
        ("k", 3, "k=3, but 2 gradients are kept for each parameter"),
        ("k", None, "k=None means a row for each sample"),
    ):
        was = optimizer.param_groups[0][name]
        optimizer.param_groups[0][name] = value
        with pytest.raises(ValueError, match=words):
            optimizer.step()
        optimizer.param_groups[0][name] = was
    assert torch.equal(w, at)
    assert optimizer.state[w]["step"] == 1


def test_bad_gradients_are_not_remembered():
    w = torch.nn.Parameter(torch.ones(2))
    optimizer = LowRankFisher([w], k=2, rows="gradients")
    w.grad = torch.tensor([1.0, float("inf")])
    with pytest.raises(ValueError, match=r"gradient of a parameter of shape \(2,\) is not finite"):
        optimizer.step()
    w.grad = torch.ones(2).to_sparse()
    with pytest.raises(RuntimeError, match="needs dense gradients"):
        optimizer.step()
    assert not optimizer.state
    assert w.tolist() == [1.0, 1.0]
