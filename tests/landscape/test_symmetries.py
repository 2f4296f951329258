import pytest
import torch

from sofim_lab.curvature import hessian
from sofim_lab.landscape import matched, parameters, permuted, rescaled, stand_at
from sofim_lab.landscape.tree import flatten
from sofim_lab.problems import mlp

WIDE = torch.float64


def network(sizes=(5, 4, 3), activation="relu", seed=0):
    return mlp(sizes, activation, seed=seed, device="cpu", dtype=WIDE)


def inputs():
    return torch.randn(20, 5, generator=torch.Generator().manual_seed(3), dtype=WIDE)


@pytest.mark.parametrize("layer", [0, 1])
@pytest.mark.parametrize("each", [False, True])
def test_a_rescaled_relu_network_is_the_same_function(layer, each):
    model, x = network((5, 4, 6, 3)), inputs()
    units = (4, 6)[layer]
    alpha = torch.linspace(0.2, 3.0, units, dtype=WIDE) if each else 7.0
    before, start = model(x).detach(), parameters(model)
    after = rescaled(start, alpha, layer=layer)
    torch.testing.assert_close(stand_at(model, after)(x), before, rtol=1e-12, atol=1e-12)
    assert float((flatten(after) - flatten(start)).abs().max()) > 0.1


def test_a_rescaled_tanh_network_is_another_function():
    model, x = network(activation="tanh"), inputs()
    before = model(x).detach()
    assert float((stand_at(model, rescaled(parameters(model), 3.0))(x).detach() - before).abs().max()) > 0.1


def test_rescaling_divides_the_hessian_on_both_sides():
    model, x, y = network(), inputs(), torch.arange(20) % 3
    H, start = hessian(model, torch.nn.CrossEntropyLoss(), x, y), parameters(model)
    stand_at(model, rescaled(start, 2.0))
    scale = flatten({"w": torch.full((24,), 2.0), "v": torch.full((12,), 0.5), "b": torch.ones(3)}).double()
    expected = H / scale / scale[:, None]
    torch.testing.assert_close(hessian(model, torch.nn.CrossEntropyLoss(), x, y), expected, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("activation", ["relu", "tanh"])
@pytest.mark.parametrize("layer", [0, 1])
def test_a_permuted_network_is_the_same_function_and_matching_undoes_it(activation, layer):
    model, x = network((5, 4, 4, 3), activation), inputs()
    before, start = model(x).detach(), parameters(model)
    other = permuted(start, torch.tensor([2, 0, 3, 1]), layer=layer)
    torch.testing.assert_close(stand_at(model, other)(x), before, rtol=1e-12, atol=1e-12)
    assert not torch.equal(flatten(other), flatten(start))
    assert torch.equal(flatten(matched(other, start, layer=layer)), flatten(start))


def test_no_other_order_of_the_units_is_nearer_than_the_matched_one():
    from itertools import permutations

    tree, target = parameters(network(seed=1)), parameters(network(seed=2))
    distances = [
        float((flatten(permuted(tree, torch.tensor(order))) - flatten(target)).norm())
        for order in permutations(range(4))
    ]
    assert float((flatten(matched(tree, target)) - flatten(target)).norm()) == pytest.approx(min(distances))


def test_the_trees_given_are_left_as_they_are():
    tree = parameters(network())
    copies = {name: tensor.clone() for name, tensor in tree.items()}
    for new in (rescaled(tree, 2.0), permuted(tree, torch.tensor([1, 0, 2, 3])), matched(tree, tree)):
        for tensor in new.values():
            tensor.zero_()
    assert all(torch.equal(tree[name], copies[name]) for name in tree)


@pytest.mark.parametrize("alpha", [0.0, -1.0, float("inf"), float("nan")])
def test_a_scale_that_relu_does_not_commute_with_is_refused(alpha):
    with pytest.raises(ValueError, match="must be positive and finite"):
        rescaled(parameters(network()), alpha)


def test_other_bad_input_is_refused_by_name():
    tree = parameters(network())
    with pytest.raises(ValueError, match="one for each of 4 units"):
        rescaled(tree, torch.ones(3))
    with pytest.raises(ValueError, match="has 1 hidden layers"):
        rescaled(tree, 2.0, layer=1)
    with pytest.raises(ValueError, match=r"permutation of 0, …, 3, got \[0, 0, 1, 2\]"):
        permuted(tree, torch.tensor([0, 0, 1, 2]))
    with pytest.raises(ValueError, match="weights and biases in turn"):
        rescaled({"weight": torch.ones(2, 2)}, 2.0)
    with pytest.raises(ValueError, match="has 0 hidden layers"):
        rescaled(parameters(mlp((64, 10), device="cpu")), 2.0)
