"""Principal directions against scikit-learn, eigen directions against the dense matrices."""

import numpy as np
import pytest
import torch
from sklearn.decomposition import PCA
from torch import nn

from sofim_lab.curvature import fisher, hessian
from sofim_lab.landscape.directions_from import eigen_directions, principal_directions
from sofim_lab.landscape.path import Path, project
from sofim_lab.landscape.sharpness import sharpness
from sofim_lab.landscape.tree import flatten, parameters
from sofim_lab.problems import mlp

WIDE = torch.float64


def a_path(points=15, d=40, seed=0, dtype=WIDE):
    generator = torch.Generator().manual_seed(seed)
    shape = {"a": torch.zeros(3, 10, dtype=dtype), "b": torch.zeros(d - 30, dtype=dtype)}
    steps = torch.randn(points - 1, d, generator=generator, dtype=WIDE) + 0.3
    return Path(shape, torch.cat([torch.zeros(1, d, dtype=WIDE), steps.cumsum(0)]).to(dtype), range(points))


@pytest.mark.parametrize("count", [1, 2, 5])
def test_principal_components_are_those_of_sklearn(count):
    path = a_path()
    found = principal_directions(path, count)
    exact = PCA(count, svd_solver="full").fit(path.points.numpy())
    D = torch.stack([flatten(tree) for tree in found]).numpy()
    signs = np.sign((D * exact.components_).sum(1, keepdims=True))
    np.testing.assert_allclose(D, signs * exact.components_, atol=1e-12)
    np.testing.assert_allclose(found.explained, exact.explained_variance_ratio_, atol=1e-12)
    np.testing.assert_allclose(D @ D.T, np.eye(count), atol=1e-14)
    assert (D @ (path.points[-1] - path.points[0]).numpy() >= 0).all()


def test_columns_in_blocks_change_nothing(monkeypatch):
    path = a_path()
    whole = principal_directions(path)
    monkeypatch.setattr("sofim_lab.landscape.principal._COLUMNS", 7)
    parts = principal_directions(path)
    for a, b in zip(whole, parts, strict=True):
        torch.testing.assert_close(flatten(a), flatten(b), rtol=0, atol=1e-12)


@pytest.mark.parametrize("centre", ["start", "end"])
def test_a_plane_through_an_end_explains_what_the_projection_shows(centre):
    path = a_path()
    found = principal_directions(path, centre=centre)
    shown = project(path, found, path.tree(0 if centre == "start" else -1))
    assert shown.share == pytest.approx(sum(found.explained), abs=1e-12)


def test_a_weak_second_direction_is_orthogonal_all_the_same():
    t = torch.linspace(0, 1, 30, dtype=WIDE)
    offsets = torch.outer(t, torch.tensor([1.0, 0, 0, 0], dtype=WIDE))
    offsets[:, 1] += 1e-5 * t * (1 - t)
    found = principal_directions(Path({"w": torch.zeros(4, dtype=WIDE)}, offsets, range(30)))
    D = torch.stack([flatten(tree) for tree in found])
    torch.testing.assert_close(D @ D.mT, torch.eye(2, dtype=WIDE), rtol=0, atol=1e-15)
    assert abs(float(D[1, 1])) == pytest.approx(1, abs=1e-6)


def test_float32_paths_and_bfloat16_paths_give_directions_of_the_model():
    wide = a_path()
    for dtype, atol in ((torch.float32, 1e-6), (torch.bfloat16, 1e-2)):
        narrow = Path({n: t.float() for n, t in wide.start.items()}, wide.offsets.to(dtype), wide.steps)
        found = principal_directions(narrow)
        assert found.trees[0]["a"].dtype == torch.float32
        torch.testing.assert_close(
            flatten(found.trees[0]).double(), flatten(principal_directions(wide).trees[0]), rtol=0, atol=atol
        )


def test_bad_principal_directions():
    path = a_path(points=3)
    with pytest.raises(ValueError, match="centre='middle'"):
        principal_directions(path, centre="middle")
    with pytest.raises(ValueError, match="3 points that span 2 dimensions"):
        principal_directions(path, 3)
    with pytest.raises(ValueError, match="count=0"):
        principal_directions(path, 0)
    still = Path(path.start, torch.zeros(2, 40), (0, 1))
    with pytest.raises(ValueError, match="goes nowhere"):
        principal_directions(still)


def problem(dtype=WIDE):
    x = torch.randn(30, 5, generator=torch.Generator().manual_seed(0), dtype=WIDE).to(dtype)
    return mlp((5, 4, 3), device="cpu", dtype=dtype), x, torch.arange(30) % 3


@pytest.mark.parametrize("matrix", ["hessian", "fisher"])
def test_eigen_directions_are_unit_eigenvectors_and_never_rescaled(matrix):
    model, x, y = problem()
    loss_fn = nn.CrossEntropyLoss()
    found = eigen_directions(model, loss_fn, x, y, matrix=matrix, tol=1e-10)
    A = hessian(model, loss_fn, x, y) if matrix == "hessian" else fisher(model, loss_fn, x)
    values, vectors = torch.linalg.eigh(A)
    for k, tree in enumerate(found):
        assert {name: t.shape for name, t in tree.items()} == {n: p.shape for n, p in model.named_parameters()}
        assert abs(float(flatten(tree) @ vectors[:, -1 - k])) == pytest.approx(1, abs=1e-9)
        assert float(flatten(tree).norm()) == pytest.approx(1, abs=1e-12)
        assert found.explained[k] == pytest.approx(float(values[-1 - k]), rel=1e-9)
    assert found.labels == tuple(f"{matrix.capitalize()} eigenvector {k}" for k in (1, 2))


def test_the_second_derivative_along_an_eigen_direction_is_its_eigenvalue():
    model, x, y = problem()
    found = eigen_directions(model, nn.functional.cross_entropy, x, y, tol=1e-10)
    state = {name: t.clone() for name, t in model.state_dict().items()}
    for value, tree in zip(found.explained, found, strict=True):
        losses = []
        for step in (-1e-3, 0.0, 1e-3):
            moved = {name: state[name] + step * tree[name] for name in state}
            losses.append(float(nn.functional.cross_entropy(torch.func.functional_call(model, moved, (x,)), y)))
        assert (losses[0] - 2 * losses[1] + losses[2]) / 1e-6 == pytest.approx(value, rel=1e-4)


def test_models_that_train_are_taken_in_evaluation_mode_and_left_as_they_are():
    model, x, y = problem()
    model = nn.Sequential(model, nn.Dropout(0.5)).train()
    before = [p.clone() for p in model.parameters()]
    eigen_directions(model, nn.CrossEntropyLoss(), x, y, count=1)
    assert model.training
    assert model[1].training
    assert all(torch.equal(p, q) and p.grad is None for p, q in zip(model.parameters(), before, strict=True))


def test_frozen_parameters_have_no_direction():
    model, x, y = problem()
    model[0].requires_grad_(False)
    assert set(eigen_directions(model, nn.CrossEntropyLoss(), x, y, count=1).trees[0]) == {"2.weight", "2.bias"}


def test_bad_eigen_directions():
    model, x, y = problem()
    with pytest.raises(ValueError, match="matrix='newton'"):
        eigen_directions(model, nn.CrossEntropyLoss(), x, y, matrix="newton")
    with pytest.raises(TypeError, match="CrossEntropyLoss"):
        eigen_directions(model, nn.functional.nll_loss, x, y)


def test_sharpness_is_the_top_of_the_dense_spectrum_at_each_point():
    model, x, y = problem()
    loss_fn, start = nn.CrossEntropyLoss(), parameters(model)
    offsets = torch.randn(9, 39, generator=torch.Generator().manual_seed(1), dtype=WIDE).cumsum(0)
    path = Path(start, offsets - offsets[0], range(0, 90, 10), "walk")
    found = sharpness(path, model, loss_fn, x, y, points=5, tol=1e-6)
    assert found.steps.tolist() == [0, 20, 40, 60, 80]
    assert found.name == "walk"
    assert torch.equal(flatten(parameters(model)), flatten(start))
    twin = mlp((5, 4, 3), device="cpu", dtype=WIDE)
    for step, value in zip(found.steps, found.values, strict=True):
        twin.load_state_dict(path.tree(step // 10))
        assert value == pytest.approx(float(torch.linalg.eigvalsh(hessian(twin, loss_fn, x, y))[-1]), rel=1e-9)


def test_bad_sharpness():
    model, x, y = problem()
    path = Path(parameters(model), torch.zeros(1, 39), (0,))
    with pytest.raises(ValueError, match="points=0"):
        sharpness(path, model, nn.CrossEntropyLoss(), x, y, points=0)
    with pytest.raises(ValueError, match="the path"):
        sharpness(path, mlp((5, 3), device="cpu", dtype=WIDE), nn.CrossEntropyLoss(), x, y)
