"""A finished picture: pixels, and in words what they show."""

import base64
import html
import io
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from PIL import Image

from sofim_lab.plots.style import figure_of

_BEFORE: ContextVar[Callable[[Figure], None] | None] = ContextVar("before", default=None)


@contextmanager
def before_each_picture(act: Callable[[Figure], None]) -> Iterator[None]:
    """Have each figure seen, and changed, before `picture` makes it one.

    Args:
        act: Called with the figure.
    """
    token = _BEFORE.set(act)
    try:
        yield
    finally:
        _BEFORE.reset(token)


@dataclass(frozen=True)
class Picture:
    """A PNG with its alternative text, shown by a notebook as an HTML figure.

    HTML, because only an `<img alt>` keeps the words in JupyterLab, in an exported page and on GitHub alike.

    Attributes:
        png: The image file's bytes.
        alt: What is to be seen, for those who cannot see it. It is the caption, too.
        width: Width in pixels at which it is shown.
    """

    png: bytes
    alt: str
    width: int

    @property
    def height(self) -> int:
        """Height in pixels at which it is shown."""
        wide, high = (int.from_bytes(self.png[start : start + 4], "big") for start in (16, 20))  # of a PNG's header
        return round(self.width * high / wide)

    def html(self, *, caption: bool = True, src: str = "") -> str:
        """`<figure>` with the image embedded; it needs no other file.

        Args:
            caption: Whether the words stand below, too.
            src: Another form of the image, as an address; the PNG where it is empty.
        """
        src = src or "data:image/png;base64," + base64.b64encode(self.png).decode("ascii")
        words = html.escape(self.alt, quote=True)
        below = (
            f'<figcaption style="font-size:90%;line-height:1.4;margin-top:0.3em;max-width:48em">{words}</figcaption>'
            if caption
            else ""
        )
        # With both sizes, and decoded at once, a picture that replaces another neither flickers nor moves the page.
        shape = f'width="{self.width}" height="{self.height}" decoding="sync"'
        if self.width > 2 * self.height:  # plots side by side: a page on a phone may let them scroll
            shape += ' class="sofim-wide"'
        return (
            f'<figure style="margin:0.5em 0"><img src="{src}" alt="{words}" {shape} '
            f'style="max-width:100%;height:auto;background:white">{below}</figure>'
        )

    def _repr_html_(self) -> str:
        return self.html()

    def __repr__(self) -> str:
        return f"Picture: {self.alt}"


def picture(drawn: Axes | Figure, alt: str) -> Picture:
    """The picture of drawn axes.

    Args:
        drawn: Axes or their figure.
        alt: What is to be seen, in one to three sentences; it may not be empty.

    Returns:
        `Picture`, to be the last value of a notebook's cell or to be put into an explorer.

    Raises:
        ValueError: No alternative text.

    Example:
        >>> from sofim_lab.plots import new_axes
        >>> (ax,) = new_axes()
        >>> picture(ax, "An empty pair of axes.")
        Picture: An empty pair of axes.
    """
    if not alt.strip():
        raise ValueError("alt='' says nothing: describe what is to be seen in a sentence or two")
    figure = figure_of(drawn)
    if act := _BEFORE.get():
        act(figure)
    pixels, stream = io.BytesIO(), io.BytesIO()
    figure.savefig(pixels, format="rgba", dpi=figure.dpi)
    size = figure.canvas.get_width_height(physical=True)  # of 919.999…: 920, before Matplotlib 3.11 919
    # Without its opaque fourth channel, and quickly compressed: 7 ms a picture less.
    Image.frombuffer("RGBA", size, pixels.getvalue(), "raw", "RGBA", 0, 1).convert("RGB").save(
        stream, "PNG", compress_level=1
    )
    return Picture(stream.getvalue(), alt, size[0])
