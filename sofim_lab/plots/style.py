"""One look for every figure: white, colour-blind-safe, told apart by marker and line as well as by colour."""

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

import matplotlib as mpl
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure, SubFigure
from matplotlib.ticker import LogLocator, MaxNLocator, NullLocator

from sofim_lab.optim import registry
from sofim_lab.optim.palette import PALETTE

MARKERS = ("o", "s", "^", "D", "v", "P", "X")
LINES = ("-", "--", "-.", ":", (0, (5, 1)), (0, (3, 1, 1, 1)), (0, (1, 1)))

Style = dict[str, Any]  # keyword arguments of a drawing call

_TICKS = 6  # that axes made beforehand have
_SHEETS: dict[object, tuple[Any, ...]] = {}  # shape of the last new axes, and to it axes made beforehand, if any

_SUPERSCRIPTS = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")

_RC = {
    **sns.axes_style("whitegrid"),
    **sns.plotting_context("notebook", font_scale=0.9),
    "figure.facecolor": "white",  # also under a dark theme: axes and labels are dark
    "savefig.facecolor": "white",
    "axes.titlesize": "medium",
    "axes.titleweight": "bold",
    "legend.frameon": True,
    "legend.framealpha": 0.9,
    "font.family": ["DejaVu Sans"],  # ships with matplotlib: the same figure on every machine
}


@dataclass(frozen=True)
class Look:
    """Colour, marker and line of one curve."""

    color: str
    marker: str
    linestyle: Any

    def line(self, **extra: Any) -> Style:
        """Keyword arguments for `Axes.plot`."""
        return {"color": self.color, "marker": self.marker, "linestyle": self.linestyle, "markersize": 5, **extra}


def look(index: int) -> Look:
    """The look of the curve with this number, counted from 0; it repeats after seven."""
    place = index % len(PALETTE)
    return Look(PALETTE[place], MARKERS[place], LINES[place])


def looks_of(names: Sequence[str]) -> list[Look]:
    """The looks of curves by name: no two of them alike, and an optimizer of the registry in its own where it can be.

    The registry has more entries than there are colours. Where two that share a colour or a marker are drawn together,
    the earlier one keeps its look, and the other one gets what is free. Other names, and a name's second curve, get the
    next look that is free.

    Args:
        names: What the curves are called, in their order.

    Returns:
        One look for each: up to seven differ in colour and in marker, up to 49 in one of the two.

    Example:
        >>> looks_of(["mine", "SOFIM"])[1] == look(0)
        True
    """
    own: dict[int, tuple[int, int]] = {}  # curve to colour and marker
    for curve, name in enumerate(names):
        if name in registry.names() and name not in names[:curve]:
            entry = registry.get(name)
            own[curve] = PALETTE.index(entry.colour), entry.marker
    first = sorted(own, key=lambda curve: registry.get(names[curve]).place or 0)
    found: dict[int, tuple[int, int]] = {}
    for curve in [*first, *(curve for curve in range(len(names)) if curve not in own)]:
        found[curve] = _free(own.get(curve), list(found.values()))
    return [Look(PALETTE[color], MARKERS[mark], LINES[mark]) for _, (color, mark) in sorted(found.items())]


def _free(own: tuple[int, int] | None, taken: Sequence[tuple[int, int]]) -> tuple[int, int]:
    """The colour and marker that is drawn least so far; among equals one's own, else the last, the first for others."""
    colors, marks = Counter(color for color, _ in taken), Counter(mark for _, mark in taken)
    drawn = Counter(taken)
    if own is not None and own[0] not in colors and own[1] not in marks:
        return own  # nothing costs less

    def cost(pair: tuple[int, int]) -> tuple[int, ...]:
        color, mark = pair
        used = (drawn[pair], colors[color], marks[mark])
        return (*used, color, mark) if own is None else (*used, color != own[0], mark != own[1], -color, -mark)

    return min(product(range(len(PALETTE)), range(len(MARKERS))), key=cost)


def label_of(name: str) -> str:
    """What a figure calls an optimizer or a run: the registry's label, or the name itself."""
    return registry.get(name).label if name in registry.names() else name


def set_title(ax: Axes, text: str, **options: Any) -> None:
    """A title at a fixed height: by default matplotlib measures every label for it, half the time of a picture."""
    ax.set_title(text, y=1.0, pad=6, **options)


def log_x(ax: Axes) -> None:
    """A logarithmic horizontal axis with ticks at powers of ten alone; the ticks between cost a widget 50 ms."""
    ax.set_xscale("log")
    _powers_of_ten(ax.xaxis)


def log_y(ax: Axes) -> None:
    """A logarithmic vertical axis with ticks at powers of ten, and long enough to hold one."""
    ax.set_yscale("log")
    low, high = ax.get_ylim()
    if high < 10 * low:
        ax.set_ylim(10 ** math.floor(math.log10(low)), 10 ** (math.floor(math.log10(low)) + 2))
    _powers_of_ten(ax.yaxis)


def _powers_of_ten(axis: Axis) -> None:
    """Labels as plain text: setting them as formulas, as matplotlib does, costs another 50 ms a picture."""
    axis.set_minor_locator(NullLocator())
    axis.set_major_locator(_Decades(numticks=_TICKS))
    axis.set_major_formatter(
        lambda value, _: f"{value:g}" if _is_short(axis) else power_of_ten(round(math.log10(value)))
    )


class _Decades(LogLocator):
    """Ticks at powers of ten; where there is but one, which says nothing of a scale, at 2 and 5 times them as well."""

    axis: Axis  # matplotlib also allows for a locator without one

    def __call__(self) -> Sequence[float]:
        self.set_params(subs=(1.0, 2.0, 5.0) if _is_short(self.axis) else (1.0,))
        return super().__call__()


def _is_short(axis: Axis) -> bool:
    """Whether at most one power of ten is on the axis."""
    low, high = sorted(axis.get_view_interval())
    return low > 0 and math.floor(math.log10(high)) <= math.ceil(math.log10(low))


def power_of_ten(exponent: int) -> str:
    """10 to an integer as plain text, e.g. 10⁻³."""
    return "10" + str(exponent).translate(_SUPERSCRIPTS)


def figure_of(drawn: Axes | Figure) -> Figure:
    """The whole figure that axes are on, also where a part of it is theirs."""
    figure = drawn.figure if isinstance(drawn, Axes) else drawn
    return figure.figure if isinstance(figure, SubFigure) else figure


def few_ticks(*axes: Axis, prune: str | None = None) -> None:
    """Four or five round ticks on each axis: a label costs a widget a millisecond, and a plane needs no more."""
    for axis in axes:
        axis.set_major_locator(MaxNLocator(5, steps=[1, 2, 5, 10], prune=prune))


def new_axes(
    columns: int = 1, *, width: float = 6.4, height: float = 3.6, projection: str | None = None
) -> tuple[Axes, ...]:
    """Empty axes side by side on a private figure.

    The figure belongs to no pyplot state and no window, so that drawing it needs no display and leaks nothing.

    Args:
        columns: How many axes.
        width: Width of the figure in inches (100 pixels each).
        height: Height of the figure in inches.
        projection: `3d` for surfaces.

    Returns:
        The axes, left to right; `axes[0].figure` is the figure.

    Example:
        >>> left, right = new_axes(2)
        >>> left.figure is right.figure
        True
    """
    shape = (columns, width, height, projection)
    _SHEETS["last"] = shape
    return _SHEETS.pop(shape, None) or _blank(*shape)


def lay_ready() -> None:
    """Make axes like the last new ones beforehand, when there is time: a quarter of the time of a picture."""
    shape = _SHEETS.get("last")
    if shape is None or shape in _SHEETS:
        return
    _SHEETS.clear()
    axes = _blank(*shape)
    for ax in axes:
        for axis in (ax.xaxis, ax.yaxis):
            axis.get_major_ticks(_TICKS)
    _SHEETS.update({"last": shape, shape: axes})


def _blank(columns: int, width: float, height: float, projection: str | None) -> tuple[Axes, ...]:
    """Empty axes, made now."""
    with mpl.rc_context(_RC):
        figure = Figure(figsize=(width, height), dpi=100)
        FigureCanvasAgg(figure)
        axes = figure.subplots(1, columns, squeeze=False, subplot_kw={"projection": projection})[0]
        # Fixed margins: a layout engine would cost a widget 30 ms a picture.
        figure.subplots_adjust(left=0.8 / width, right=1 - 0.2 / width, bottom=0.6 / height, top=1 - 0.4 / height)
        if columns > 1:
            figure.subplots_adjust(wspace=0.32)
        for ax in axes:
            ax.tick_params(which="both", length=0)
            set_title(ax, "")
    return tuple(axes)
