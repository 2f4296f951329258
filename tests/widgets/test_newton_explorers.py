import math

import pytest
import torch
from every_control import silent_controls

from sofim_lab.widgets.newton import (
    METHODS,
    quadratic_explorer,
    quadratic_state,
    steps_needed,
    surface_explorer,
    surface_state,
)


def test_both_ends_of_every_control():
    assert silent_controls(quadratic_explorer()) == []
    assert silent_controls(surface_explorer()) == ["setting"]  # pure Newton, the first method, has none


@pytest.mark.parametrize("surface", ["rosenbrock", "himmelblau"])
@pytest.mark.parametrize("method", METHODS)
def test_every_method_on_every_surface_says_where_it_ends(surface, method):
    explorer = surface_explorer()
    explorer.set(surface=surface, method=method, x=-0.6, y=0.1)
    assert explorer.picture.alt.startswith(f"{surface}, start (")
    assert explorer.picture.alt.count("Pure Newton") == 1
    if method != "pure Newton":
        assert method[1:] in explorer.picture.alt


def test_the_quadratic_goal_is_near_the_best_rate():
    explorer = quadratic_explorer()
    assert not explorer.reached
    explorer.set(condition=2.0, share=4 / 3)  # the best rate, on too easy a bowl
    assert not explorer.reached
    for share in (1.0, 2.0, 2.2):
        explorer.set(condition=100.0, share=share)
        assert not explorer.reached
    explorer.set(condition=100.0, share=1.98)
    assert explorer.reached
    assert "never" not in explorer.picture.alt


def test_a_rate_beyond_the_limit_is_said_to_fail():
    explorer = quadratic_explorer()
    explorer.set(share=2.1)
    assert "never comes closer" in explorer.picture.alt


def test_steps_needed_counts_the_steps_of_the_path():
    state = quadratic_state(condition=3.0, share=1.0, angle=0.0)
    errors = torch.linalg.vector_norm(state.path, dim=1) / torch.linalg.vector_norm(state.path[0])
    assert int((errors > 1e-6 * (1 + 1e-9)).sum()) == steps_needed(state.factor)
    assert steps_needed(1.0) == math.inf
    assert steps_needed(0.0) == 1
    assert state.best_factor == pytest.approx(0.5)
    torch.testing.assert_close(state.newton[1], torch.zeros(2, dtype=torch.float64))


def test_the_saddle_goal_needs_a_rescue():
    explorer = surface_explorer()
    assert not explorer.reached
    explorer.set(method="saddle-free, |H|")  # from a start where pure Newton does well, too
    assert not explorer.reached
    explorer.set(method="pure Newton", y=0.1)
    assert "saddle, (0.00, 0.00)" in explorer.picture.alt
    assert not explorer.reached
    explorer.set(method="damped, H + λI")  # too little damping: the saddle again
    assert not explorer.reached
    explorer.set(method="saddle-free, |H|")
    assert explorer.reached


@pytest.mark.parametrize("method", ["saddle-free, |H|", "eigenvalue shift", "Levenberg–Marquardt"])
def test_three_rules_leave_the_saddle(method):
    state = surface_state("saddle", method, 0.1, 0.6, 0.1)
    assert state.pure.end == "saddle"
    assert state.run.end == "minimum"


def test_states_are_pure_functions_of_their_arguments():
    first, second = (surface_state("himmelblau", "gradient descent", 0.01, 0.2, 0.3) for _ in range(2))
    assert torch.equal(first.run.points, second.run.points)
    assert first.run.points[0].tolist() == pytest.approx([1.0, 1.5])
