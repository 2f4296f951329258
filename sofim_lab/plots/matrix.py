"""A matrix as a picture: the sign by hue, the size by depth."""

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap, Normalize, SymLogNorm

from sofim_lab.plots.color_bar import color_bar, hatch_gaps, room
from sofim_lab.plots.scale import number
from sofim_lab.plots.style import Style, few_ticks, new_axes

# Vermilion and blue of the palette, darker at the ends: apart for every kind of colour vision, alike in depth.
SIGNED = LinearSegmentedColormap.from_list(
    "signed", ["#6B2F00", "#D55E00", "#F2BF99", "#FFFFFF", "#99C7E0", "#0072B2", "#00395A"], N=257
)
_CELLS = 512  # a larger matrix is drawn in blocks: there are no more pixels
_WRITTEN = 10  # up to this size each entry is written into its cell
_DECADES = 4  # of a logarithmic scale, from the largest entry down


def plot_matrix(matrix: torch.Tensor, ax: Axes | None = None, *, log: bool = False, label: str = "entry") -> Axes:
    """The entries of a matrix: vermilion below zero, white at zero, blue above, equally deep for equal sizes.

    A small matrix has its entries written into the cells, so that signs are to be read in grey, too. Of a large one
    each cell of the picture shows the largest entry of a block. Entries that are not finite are hatched.

    Args:
        matrix: Shape (m, n).
        ax: Axes to draw into; new ones by default.
        log: Depth by the logarithm of the size, four decades from the largest down.
        label: What an entry is, for the bar of colours.

    Returns:
        The axes, with the first row at the top.

    Raises:
        ValueError: Not a matrix, without an entry, or none is finite.
    """
    values = _checked(matrix)
    (m, n), blocks = values.shape, _blocks(values)
    largest = float(np.nanmax(np.abs(blocks))) or 1.0
    lowest = largest / 10**_DECADES
    norm = SymLogNorm(lowest, vmin=-largest, vmax=largest) if log else Normalize(-largest, largest)
    places = [-largest, -largest / 100, 0, largest / 100, largest] if log else np.linspace(-largest, largest, 5)
    texts = [number(place, 2) for place in places]
    if ax is None:
        ax = new_axes(width=5.8, height=4.6)[0]
        ax.figure.subplots_adjust(right=1 - room(texts) / 580)
    ax.grid(False)
    hatch_gaps(ax, blocks)
    frame = (0.5, n + 0.5, m + 0.5, 0.5)
    gapless = np.ma.masked_invalid(blocks)
    ax.imshow(gapless, cmap=SIGNED, norm=norm, extent=frame, aspect="auto", interpolation="none", zorder=1)
    if max(m, n) <= _WRITTEN:
        for (row, column), value in np.ndenumerate(values):
            dark = np.isfinite(value) and abs(norm(value) - 0.5) > 0.3
            style: Style = {"ha": "center", "va": "center", "fontsize": 8, "color": "white" if dark else "black"}
            ax.text(column + 1, row + 1, number(value, 2), **style)
    few_ticks(ax.xaxis, ax.yaxis)
    ax.set(xlabel="column", ylabel="row")
    edges = np.linspace(0, 1, 65)
    color_bar(ax, edges, SIGNED((edges[:-1] + edges[1:]) / 2), (norm(np.asarray(places)), texts), label)
    return ax


def describe_matrix(matrix: torch.Tensor) -> str:
    """In words: the shape, the largest entry and where, the share of negative ones, and the weight of the diagonal.

    Args:
        matrix: As drawn by `plot_matrix`.

    Returns:
        Alternative text.

    Raises:
        ValueError: As `plot_matrix`.

    Example:
        >>> print(describe_matrix(torch.tensor([[3.0, -1.0], [-1.0, 1.0]])))
        2 × 2 matrix. The entry of largest magnitude is 3, in row 1, column 1; 50 % of the entries are negative.
        The diagonal holds 83.3 % of the sum of squares.
    """
    values = _checked(matrix)
    m, n = values.shape
    sizes = np.where(np.isfinite(values), np.abs(values), 0.0)
    row, column = np.unravel_index(int(sizes.argmax()), values.shape)
    parts = [
        f"{m:,} × {n:,} matrix. The entry of largest magnitude is {number(values[row, column])}, in row {row + 1:,}, "
        f"column {column + 1:,}; {100 * (values < 0).mean():.3g} % of the entries are negative."
    ]
    if m == n and sizes.any():
        share = np.square(np.diag(sizes) / sizes.max()).sum() / np.square(sizes / sizes.max()).sum()
        parts.append(f"The diagonal holds {100 * share:.3g} % of the sum of squares.")
    gaps = int((~np.isfinite(values)).sum())
    if gaps:
        parts.append(f"{gaps:,} {'entry is' if gaps == 1 else 'entries are'} not finite and hatched.")
    return " ".join(parts)


def _checked(matrix: torch.Tensor) -> np.ndarray:
    """The matrix as float64 on the CPU."""
    values = torch.as_tensor(matrix).detach().to("cpu", torch.float64).numpy()
    if values.ndim != 2 or not values.size:
        raise ValueError(f"matrix has the shape {values.shape}: give one of shape (m, n) with at least one entry")
    if not np.isfinite(values).any():
        raise ValueError(f"none of the {values.size} entries of matrix is finite: there is nothing to draw")
    return values


def _blocks(values: np.ndarray) -> np.ndarray:
    """At most 512 × 512 blocks, each with its entry of largest magnitude, or a gap where one is not finite."""
    step = -(-max(values.shape) // _CELLS)
    if step == 1:
        return np.where(np.isfinite(values), values, np.nan)
    m, n = (-(-size // step) for size in values.shape)
    padded = np.zeros((m * step, n * step))
    padded[: values.shape[0], : values.shape[1]] = values
    cells = padded.reshape(m, step, n, step).swapaxes(1, 2).reshape(m, n, step * step)
    sizes = np.where(np.isfinite(cells), np.abs(cells), np.inf)
    largest = np.take_along_axis(cells, sizes.argmax(-1)[..., None], -1)[..., 0]
    return np.where(np.isfinite(largest), largest, np.nan)
