import pytest
import torch

from sofim_lab.plots import new_axes, picture
from sofim_lab.plots.descent import (
    describe_basins,
    describe_convergence,
    plot_basins,
    plot_convergence,
    plot_map,
    plot_newton_cost,
)
from sofim_lab.problems import SURFACES
from sofim_lab.training import basins


@pytest.mark.parametrize("surface", SURFACES.values(), ids=SURFACES)
def test_a_map_keeps_its_window_and_marks_the_known_points(surface):
    path = torch.tensor([[0.0, 0.0], [1.0, 1.0], [50.0, 0.0]])
    ax = plot_map(surface, {"away": path})
    assert (*ax.get_xlim(), *ax.get_ylim()) == surface.window
    marks = {line.get_marker(): len(line.get_xdata()) for line in ax.get_lines() if line.get_marker() in ("+", "x")}
    assert marks["+"] == len(surface.minima)
    assert marks.get("x", 0) == len(surface.saddles)
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["away"]


def test_a_path_is_drawn_up_to_its_first_point_that_is_not_finite():
    path = torch.tensor([[0.5, 0.5], [1.0, 1.0], [float("nan"), 0.0], [0.2, 0.2]])
    ax = plot_map(SURFACES["saddle"], {"lost": path})
    assert max(len(line.get_xdata()) for line in ax.get_lines() if line.get_linestyle() == "-") == 2


def test_zeros_and_gaps_have_a_place_on_the_logarithmic_scale():
    curves = {"a": [1.0, 1e-3, 0.0], "b": torch.tensor([1.0, float("nan"), 2.0])}
    ax = plot_convergence(curves, new_axes()[0], ylabel="error")
    first, second = (list(line.get_ydata()) for line in ax.get_lines())
    assert first == [1.0, 1e-3, 1e-16]
    assert second[0] == 1.0
    assert second[1] != second[1]
    assert len(ax.get_yticks()) <= 12
    assert describe_convergence(curves, "error").startswith("The error against the number of steps")
    assert "a goes from 1 to 0 in 2 steps" in describe_convergence(curves)


def test_basins_are_described_by_their_shares():
    found = basins(SURFACES["himmelblau"], points=12)
    words = describe_basins(found)
    assert f"{100 * found.share('saddle'):.0f} % at a saddle" in words
    labels = [text.get_text() for text in plot_basins(found).get_legend().get_texts()]
    assert labels == ["ends at a saddle (×)", "ends at a minimum (+)", "at neither"]


def test_the_ideal_line_of_the_cost_rises_by_eight_for_each_doubling():
    ax = plot_newton_cost([250, 500, 1000], [1.0, 2.0, 16.0])
    assert list(ax.get_lines()[1].get_ydata()) == [0.25, 2.0, 16.0]
    assert picture(ax, "cost").png
