"""Densities, eigenvalues, sharpness and matrices."""

import numpy as np
import pytest
import torch

from sofim_lab import plots
from sofim_lab.curvature.spectrum import SpectralDensity
from sofim_lab.landscape.sharpness import Sharpness
from sofim_lab.plots.matrix import _blocks


def a_density():
    grid = np.linspace(-1, 5, 301)
    bell = np.exp(-((grid - 0) ** 2) / 0.02) + 0.1 * np.exp(-((grid - 4) ** 2) / 0.02)
    return SpectralDensity(np.array([-0.5, 0.0, 4.0]), np.array([0.1, 0.8, 0.1]), grid, bell, 0.1, 500)


def test_a_density_is_drawn_with_the_eigenvalues_under_it():
    (ax,) = plots.new_axes()
    values = torch.tensor([-0.5, 0.0, 4.0])
    assert plots.plot_density(a_density(), values, ax) is ax
    assert ax.get_yscale() == "log"
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("eigenvalue", "density (1 / eigenvalue)")
    assert [t.get_text() for t in ax.get_legend().get_texts()] == ["estimate, width σ = 0.1", "3 exact eigenvalues"]
    words = plots.describe_density(a_density())
    assert "from −0.5 to 4. 80 % of them lie within" in words
    assert "10 % are negative beyond that; the mean is 0.35." in words


def test_a_density_of_nothing_is_refused():
    empty = SpectralDensity(np.zeros(1), np.zeros(1), np.zeros(3), np.zeros(3), 1.0, 0)
    with pytest.raises(ValueError, match="nowhere positive"):
        plots.plot_density(empty)


def test_eigenvalues_of_both_signs_are_told_apart_without_colour():
    (ax,) = plots.new_axes()
    values = torch.tensor([1e-3, -2.0, 5.0, 0.0])
    assert plots.plot_eigenvalues(values, ax) is ax
    above, below = ax.lines
    assert list(above.get_ydata()) == pytest.approx([5.0, 1e-3])
    assert list(below.get_ydata()) == [2.0]
    assert (above.get_marker(), below.get_markerfacecolor()) == ("o", "white")
    assert "(1 zeros left out)" in ax.get_xlabel()
    words = plots.describe_eigenvalues(values)
    assert "4 eigenvalues of the Hessian, from −2 to 5; 1 are negative, 1 are zero." in words
    with pytest.raises(ValueError, match="none of the 2 eigenvalues"):
        plots.plot_eigenvalues(torch.zeros(2))


def test_sharpness_against_the_bound_of_gradient_descent():
    (ax,) = plots.new_axes()
    steps = np.array([0, 10, 20])
    runs = [
        Sharpness(steps, np.array([5.0, 30.0, 45.0]), np.zeros(3), "SGD"),
        Sharpness(steps, np.array([5.0, 9.0, 8.0]), np.zeros(3), "SOFIM"),
    ]
    assert plots.plot_sharpness(runs, ax, lr=0.05) is ax
    assert [t.get_text() for t in ax.get_legend().get_texts()] == ["SGD", "SOFIM", "2/η = 40"]
    words = plots.describe_sharpness(runs, lr=0.05)
    assert "SGD goes from 5 to 45, highest 45 at step 20; 2/η is 40: above it first at step 20." in words
    assert "SOFIM goes from 5 to 8, highest 9 at step 10; 2/η is 40: always below it." in words
    with pytest.raises(ValueError, match="results is empty"):
        plots.plot_sharpness([])
    with pytest.raises(ValueError, match="lr=0 must be positive"):
        plots.plot_sharpness(runs[0], lr=0)


def test_a_small_matrix_has_its_entries_and_signs_written():
    (ax,) = plots.new_axes()
    matrix = torch.tensor([[3.0, -1.0], [float("nan"), 0.25]])
    assert plots.plot_matrix(matrix, ax) is ax
    written = {text.get_text() for text in ax.texts}
    assert {"3", "−1", "0.25"} <= written
    assert any(patch.get_hatch() for patch in ax.patches)
    words = plots.describe_matrix(matrix)
    assert "2 × 2 matrix. The entry of largest magnitude is 3, in row 1, column 1; 25 % of the entries" in words
    assert "1 entry is not finite" in words


def test_signs_have_their_colours_and_zero_is_white():
    image = plots.plot_matrix(torch.tensor([[-4.0, 0.0, 4.0]])).images[0]
    (red, _, blue), middle = image.cmap(image.norm([-4.0, 4.0, 4.0]))[0, :3], image.cmap(image.norm(0.0))
    assert red > blue
    assert middle == (1, 1, 1, 1)
    assert image.cmap(image.norm(4.0))[2] > image.cmap(image.norm(4.0))[0]


def test_a_large_matrix_keeps_its_single_peaks():
    matrix = np.zeros((1030, 700))
    matrix[1000, 5] = -7.0
    cells = _blocks(matrix)
    assert max(cells.shape) <= 512
    assert cells.min() == -7.0
    assert np.count_nonzero(cells) == 1
    assert plots.plot_matrix(torch.from_numpy(matrix), log=True).images[0].norm(-7.0) == 0.0


@pytest.mark.parametrize(
    ("matrix", "message"),
    [
        (torch.ones(3), r"matrix has the shape \(3,\)"),
        (torch.ones(0, 2), "at least one entry"),
        (torch.full((1, 2), float("inf")), "none of the 2 entries"),
    ],
)
def test_a_bad_matrix(matrix, message):
    with pytest.raises(ValueError, match=message):
        plots.plot_matrix(matrix)
