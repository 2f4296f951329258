import pytest
import torch
from torch import nn

from sofim_lab.optim import LowRankFisher, Newton
from sofim_lab.problems import SURFACES, Surface, quadratic
from sofim_lab.training import basins, descend, descend_on, pure_newton


def pure(params):
    return Newton(params, damping=0.0, globalisation="none")


def sgd(rate):
    return lambda params: torch.optim.SGD(params, lr=rate)


def test_gradient_descent_follows_the_closed_form():
    run = descend_on(quadratic(8.0), sgd(0.2), (1.0, -2.0), steps=30, tol=0.0)
    powers = torch.arange(31)[:, None]
    factor = 1 - 0.2 * torch.tensor([1.0, 8.0], dtype=torch.float64)
    torch.testing.assert_close(run.points, torch.tensor([1.0, -2.0], dtype=torch.float64) * factor**powers)
    assert run.steps == 30
    assert run.end == "on the way"
    assert run.losses[3] == pytest.approx(float(quadratic(8.0)(run.points[3])))
    assert run.gradient_norms[3] == pytest.approx(
        float(torch.linalg.vector_norm(quadratic(8.0).gradient(run.points[3])))
    )


@pytest.mark.parametrize(
    ("start", "end", "negative"),
    [((1.0, 0.9), "minimum", 0), ((1.0, 0.2), "saddle", 1)],
)
def test_the_end_is_told_by_the_eigenvalues(start, end, negative):
    run = descend_on(SURFACES["saddle"], pure, start)
    assert (run.end, run.negative) == (end, negative)
    torch.testing.assert_close(run.eigenvalues, torch.linalg.eigvalsh(SURFACES["saddle"].hessian(run.points[-1])))


def test_a_maximum_and_a_flat_point_are_told_apart_from_saddles():
    assert descend_on(SURFACES["himmelblau"], pure, (-0.3, -0.9)).end == "maximum"
    quartic = Surface("quartic", lambda xy: xy[..., 0] ** 4 + xy[..., 1] ** 2, ((0.0, 0.0),), (), (-1, 1, -1, 1))
    assert descend_on(quartic, sgd(0.1), (0.0, 0.0)).end == "flat"


def test_runs_that_fail_say_how():
    assert descend_on(quadratic(10.0), sgd(1.0), (1.0, 1.0), steps=300).end == "diverged"
    flat = Surface("valley", lambda xy: xy[..., 0] ** 2 + 0 * xy[..., 1], (), (), (-1, 1, -1, 1))
    stopped = descend_on(flat, pure, (1.0, 1.0))
    assert (stopped.end, stopped.steps) == ("singular", 0)
    root = nn.Parameter(torch.tensor([0.25]))
    assert descend(lambda: root.sqrt().sum(), [root], sgd(1.0)).end == "diverged"


def test_it_stops_at_the_tolerance_and_not_before():
    run = descend_on(quadratic(2.0), sgd(0.5), (1.0, 1.0), tol=1e-3, steps=100)
    assert run.gradient_norms[-1] <= 1e-3 < run.gradient_norms[-2]
    assert run.errors()[-1] == 0
    assert run.errors((0.0, 0.0))[0] == pytest.approx(2**0.5)
    assert descend_on(quadratic(2.0), sgd(0.5), (1.0, 1.0), steps=0).steps == 0


def test_what_does_not_fit_is_refused():
    w = nn.Parameter(torch.ones(2))
    with pytest.raises(ValueError, match=r"steps=-1 and tol=0\.1"):
        descend(lambda: w.sum(), [w], sgd(0.1), steps=-1, tol=0.1)
    with pytest.raises(ValueError, match="LowRankFisher wants a closure of the kind 'losses'"):
        descend(lambda: w.sum(), [w], LowRankFisher)


@pytest.mark.parametrize("name", SURFACES)
def test_the_batched_pure_step_is_the_optimizers(name):
    start = (0.31, 0.77)
    run = descend_on(SURFACES[name], pure, start, steps=4, tol=0.0)
    batch = pure_newton(SURFACES[name], torch.tensor([start, start], dtype=torch.float64), steps=4)
    shown = min(len(run.points), 5)
    torch.testing.assert_close(batch[:shown, 1], run.points[:shown], rtol=1e-7, atol=1e-9)


def test_a_singular_hessian_ends_in_nan_and_leaves_the_others_alone():
    cubic = Surface("cubic", lambda xy: xy[..., 0] ** 3 + xy[..., 1] ** 2, (), (), (-1, 1, -1, 1))
    ends = pure_newton(cubic, torch.tensor([[0.0, 1.0], [1.0, 1.0]], dtype=torch.float64), steps=2)
    assert torch.isnan(ends[-1, 0]).all()
    assert torch.isfinite(ends[-1, 1]).all()


def test_basins_agree_with_single_runs_and_their_shares_sum_to_one():
    found = basins(SURFACES["double_well"], points=9)
    assert sum(found.share(kind) for kind in ("minimum", "saddle", "elsewhere")) == pytest.approx(1)
    assert 0 < found.share("saddle") < 1
    for i, j in ((0, 0), (4, 4), (8, 2), (3, 7)):
        run = descend_on(SURFACES["double_well"], pure, (float(found.x[j]), float(found.y[i])))
        kind, place = found.targets[int(found.reached[i, j])]
        assert run.end == kind
        torch.testing.assert_close(run.points[-1], torch.tensor(place, dtype=torch.float64), rtol=1e-6, atol=1e-6)


def test_numbers_are_kept_in_float64():
    w = nn.Parameter(torch.tensor([3.0], dtype=torch.float64))
    way = descend(lambda: 1 + 1e-9 * w.square().sum(), [w], lambda p: torch.optim.SGD(p, lr=1e8), steps=3, tol=0.0)
    assert way.losses.dtype == way.gradient_norms.dtype == torch.float64
    assert way.losses[0] > way.losses[-1] > 1


def test_too_far_is_diverged_however_flat_it_is_there():
    w = nn.Parameter(torch.zeros(1, dtype=torch.float64))
    way = descend(lambda: torch.exp(-w).sum(), [w], lambda p: torch.optim.SGD(p, lr=1e10), steps=3)
    assert way.end == "diverged"


def test_a_linear_loss_has_no_minimum_and_is_flat_where_its_slope_counts_as_zero():
    w, slope = nn.Parameter(torch.tensor([3.0, 1.0])), torch.tensor([3.0, 4.0])
    down = descend(lambda: w @ slope, [w], sgd(0.1), steps=5)
    assert (down.end, down.steps, down.eigenvalues) == ("on the way", 5, None)
    assert descend(lambda: w @ slope, [w], sgd(1e8), steps=5).end == "diverged"
    w.data = torch.zeros(2)
    level = descend(lambda: w @ slope, [w], sgd(0.1), tol=5.0)
    assert (level.end, level.steps, level.eigenvalues.tolist()) == ("flat", 0, [0.0, 0.0])


def test_a_parameter_that_the_loss_does_not_see_stays_and_makes_the_end_flat():
    w, idle = nn.Parameter(torch.tensor([3.0])), nn.Parameter(torch.tensor([2.0]))
    way = descend(lambda: w.square().sum(), [w, idle], sgd(0.5), steps=3)
    assert way.points[-1].tolist() == [0.0, 2.0]
    assert (way.end, way.eigenvalues.tolist()) == ("flat", [0.0, 2.0])


def test_a_kind_of_end_that_there_is_not_has_no_share():
    found = basins(quadratic(), points=4, steps=1)
    assert found.share("saddle") == 0  # there is none on this surface
    with pytest.raises(ValueError, match="kind='minima' is unknown: choose one of minimum, saddle, elsewhere"):
        found.share("minima")


def test_an_optimizer_that_searches_along_its_step_gets_a_closure():
    way = descend_on(quadratic(8.0), torch.optim.LBFGS, (1.0, -2.0), steps=3, tol=1e-4)
    assert (way.end, way.steps) == ("minimum", 1)  # one step of it makes up to 20
    torch.testing.assert_close(way.points[-1], torch.zeros(2, dtype=torch.float64), rtol=0, atol=1e-5)
