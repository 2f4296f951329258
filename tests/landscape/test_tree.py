"""Trees: copies, products and the way to vectors and back."""

import pytest
import torch
from slice_cases import build
from torch import nn

from sofim_lab.landscape.tree import combine, dot, flatten, norm, parameters, to, unflatten


def trees(count=2):
    model = build("cnn with batch norm")
    generator = torch.Generator().manual_seed(0)
    return [
        {k: torch.randn(w.shape, generator=generator, dtype=w.dtype) for k, w in parameters(model).items()}
        for _ in range(count)
    ]


def test_parameters_are_copies_of_the_trainable_ones_in_order():
    model = build("half frozen")
    tree = parameters(model)
    assert list(tree) == ["0.bias", "2.weight"]
    assert not any(t.requires_grad for t in tree.values())
    before = model[2].weight.clone()
    tree["2.weight"].zero_()
    assert torch.equal(model[2].weight, before)
    assert list(parameters(build("tied"))) == ["first.weight", "first.bias", "second.bias", "last.weight", "last.bias"]


def test_products_and_sums_are_those_of_the_vectors():
    a, b = trees()
    u, v = flatten(a), flatten(b)
    assert dot(a, b) == pytest.approx(float(u @ v), rel=1e-13)
    assert norm(a) == pytest.approx(float(u.norm()), rel=1e-13)
    torch.testing.assert_close(flatten(combine((2.0, a), (-3.0, b))), 2 * u - 3 * v)
    assert torch.equal(flatten(a), u)


def test_norms_do_not_drift_in_float32():
    tree = {"w": torch.full((3_000_000,), 0.1)}
    assert norm(tree) == pytest.approx(3_000_000**0.5 * float(torch.tensor(0.1)), rel=1e-9)


def test_a_vector_and_back():
    (a,) = trees(1)
    back = unflatten(flatten(a), a)
    assert list(back) == list(a)
    assert all(torch.equal(back[name], a[name]) for name in a)
    assert to(a, dtype=torch.float32)["7.bias"].dtype == torch.float32
    with pytest.raises(ValueError, match=r"vector must have the shape \(\d+,\), got \(3,\)"):
        unflatten(torch.zeros(3), a)


def test_trees_of_different_models_are_told_apart():
    (a,) = trees(1)
    with pytest.raises(ValueError, match=r"lacks the parameter '7.bias'"):
        dot(a, {name: t for name, t in a.items() if name != "7.bias"})
    with pytest.raises(ValueError, match=r"7.bias is \(4,\), not \(3,\)"):
        combine((1.0, a), (1.0, a | {"7.bias": torch.zeros(4)}))
    with pytest.raises(ValueError, match="at least one pair"):
        combine()


def test_models_without_parameters_are_refused():
    with pytest.raises(ValueError, match="no trainable parameters"):
        parameters(nn.ReLU())
    with pytest.raises(ValueError, match="lazy"):
        parameters(nn.LazyLinear(2))
    with pytest.raises(TypeError, match=r"model must be an nn\.Module, got dict"):
        parameters({})
