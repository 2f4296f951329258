import pytest
import torch
from curvature_cases import (
    WIDE,
    data,
    error,
    mlp,
    naive_empirical_fisher,
    naive_fisher,
    naive_hessian,
    seeded,
    weights_of,
)
from torch import nn
from torch.func import jacrev

from sofim_lab.curvature.flat_function import flat_function
from sofim_lab.curvature.four_matrices import FourMatrices, four_matrices

LOSS = nn.CrossEntropyLoss()


@pytest.fixture(scope="module")
def case():
    model = seeded(lambda: mlp(nn.Tanh))
    return model, *data(LOSS)


def test_each_matrix_is_what_its_name_says(case):
    model, x, y = case
    four = four_matrices(model, LOSS, x, y)
    assert error(four.fisher, naive_fisher(model, LOSS, x)) < 1e-12
    assert error(four.hessian, naive_hessian(model, LOSS, x, y)) < 1e-12
    assert error(four.empirical, naive_empirical_fisher(model, LOSS, x, y)) < 1e-12
    gradient = torch.cat([g.flatten() for g in torch.autograd.grad(LOSS(model(x), y), weights_of(model))])
    assert error(four.mean_gradient, gradient) < 1e-12
    assert four.loss == pytest.approx(LOSS(model(x), y).item())
    assert four.mean_share == pytest.approx(float(gradient @ gradient / four.empirical.trace()))


def test_distances_and_cosines():
    F = torch.diag(torch.tensor([3.0, 4.0], dtype=WIDE))
    four = FourMatrices(F, F, -F, 3 * F, torch.zeros(2), 0.0)
    assert [four.distance(name) for name in ("ggn", "hessian", "empirical")] == [0, 2, 2]
    assert four.cosine("hessian") == pytest.approx(-1)
    assert four.cosine("empirical") == pytest.approx(1)
    assert four.trace_ratio("empirical") == pytest.approx(3)
    assert four.negative("hessian") == 2
    assert four.negative("fisher") == 0
    assert four.eigenvalues["empirical"].tolist() == pytest.approx([9, 12])


def test_rounding_below_zero_is_not_negative():
    H = torch.diag(torch.tensor([1.0, -1e-9, -0.1], dtype=WIDE))
    assert FourMatrices(H.abs(), H, H, H, torch.zeros(3), 0.0).negative("hessian") == 1


def test_the_flat_function_is_the_model(case):
    model, x, _ = case
    w, f = flat_function(model)
    assert torch.equal(f(w, x), model(x).detach())
    assert jacrev(f)(w, x).shape == (len(x), 3, len(w))
    assert not torch.equal(f(w + 1, x), f(w, x))
    assert w.data_ptr() != next(model.parameters()).data_ptr()


def test_frozen_parameters_are_no_part_of_the_flat_function():
    model = seeded(lambda: mlp(nn.Tanh))
    model[0].weight.requires_grad_(False)
    w, f = flat_function(model)
    x = torch.ones(1, 4, dtype=WIDE)
    assert len(w) == sum(p.numel() for p in weights_of(model))
    assert torch.equal(f(w, x), model(x).detach())
    with pytest.raises(ValueError, match="no trainable parameters"):
        flat_function(model.requires_grad_(False))
