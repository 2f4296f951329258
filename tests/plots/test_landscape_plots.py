"""Contours, surfaces and profiles: the given axes, the numbers in words, gaps, and what is refused."""

import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.colors import to_hex
from matplotlib.markers import CARETDOWNBASE, CARETLEFTBASE, CARETRIGHTBASE, CARETUPBASE

from sofim_lab import plots
from sofim_lab.landscape.barrier import Barrier
from sofim_lab.landscape.path import ProjectedPath
from sofim_lab.landscape.result import Slice
from sofim_lab.plots.paths import describe_paths
from sofim_lab.plots.surface import on_surface

AXIS = np.linspace(-1, 1, 21)
X, Y = np.meshgrid(AXIS, AXIS)
BOWL = (X - 0.4) ** 2 + 2 * (Y + 0.2) ** 2 + 0.01


def plane(loss=BOWL, **fields):
    return Slice(AXIS, AXIS, loss, labels=("random 1", "random 2"), **fields)


def line(loss, **fields):
    return Slice(AXIS, None, loss, labels=("gradient",), **fields)


def path(*points, share=0.93, name=""):
    points = np.array(points, dtype=float)
    return ProjectedPath(points, np.zeros(len(points)), share, np.arange(len(points)), name)


INSIDE = path((0.8, 0.6), (0.5, 0.1), (0.4, -0.2))
OUTSIDE = path((0.8, 0.6), (0.0, 0.5), (-2.0, 0.5), share=0.41)


def texts(ax):
    return [text.get_text() for text in ax.get_legend().get_texts()]


def with_gap():
    loss = BOWL.copy()
    loss[3:5, 4:8] = np.nan
    return plane(loss)


# contours


def test_a_contour_fills_given_axes_to_the_limits_of_the_slice():
    left, right = plots.new_axes(2)
    assert plots.plot_contour(plane(), {"SOFIM": OUTSIDE}, right) is right
    assert right.get_xlim() == right.get_ylim() == (-1, 1)
    assert not left.collections
    assert right.get_xlabel() == "along random 1 (× its length)"
    assert right.get_ylabel() == "along random 2 (× its length)"
    assert plt.get_fignums() == []


def test_the_words_hold_the_minimum_the_range_and_the_paths():
    words = plots.describe_contour(plane(), {"SOFIM": INSIDE, "NystromSGD": OUTSIDE})
    assert "plane of random 1 and random 2, 21 × 21 points" in words
    assert "lowest at (0.4, −0.2) with 0.01" in words
    assert "highest value is 4.85, on a logarithmic scale" in words
    assert "SOFIM goes from (0.8, 0.6) to (0.4, −0.2); the plane shows 93 % of it." in words
    assert "Nyström-SGD goes from (0.8, 0.6) to (−2, 0.5), leaves the picture after point 2 of 3" in words


def test_the_accuracy_is_told_by_its_highest_point():
    words = plots.describe_contour(plane(accuracy=1 - BOWL / 5), metric="accuracy")
    assert words.startswith("Accuracy over the plane")
    assert "highest at (0.4, −0.2) with 0.998; the lowest value is 0.03" in words


def test_an_accuracy_is_linear_unless_asked_otherwise():
    shares = np.clip(1.002 - BOWL, 0.002, 1)
    told = plots.describe_contour(plane(accuracy=shares), metric="accuracy")
    assert "logarithmic" not in told
    assert "logarithmic" in plots.describe_contour(plane(accuracy=shares), metric="accuracy", log=True)
    assert "logarithmic" in plots.describe_contour(plane(shares))
    (ax,) = plots.new_axes()
    plots.plot_profile(line(AXIS, accuracy=np.linspace(0.01, 1, 21)), ax, metric="accuracy")
    assert ax.get_yscale() == "linear"


def test_gaps_are_hatched_and_counted():
    ax = plots.plot_contour(with_gap())
    assert texts(ax) == ["not finite"]
    assert any(patch.get_hatch() for patch in ax.patches)
    assert "8 points are not finite and left out." in plots.describe_contour(with_gap())
    whole = plots.plot_contour(plane())
    assert whole.get_legend() is None
    assert not whole.patches


def test_what_is_clipped_is_said_on_the_bar_and_in_words():
    ax = plots.plot_contour(plane(), clip=(None, 0.5))
    assert "≥ 0.5" in [text.get_text() for text in ax.texts]
    count = (BOWL > 0.5).sum()
    assert f"{count} points above 0.5 are drawn as that." in plots.describe_contour(plane(), clip=(None, 0.5))


def test_the_unit_of_the_loss_is_on_the_bar():
    labels = [t.get_text() for t in plots.plot_contour(plane(settings={"loss": "cross_entropy"})).texts]
    assert "loss (nats)" in labels
    assert "loss (mean over samples)" in [t.get_text() for t in plots.plot_contour(plane()).texts]


def test_a_path_has_its_optimizers_look_its_share_and_both_ends():
    ax = plots.plot_contour(plane(), {"SOFIM": INSIDE})
    assert texts(ax) == ["SOFIM (93 % shown)"]
    blue = plots.look(0)
    ends = [line for line in ax.lines if len(line.get_xdata()) == 1 and line.get_marker() == blue.marker]
    assert {(float(end.get_xdata()[0]), to_hex(end.get_color())) for end in ends} == {
        (0.8, "#ffffff"),
        (0.4, blue.color.lower()),
    }


@pytest.mark.parametrize(
    ("end", "edge", "mark"),
    [
        ((-2.0, 0.5), (-1, 0.5), CARETLEFTBASE),
        ((2.0, 0.5), (1, 0.5), CARETRIGHTBASE),
        ((0.0, 3.0), (0, 1), CARETUPBASE),
        ((0.0, -3.0), (0, -1), CARETDOWNBASE),
    ],
)
def test_a_path_that_leaves_ends_in_an_arrow_that_points_out_of_the_edge(end, edge, mark):
    ax = plots.plot_contour(plane(), {"SGD": path((0.8, 0.6), (0.0, 0.5), end)})
    (arrow,) = [line for line in ax.lines if isinstance(line.get_marker(), int | np.integer)]
    assert (*arrow.get_xdata(), *arrow.get_ydata()) == pytest.approx(edge)
    assert arrow.get_marker() == mark


def test_paths_may_bring_their_names():
    ax = plots.plot_contour(plane(), [path((0, 0), (0.1, 0.1), name="Adam"), path((0, 0), (0.2, 0))])
    assert texts(ax) == ["Adam (93 % shown)", "path 2 (93 % shown)"]


def test_one_point_and_a_path_that_diverges():
    words = describe_paths({"A": path((0.1, 0.2)), "B": path((0, 0), (0.5, 0), (np.nan, 0))}, (-1, 1, -1, 1))
    assert "A is one point at (0.1, 0.2)." in words
    assert "B goes from (0, 0) to (0.5, 0), and has 1 more that is not finite" in words
    plots.plot_contour(plane(), {"A": path((0.1, 0.2)), "B": path((3, 3), (4, 4))})  # never inside: no arrow


@pytest.mark.parametrize(("share", "shown"), [(1.0, "100 %"), (0.9999, "99.9 %"), (0.001, "0.1 %"), (0.0, "0 %")])
def test_a_share_is_never_rounded_to_all_or_nothing(share, shown):
    assert f"the plane shows {shown} of it" in describe_paths({"A": path((0, 0), (1, 1), share=share)}, (-2, 2, -2, 2))


def test_the_legend_stands_where_no_path_is():
    def corner(*points):
        return plots.plot_contour(plane(), {"A": path(*points)}).get_legend()._get_loc()

    assert corner((-0.8, 0.8), (-0.9, 0.9)) != corner((-0.8, -0.8), (-0.9, -0.9)) == 2  # 2 is upper left


@pytest.mark.parametrize(
    ("result", "paths", "options", "message"),
    [
        (line(AXIS**2), None, {}, "the slice has one direction: draw it with plot_profile"),
        (plane(), None, {"metric": "accuracy"}, "holds no accuracy: make it with accuracy=True"),
        (plane(), None, {"metric": "los"}, "metric='los' is unknown"),
        (plane(BOWL * np.nan), None, {}, "none of the 441 values is finite"),
        (plane(), {"A": path((np.nan, 0.0))}, {}, r"paths\['A'\] has no finite point"),
        (plane(), {"A": path((0.0,), (1.0,))}, {}, r"coordinates of shape \(2, 1\): project it on two directions"),
    ],
)
@pytest.mark.parametrize("draw", [plots.plot_contour, plots.plot_surface, plots.describe_contour])
def test_bad_input(draw, result, paths, options, message):
    with pytest.raises(ValueError, match=message):
        draw(result, paths, **options)


# surfaces


def test_a_surface_fills_given_axes_in_space():
    flat, (space,) = plots.new_axes()[0], plots.new_axes(projection="3d")
    assert plots.plot_surface(with_gap(), {"SOFIM": OUTSIDE}, space) is space
    assert (space.get_xlim(), space.get_ylim()) == ((-1, 1), (-1, 1))
    assert texts(space) == ["SOFIM (41 % shown)"]
    assert plots.picture(space, "a bowl").png.startswith(b"\x89PNG")
    with pytest.raises(ValueError, match="ax is flat"):
        plots.plot_surface(plane(), ax=flat)


def test_heights_over_decades_are_logarithms_labelled_with_values():
    ax = plots.plot_surface(plane(10.0 ** (4 * X)))
    assert ax.get_zlim() == pytest.approx((-4, 4))
    assert "10⁰" in [label.get_text() for label in ax.get_zticklabels()]


def test_a_path_lies_on_the_surface_and_stops_at_its_edge():
    heights = 2 * X - 3 * Y  # what bilinear interpolation gets exactly
    points = np.array([[0.13, 0.77], [1.0, 1.0], [-1.0, 0.0], [1.01, 0.0], [0.0, -1.2]])
    laid = on_surface(plane(heights), heights, points)
    assert laid[:3] == pytest.approx(2 * points[:3, 0] - 3 * points[:3, 1])
    assert np.isnan(laid[3:]).all()


# profiles and barriers


def test_a_profile_marks_the_origin_and_hatches_the_gap():
    (ax,) = plots.new_axes()
    loss = AXIS**2 + 0.5
    loss[2:4] = np.nan
    assert plots.plot_profile({"SOFIM": line(loss), "mine": line(AXIS**2 + 2)}, ax) is ax
    assert texts(ax) == ["SOFIM", "mine", "not finite"]
    dots = [(*dot.get_xdata(), *dot.get_ydata()) for dot in ax.lines if len(dot.get_xdata()) == 1]
    assert dots == [(0, 0.5), (0, 2)]
    words = plots.describe_profile({"SOFIM": line(loss)})
    assert "SOFIM: it is lowest at 0 with 0.5; the highest value is 1.5. 2 points are not finite" in words
    assert "At the origin it is 0.5." in words
    assert plots.plot_profile(line(AXIS**2 + 0.5)).get_legend() is None


def test_a_profile_over_decades_is_logarithmic_and_may_be_clipped():
    ax = plots.plot_profile(line(10.0 ** (5 * AXIS)), clip=(None, 10.0))
    assert ax.get_yscale() == "log"
    assert ax.get_ylim()[1] == 10.0
    assert "points above 10 are drawn as that" in plots.describe_profile(line(10.0 ** (5 * AXIS)), clip=(None, 10.0))


def test_profiles_along_several_directions_name_none_of_them():
    other = Slice(AXIS, None, AXIS**2, labels=("momentum",))
    for slices, named in (({"SOFIM": line(AXIS**2), "SGD": other}, "the direction"), (line(AXIS**2), "gradient")):
        ax = plots.plot_profile(slices)
        assert ax.get_xlabel() == f"along {named} (× its length)"
        assert plots.describe_profile(slices).startswith(f"Loss along {named}, 21 points.")


def test_a_profile_refuses_planes_and_nothing():
    with pytest.raises(ValueError, match="slices is empty"):
        plots.plot_profile({})
    with pytest.raises(ValueError, match="slice 'A' has two directions: draw it with plot_contour"):
        plots.plot_profile({"A": plane()})


def double_well(loss, height, where):
    t = np.linspace(0, 1, len(loss))
    return Barrier(t, np.array(loss), height, where, Slice(t, None, np.array(loss), labels=("A to B",)))


def test_a_barrier_is_drawn_and_told_with_its_height():
    (ax,) = plots.new_axes()
    result = double_well([0.5, 1.5, 1.0, 0.7], 1.0, 1 / 3)
    assert plots.plot_barrier(result, ax) is ax
    assert "barrier 1" in [text.get_text() for text in ax.texts]
    words = plots.describe_barrier(result)
    assert "from A (0.5) to B (0.7). It rises 1 above the chord" in words
    assert "at 0.333 of the way, where it is 1.5" in words


@pytest.mark.parametrize("log", [False, True])
@pytest.mark.parametrize("where", [1, 2, 3, 4, 5])
@pytest.mark.parametrize("ends", [(0.5, 0.5), (0.1, 3.0), (3.0, 0.1)])
def test_the_legend_of_a_barrier_covers_neither_its_label_nor_its_top(where, ends, log):
    chord = np.linspace(*ends, 7)
    loss = chord + np.where(np.arange(7) == where, 1.5, 0)
    ax = plots.plot_barrier(double_well(loss, 1.5, where / 6), plots.new_axes(width=4.4, height=3.8)[0], log=log)
    ax.figure.canvas.draw()
    legend = ax.get_legend().get_window_extent()
    assert not any(legend.overlaps(text.get_window_extent()) for text in ax.texts)
    assert ax.transData.transform((0, loss.max()))[1] < legend.y0


def test_a_barrier_that_is_none_or_infinite_or_unknown():
    nan = float("nan")
    assert "there is no barrier" in plots.describe_barrier(double_well([1.0, 0.5, 1.0], 0.0, 0.0))
    infinite = double_well([1.0, nan, 1.0], float("inf"), 0.5)
    assert "1 of 3 points are not finite, the first at 0.5" in plots.describe_barrier(infinite)
    assert any(patch.get_hatch() for patch in plots.plot_barrier(infinite).patches)
    assert "An end is not finite" in plots.describe_barrier(double_well([nan, 1.0, 1.0], nan, nan))


def test_no_window_and_no_pyplot_state_is_used(monkeypatch):
    def refuse(*args, **kwargs):
        raise AssertionError("a figure was made through pyplot, which needs a display")

    monkeypatch.setattr(plt, "figure", refuse)
    monkeypatch.setattr(plt, "new_figure_manager", refuse)
    plots.plot_contour(plane(), {"SOFIM": INSIDE})
    plots.plot_surface(plane())
    assert len(plots.animate_descent(plane(), {"SOFIM": INSIDE}, frames=2).gif) > 0
