"""A finished film: frames, and in words what they show."""

import base64
import html
import io
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from PIL import Image

from sofim_lab.files import write_atomically

_HOLD = 1500  # milliseconds for which the last frame of a GIF stands

# Without ids and without a script element: several films fit on a page, and a sanitised page keeps the last frame.
_SHOW = "this.closest('figure').querySelectorAll('img').forEach((f, i) => f.hidden = i != this.value)"
_PLAY = (
    "const b = this, s = b.nextElementSibling, stop = () => { clearInterval(b.t); b.t = 0; b.textContent = 'play' };"
    "if (b.t) { stop(); return }"
    "if (s.value == s.max) s.value = 0;"
    "b.textContent = 'pause';"
    "b.t = setInterval(() => { if (s.value == s.max) return stop(); s.value++;"
    " s.dispatchEvent(new Event('input')) }, MILLISECONDS)"
)


@dataclass(frozen=True, repr=False, eq=False)
class Film:
    """Frames with their alternative text, shown by a notebook as a GIF that needs neither display nor network.

    Attributes:
        frames: Pictures of equal size, with one palette.
        alt: What is to be seen, for those who cannot see it.
        milliseconds: How long each frame stands.
    """

    frames: tuple[Image.Image, ...]
    alt: str
    milliseconds: int

    @cached_property
    def gif(self) -> bytes:
        """The film as an animated GIF that repeats, its last frame held for 1.5 s."""
        stream = io.BytesIO()
        times = [self.milliseconds] * (len(self.frames) - 1) + [_HOLD]
        first, *others = self.frames
        first.save(stream, "GIF", save_all=True, append_images=others, duration=times, loop=0, disposal=1)
        return stream.getvalue()

    def save(self, path: str | Path) -> Path:
        """Write the film into a file, whole or not at all.

        Args:
            path: It ends in `.gif`, or in `.html` for the page of `player`; folders are made.

        Returns:
            The path.

        Raises:
            ValueError: Another ending.
        """
        path = Path(path)
        if path.suffix == ".gif":
            write_atomically(path, self.gif)
        elif path.suffix == ".html":
            page = f'<!doctype html><html lang="en"><meta charset="utf-8"><title>Descent</title>{self.player()}</html>'
            write_atomically(path, page)
        else:
            raise ValueError(f"path={str(path)!r} must end in .gif or .html")
        return path

    def player(self) -> str:
        """HTML with all frames, a button that plays and pauses, and a slider; it stands still until it is played."""
        words, last = html.escape(self.alt, quote=True), len(self.frames) - 1
        images = [
            f'<img src="data:image/png;base64,{_png(frame)}" alt="{words if index == last else ""}" '
            f'style="max-width:100%;height:auto"{"" if index == last else " hidden"}>'
            for index, frame in enumerate(self.frames)
        ]
        play = html.escape(_PLAY.replace("MILLISECONDS", str(self.milliseconds)), quote=True)
        controls = (
            f'<button type="button" onclick="{play}">play</button> '
            f'<input type="range" min="0" max="{last}" value="{last}" aria-label="frame of the film" '
            f'oninput="{html.escape(_SHOW, quote=True)}" style="width:60%;vertical-align:middle">'
        )
        return f'<figure style="margin:0.5em 0">{"".join(images)}<div>{controls}</div>{self._caption()}</figure>'

    def _repr_html_(self) -> str:
        """The GIF; its last frame alone for readers who have asked their system for less motion."""
        data, words = base64.b64encode(self.gif).decode("ascii"), html.escape(self.alt, quote=True)
        return (
            '<figure style="margin:0.5em 0"><picture><source media="(prefers-reduced-motion: reduce)" '
            f'srcset="data:image/png;base64,{_png(self.frames[-1])}">'
            f'<img src="data:image/gif;base64,{data}" alt="{words}" width="{self.frames[0].width}" '
            f'style="max-width:100%;height:auto;background:white"></picture>{self._caption()}</figure>'
        )

    def _caption(self) -> str:
        return f'<figcaption style="font-size:90%;line-height:1.4;max-width:48em">{html.escape(self.alt)}</figcaption>'

    def __repr__(self) -> str:
        return f"Film of {len(self.frames)} frames: {self.alt}"


def _png(frame: Image.Image) -> str:
    """A frame as PNG, in base64."""
    stream = io.BytesIO()
    frame.save(stream, "PNG")
    return base64.b64encode(stream.getvalue()).decode("ascii")
