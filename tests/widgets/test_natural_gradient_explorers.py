import pytest
import torch
from every_control import ends, silent_controls

from sofim_lab.problems.distributions import bernoulli, gaussian
from sofim_lab.widgets import bernoulli_pair_explorer, gaussian_pair_explorer, reparametrisation_explorer
from sofim_lab.widgets.natural_gradient import fit_state, pair_state

EXPLORERS = {
    "gaussian": gaussian_pair_explorer,
    "bernoulli": bernoulli_pair_explorer,
    "reparametrisation": reparametrisation_explorer,
}


@pytest.mark.parametrize("make", EXPLORERS.values(), ids=EXPLORERS)
def test_both_ends_of_every_control(make):
    explorer = make()
    assert not explorer.reached
    assert silent_controls(explorer) == []


def test_all_sliders_at_their_ends_together():
    for make in EXPLORERS.values():
        explorer = make()
        for place in (0, -1):
            explorer.set(**{name: ends(control)[place] for name, control in explorer.controls.items()})
            assert explorer.picture.alt


@pytest.mark.parametrize(
    ("make", "near", "there"),
    [
        (gaussian_pair_explorer, {"std": 0.8, "other": 0.8, "shift": 0.8}, {"std": 3.0, "other": 3.0, "shift": -0.8}),
        (gaussian_pair_explorer, {"std": 3.0, "other": 3.0, "shift": 0.7}, {"std": 3.0, "other": 3.0, "shift": 0.8}),
        (bernoulli_pair_explorer, {"p": 0.5, "q": 0.6}, {"p": 0.01, "q": 0.06}),
        (bernoulli_pair_explorer, {"p": 0.5, "q": 0.5}, {"p": 0.99, "q": 0.94}),
        (reparametrisation_explorer, {"lr": 0.1}, {"lr": 0.1, "damping": 0.01}),
        (reparametrisation_explorer, {"second": "(μ, σ)", "damping": 0.0}, {"lr": 0.1, "damping": 0.0}),
        (reparametrisation_explorer, {"second": "(μ + σ, μ − 2σ)", "damping": 0.0}, {"lr": 0.1, "damping": 0.001}),
    ],
)
def test_a_goal_is_reached_by_the_right_state_and_not_by_a_near_one(make, near, there):
    explorer = make()
    explorer.set(**near)
    assert not explorer.reached
    explorer.reset()
    explorer.set(**there)
    assert explorer.reached


def test_a_pair_says_how_far_apart_it_is():
    state = pair_state(gaussian, (0.0, 1.0), (0.5, 1.0))
    assert state.distance == pytest.approx(0.5)
    assert state.kl == pytest.approx(0.125)
    assert state.quadratic == pytest.approx(0.125)
    assert float(state.kl_along[0]) == 0
    assert pair_state(bernoulli, (0.3,), (0.3,)).kl == 0


def test_the_words_compare_the_approximation():
    explorer = gaussian_pair_explorer()
    assert "142 % too large" in explorer.picture.alt
    explorer.set(std=1.0, other=1.0)
    assert "right to 1 %" in explorer.picture.alt
    explorer.set(shift=0.0)
    assert "the two are the same distribution" in explorer.picture.alt


def test_the_words_name_what_the_paths_do():
    explorer = reparametrisation_explorer()
    explorer.set(second="(μ + σ, μ − 2σ)", damping=0.0)
    assert "Natural gradient with λ = 0: the paths are at most 0 % (rounding)" in explorer.picture.alt
    explorer.set(second="(μ, 1/σ²)")
    assert "Gradient descent: in (μ, 1/σ²) step 1 leads to no Gaussian at all" in explorer.picture.alt


def test_a_smaller_step_is_more_steps_of_the_same_way():
    assert fit_state("(μ, σ)", "(μ, log σ)", 0.5, 0.0).steps == 8
    fine = fit_state("(μ, σ)", "(μ, log σ)", 0.1, 0.0)
    assert fine.steps == 40
    assert fine.gaps["natural"] < 0.01 < fine.gaps["gradient"]
    torch.testing.assert_close(fine.paths["natural", "(μ, σ)"][0], torch.tensor([-2.0, 2.0], dtype=torch.float64))
