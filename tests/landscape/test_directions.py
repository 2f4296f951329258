"""Directions: the normalisation against its definition, seeds, differences, gradient, moments, orthogonality."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from slice_cases import CE, MODELS, WIDE, assert_untouched, build, data, plane, snapshot
from torch import nn

from sofim_lab.landscape import (
    Directions,
    difference_directions,
    gradient_direction,
    moment_direction,
    normalise,
    orthogonalise,
    random_directions,
)
from sofim_lab.landscape.tree import dot, flatten, norm, parameters
from sofim_lab.optim import SOFIM


def raw(model, seed=3):
    return random_directions(model, 1, seed=seed, normalise="none", ignore=None).trees[0]


@pytest.mark.parametrize("name", MODELS)
def test_each_filter_gets_the_length_of_its_weights(name):
    """Li et al. 2018: d_ij ← d_ij ‖w_ij‖ / ‖d_ij‖ for filter j of layer i, nothing for biases and norm layers."""
    model = build(name)
    weights, d = parameters(model), raw(model)
    for key, scaled in normalise(d, model).items():
        if weights[key].dim() == 1:
            assert not scaled.any()
            continue
        for scaled_j, d_j, w_j in zip(scaled, d[key], weights[key], strict=True):
            expected = d_j / d_j.norm() * w_j.norm()
            torch.testing.assert_close(scaled_j, expected, rtol=1e-13, atol=0)


def test_filters_of_a_transposed_convolution_are_its_outputs():
    for groups in (1, 2):
        model = nn.ConvTranspose2d(4, 6, 3, groups=groups).to(WIDE)
        d = raw(model)
        scaled, w, per = normalise(d, model)["weight"], model.weight.detach(), 6 // groups
        for j in range(6):
            rows, column = slice(j // per * (4 // groups), (j // per + 1) * (4 // groups)), j % per
            part, old, own = scaled[rows, column], d["weight"][rows, column], w[rows, column]
            torch.testing.assert_close(part, old / old.norm() * own.norm(), rtol=1e-13, atol=0)


def test_layers_models_and_vectors():
    model = build("cnn with batch norm")
    weights, d = parameters(model), raw(model)
    vectors = {key for key, w in weights.items() if w.dim() == 1}
    layer = normalise(d, model, "layer")
    for key, w in weights.items():
        expected = torch.zeros_like(w) if key in vectors else d[key] * w.norm() / d[key].norm()
        torch.testing.assert_close(layer[key], expected)
    whole = normalise(d, model, "model", None)
    torch.testing.assert_close(flatten(whole), flatten(d) * norm(weights) / norm(d))
    still = normalise(d, model, "model")
    assert norm(still) == pytest.approx(norm(weights))
    assert not any(still[key].any() for key in vectors)
    copied, moved = (normalise(d, model, "filter", ignore) for ignore in ("copy", None))
    none = normalise(d, model, "none", None)
    for key in vectors:
        assert torch.equal(copied[key], weights[key])  # the authors' code without xignore
        torch.testing.assert_close(moved[key], d[key] * weights[key].norm() / d[key].norm())
    assert all(torch.equal(none[key], d[key]) for key in d)


def test_norm_layers_of_any_shape_are_left_alone():
    model = nn.Sequential(nn.Linear(6, 6), nn.LayerNorm((2, 3))).to(WIDE)
    scaled = normalise(raw(model), model)
    assert scaled["1.weight"].dim() == 2
    assert not scaled["1.weight"].any()
    assert not scaled["1.bias"].any()


def test_a_filter_of_zeros_stays():
    model = nn.Linear(2, 2).to(WIDE)
    nn.init.zeros_(model.weight[0].detach())
    d = {"weight": torch.tensor([[1.0, 1.0], [0.0, 0.0]], dtype=WIDE), "bias": torch.ones(2, dtype=WIDE)}
    assert not normalise(d, model)["weight"].any()


@settings(max_examples=20)
@given(seed=st.integers(0, 2**32), method=st.sampled_from(["filter", "layer", "model", "none"]))
def test_the_same_seed_gives_the_same_bytes(seed, method):
    model, state = build("residual"), torch.get_rng_state()
    first = random_directions(model, 3, seed=seed, normalise=method)
    again = random_directions(model, 1, seed=seed, normalise=method)
    assert torch.equal(flatten(first.trees[0]), flatten(again.trees[0]))
    assert not torch.equal(flatten(first.trees[0]), flatten(first.trees[1]))
    assert torch.equal(torch.get_rng_state(), state)
    narrow = random_directions(build("residual", dtype=torch.float32), 1, seed=seed, normalise=method)
    torch.testing.assert_close(flatten(narrow.trees[0]).double(), flatten(first.trees[0]), rtol=1e-5, atol=1e-6)


def test_random_directions_are_of_both_signs():
    d = flatten(random_directions(build("deep relu"), 1, seed=0, ignore=None).trees[0])
    assert 0.3 < float((d > 0).double().mean()) < 0.7


def test_differences_lead_from_the_first_minimum_to_the_others():
    models = [build("tanh", seed) for seed in range(3)]
    pair = difference_directions([models[0], parameters(models[1]), models[2]])
    assert pair.labels == ("A to B", "A to C")
    for tree, model in zip(pair, models[1:], strict=True):
        torch.testing.assert_close(flatten(tree), flatten(parameters(model)) - flatten(parameters(models[0])))
    with pytest.raises(ValueError, match="A and B are the same point"):
        difference_directions([models[0], models[0]])
    with pytest.raises(ValueError, match="minima has 1 entries"):
        difference_directions(models[:1])
    with pytest.raises(ValueError, match="minimum B does not belong to the model of minimum A"):
        difference_directions([models[0], build("deep relu")])


def test_the_gradient_is_that_of_autograd_and_leaves_nothing_behind():
    model = build("cnn with batch norm").train()
    x, y = data()
    before = snapshot(model)
    tree = gradient_direction(model, CE, x, y).trees[0]
    assert_untouched(model, before)
    model.eval()
    parts = torch.autograd.grad(CE(model(x), y), list(model.parameters()))
    for found, exact in zip(tree.values(), parts, strict=True):
        torch.testing.assert_close(found, exact)


def test_a_gradient_of_zero_is_no_direction():
    model = nn.Linear(2, 1).to(WIDE)
    x = torch.zeros(3, 2, dtype=WIDE)
    with pytest.raises(ValueError, match=r"the gradient has the length 0\.0"):
        gradient_direction(model, nn.MSELoss(), x, model(x).detach())


@pytest.mark.parametrize(
    ("make", "key"),
    [
        (lambda p: SOFIM(p), "moment"),
        (lambda p: torch.optim.SGD(p, lr=0.1, momentum=0.9), "momentum_buffer"),
        (lambda p: torch.optim.Adam(p), "exp_avg"),
    ],
)
def test_the_moment_is_the_optimizers_own(make, key):
    model = build("tanh")
    optimizer = make(model.parameters())
    with pytest.raises(ValueError, match="keeps no moment of this model: take a step first"):
        moment_direction(model, optimizer)
    for _ in range(2):
        optimizer.zero_grad()
        CE(model(data()[0]), data()[1]).backward()
        optimizer.step()
    found = moment_direction(model, optimizer)
    for (name, p), tree in zip(model.named_parameters(), found.trees[0].values(), strict=True):
        assert torch.equal(tree, optimizer.state[p][key]), name
    found.trees[0]["0.weight"].zero_()
    assert optimizer.state[model[0].weight][key].any()


@pytest.mark.parametrize("keep_lengths", [True, False])
def test_orthogonal_directions_keep_their_span(keep_lengths):
    given = random_directions(build("deep relu"), 3, seed=0)
    beside = {name: t + 1e-6 * given.trees[1][name] for name, t in given.trees[0].items()}
    close = Directions((given.trees[0], beside), ("a", "b"))
    for directions in (given, close):
        made = orthogonalise(directions, keep_lengths=keep_lengths)
        for k, tree in enumerate(made):
            for other in made.trees[:k]:
                assert abs(dot(tree, other)) <= 1e-13 * norm(tree) * norm(other)
            if keep_lengths:
                assert norm(tree) == pytest.approx(norm(directions.trees[k]))
        span = torch.stack([flatten(tree) for tree in (*directions, *made)])
        values = torch.linalg.svdvals(span / span.norm(dim=1, keepdim=True))
        assert float(values[len(directions)]) <= 1e-8


def test_dependent_directions_have_no_orthogonal_ones():
    (tree,) = plane(build("tanh"))[0].trees
    double = {name: 2 * tensor for name, tensor in tree.items()}
    for second in (double, {name: torch.zeros_like(tensor) for name, tensor in tree.items()}):
        with pytest.raises(ValueError, match="the direction 'b' is zero or lies in the span"):
            orthogonalise(Directions((tree, second), ("a", "b")))


def test_bad_arguments_are_named():
    model = build("tanh")
    with pytest.raises(ValueError, match="count=0"):
        random_directions(model, 0, seed=0)
    with pytest.raises(ValueError, match="normalise='kernel' is unknown: choose one of 'filter'"):
        random_directions(model, seed=0, normalise="kernel")
    with pytest.raises(ValueError, match="ignore='bn' is unknown"):
        random_directions(model, seed=0, ignore="bn")
    with pytest.raises(ValueError, match="direction does not belong to model"):
        normalise(raw(build("deep relu")), model)
    with pytest.raises(ValueError, match="labels has 1 entries for 2 directions"):
        Directions(plane(model).trees, ("a",))
