"""Newton's directions against dense solves, the minima it reaches, and what its records say."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from second_order_cases import NETWORKS, WIDE, derivatives, loss_closure, quadratic, tanh_network, vector
from torch import nn

from sofim_lab.optim.newton import GLOBALISATIONS, Newton

SAFE = ("saddle-free", "shift", "lm")


def dense_direction(H, g, damping, globalisation):
    """The definitions of the docstring, by solves and matrix functions."""
    eye = torch.eye(len(H), dtype=WIDE)
    e, Q = torch.linalg.eigh(H)
    A = {
        "saddle-free": lambda: Q @ torch.diag(torch.maximum(e.abs(), torch.tensor(damping))) @ Q.mT,
        "shift": lambda: H + max(0.0, damping - e.min().item()) * eye,
        "lm": lambda: H + (max(0.0, -e.min().item()) + damping) * eye,
        "none": lambda: H + damping * eye,
    }[globalisation]()
    return -torch.linalg.solve(A, g)


@pytest.mark.parametrize("globalisation", GLOBALISATIONS)
@settings(max_examples=15)
@given(d=st.integers(1, 8), seed=st.integers(0, 1000), damping=st.sampled_from([0.01, 0.5, 3.0]))
def test_the_step_is_along_the_direction_of_the_definition(globalisation, d, seed, damping):
    generator = torch.Generator().manual_seed(seed)
    H = torch.randn(d, d, generator=generator, dtype=WIDE)
    H, g = H + H.mT, torch.randn(d, generator=generator, dtype=WIDE)
    w, closure = quadratic(H, g)
    optimizer = Newton([w], damping=damping, globalisation=globalisation)
    optimizer.step(closure)
    (record,) = optimizer.records
    expected = record.step_length * dense_direction(H, g, record.damping, globalisation)
    torch.testing.assert_close(w.detach(), expected, rtol=1e-7, atol=1e-9)
    torch.testing.assert_close(record.eigenvalues, torch.linalg.eigvalsh(H), rtol=1e-10, atol=1e-12)
    assert record.step_length > 0


@pytest.mark.parametrize("solver", ["dense", "cg"])
@pytest.mark.parametrize("globalisation", ["saddle-free", "shift"])
def test_one_step_solves_linear_least_squares(globalisation, solver):
    """The damping is below all eigenvalues: it has no effect at all."""
    A, b = torch.randn(12, 4, dtype=WIDE, generator=torch.Generator().manual_seed(0)), torch.ones(12, dtype=WIDE)
    w = nn.Parameter(torch.zeros(4, dtype=WIDE))
    optimizer = Newton([w], damping=1.0, globalisation=globalisation, solver=solver, cg_tol=0.0)
    optimizer.step(lambda: (A @ w - b).square().sum())
    torch.testing.assert_close(w.detach(), torch.linalg.lstsq(A, b[:, None]).solution[:, 0], rtol=1e-10, atol=1e-12)
    assert torch.linalg.eigvalsh(2 * A.mT @ A)[0] > 1.0
    assert optimizer.records[0].backtracks == 0


@pytest.mark.parametrize("globalisation", SAFE)
def test_twelve_networks_reach_a_minimum(globalisation):
    steps = []
    for sizes, seed in NETWORKS:
        norms, H = descend_to_rest(globalisation, sizes, seed)
        assert norms[-1] <= 1e-6, (sizes, seed)
        assert torch.linalg.eigvalsh(H)[0] >= -1e-10, (sizes, seed)
        steps.append(len(norms))
    assert sorted(steps)[6] <= 30


def test_twelve_networks_pure_newton_does_not():
    ends = [descend_to_rest("none", sizes, seed) for sizes, seed in NETWORKS]
    minima = [n[-1] <= 1e-6 and torch.linalg.eigvalsh(H)[0] >= -1e-10 for n, H in ends if H.isfinite().all()]
    assert sum(minima) < 6


def descend_to_rest(globalisation, sizes, seed):
    """At most 60 steps, full batch: the gradient norms met, and the Hessian at the end."""
    model, x, y = tanh_network(sizes, seed)
    closure = loss_closure(model, x, y, decay=0.01)
    optimizer = Newton(model.parameters(), globalisation=globalisation)
    for _ in range(60):
        try:
            optimizer.step(closure)
        except (ValueError, torch.linalg.LinAlgError):
            assert globalisation == "none"  # it may diverge
            break
        if optimizer.records[-1].gradient_norm <= 1e-6:
            break
    return [r.gradient_norm for r in optimizer.records], derivatives(closure(), model.parameters())[1]


@pytest.mark.parametrize("globalisation", SAFE)
def test_matrix_free_reaches_a_minimum_too(globalisation):
    model, x, y = tanh_network((3, 5, 2), 1)
    closure = loss_closure(model, x, y, decay=0.01)
    optimizer = Newton(model.parameters(), globalisation=globalisation, solver="cg", cg_tol=0.0)
    for _ in range(60):
        optimizer.step(closure)
        if optimizer.records[-1].gradient_norm <= 1e-6:
            break
    g, H = derivatives(closure(), model.parameters())
    assert g.norm() <= 1e-6
    assert torch.linalg.eigvalsh(H)[0] > 0
    assert any(r.negative_curvature for r in optimizer.records)
    assert all(r.eigenvalues is None for r in optimizer.records)


@pytest.mark.parametrize("globalisation", GLOBALISATIONS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_dense_and_matrix_free_agree_where_the_curvature_is_above_the_damping(globalisation, dtype):
    ends = []
    for solver in ("dense", "cg"):
        model, x, y = tanh_network((3, 4, 2), 0, loss_fn=nn.MSELoss(), dtype=dtype)
        closure = loss_closure(model, x, y, decay=1.0)
        optimizer = Newton(
            model.parameters(), damping=0.01, globalisation=globalisation, solver=solver, cg_tol=0.0,
            linalg_dtype=torch.float64,
        )  # fmt: skip
        optimizer.step(closure)
        ends.append(vector(model.parameters()))
    tolerance = {"rtol": 1e-9, "atol": 1e-12} if dtype == WIDE else {"rtol": 1e-4, "atol": 1e-6}
    torch.testing.assert_close(*ends, **tolerance)


def test_float64_linear_algebra_saves_a_float32_step():
    """Condition 1e7: an eigendecomposition in float32 loses the smallest eigenvalue."""
    Q = torch.linalg.qr(torch.randn(6, 6, dtype=WIDE, generator=torch.Generator().manual_seed(0)))[0]
    R = (torch.diag(torch.logspace(0, -3.5, 6, dtype=WIDE)) @ Q).float()
    errors = []
    for linalg_dtype in (None, torch.float64):
        w = nn.Parameter(torch.ones(6))
        optimizer = Newton([w], damping=0.0, linalg_dtype=linalg_dtype, globalisation="shift")
        try:
            optimizer.step(lambda w=w: 0.5 * (R @ w).square().sum())
        except torch.linalg.LinAlgError:
            errors.append(torch.inf)
            continue
        assert optimizer.records[0].eigenvalues.dtype == (linalg_dtype or torch.float32)
        errors.append(w.detach().norm().item())
    assert errors[1] < 0.1 * errors[0]


def test_the_record_of_a_matrix_free_step_that_meets_negative_curvature_at_once():
    """At g = (0, 1), H = diag(1, −2): κ = −2, so p = −g/2, and the loss falls as if e were +2 and more."""
    w, closure = quadratic([[1.0, 0.0], [0.0, -2.0]], [0.0, 1.0])
    optimizer = Newton([w], solver="cg", damping=0.1)
    optimizer.step(closure)
    (record,) = optimizer.records
    assert w.tolist() == [0, -0.5]
    assert (record.negative_curvature, record.cg_iterations, record.cg_stop) == (True, 1, "curvature")


def test_curvature_that_the_damping_just_lifts_to_zero_is_negative():
    w, closure = quadratic([[-0.5]], [1.0])
    optimizer = Newton([w], solver="cg", damping=0.5, globalisation="none")
    optimizer.step(closure)
    assert (optimizer.records[0].negative_curvature, optimizer.records[0].cg_stop) == (True, "curvature")
    assert w.item() == -1


@pytest.mark.parametrize("globalisation", SAFE)
def test_a_saddle_is_left_and_an_exact_one_is_named(globalisation):
    """L = x² − y² + y⁴ has a saddle at 0 and minima at y² = 1/2."""

    def run(start):
        w = nn.Parameter(torch.tensor(start, dtype=WIDE))
        optimizer = Newton([w], globalisation=globalisation)
        for _ in range(40):
            optimizer.step(lambda: w[0] ** 2 - w[1] ** 2 + w[1] ** 4)
        return w.detach(), optimizer.records

    w, records = run([0.5, 1e-6])
    torch.testing.assert_close(w.abs(), torch.tensor([0.0, 0.5**0.5], dtype=WIDE), rtol=1e-7, atol=1e-7)
    assert records[0].negative_curvature
    assert not records[-1].negative_curvature
    w, records = run([0.0, 0.0])
    assert w.tolist() == [0, 0]
    last = records[-1]
    assert (last.outcome, last.negative_curvature, last.step_length, last.evaluations) == ("stationary", True, 0.0, 1)
    assert last.eigenvalues.tolist() == [-2, 2]


def test_matrix_free_does_not_know_what_a_stationary_point_is():
    w, closure = quadratic([[1.0, 0.0], [0.0, -1.0]], [0.0, 0.0])
    optimizer = Newton([w], solver="cg")
    optimizer.step(closure)
    assert (optimizer.records[0].outcome, optimizer.records[0].negative_curvature) == ("stationary", None)


def test_at_a_minimum_the_record_shows_no_negative_curvature():
    w, closure = quadratic([[1.0, 0.0], [0.0, 0.0]], [0.0, 0.0])
    optimizer = Newton([w])
    optimizer.step(closure)
    assert (optimizer.records[0].outcome, optimizer.records[0].negative_curvature) == ("stationary", False)


@pytest.mark.parametrize("globalisation", GLOBALISATIONS)
@pytest.mark.parametrize("solver", ["dense", "cg"])
def test_the_last_layer_alone_with_another_optimizer_for_the_rest(globalisation, solver):
    """DN-SGD: the step on the part is Newton's with the rest held constant, and SGD's is SGD's."""
    model, x, y = tanh_network((3, 5, 2), 2)
    closure = loss_closure(model, x, y)
    body, head = list(model[0].parameters()), list(model[2].parameters())
    sgd = torch.optim.SGD(body, lr=0.1)
    newton = Newton(head, damping=0.01, globalisation=globalisation, solver=solver, cg_tol=0.0)

    before, losses = vector(body), []
    for _ in range(10):
        sgd.zero_grad()
        closure().backward()
        slopes = [p.grad.clone() for p in model.parameters()]
        newton.step(closure)
        assert torch.equal(vector(body), before)
        assert all(torch.equal(p.grad, g) for p, g in zip(model.parameters(), slopes, strict=True))
        sgd.step()
        torch.testing.assert_close(vector(body), before - 0.1 * torch.cat([g.flatten() for g in slopes[:2]]))
        before = vector(body)
        losses.append(closure().item())
    assert len(newton.records) == 10
    if solver == "dense":
        assert newton.records[0].eigenvalues.shape == (12,)
    assert losses[-1] < losses[0]


def test_on_the_last_layer_of_a_squared_error_one_step_is_the_least_squares_solution():
    model, x, y = tanh_network((3, 5, 2), 2)
    Newton(model[2].parameters(), damping=0.0).step(loss_closure(model, x, y))
    features = torch.cat([model[:2](x).detach(), torch.ones(len(x), 1, dtype=WIDE)], dim=1)
    solution = torch.linalg.lstsq(features, y).solution
    torch.testing.assert_close(torch.cat([model[2].weight.mT, model[2].bias[None]]).detach(), solution)
