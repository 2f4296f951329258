"""A curve that others cover is drawn wider."""

import pytest

from sofim_lab import plots
from sofim_lab.plots.overlap import widen_covered


def widths(*curves, log=False):
    ax = plots.new_axes()[0]
    lines = [ax.plot(range(len(curve)), curve, "o-", linewidth=1.5, markersize=5)[0] for curve in curves]
    if log:
        plots.log_y(ax)
    widen_covered(ax, lines)
    return [line.get_linewidth() for line in lines]


def test_the_lower_of_two_equal_curves_is_wider():
    first, second = widths([3.0, 2.0, 1.0], [3.0, 2.0, 1.0])
    assert first > second == 1.5


def test_each_curve_of_a_stack_shows():
    assert widths(*[[1.0, 2.0, 4.0]] * 3) == pytest.approx([4.9, 3.2, 1.5])


def test_curves_apart_stay_as_they_are():
    assert widths([3.0, 2.0, 1.0], [3.0, 1.0, 3.0], [3.0, 0.0, 5.0]) == [1.5] * 3


def test_the_distance_on_the_page_counts():
    """On a linear scale 0.01 lies on 0.001; on a logarithmic one far from it."""
    low, high = [100.0, 0.001, 0.001, 0.001], [100.0, 0.01, 0.01, 0.01]
    assert widths(low, high)[0] > 1.5
    assert widths(low, high, log=True)[0] == 1.5


def test_a_shorter_curve_and_points_that_are_not_finite_are_allowed():
    assert widths([1.0, 2.0], [1.0, 2.0, 9.0, 9.0])[0] > 1.5
    assert widths([1.0, float("inf"), float("nan"), 2.0], [1.0, 2.0, 9.0, 9.0])[0] == 1.5
