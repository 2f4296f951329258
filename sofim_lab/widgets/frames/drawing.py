"""The pictures of an explorer, drawn beforehand."""

import base64
import gc
import io
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import ipywidgets as W
from PIL import Image

from sofim_lab.plots import Picture
from sofim_lab.plots.picture import before_each_picture
from sofim_lab.widgets.frames.plan import Place, Plan, choose_plan
from sofim_lab.widgets.frames.scales import Scales

_COLOURS = 64  # of the palette: lines, tiles and the grey of their edges; a picture then has about 10 kB
_OVERHEAD = 60  # bytes of a frame on the page, beside its image and its words
_TIGHTER = 0.9  # how much fewer pictures the next plan has, where the last one was too large


@dataclass(frozen=True)
class Frame:
    """What is shown at one place.

    Attributes:
        image: Index of its image; None where the place could not be shown.
        words: The alternative text, or what was wrong.
        reached: Whether the goal is reached here.
    """

    image: int | None
    words: str
    reached: bool


@dataclass(frozen=True)
class Frames:
    """Everything an explorer can show without a kernel.

    Attributes:
        plan: The controls and the places they can be at.
        frames: Place to frame.
        images: Images as WebP, without loss, each once; the first belongs to the start.
        seconds: How long the drawing took.
    """

    plan: Plan
    frames: dict[Place, Frame]
    images: tuple[bytes, ...]
    seconds: float

    @property
    def failed(self) -> int:
        """How many places could not be shown."""
        return sum(frame.image is None for frame in self.frames.values())

    @property
    def bytes(self) -> int:
        """What they take on a page, where images are written in base64, without the controls and the script."""
        words = sum(len(frame.words.encode()) + _OVERHEAD for frame in self.frames.values())
        return words + sum(4 * -(-len(image) // 3) for image in self.images)


def draw_frames(
    controls: Mapping[str, W.ValueWidget],
    compute: Callable[..., Any],
    render: Callable[[Any], Picture],
    *,
    start: Mapping[str, Any],
    reached: Callable[[Any], bool] = lambda result: False,
    example: Mapping[str, Any] | None = None,
    most_bytes: int,
    most_seconds: float = 40.0,
) -> Frames:
    """Draw an explorer at as many positions of its controls as the budgets allow.

    The ends of every control are drawn first, and say what a picture costs; from that the number of pictures follows.
    They also say which axes all pictures can share: `Scales`.
    A state that cannot be computed or drawn becomes a frame that says so.

    Args:
        controls: Name of each argument of `compute` to its widget, which is not moved.
        compute: Pure function of the controls' values, by keyword.
        render: Pure function from its result to a picture.
        start: Name to value of every control at the start.
        reached: Whether a result reaches the goal.
        example: Values of some controls that reach the goal; the frames then lead there.
        most_bytes: What the frames may take on a page. Only the smallest plan there is can take more.
        most_seconds: About how long the drawing may take.

    Returns:
        The frames.
    """
    camera = _Camera(start, compute, render, reached)
    plan = choose_plan(controls, start, example or {}, 0)
    camera.measure(plan)
    drawing = time.monotonic()
    drawn = camera.draw(plan)
    most = min(most_bytes / drawn.bytes, most_seconds / (time.monotonic() - drawing)) * len(drawn.frames)
    while True:
        richer = choose_plan(controls, start, example or {}, most)
        if richer == plan or len(richer.places) < len(plan.places):
            return drawn
        tried = camera.draw(richer)
        if tried.bytes <= most_bytes:
            return tried
        most = _TIGHTER * len(richer.places)


class _Camera:
    """Draws states, each once, for all plans that are tried."""

    def __init__(
        self,
        rest: Mapping[str, Any],
        compute: Callable[..., Any],
        render: Callable[[Any], Picture],
        reached: Callable[[Any], bool],
    ) -> None:
        self.rest, self.compute, self.render, self.reached = rest, compute, render, reached
        self.seen: dict[tuple[Any, ...], tuple[bytes | None, str, bool]] = {}
        self.began = time.monotonic()
        self.scales = Scales()
        self.measured: dict[tuple[Any, ...], Any] = {}  # results that are not drawn yet

    def measure(self, plan: Plan) -> None:
        """The scales of the places of a plan; those that cannot be shown have none."""
        for place in plan.places:
            state = {**self.rest, **plan.values(place)}
            with before_each_picture(self.scales.measure), suppress(Exception):
                result = self.compute(**state)
                self.measured[tuple(state.values())] = result
                self.render(result)
            gc.collect()  # a figure is a web of cycles: those of some maps that wait for their collection take 50 MB

    def draw(self, plan: Plan) -> Frames:
        """All frames of a plan."""
        frames: dict[tuple[int, ...], Frame] = {}
        images: dict[bytes, int] = {}
        for place in plan.places:
            image, words, reached = self._shoot({**self.rest, **plan.values(place)})
            index = None if image is None else images.setdefault(image, len(images))
            frames[place] = Frame(index, words, reached)
        return Frames(plan, frames, tuple(images), time.monotonic() - self.began)

    def _shoot(self, state: dict[str, Any]) -> tuple[bytes | None, str, bool]:
        """One state: its image, its words, and whether it reaches the goal."""
        key = tuple(state.values())
        if key not in self.seen:
            try:
                result = self.measured.pop(key) if key in self.measured else self.compute(**state)
                with before_each_picture(self.scales.apply):
                    picture = self.render(result)
                self.seen[key] = (small(picture), picture.alt, bool(self.reached(result)))
            except Exception as error:  # whatever the explorer's functions raise: the reader is told
                self.seen[key] = (None, f"{type(error).__name__}: {error}", False)
            gc.collect()
        return self.seen[key]


def small(picture: Picture) -> bytes:
    """A picture as WebP with few colours and no further loss: a fifth of its PNG."""
    with Image.open(io.BytesIO(picture.png)) as image:
        few = image.convert("RGB").quantize(_COLOURS, method=Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE)
    stream = io.BytesIO()
    few.convert("RGB").save(stream, "WEBP", lossless=True, quality=100, method=4)
    return stream.getvalue()


def data_url(image: bytes) -> str:
    """An image for `src`."""
    return "data:image/webp;base64," + base64.b64encode(image).decode("ascii")
