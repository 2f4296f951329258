import math

import pytest
import torch

from sofim_lab.problems.distributions import bernoulli, gaussian
from sofim_lab.problems.parametrisations import BERNOULLI, GAUSSIAN, Parametrisation, descend, direction, path_gap

F64 = {"dtype": torch.float64}
W = {id(gaussian): torch.tensor([-0.4, 1.7], **F64), id(bernoulli): torch.tensor([0.3], **F64)}
ALL = [(gaussian, one) for one in GAUSSIAN.values()] + [(bernoulli, one) for one in BERNOULLI.values()]
A = torch.tensor([[1.0, 2.0], [0.0, 3.0]], **F64)  # not symmetric: a transposed Jacobian shows
SHEAR = Parametrisation("shear", lambda theta: A @ theta, lambda w: torch.linalg.solve(A, w), lambda theta: A, True)
START, TARGET = torch.tensor([-2.0, 2.0], **F64), torch.tensor([1.0, 0.7], **F64)


@pytest.mark.parametrize(("family", "names"), ALL, ids=lambda item: item.name)
def test_maps_are_inverse_and_jacobians_are_right(family, names):
    w = W[id(family)]
    theta = names.from_w(w)
    torch.testing.assert_close(names.to_w(theta), w)
    torch.testing.assert_close(names.jacobian(theta), torch.func.jacrev(names.to_w)(theta))
    elsewhere = names.from_w(0.8 * w)
    assert names.affine == torch.allclose(names.jacobian(theta), names.jacobian(elsewhere))


def test_in_the_angle_the_fisher_matrix_is_one():
    for p in (0.01, 0.3, 0.9):
        theta = BERNOULLI["angle"].from_w(torch.tensor([p], **F64))
        J = BERNOULLI["angle"].jacobian(theta)
        assert float(J.T @ bernoulli.fisher(torch.tensor([p], **F64)) @ J) == pytest.approx(1)


@pytest.mark.parametrize("method", ["gradient", "natural"])
@pytest.mark.parametrize("names", [*GAUSSIAN.values(), SHEAR], ids=lambda names: names.name)
def test_a_direction_is_that_of_automatic_differentiation_in_theta(method, names):
    damping = 0.3
    theta = names.from_w(START)
    slope = torch.func.grad(lambda t: gaussian.kl(TARGET, names.to_w(t)))(theta)
    expected = -slope
    if method == "natural":
        fisher = torch.func.hessian(lambda t: gaussian.kl(START, names.to_w(t)))(theta)
        expected = -torch.linalg.inv(fisher + damping * torch.eye(2, **F64)) @ slope
    found = direction(gaussian, names, theta, gaussian.kl_gradient(TARGET, START), method, damping)
    torch.testing.assert_close(found, expected)


def gap(name, lr, damping, method="natural"):
    paths = [
        descend(gaussian, TARGET, START, GAUSSIAN[one], method, lr=lr, steps=round(4 / lr), damping=damping)
        for one in ("(μ, σ)", name)
    ]
    return path_gap(gaussian, *paths, TARGET)


def test_undamped_natural_paths_are_equal_in_affine_names():
    assert gap("(μ + σ, μ − 2σ)", 0.5, 0.0) < 1e-13
    assert gap("(μ + σ, μ − 2σ)", 0.5, 0.1) > 0.1
    assert gap("(μ + σ, μ − 2σ)", 0.1, 0.0, "gradient") > 0.05


def test_in_curved_names_the_gap_of_natural_paths_is_of_first_order():
    gaps = [gap("(μ, log σ)", lr, 0.0) for lr in (0.1, 0.05, 0.025)]
    assert math.log2(gaps[0] / gaps[1]) == pytest.approx(1, abs=0.25)
    assert math.log2(gaps[1] / gaps[2]) == pytest.approx(1, abs=0.15)
    assert gap("(μ, log σ)", 0.025, 0.0, "gradient") > 0.1


def test_natural_paths_reach_the_target():
    path = descend(gaussian, TARGET, START, GAUSSIAN["(μ, 1/σ²)"], "natural", lr=0.25, steps=80)
    torch.testing.assert_close(path[-1], TARGET, rtol=1e-6, atol=1e-6)


def test_a_path_ends_where_there_is_no_gaussian():
    path = descend(gaussian, TARGET, START, GAUSSIAN["(μ, 1/σ²)"], "gradient", lr=1.0, steps=5)
    assert len(path) == 1
    assert path_gap(gaussian, path, START.expand(6, 2), TARGET) == math.inf


def test_the_gap_is_a_share_of_the_way():
    a = torch.stack([START, START])
    b = a + torch.tensor([[0.0, 0.0], [1.0, 0.0]], **F64)
    way = math.sqrt(2 * float(gaussian.kl(TARGET, START)))
    assert path_gap(gaussian, a, b, TARGET) == pytest.approx(0.5 / way)  # a move of 1 at σ = 2 has length ½


def test_without_a_way_to_the_target_equal_paths_have_no_gap_and_others_none_that_could_be_told():
    stay = descend(gaussian, TARGET, TARGET, GAUSSIAN["(μ, σ)"], "natural", lr=0.5, steps=2)
    assert path_gap(gaussian, stay, stay.clone(), TARGET) == 0
    with pytest.raises(ValueError, match=r"target=\[1\.0, 0\.7.*\] is where the paths start: choose another"):
        path_gap(gaussian, stay, stay + torch.tensor([[0.0, 0.0], [0.1, 0.0], [0.1, 0.0]], **F64), TARGET)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"lr": 0.0}, "lr=0.0 must be a positive number"),
        ({"damping": -1.0}, "damping=-1.0 must be 0 or more"),
        ({"method": "newton"}, "method='newton' is unknown: choose 'gradient' or 'natural'"),
        ({"method": "newton", "steps": 0}, "method='newton' is unknown"),
        ({"steps": -1}, "steps=-1 must be 0 or more"),
        ({"steps": 2.5}, "steps=2.5 must be a whole number"),
        ({"lr": math.nan}, "lr=nan must be a positive number"),
        ({"start": -START}, "is no Gaussian distribution"),
        ({"target": -TARGET}, "is no Gaussian distribution"),
    ],
)
def test_bad_options_are_named(options, words):
    given = {"target": TARGET, "start": START, "method": "natural", "lr": 0.1, "steps": 2} | options
    with pytest.raises(ValueError, match=words):
        descend(gaussian, given.pop("target"), given.pop("start"), GAUSSIAN["(μ, σ)"], given.pop("method"), **given)
