"""Newton's safeguards: what is accepted, what is refused, and how often the closure is called."""

from itertools import pairwise

import pytest
import torch
from second_order_cases import WIDE, counted, loss_closure, quadratic, tanh_network
from torch import nn

from sofim_lab.optim.newton import GLOBALISATIONS, Newton

SAFE = ("saddle-free", "shift", "lm")


@pytest.mark.parametrize("globalisation", SAFE)
def test_the_loss_never_rises(globalisation):
    model, x, y = tanh_network((3, 5, 2), 4)
    optimizer = Newton(model.parameters(), globalisation=globalisation)
    for _ in range(25):
        optimizer.step(loss_closure(model, x, y, decay=0.01))
    losses = [r.loss for r in optimizer.records]
    assert all(b <= a * (1 + 1e-14) for a, b in pairwise(losses))
    assert losses[-1] < 0.6 * losses[0]


@pytest.mark.parametrize("globalisation", SAFE)
@pytest.mark.parametrize("solver", ["dense", "cg"])
def test_losses_that_are_not_finite_are_backed_away_from(globalisation, solver):
    """L = w − 2 log w: Newton's step from w = 5, to a negative number, has no loss."""
    w = nn.Parameter(torch.tensor([5.0], dtype=WIDE))
    closure = counted(lambda: (w - 2 * w.log()).sum())
    optimizer = Newton([w], globalisation=globalisation, solver=solver, damping=1e-6)
    for _ in range(20):
        optimizer.step(closure)
    assert optimizer.records[0].backtracks > 0
    torch.testing.assert_close(w.detach(), torch.tensor([2.0], dtype=WIDE))


@pytest.mark.parametrize("bad", [torch.nan, torch.inf, -torch.inf, 100.0])
@pytest.mark.parametrize("solver", ["dense", "cg"])
@pytest.mark.parametrize("globalisation", SAFE)
def test_without_any_decrease_the_parameters_stay_bit_for_bit(globalisation, solver, bad):
    start = torch.tensor([0.1, 1 / 3, 0.7])
    w = nn.Parameter(start.clone())

    @counted
    def closure():
        loss = (w - 2).square().sum()
        return loss if torch.equal(w.detach(), start) else loss * 0 + bad

    optimizer = Newton([w], globalisation=globalisation, solver=solver, max_backtracks=5)
    optimizer.step(closure)
    (record,) = optimizer.records
    assert torch.equal(w.detach(), start)
    assert (record.outcome, record.step_length, record.backtracks, record.evaluations) == ("no decrease", 0.0, 6, 7)
    assert record.loss_after == record.loss
    assert closure.calls == 7
    assert optimizer.param_groups[0]["damping"] == 1e-3


@pytest.mark.parametrize("solver", ["dense", "cg"])
@pytest.mark.parametrize("globalisation", GLOBALISATIONS)
def test_the_record_counts_the_evaluations_and_tells_the_losses(globalisation, solver):
    model, x, y = tanh_network((3, 5, 2), 3)
    closure = counted(loss_closure(model, x, y, decay=0.1))
    optimizer = Newton(model.parameters(), globalisation=globalisation, solver=solver, damping=0.5)
    for _ in range(8):
        try:
            returned = optimizer.step(closure)
        except ValueError:
            assert globalisation == "none"
            break
        record = optimizer.records[-1]
        calls = closure.calls
        assert returned.item() == record.loss
        if record.loss_after is not None:
            assert closure().item() == pytest.approx(record.loss_after, rel=1e-14)
            closure.calls -= 1
            closure.with_graph -= 1
        assert closure.calls == calls == sum(r.evaluations for r in optimizer.records)
        assert closure.with_graph == len(optimizer.records)
        assert record.evaluations == (1 if globalisation == "none" else record.backtracks + 2)


def test_armijo_halves_until_the_decrease_is_enough():
    """On a parabola, t p overshoots to a rise for t ≥ 2 and is enough below; from lr = 16 that is 4 halvings."""
    w, closure = quadratic([[1.0]], [1.0])
    optimizer = Newton([w], lr=16.0, damping=0.1)
    optimizer.step(closure)
    assert optimizer.records[0].backtracks == 4
    assert optimizer.records[0].step_length == 1.0
    assert w.item() == -1


@pytest.mark.parametrize("globalisation", SAFE)
@pytest.mark.parametrize(
    ("start", "rises", "outcome"),
    [
        (1e-6, [1e-9], "stepped"),
        (1e-6, [1e-8], "no decrease"),
        (1e-6, [1e-8, 0.0], "no decrease"),  # shorter steps have to show a decrease
        (1e-4, [1e-10], "no decrease"),
        (1.0, [1e-9], "no decrease"),
    ],
)
def test_only_a_decrease_that_rounding_hides_need_not_be_seen(globalisation, start, rises, outcome):
    """Losses near 1e6 come in units of 1.2e-10, where start² is in prospect; they rise a little, the last one on."""
    w, tried = nn.Parameter(torch.tensor([start], dtype=WIDE)), []

    def closure():
        loss = (1e6 + 0.5 * w.square()).sum()
        if w.item() == start:
            return loss
        tried.append(w.item())
        return 0 * loss + 1e6 + 0.5 * start**2 + rises[min(len(tried), len(rises)) - 1]

    optimizer = Newton([w], globalisation=globalisation, damping=1e-9)
    optimizer.step(closure)
    assert optimizer.records[0].outcome == outcome


def test_the_gain_ratio_moves_the_damping():
    """On a quadratic the ratio is 1, and the damping falls to a third; against the model it rises by 2, 4, 8, …"""
    w, closure = quadratic([[2.0]], [1.0])
    optimizer = Newton([w], damping=0.3, globalisation="lm")
    optimizer.step(closure)
    (record,) = optimizer.records
    assert record.gain_ratio == pytest.approx(1.0)
    assert (record.damping, optimizer.param_groups[0]["damping"]) == (0.3, pytest.approx(0.1))

    v = nn.Parameter(torch.tensor([3.0], dtype=WIDE))
    optimizer = Newton([v], damping=0.01, globalisation="lm")
    optimizer.step(lambda: (1 + v.square()).sqrt().sum())  # Newton's step from 3 goes to −27
    (record,) = optimizer.records
    n = record.backtracks
    assert n >= 2
    assert record.damping == pytest.approx(0.01 * 2 ** (n * (n + 1) // 2))
    predicted = model_decrease(3.0, v.item())
    actual = 10**0.5 - (1 + v.item() ** 2) ** 0.5
    assert record.gain_ratio == pytest.approx(actual / predicted)
    assert optimizer.param_groups[0]["damping"] == pytest.approx(
        record.damping * max(1 / 3, 1 - (2 * record.gain_ratio - 1) ** 3)
    )


def model_decrease(start, end):
    """The decrease that the quadratic model of √(1 + w²) at `start` predicts."""
    root, delta = (1 + start**2) ** 0.5, end - start
    return -(start / root * delta + 0.5 * delta**2 / root**3)


def test_levenberg_marquardt_never_lets_the_damping_vanish():
    w, closure = quadratic([[1.0, 0.0], [0.0, 0.0]], [0.0, 0.0], [1.0, 1.0])
    optimizer = Newton([w], damping=1.0, globalisation="lm")
    for _ in range(200):
        optimizer.step(closure)
        w.data[0] = 1.0
    assert optimizer.param_groups[0]["damping"] == pytest.approx(1e-16, rel=1e-9, abs=0.0)
    assert optimizer.records[-1].outcome == "stepped"


@pytest.mark.parametrize("globalisation", SAFE)
def test_a_small_damping_is_enough_where_it_is_all_that_is_left(globalisation):
    """In float32, with 1e-4 beside an eigenvalue of 1000 that is rounded by as much."""
    w = nn.Parameter(torch.ones(300))
    scales = torch.cat([torch.full((1,), 1000.0), torch.zeros(299)])
    optimizer = Newton([w], damping=1e-4, globalisation=globalisation)
    optimizer.step(lambda: (0.5 * scales * w.square() + 1e-4 * w).sum())
    assert optimizer.records[0].outcome == "stepped"
    assert optimizer.records[0].negative_curvature is False


def test_none_is_refused_where_the_damping_cancels_an_eigenvalue():
    w, closure = quadratic([[1.0, 0.0], [0.0, -0.5]], [1.0, 1.0])
    with pytest.raises(torch.linalg.LinAlgError, match=r"singular at damping=0.5"):
        Newton([w], damping=0.5, globalisation="none").step(closure)


@pytest.mark.parametrize("globalisation", ["saddle-free", "shift", "none"])
def test_a_singular_matrix_is_refused_and_nothing_changes(globalisation):
    w, closure = quadratic([[1.0, 0.0], [0.0, 0.0]], [1.0, 1.0])
    with pytest.raises(torch.linalg.LinAlgError, match=r"Newton: .* singular at damping=0.*larger damping"):
        Newton([w], damping=0.0, globalisation=globalisation).step(closure)
    assert w.tolist() == [0, 0]


def test_shift_without_damping_is_singular_where_the_hessian_is_indefinite():
    w, closure = quadratic([[1.0, 0.0], [0.0, -1.0]], [1.0, 1.0])
    with pytest.raises(torch.linalg.LinAlgError, match="damping"):
        Newton([w], damping=0.0, globalisation="shift").step(closure)


@pytest.mark.parametrize("solver", ["dense", "cg"])
def test_a_curvature_that_is_not_finite_is_refused(solver):
    """The third power of |w| under a root has the slope 0 and no second derivative at 0."""
    w = nn.Parameter(torch.tensor([0.0, 1.0], dtype=WIDE))
    with pytest.raises(ValueError, match="not finite"):
        Newton([w], solver=solver).step(lambda: w.pow(1.5).sum())
    assert w.tolist() == [0, 1]
