import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from sofim_lab.problems import SURFACES, quadratic

ALL = [*SURFACES.values(), quadratic(1.0), quadratic(1000.0)]
each = pytest.mark.parametrize("surface", ALL, ids=lambda surface: f"{surface.name} {surface.formula}")


def at(point):
    return torch.tensor(point, dtype=torch.float64)


def test_the_names_are_the_keys():
    assert list(SURFACES) == ["quadratic", "rosenbrock", "saddle", "double_well", "himmelblau"]
    assert all(surface.name == name for name, surface in SURFACES.items())


@each
def test_the_known_points_are_what_they_are_called(surface):
    for point in surface.minima:
        assert surface.gradient(at(point)).abs().max() < 1e-12
        assert torch.linalg.eigvalsh(surface.hessian(at(point)))[0] > 0.1
    for point in surface.saddles:
        low, high = torch.linalg.eigvalsh(surface.hessian(at(point)))
        assert surface.gradient(at(point)).abs().max() < 1e-12
        assert low < -0.1
        assert high > 0.1


@each
def test_no_stationary_point_of_the_window_is_missing(surface):
    """Newton from a dense grid finds only the points that are listed, and Himmelblau's maximum."""
    x, y, _ = surface.grid(25)
    xy = torch.stack(torch.meshgrid(x, y, indexing="xy"), dim=-1).reshape(-1, 2)
    for _ in range(60):
        step, failed = torch.linalg.solve_ex(surface.hessian(xy), surface.gradient(xy))
        xy = torch.where((failed == 0)[:, None], xy - step, xy)
    settled = xy[(surface.gradient(xy).abs().amax(dim=1) < 1e-9) & (xy.abs().amax(dim=1) < 100)]
    known = torch.stack([at(p) for p in (*surface.minima, *surface.saddles)])
    missing = settled[torch.cdist(settled, known).amin(dim=1) > 1e-6]
    assert len(settled) > 300
    assert all(torch.linalg.eigvalsh(surface.hessian(point))[1] < 0 for point in missing)
    assert (len(missing) > 0) == (surface.name == "himmelblau")


@each
def test_it_is_bounded_below_and_its_lowest_minimum_comes_first(surface):
    values = [float(surface(at(point))) for point in surface.minima]
    assert values[0] <= min(values) + 1e-12
    angle = torch.linspace(0, 6.3, 200, dtype=torch.float64)
    circle = 50 * torch.stack([angle.cos(), angle.sin()], dim=-1)
    assert surface(circle).min() > values[0]
    assert surface.grid(101)[2].min() >= values[0] - 1e-12


@each
@settings(max_examples=30)
@given(st.floats(-3, 3), st.floats(-3, 3))
def test_derivatives_agree_with_finite_differences(surface, x, y):
    here, h = at((x, y)), 1e-5
    steps = h * torch.eye(2, dtype=torch.float64)
    slope = (surface(here + steps) - surface(here - steps)) / (2 * h)
    curvature = (surface.gradient(here + steps) - surface.gradient(here - steps)) / (2 * h)
    hessian = surface.hessian(here)
    torch.testing.assert_close(surface.gradient(here), slope, rtol=1e-5, atol=1e-4)
    torch.testing.assert_close(hessian, curvature, rtol=1e-5, atol=1e-4)
    torch.testing.assert_close(hessian, hessian.T)


@each
def test_points_come_in_any_shape_and_dtype(surface):
    xy = torch.randn(3, 4, 2, generator=torch.Generator().manual_seed(0))
    assert surface(xy).shape == (3, 4)
    assert surface.gradient(xy).shape == (3, 4, 2)
    assert surface.hessian(xy).shape == (3, 4, 2, 2)
    assert surface.hessian(xy).dtype == torch.float32
    torch.testing.assert_close(surface.hessian(xy)[1, 2], surface.hessian(xy[1, 2]))
    assert not surface.gradient(xy.requires_grad_()).requires_grad


def test_the_grid_is_row_by_row():
    x, y, values = SURFACES["rosenbrock"].grid(11)
    assert (float(x[0]), float(x[-1]), float(y[0]), float(y[-1])) == SURFACES["rosenbrock"].window
    assert values[2, 7] == SURFACES["rosenbrock"](torch.stack([x[7], y[2]]))


def test_the_nearest_known_point_is_named():
    kind, point, distance = SURFACES["saddle"].nearest(at((0.0, 0.1)))
    assert (kind, point) == ("saddle", (0.0, 0.0))
    assert distance == pytest.approx(0.1)
    assert SURFACES["saddle"].nearest(at((0.0, -0.8)))[:2] == ("minimum", (0.0, -1.0))


@pytest.mark.parametrize("condition", [0.5, float("inf"), float("nan")])
def test_a_condition_number_below_one_is_refused(condition):
    with pytest.raises(ValueError, match="must be a finite number of at least 1"):
        quadratic(condition)


def test_a_point_without_two_coordinates_is_refused():
    with pytest.raises(ValueError, match=r"xy has shape \(3,\): the last dimension must be 2"):
        SURFACES["saddle"](torch.zeros(3))
