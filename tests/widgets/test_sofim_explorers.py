import math

import pytest
from every_control import silent_controls

from sofim_lab.widgets import sofim_digits_explorer, sofim_path_explorer
from sofim_lab.widgets.sofim import STARTS, digits_state, path_state


@pytest.mark.parametrize("make", [sofim_path_explorer, sofim_digits_explorer])
def test_both_ends_of_every_control(make):
    assert silent_controls(make()) == []


def test_the_goal_of_the_path_wants_a_longest_step_and_quiet():
    explorer = sofim_path_explorer()
    assert not explorer.reached
    explorer.set(lr=1.0, rho=30.0, beta=0.9, noise=0.5)
    assert not explorer.reached  # too little noise
    explorer.set(noise=1.0, surface="double_well")
    assert not explorer.reached
    explorer.set(surface="quadratic", direction="gradient")
    assert not explorer.reached
    explorer.set(direction="momentum", steps=59)
    assert not explorer.reached
    explorer.set(steps=60)
    assert explorer.reached


def test_fewer_steps_are_the_beginning_of_the_path():
    settings = {"surface": "quadratic", "lr": 0.5, "rho": 0.5, "beta": 0.9, "noise": 1.0, "direction": "momentum"}
    whole, part = path_state(**settings, steps=60), path_state(**settings, steps=7)
    assert part.points.tolist() == whole.points[:8].tolist()
    assert part.lengths.tolist() == whole.lengths[:7].tolist()


def test_the_caption_says_what_the_picture_shows():
    explorer = sofim_path_explorer()
    assert "100 % of the bound 1.58" in explorer.picture.alt
    explorer.set(direction="gradient")
    assert "has no bound" in explorer.picture.alt
    explorer.set(lr=10.0, rho=1e-3)
    assert "outside the picture" in explorer.picture.alt


def test_every_surface_has_a_start_inside_its_window():
    for name, (x, y) in STARTS.items():
        left, right, bottom, top = path_state(name, 0.1, 1.0, 0.0, 0.0, "momentum", 1).surface.window
        assert left < x < right
        assert bottom < y < top


def test_the_steps_can_be_played():
    explorer = sofim_path_explorer()
    explorer.playback.move(-20)
    assert explorer.state["steps"] == 40
    assert "after 40 steps" in explorer.picture.alt


def test_the_goal_on_digits_wants_the_control_to_fail_and_sofim_to_learn():
    explorer = sofim_digits_explorer()
    assert not explorer.reached
    explorer.set(ratio=10.0, rho=10.0)
    assert not explorer.reached  # both fail
    explorer.set(ratio=1.0, rho=0.1)
    assert not explorer.reached  # both learn
    explorer.set(ratio=10.0, rho=0.05)
    assert explorer.reached


def test_one_epoch_is_shown_before_four():
    explorer, words = sofim_digits_explorer(), []
    explorer.children[-2].observe(lambda change: words.append(change.new), names="value")
    explorer.set(rho=2.0)
    assert "in 10 steps" in words[0]
    assert "in 40 steps" in words[1]


def test_a_large_rho_makes_sofim_its_own_control():
    state = digits_state(rho=1e6, ratio=1.0, beta=0.9, direction="momentum", epochs=1)
    assert state.sofim.final.train_loss == pytest.approx(state.control.final.train_loss, rel=1e-3)
    assert state.ratio == pytest.approx(1.0)
    assert math.isfinite(state.sofim.final.train_loss)
