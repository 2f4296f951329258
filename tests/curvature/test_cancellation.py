"""What the three forms of F⁻¹m lose, and what the rank-one solve costs."""

import pytest
import torch

from sofim_lab.curvature import (
    cancellation_table,
    collapsed_direction,
    guarded_direction,
    solve_times,
    textbook_direction,
)

RHOS = (1.0, 1e-2, 1e-4, 1e-6, 1e-8)


@pytest.mark.parametrize("form", [collapsed_direction, textbook_direction])
def test_in_float64_both_forms_solve_the_dense_system(form):
    m = torch.randn(40, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    for rho in (1.0, 1e-2):
        dense = torch.outer(m, m) + rho * torch.eye(40, dtype=torch.float64)
        torch.testing.assert_close(form(m, rho), torch.linalg.solve(dense, m), rtol=1e-9, atol=0)


@pytest.mark.parametrize("seed", range(3))
def test_the_published_orders_of_magnitude(seed):
    rows = cancellation_table(RHOS, d=1000, seed=seed)
    assert [row.rho for row in rows] == list(RHOS)
    assert all(row.collapsed < 3e-7 for row in rows)
    bands = [(0, 3e-7), (5e-7, 5e-5), (5e-5, 1e-2), (5e-3, 0.5), (0.5, 50)]
    for row, (low, high) in zip(rows, bands, strict=True):
        assert low <= row.textbook <= high, row
    assert 5e-5 < rows[1].guarded < 2e-4
    assert all(row.guarded > 0.99 for row in rows[2:])


def test_the_guard_is_wrong_in_float64_too():
    (row,) = cancellation_table([1e-4], dtype=torch.float64)
    assert row.textbook < 1e-11
    assert row.guarded == pytest.approx(1.0, rel=1e-2)


def test_the_same_seed_gives_the_same_table():
    assert cancellation_table(RHOS, d=50, seed=3) == cancellation_table(RHOS, d=50, seed=3)
    assert cancellation_table(RHOS, d=50, seed=3) != cancellation_table(RHOS, d=50, seed=4)


def test_a_zero_vector_gives_a_zero_direction():
    for form in (collapsed_direction, textbook_direction, guarded_direction):
        assert torch.equal(form(torch.zeros(3), 1e-3), torch.zeros(3))


@pytest.mark.parametrize("form", [collapsed_direction, textbook_direction, guarded_direction])
def test_bad_arguments_are_refused(form):
    with pytest.raises(ValueError, match="rho must be a finite number > 0"):
        form(torch.ones(3), 0.0)
    with pytest.raises(ValueError, match="m must be a non-empty vector"):
        form(torch.ones(3, 3), 1.0)
    with pytest.raises(ValueError, match="d must be at least 1"):
        cancellation_table([1.0], d=0)


def test_dense_times_end_at_the_limit():
    times = solve_times([5, 20, 40], dense_limit=20, repeats=2)
    assert [t.d for t in times] == [5, 20, 40]
    assert [t.seconds_dense is None for t in times] == [False, False, True]
    assert all(t.seconds_rank_one > 0 for t in times)


def test_bad_dimensions_and_repeats_are_refused():
    with pytest.raises(ValueError, match="dims must all be at least 1, got 0"):
        solve_times([5, 0])
    with pytest.raises(ValueError, match="repeats must be at least 1"):
        solve_times([5], repeats=0)
