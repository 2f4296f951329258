import numpy as np
import pytest
import torch

from sofim_lab.problems.surfaces import SURFACES
from sofim_lab.training.sofim_path import sofim_path

SETTINGS = {"lr": 0.8, "beta": 0.7, "rho": 0.4}


def by_hand(start, noise, steps, direction):
    """Algorithm 1 on the quadratic, whose gradient is known, with dense solves and the same noise."""
    z = torch.randn(steps + 1, 2, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    w, moment, points = torch.tensor(start, dtype=torch.float64), torch.zeros(2, dtype=torch.float64), []
    points.append(w)
    for t in range(1, steps + 1):
        g = w * torch.tensor([1.0, 10.0], dtype=torch.float64) + noise * z[t - 1]
        moment = 0.7 * moment + 0.3 * g
        m = moment / (1 - 0.7**t)
        fisher = torch.outer(m, m) + 0.4 * torch.eye(2, dtype=torch.float64)
        w = w - 0.8 * torch.linalg.solve(fisher, m if direction == "momentum" else g)
        points.append(w)
    return torch.stack(points)


@pytest.mark.parametrize("direction", ["momentum", "gradient"])
@pytest.mark.parametrize("noise", [0.0, 0.6])
def test_the_path_is_that_of_dense_solves(direction, noise):
    path = sofim_path("quadratic", (1.0, -0.5), **SETTINGS, direction=direction, noise=noise, steps=9, seed=3)
    torch.testing.assert_close(path.points, by_hand((1.0, -0.5), noise, 9, direction), rtol=1e-9, atol=1e-9)
    torch.testing.assert_close(path.lengths, (path.points[1:] - path.points[:-1]).norm(dim=1), rtol=1e-6, atol=0)
    torch.testing.assert_close(path.losses, SURFACES["quadratic"](path.points))


def test_no_momentum_step_is_longer_than_the_bound():
    path = sofim_path("himmelblau", (0.0, 0.0), lr=5.0, beta=0.9, rho=2.0, noise=3.0, steps=60)
    assert float(path.lengths.max()) <= path.bound * (1 + 1e-12)
    assert sofim_path("quadratic", (1.0, 1.0), **SETTINGS, direction="gradient", steps=1).bound is None


def test_a_path_that_is_no_longer_finite_ends_early():
    path = sofim_path("rosenbrock", (-1.5, 2.0), lr=10.0, beta=0.0, rho=1e-3, direction="gradient", noise=5.0, steps=60)
    assert torch.isfinite(path.points).all()
    assert len(path.lengths) == len(path.norms) == len(path.points) - 1


def test_the_distance_looks_at_the_last_ten_points():
    path = sofim_path("quadratic", (1.0, 0.0), lr=0.1, beta=0.0, rho=1e6, steps=12)
    assert path.distance == pytest.approx(1.0, abs=1e-4)
    settled = sofim_path("double_well", (1.4, 0.7), lr=0.1, beta=0.0, rho=0.3, steps=60)
    assert settled.distance < 1e-3


def test_bad_arguments_are_named():
    with pytest.raises(ValueError, match="surface='moon' is unknown: choose one of quadratic"):
        sofim_path("moon", (0.0, 0.0), **SETTINGS)
    with pytest.raises(ValueError, match="noise=-1"):
        sofim_path("quadratic", (0.0, 0.0), **SETTINGS, noise=-1)
    with pytest.raises(ValueError, match="steps=0"):
        sofim_path("quadratic", (0.0, 0.0), **SETTINGS, steps=0)


def test_a_path_that_ends_exactly_at_the_minimum():
    """What kind of point it is, is looked at after the last draw of the noise."""
    path = sofim_path("quadratic", (1.0, 0.0), lr=2.0, beta=0.0, rho=1.0, steps=1)
    assert path.points.tolist() == [[1.0, 0.0], [0.0, 0.0]]


def test_a_seed_of_numpy():
    how = {"lr": 0.5, "beta": 0.5, "rho": 1.0, "noise": 0.1}
    paths = [sofim_path("quadratic", (1.0, 1.0), **how, seed=seed) for seed in (np.int64(7351), 7351)]
    assert torch.equal(paths[0].points, paths[1].points)
