from dataclasses import replace

import pytest
import torch
from every_control import parts, silent_controls

from sofim_lab.curvature import hessian
from sofim_lab.landscape import PathRecorder, Stop, parameters, permuted, stand_at
from sofim_lab.problems import Split, load_digits, mlp
from sofim_lab.training import train
from sofim_lab.widgets import barrier_explorer, lens_explorer, plane_explorer
from sofim_lab.widgets.barrier import AS_THEY_ARE, MATCHED
from sofim_lab.widgets.loss_landscape import LAYER, UNITS
from sofim_lab.widgets.sliders import LogSlider
from sofim_lab.widgets.typed import TypedSlider

LOSS = torch.nn.CrossEntropyLoss()


def network(seed=0):
    return mlp((64, 6, 10), "relu", seed=seed, device="cpu")


@pytest.fixture(scope="module")
def digits():
    return load_digits("cpu")


@pytest.fixture(scope="module")
def trained(digits):
    """Two optimizers from two starts: their paths of start 0, and all stops."""
    paths, stops = {}, {}
    for name, make in {"Adam": torch.optim.Adam, "other": torch.optim.RMSprop}.items():
        for seed in (0, 1):
            model = network(seed)
            recorder = PathRecorder(model, name=name)
            optimizer = make(model.parameters(), lr=0.01)
            train(model, digits, optimizer, epochs=15, batch_size=128, callback=recorder.record, progress=False)
            stops[f"{name} {seed}"] = Stop(name, seed, 150, parameters(model))
            paths |= {name: recorder.path()} if seed == 0 else {}
    return paths, stops


@pytest.fixture(scope="module")
def explorers(digits, trained):
    paths, stops = trained
    few = Split(digits.train.x[:300], digits.train.y[:300])
    model = stand_at(network(), stops["Adam 0"].tree)
    return {
        "lens": lens_explorer(model, LOSS, few),
        "plane": plane_explorer(paths, network(), LOSS, few),
        "barrier": barrier_explorer(stops, network(), LOSS, digits),
    }


@pytest.mark.parametrize("name", ["lens", "plane", "barrier"])
def test_both_ends_of_every_control(explorers, name):
    explorers[name].reset()
    assert silent_controls(explorers[name]) == []


@pytest.mark.parametrize("name", ["lens", "plane"])
def test_the_goals_example_reaches_it(explorers, name):
    explorer = explorers[name]
    explorer.reset()
    assert not explorer.reached
    explorer.set(**explorer._goal.example)
    assert explorer.reached
    explorer.reset()


def test_values_between_two_steps_can_be_typed_and_the_plane_has_a_preview(explorers):
    for name in ("lens", "plane"):
        explorer = explorers[name]
        for slider in parts(explorer, TypedSlider):
            assert isinstance(slider.slider, LogSlider)
        assert explorer.playback is not None
    first, explorer = explorers["plane"].result, explorers["plane"]
    seen = []
    explorer._view.observe(lambda change: seen.append(change.new), names="value")
    explorer.set(zoom=0.3)
    assert [words.count("Preview, the whole follows.") > 0 for words in seen] == [True, False]
    assert explorer.result.picture.loss.shape == first.picture.loss.shape == (21, 21)
    explorer.reset()


def test_the_example_of_the_barrier_is_a_pair_that_matching_helps(digits, trained):
    tree = trained[1]["Adam 0"].tree
    copy = Stop("Adam", 1, 150, permuted(tree, torch.tensor([3, 4, 5, 0, 1, 2])))
    explorer = barrier_explorer({"A": trained[1]["Adam 0"], "B": copy}, network(), LOSS, digits)
    assert not explorer.reached
    explorer.set(**explorer._goal.example)
    assert explorer.reached


def test_the_lens_is_won_by_layer_and_filter_normalisation_of_the_whole_layer_alone(explorers):
    explorer = explorers["lens"]
    for method, wins in (("none", False), ("model", False), ("layer", True), ("filter", True)):
        explorer.reset()
        explorer.set(method=method, alpha=2.0)
        assert not explorer.reached  # α is too near to one
        explorer.set(alpha=4.0)
        assert explorer.reached is wins, method
        explorer.reset()
        explorer.set(method=method, alpha=0.25)
        assert explorer.reached is wins, method
        assert not explorer._goal.reached(replace(explorer.result, what=UNITS))
    explorer.reset()
    explorer.set(method="filter", alpha=4.0, what=UNITS)
    assert explorer.result.difference > 0.01  # no normalisation by rows follows single units
    explorer.reset()


def test_the_lens_shows_the_sharpness_of_both_places(explorers, digits, trained):
    explorer = explorers["lens"]
    explorer.set(alpha=4.0, what=LAYER)
    x, y = digits.train.x[:300], digits.train.y[:300]
    H = hessian(stand_at(network(), trained[1]["Adam 0"].tree).double(), LOSS, x.double(), y)
    one, other = explorer.result.sharpness
    assert one == pytest.approx(float(torch.linalg.eigvalsh(H)[-1]), rel=1e-3)
    assert other > 2 * one
    explorer.reset()


def test_the_planes_differ_and_the_hessians_shows_the_top_eigenvalue(explorers):
    explorer = explorers["plane"]
    shown = {}
    for plane in ("random", "path", "Hessian"):
        explorer.reset()
        explorer.set(plane=plane, method="model", zoom=0.001)
        shown[plane] = explorer.result.shown
        assert explorer.reached is (plane == "Hessian")
    assert shown["Hessian"] == pytest.approx(1.0, abs=1e-3)
    assert max(shown["random"], shown["path"]) < 0.3
    assert explorer.result.error < 0.1
    explorer.reset()
    explorer.set(plane="Hessian", method="filter", zoom=0.001)
    assert explorer.result.shown < 0.99
    explorer.set(method="model", zoom=1.0)
    assert explorer.result.error > 0.1
    assert not explorer.reached
    explorer.reset()


def test_the_path_is_shown_by_its_own_plane(explorers):
    explorer = explorers["plane"]
    explorer.set(plane="path", method="model")
    assert explorer.result.path.share > 0.9
    assert "% of the path" in explorer.picture.alt
    explorer.set(plane="random")
    assert explorer.result.path.share < 0.1
    explorer.reset()


def test_matching_removes_the_barrier_to_a_copy_and_wins_between_starts_alone(explorers):
    explorer = explorers["barrier"]
    explorer.set(a="Adam 0", b="Adam 0", units=AS_THEY_ARE)
    assert explorer.result.line.height > 0.1
    assert "copy of A" in explorer.picture.alt
    explorer.set(units=MATCHED)
    assert explorer.result.line.height == 0
    assert not explorer.reached  # a copy has the same start
    explorer.set(a="Adam 0", b="Adam 1", units=AS_THEY_ARE)
    assert explorer.result.unmatched == explorer.result.line.height > 0.3
    assert not explorer.reached
    explorer.set(units=MATCHED)
    assert explorer.reached is (explorer.result.line.height <= explorer.result.unmatched / 2)
    explorer.reset()


def test_too_little_to_look_at_is_refused(digits):
    with pytest.raises(ValueError, match="paths is empty"):
        plane_explorer({}, network(), LOSS, digits.train)
    with pytest.raises(ValueError, match="give at least two"):
        barrier_explorer({"one": Stop("one", 0, 1, parameters(network()))}, network(), LOSS, digits)
