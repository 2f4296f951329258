"""Two processes with a part of m each walk the way of one, on the norm of the whole m."""

import pytest
import torch

from sofim_lab.distributed import sharded_run, whole_run, why_unavailable

STEPS = {"momentum": {"lr": 0.05, "rho": 0.05}, "gradient": {"lr": 0.05, "rho": 0.5, "direction": "gradient"}}


@pytest.fixture(scope="module", params=STEPS)
def runs(request):
    """What two processes see, and what one process sees that holds everything."""
    if (missing := why_unavailable()) is not None:
        pytest.skip(missing)
    options = STEPS[request.param] | {"steps": 6, "seed": 3}
    return sharded_run(2, **options), whole_run(**options)


def test_every_rank_gathers_the_unsharded_parameters(runs):
    ranks, whole = runs
    for view in ranks:
        assert (view.points - whole.points).abs().max() <= 1e-13


def test_the_parts_of_m_are_the_whole_m_each_entry_once(runs):
    ranks, whole = runs
    assert torch.equal(torch.cat([view.places for view in ranks]).sort().values, torch.arange(1210))
    for view in ranks:
        assert view.places.shape == view.moments[0].shape
        assert len(view.places) < 1210
        assert (view.moments - whole.moments[:, view.places]).abs().max() <= 1e-14


def test_a_step_sums_two_numbers_once_and_one_process_none(runs):
    ranks, whole = runs
    assert [view.reductions for view in ranks] == [(2,), (2,)]
    assert whole.reductions == ()


def test_a_norm_of_ones_own_part_would_lead_elsewhere(runs):
    ranks, whole = runs
    local = [view.moments.square().sum(dim=1) for view in ranks]
    total = whole.moments.square().sum(dim=1)
    assert torch.allclose(sum(local), total, rtol=1e-12)
    assert max(float((one / total).max()) for one in local) < 0.9


def test_whole_run_is_plain_sofim_in_float64():
    """Its last moment is the bias-corrected average, its steps are along it, no longer than the bound."""
    view = whole_run(steps=5, lr=1.0, rho=0.25)
    moves = (view.points[1:] - view.points[:-1]).norm(dim=1)
    squares = view.moments.square().sum(dim=1)
    assert torch.allclose(moves, squares.sqrt() / (0.25 + squares), rtol=1e-10)
    assert moves.max() <= 1.0


@pytest.mark.parametrize(
    ("options", "error", "named"),
    [
        ({"batch_size": 61}, ValueError, "batch_size=61"),
        ({"batch_size": 0}, ValueError, "batch_size=0"),
        ({"rho": -1.0}, ValueError, "rho must be"),
        ({"colour": "red"}, TypeError, "colour"),
    ],
)
def test_what_is_out_of_range_is_named_before_a_process_is_started(options, error, named):
    with pytest.raises(error, match=named):
        sharded_run(2, **options)


@pytest.mark.parametrize("runs", [sharded_run, whole_run])
@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"steps": 0}, "steps=0"),
        ({"batch_size": 0}, "batch_size=0"),
        ({"batch_size": 1200}, "batch_size=1200 must lie"),
    ],
)
def test_what_no_run_can_begin_with_is_named(runs, options, named):
    with pytest.raises(ValueError, match=named):
        runs(**options)


def test_no_processes():
    with pytest.raises(ValueError, match="processes=0"):
        sharded_run(0)
