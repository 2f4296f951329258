import math

import pytest
import torch
from every_control import silent_controls
from torch import nn

from sofim_lab.curvature import fisher
from sofim_lab.widgets import drawn_labels_explorer, four_matrices_explorer
from sofim_lab.widgets.fisher_matrices import DRAWS, NOISES, STEPS, WIDTHS, drawn_labels_state, matrices_state

EXPLORERS = {"four matrices": four_matrices_explorer, "drawn labels": drawn_labels_explorer}


@pytest.fixture(scope="module", params=EXPLORERS.values(), ids=EXPLORERS)
def explorer(request):
    return request.param()


def test_both_ends_of_every_control(explorer):
    assert silent_controls(explorer) == []


def test_the_goals_are_open_at_first(explorer):
    explorer.reset()
    assert not explorer.reached


def test_a_small_network_with_half_of_the_labels_wrong_reaches_the_goal():
    explorer = four_matrices_explorer()
    explorer.set(noise=0.5)
    assert not explorer.reached
    explorer.set(hidden=1, step=300)
    assert explorer.reached
    assert explorer.result.four.distance("empirical") <= 0.4


def test_the_smallest_number_of_draws_reaches_the_goal_and_a_larger_one_does_not():
    distances = dict(zip(DRAWS, drawn_labels_explorer().result.distances, strict=True))
    smallest = min(S for S, distance in distances.items() if distance <= 0.05)
    assert 1 < smallest < DRAWS[-1]
    for S, reached in ((smallest // 2, False), (2 * smallest, False), (smallest, True)):
        explorer = drawn_labels_explorer()
        explorer.set(draws=S)
        assert explorer.reached is reached


@pytest.mark.parametrize("hidden", WIDTHS)
def test_the_state_holds_the_identities_of_the_lesson(hidden):
    for noise in NOISES:
        four = matrices_state(hidden, noise, STEPS[-1], "ggn").four
        assert four.d == 19 * hidden + 10
        assert four.distance("ggn") < 1e-12
        last_layer = slice(9 * hidden, None)  # the network is linear in it
        assert torch.allclose(four.hessian[last_layer, last_layer], four.fisher[last_layer, last_layer], atol=1e-12)


def test_the_caption_counts_the_negative_eigenvalues():
    explorer = four_matrices_explorer()
    explorer.set(other="hessian")
    four = explorer.result.four
    count = int((torch.linalg.eigvalsh(four.hessian) < -1e-9).sum())
    assert count > 1
    assert f"{count} of its 105 eigenvalues are below zero" in explorer.picture.alt


def test_drawn_labels_depend_on_the_seed_and_approach_f():
    state, again = drawn_labels_state(1, 0.0, 100, seed=1), drawn_labels_state(1, 0.0, 100, seed=1)
    assert state.distances == again.distances != drawn_labels_state(1, 0.0, 100, seed=2).distances
    assert state.distance == state.distances[0]
    assert state.expected[0] / state.expected[-1] == pytest.approx(math.sqrt(DRAWS[-1]))
    assert state.distances[-1] < 3 * state.expected[-1]
    assert state.empirical == pytest.approx(matrices_state(WIDTHS[-1], 0.0, 100, "ggn").four.distance("empirical"))


def test_its_f_is_the_fisher_matrix():
    from sofim_lab.widgets.fisher_matrices import _data, _networks

    F = fisher(_networks(WIDTHS[-1])[0.25][30], nn.CrossEntropyLoss(), _data()[0].x)
    spectrum = drawn_labels_state(1, 0.25, 30, seed=0).spectra["F"]
    assert torch.allclose(spectrum, torch.linalg.eigvalsh(F), atol=1e-12)
