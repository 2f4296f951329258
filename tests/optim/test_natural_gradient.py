"""Natural gradients against the naive Fisher matrix, the Hessian of linear models, and their invariance."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from second_order_cases import NETWORKS, WIDE, counted, derivatives, pair_closure, tanh_network, vector
from torch import nn

from sofim_lab.curvature import fisher
from sofim_lab.optim._exact.fisher import OutputFisher
from sofim_lab.optim._exact.objective import Objective
from sofim_lab.optim.natural_gradient import NaturalGradient
from sofim_lab.optim.newton import Newton

LOSSES = [kind(reduction=r) for kind in (nn.CrossEntropyLoss, nn.MSELoss) for r in ("mean", "sum")]
each_loss = pytest.mark.parametrize("loss_fn", LOSSES, ids=lambda f: f"{type(f).__name__}-{f.reduction}")
each_solver = pytest.mark.parametrize("solver", ["dense", "cg"])


def naive_fisher(model, x, loss_fn):
    """A sum over samples and labels: each class by its probability, or f ± √(C/2) e_c with the covariance I/2."""
    params, total = list(model.parameters()), 0
    for sample in x:
        f = model(sample[None])[0]
        at, C = f.detach(), len(f)
        if isinstance(loss_fn, nn.CrossEntropyLoss):
            terms = [(p, -torch.log_softmax(f, 0)[c]) for c, p in enumerate(torch.softmax(at, 0))]
        else:
            ends = [at + sign * (C / 2) ** 0.5 * e for e in torch.eye(C, dtype=f.dtype) for sign in (1, -1)]
            terms = [(1 / (2 * C), (f - end).square().sum()) for end in ends]
        for probability, loss in terms:
            g = torch.cat([s.flatten() for s in torch.autograd.grad(loss, params, retain_graph=True)])
            total = total + probability * torch.outer(g, g)
    if loss_fn.reduction == "mean":
        total = total / (len(x) * (1 if isinstance(loss_fn, nn.CrossEntropyLoss) else C))
    return total


def output_fisher(model, x, y, loss_fn):
    here = Objective(pair_closure(model, x, y, loss_fn), list(model.parameters()), owner="NaturalGradient")
    optimizer = NaturalGradient(model.parameters(), loss_fn)
    return OutputFisher(here, optimizer.likelihood, owner="NaturalGradient")


@each_loss
@pytest.mark.parametrize("n", [3, 40])  # n·C below d: by rows; above: by columns
def test_the_matrix_and_its_products_are_the_exact_fisher(loss_fn, n):
    model, x, y = tanh_network((3, 5, 4), 0, n=n, loss_fn=loss_fn)
    F = output_fisher(model, x, y, loss_fn)
    expected = naive_fisher(model, x, loss_fn)
    assert (n * 4 < len(expected)) == (n == 3)
    torch.testing.assert_close(F.matrix(WIDE), expected, rtol=1e-10, atol=1e-12)
    torch.testing.assert_close(F.matrix(WIDE), fisher(model, loss_fn, x), rtol=1e-10, atol=1e-12)
    assert torch.equal(F.matrix(WIDE), F.matrix(WIDE).mT)
    v = torch.randn(len(expected), 2, dtype=WIDE)
    torch.testing.assert_close(F.matvec(v), expected @ v, rtol=1e-10, atol=1e-12)
    torch.testing.assert_close(F.matvec(v[:, 0]), expected @ v[:, 0], rtol=1e-10, atol=1e-12)


@each_loss
@each_solver
@pytest.mark.parametrize("n", [3, 40])
def test_the_step_is_the_dense_solve(loss_fn, solver, n):
    model, x, y = tanh_network((3, 4, 3), 1, n=n, loss_fn=loss_fn)
    closure = pair_closure(model, x, y, loss_fn)
    before = vector(model.parameters())
    F = naive_fisher(model, x, loss_fn)
    g, _ = derivatives(closure()[0], model.parameters())
    optimizer = NaturalGradient(
        model.parameters(), loss_fn, lr=0.5, damping=0.1, globalisation="none", solver=solver, cg_tol=0.0
    )
    returned = optimizer.step(closure)
    expected = before - 0.5 * torch.linalg.solve(F + 0.1 * torch.eye(len(F), dtype=WIDE), g)
    torch.testing.assert_close(vector(model.parameters()), expected, rtol=1e-8, atol=1e-10)
    (record,) = optimizer.records
    assert returned.item() == record.loss
    assert record.evaluations == 1
    assert record.loss_after is None
    if solver == "dense":
        torch.testing.assert_close(record.eigenvalues, torch.linalg.eigvalsh(F), rtol=1e-8, atol=1e-12)
        assert record.negative_curvature is False
    else:
        assert 1 <= record.cg_iterations <= 2 * len(F)


@each_loss
@each_solver
def test_on_a_linear_model_it_is_newtons_step(loss_fn, solver):
    """F = H there; the damping is added in both, the loss is convex."""
    ends = []
    for kind in ("natural", "newton"):
        model, x, y = tanh_network((4, 3), 0, loss_fn=loss_fn)
        closure = pair_closure(model, x, y, loss_fn)
        options = {"damping": 0.05, "globalisation": "none", "solver": solver, "cg_tol": 0.0}
        if kind == "newton":
            optimizer = Newton(model.parameters(), **options)
        else:
            optimizer = NaturalGradient(model.parameters(), loss_fn, **options)
        optimizer.step(closure)
        ends.append(vector(model.parameters()))
    torch.testing.assert_close(*ends, rtol=1e-8, atol=1e-10)


@settings(max_examples=15)
@given(seed=st.integers(0, 1000), classification=st.booleans())
def test_the_undamped_step_is_invariant_under_affine_reparametrisation(seed, classification):
    """w = A u + b: the step in u, mapped back, is the step in w; a damped one is another."""
    loss_fn = nn.CrossEntropyLoss() if classification else nn.MSELoss()
    generator = torch.Generator().manual_seed(seed)
    d = 6
    A = torch.linalg.qr(torch.randn(d, d, generator=generator, dtype=WIDE))[0]
    A = A @ torch.diag(torch.linspace(0.5, 2.0, d, dtype=WIDE))
    b, w = torch.randn(2, d, generator=generator, dtype=WIDE)
    x = torch.randn(30, 2, generator=generator, dtype=WIDE)
    y = torch.randn(30, 2, generator=generator, dtype=WIDE).argmax(1) if classification else x.flip(1)

    def outputs_of(weights):
        """Not linear in the weights; F is regular in both likelihoods."""
        hidden = torch.tanh(x @ weights[:4].reshape(2, 2))
        return torch.stack([hidden @ weights[4:], 0 * x[:, 0] if classification else hidden[:, 0]], dim=1)

    def step(parameter, to_weights, damping):
        def closure():
            outputs = outputs_of(to_weights(parameter))
            return loss_fn(outputs, y), outputs

        NaturalGradient([parameter], loss_fn, lr=0.3, damping=damping, globalisation="none").step(closure)
        return to_weights(parameter).detach()

    for damping, same in ((0.0, True), (0.1, False)):
        in_w = step(nn.Parameter(w.clone()), lambda p: p, damping)
        in_u = step(nn.Parameter(torch.linalg.solve(A, w - b)), lambda p: A @ p + b, damping)
        gap = (in_w - in_u).norm() / (in_w - w).norm()
        assert gap < 1e-6 if same else gap > 1e-4


@each_solver
@each_loss
def test_kl_bounds_the_divergence_to_second_order(loss_fn, solver):
    model, x, y = tanh_network((3, 4, 3), 1, loss_fn=loss_fn)
    closure = pair_closure(model, x, y, loss_fn)
    F, before = naive_fisher(model, x, loss_fn), vector(model.parameters())
    optimizer = NaturalGradient(model.parameters(), loss_fn, globalisation="kl", kl_max=1e-5, solver=solver, cg_tol=0.0)
    optimizer.step(closure)
    (record,) = optimizer.records
    delta = vector(model.parameters()) - before
    assert (0.5 * delta @ F @ delta).item() == pytest.approx(1e-5, rel=1e-6)
    assert record.kl == pytest.approx(1e-5)
    assert 0 < record.step_length < 1
    assert record.evaluations == 1


def test_kl_of_the_categorical_mean_is_the_mean_divergence():
    loss_fn = nn.CrossEntropyLoss()
    model, x, y = tanh_network((3, 4, 3), 1, loss_fn=loss_fn)
    old = model(x).detach().log_softmax(1)
    NaturalGradient(model.parameters(), loss_fn, globalisation="kl", kl_max=1e-6).step(
        pair_closure(model, x, y, loss_fn)
    )
    new = model(x).detach().log_softmax(1)
    assert (old.exp() * (old - new)).sum(1).mean().item() == pytest.approx(1e-6, rel=0.01)


def test_kl_leaves_a_short_step_as_it_is():
    loss_fn = nn.CrossEntropyLoss()
    model, x, y = tanh_network((3, 4, 3), 1, loss_fn=loss_fn)
    optimizer = NaturalGradient(model.parameters(), loss_fn, lr=1e-3, globalisation="kl", kl_max=1.0)
    optimizer.step(pair_closure(model, x, y, loss_fn))
    assert optimizer.records[0].step_length == 1e-3
    assert 0 < optimizer.records[0].kl < 1.0


@each_solver
@pytest.mark.parametrize("loss_fn", [LOSSES[0], LOSSES[2]], ids=["cross-entropy", "mse"])
def test_armijo_descends_and_counts_its_evaluations(loss_fn, solver):
    """With weight decay in the loss, which is in the gradient and not in F."""
    sizes, seed = NETWORKS[4]
    model, x, y = tanh_network(sizes, seed, loss_fn=loss_fn)
    plain = pair_closure(model, x, y, loss_fn)

    @counted
    def closure():
        loss, outputs = plain()
        return loss + 0.05 * sum(p.square().sum() for p in model.parameters()), outputs

    optimizer = NaturalGradient(model.parameters(), loss_fn, damping=0.1, solver=solver)
    for _ in range(30):
        optimizer.step(closure)
        record = optimizer.records[-1]
        assert record.loss_after <= record.loss * (1 + 1e-14)
        assert record.evaluations == record.backtracks + 2
    assert optimizer.records[-1].gradient_norm <= 0.01 * optimizer.records[0].gradient_norm
    assert closure.calls == sum(r.evaluations for r in optimizer.records)
    assert closure.with_graph == len(optimizer.records)


def test_without_a_decrease_the_parameters_stay_bit_for_bit():
    w = nn.Parameter(torch.tensor([[0.1, 0.3]]))
    start, loss_fn = w.detach().clone(), nn.MSELoss()

    def closure():
        outputs = w * 1
        loss = loss_fn(outputs, torch.ones(1, 2))
        return loss if torch.equal(w.detach(), start) else loss * torch.nan, outputs

    optimizer = NaturalGradient([w], loss_fn, max_backtracks=3)
    optimizer.step(closure)
    assert torch.equal(w.detach(), start)
    assert (optimizer.records[0].outcome, optimizer.records[0].backtracks) == ("no decrease", 4)


def test_a_stationary_point_is_left_alone():
    w = nn.Parameter(torch.ones(1, 2))
    optimizer = NaturalGradient([w], nn.MSELoss())
    optimizer.step(lambda: (nn.functional.mse_loss(w * 1, torch.ones(1, 2)), w * 1))
    assert torch.equal(w.detach(), torch.ones(1, 2))
    assert (optimizer.records[0].outcome, optimizer.records[0].evaluations) == ("stationary", 1)


def test_the_last_layer_alone():
    loss_fn = nn.CrossEntropyLoss()
    model, x, y = tanh_network((3, 4, 3), 1, loss_fn=loss_fn)
    body = vector(model[0].parameters())
    optimizer = NaturalGradient(model[2].parameters(), loss_fn)
    optimizer.step(pair_closure(model, x, y, loss_fn))
    assert torch.equal(vector(model[0].parameters()), body)
    F = fisher(model, loss_fn, x, params=model[2].parameters())
    assert optimizer.records[0].eigenvalues.shape == (len(F),)
    assert optimizer.records[0].loss_after < optimizer.records[0].loss


def test_undamped_a_singular_fisher_matrix_is_refused_by_name():
    """Softmax probabilities do not change when all logits rise together."""
    loss_fn = nn.CrossEntropyLoss()
    model, x, y = tanh_network((3, 3), 0, loss_fn=loss_fn)
    before = vector(model.parameters())
    optimizer = NaturalGradient(model.parameters(), loss_fn, damping=0.0)
    with pytest.raises(torch.linalg.LinAlgError, match=r"NaturalGradient: .* singular at damping=0.*larger damping"):
        optimizer.step(pair_closure(model, x, y, loss_fn))
    assert torch.equal(vector(model.parameters()), before)
    assert not optimizer.records


W = torch.ones(2, 3)
WRONG = {
    "the loss alone": (lambda f: f.sum(), TypeError, r"only the loss: return the pair \(loss, outputs\)"),
    "nothing": (lambda f: None, TypeError, "returned None"),
    "no tensor": (lambda f: (f.sum(), [f]), TypeError, "list beside the loss"),
    "one dimension": (lambda f: (f.sum(), f[:, 0]), ValueError, r"shape \(n, C\), got .*\(2,\).*f\[:, None\]"),
    "three dimensions": (lambda f: (f.sum(), f[None]), ValueError, r"shape \(n, C\)"),
    "integers": (lambda f: (f.sum(), f.argmax(1, keepdim=True)), ValueError, "must be real"),
    "no sample": (lambda f: (f.sum(), f[:0]), ValueError, r"shape \(n, C\)"),
    "no graph": (lambda f: (f.sum(), f.detach()), ValueError, "have no graph: .* without detach"),
    "another graph": (lambda f: (f.sum(), W.clone().requires_grad_() * 1), ValueError, "outputs do not depend on"),
    "infinite": (lambda f: (f.sum(), f / 0), ValueError, "outputs are not finite"),
    "an infinite loss": (lambda f: (f.sum() / 0, f), ValueError, "the loss is inf"),
}


@pytest.mark.parametrize("wrong", WRONG)
@each_solver
def test_a_closure_that_does_not_return_loss_and_outputs(wrong, solver):
    make, error, message = WRONG[wrong]
    p = nn.Parameter(W.clone())
    optimizer = NaturalGradient([p], nn.MSELoss(), solver=solver)
    with pytest.raises(error, match=message):
        optimizer.step(lambda: make(p * 1))
    assert torch.equal(p.detach(), W)
    assert not optimizer.records


@pytest.mark.parametrize(
    ("loss_fn", "error"),
    [(nn.functional.mse_loss, TypeError), (nn.L1Loss(), TypeError), (nn.MSELoss(reduction="none"), ValueError)],
)
def test_a_loss_without_a_likelihood_is_refused(loss_fn, error):
    with pytest.raises(error, match="loss_fn"):
        NaturalGradient([nn.Parameter(torch.ones(1))], loss_fn)
