import numpy as np
import pytest
import torch
from torch import nn

from sofim_lab.curvature import hessian, hessian_operator
from sofim_lab.landscape import (
    Directions,
    eigen_directions,
    plane_curvatures,
    quadratic_model,
    random_directions,
    slice_2d,
)
from sofim_lab.landscape.tree import unflatten
from sofim_lab.problems import load_digits, mlp

LOSS = nn.CrossEntropyLoss()


def setting(loss=LOSS):
    data = load_digits("cpu", dtype=torch.float64).train
    x, y = data.x[:100], data.y[:100]
    model = mlp((64, 3, 10), seed=1, device="cpu", dtype=torch.float64)
    parts = torch.autograd.grad(loss(model(x), y), list(model.parameters()))
    return model, x, y, torch.cat([part.flatten() for part in parts])


def test_the_models_error_falls_with_the_third_power_of_the_extent():
    model, x, y, gradient = setting()
    pair, H = random_directions(model, seed=0), hessian_operator(model, LOSS, x, y)
    errors = []
    for extent in (0.02, 0.01):
        plane = slice_2d(model, LOSS, (x, y), pair, extent=extent, points=(5, 3))
        model_of_it = quadratic_model(plane, H, pair, gradient)
        errors.append(np.abs(plane.loss - model_of_it.loss).max())
        assert model_of_it.loss.shape == (3, 5)
    assert errors[0] / errors[1] == pytest.approx(8, rel=0.1)


def test_a_grid_without_its_point_in_the_middle_is_refused():
    model, x, y, gradient = setting()
    pair = random_directions(model, seed=0)
    plane = slice_2d(model, LOSS, (x, y), pair, extent=(0.0, 1.0), points=3)
    with pytest.raises(ValueError, match=r"\(0, 0\) in the middle"):
        quadratic_model(plane, hessian_operator(model, LOSS, x, y), pair, gradient)


def test_the_plane_of_the_top_eigenvectors_shows_the_top_eigenvalues_in_any_basis_of_it():
    model, x, y, _ = setting()
    H = hessian(model, LOSS, x, y)
    top = torch.linalg.eigvalsh(H)[[-1, -2]].tolist()
    pair = eigen_directions(model, LOSS, x, y, tol=1e-9)
    assert plane_curvatures(H, pair) == pytest.approx(top, rel=1e-9)
    one, two = pair.trees
    slanted = {name: 3 * one[name] + 0.1 * two[name] for name in one}
    skew = Directions((one, slanted), pair.labels)
    assert plane_curvatures(hessian_operator(model, LOSS, x, y), skew) == pytest.approx(top, rel=1e-6)


def test_no_plane_shows_more_than_the_spectrum_has():
    model, x, y, _ = setting()
    H = hessian(model, LOSS, x, y)
    ends = torch.linalg.eigvalsh(H)[[0, -1]].tolist()
    random, like = torch.Generator().manual_seed(0), random_directions(model, seed=0).trees[0]
    for _ in range(20):
        rows = torch.randn(2, len(H), generator=random, dtype=torch.float64)
        high, low = plane_curvatures(H, Directions(tuple(unflatten(row, like) for row in rows), ("a", "b")))
        assert ends[0] <= low <= high <= ends[1]
