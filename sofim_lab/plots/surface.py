"""A slice of the loss over two directions as a surface in space."""

import numpy as np
from matplotlib.colors import LightSource
from mpl_toolkits.mplot3d.axes3d import Axes3D

from sofim_lab.landscape.result import Slice
from sofim_lab.plots.landscape import label_directions, metric_label, plane, scale_for
from sofim_lab.plots.paths import Paths, legend_line, named, track
from sofim_lab.plots.scale import PALE, Clip, Scale
from sofim_lab.plots.style import Look, Style, few_ticks, looks_of, new_axes


def plot_surface(
    result: Slice,
    paths: Paths | None = None,
    ax: Axes3D | None = None,
    *,
    metric: str = "loss",
    log: bool | None = None,
    clip: Clip = None,
) -> Axes3D:
    """The loss over a plane as a surface, and the paths of optimizers laid onto it.

    A path is drawn at the height of the surface under it, which is not its own loss unless it lies in the plane; what
    is outside the slice, or over a gap, is left out. The words of `describe_contour` fit this figure, too.

    Args:
        result: A slice over two directions.
        paths: As in `plot_contour`.
        ax: Axes in space; new ones by default.
        metric: `loss` or `accuracy`.
        log: Logarithmic heights or not; None decides by the values, see `scale_of`.
        clip: Lowest and highest value to be told apart: the surface is cut off flat there, see `scale_of`.

    Returns:
        The axes.

    Raises:
        ValueError: Flat axes; what `plot_contour` refuses.
    """
    values = plane(result, metric)
    scale = scale_for(values, metric, log, clip)
    if ax is None:
        ax = new_axes(width=6.6, height=5.4, projection="3d")[0]
        ax.figure.subplots_adjust(left=0.06, right=0.94, bottom=0.07, top=1.0)
    if not isinstance(ax, Axes3D):
        raise ValueError("ax is flat: make it with new_axes(projection='3d')")
    ax.computed_zorder = False  # a path would vanish into the surface that it lies on
    heights = scale.heights(values)
    a, b = result.axes
    x, y = np.meshgrid(a, b)
    azimuth = _best_view(heights)
    colors = _lit(scale.norm(scale.clip(values)).filled(np.nan), azimuth)
    ax.plot_surface(
        x,
        y,
        heights,
        facecolors=colors,
        linewidth=0.4,  # in the colour of each cell: seams would show as a net
        rcount=len(b),
        ccount=len(a),
        shade=False,
        zorder=1,
    )
    ax.set(xlim=a[[0, -1]], ylim=b[[0, -1]])
    ax.view_init(elev=44, azim=azimuth)
    few_ticks(ax.xaxis, ax.yaxis, prune="both")
    label_directions(ax, result)
    _label_heights(ax, scale, metric_label(result, metric))
    handles, pairs = [], named(paths)
    for (name, path), own in zip(pairs, looks_of([name for name, _ in pairs]), strict=True):
        _lay(ax, result, heights, track(name, path), own)
        handles.append(legend_line(name, own, path.share))
    if handles:
        ax.legend(handles=handles, loc="upper left", fontsize=8.5, handlelength=2.8)
    return ax


def _lay(ax: Axes3D, result: Slice, heights: np.ndarray, points: np.ndarray, own: Look) -> None:
    """One path on the surface, with a white dot where it begins and its mark where it ends."""
    z = on_surface(result, heights, points)
    ax.plot(*points.T, z, color="white", linewidth=3.6, zorder=3)
    ax.plot(*points.T, z, color=own.color, linestyle=own.linestyle, linewidth=1.8, zorder=4)
    seen = np.nonzero(np.isfinite(z))[0]
    edge: Style = {"markeredgecolor": "black", "markeredgewidth": 1.2, "linestyle": "none", "zorder": 5}
    if len(seen) > 1:
        ax.plot(*points[seen[:1]].T, z[seen[:1]], marker="o", color="white", markersize=6, **edge)
    if len(seen):
        ax.plot(*points[seen[-1:]].T, z[seen[-1:]], marker=own.marker, color=own.color, markersize=9, **edge)


def on_surface(result: Slice, heights: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Heights over points (T, 2), bilinear between the points of the grid; nan outside the slice and over gaps."""
    indices, shares = [], []
    for axis, place in zip(result.axes, points.T, strict=True):
        index = np.clip(np.searchsorted(axis, place, side="right") - 1, 0, len(axis) - 2)
        share = (place - axis[index]) / (axis[index + 1] - axis[index])
        indices.append(index)
        shares.append(np.where((share >= 0) & (share <= 1), share, np.nan))
    (i, j), (s, t) = indices, shares
    near = (1 - s) * heights[j, i] + s * heights[j, i + 1]
    far = (1 - s) * heights[j + 1, i] + s * heights[j + 1, i + 1]
    return (1 - t) * near + t * far


def _lit(levels: np.ndarray, azimuth: float) -> np.ndarray:
    """Colours of the cells, shape (ny − 1, nx − 1, 4), a little darker where a slope turns from the light."""
    middles = (levels[1:, 1:] + levels[1:, :-1] + levels[:-1, 1:] + levels[:-1, :-1]) / 4
    light = LightSource(azdeg=azimuth + 50, altdeg=45).hillshade(middles, dx=3 / len(levels), dy=3 / len(levels))
    colors = PALE(middles)
    colors[..., :3] *= 0.72 + 0.28 * np.nan_to_num(light, nan=1.0)[..., None]
    return colors


def _best_view(heights: np.ndarray) -> float:
    """The side, in degrees, from which the surface hides least of itself: where it is low in front."""
    x, y = np.linspace(-1, 1, heights.shape[1]), np.linspace(-1, 1, heights.shape[0])[:, None]

    def in_front(azimuth: float) -> float:
        angle = np.deg2rad(azimuth)
        return float(np.nansum(heights * np.maximum(np.cos(angle) * x + np.sin(angle) * y, 0)))

    return min((-62.0, 28.0, 118.0, 208.0), key=in_front)


def _label_heights(ax: Axes3D, scale: Scale, label: str) -> None:
    """Ticks of the vertical axis in values, also where heights are logarithms."""
    places, texts = scale.ticks()
    ax.set_zticks(np.log10(places) if scale.log else places, texts)
    ends = scale.levels[[0, -1]]
    ax.set_zlim(*(np.log10(ends) if scale.log else ends))
    ax.set_zlabel(label, labelpad=8)
