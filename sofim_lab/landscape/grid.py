"""A grid of points that is filled in parts: the machinery under the slices."""

import math
import time
import warnings
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch import nn
from tqdm.auto import tqdm

from sofim_lab.curvature.memory import free_memory
from sofim_lab.landscape.directions import Directions
from sofim_lab.landscape.result import Slice
from sofim_lab.landscape.scene import Scene
from sofim_lab.landscape.tree import trainable
from sofim_lab.problems.seeding import preserved_random_state
from sofim_lab.training.progress import show_progress

Evaluate = Callable[[Scene, np.ndarray, np.ndarray, np.ndarray, Callable[[float], None]], np.ndarray]


class Grid:
    """Loss and accuracy on a regular grid, evaluated where they are not yet known."""

    def __init__(
        self,
        scene: Scene,
        evaluate: Evaluate,
        labels: tuple[str, ...],
        axes: Sequence[np.ndarray],
        settings: dict[str, Any],
        progress: bool | None,
    ) -> None:
        self.scene, self.evaluate, self.labels, self.progress = scene, evaluate, labels, progress
        self.axes = list(axes)
        self.values = np.full((2, *(len(x) for x in reversed(self._both()))), np.nan)
        self.known = np.zeros(self.values.shape[1:], dtype=bool)
        self.settings = settings | {
            "extent": [[float(x[0]), float(x[-1])] for x in axes],
            "points": [len(x) for x in axes],
        }
        self.seconds = 0.0

    def picture(self, strides: tuple[int, int] = (1, 1)) -> Slice:
        """Evaluate what is missing of every sx-th and sy-th point, and return these points as a `Slice`."""
        sx, sy = strides
        part = np.s_[::sy, ::sx]
        wanted = np.zeros_like(self.known)
        wanted[part] = ~self.known[part]
        self._fill(wanted)
        loss, right = self.values[0][part], self.values[1][part]
        loss = np.where(np.isfinite(loss), loss, np.nan)
        flat = len(self.axes) == 1
        a, b = self.axes[0][::sx].copy(), None if flat else self.axes[1][::sy].copy()
        right = np.where(np.isnan(loss), np.nan, right)
        return Slice(
            a,
            b,
            loss[0] if flat else loss,
            (right[0] if flat else right) if self.scene.accuracy else None,
            self.labels,
            self.settings,
            self.seconds,
            self.scene.origin,
            self.scene.directions,
            self.scene.constants,
        )

    def _fill(self, wanted: np.ndarray) -> None:
        """Evaluate the wanted points and remember them."""
        start = time.perf_counter()
        loader: Any = self.scene.data if self.scene.tensors is None else None
        batches = 1 if loader is None else len(loader) if hasattr(loader, "__len__") else None
        total = None if batches is None else batches * int(wanted.sum())
        generators = {getattr(source, "generator", None) for source in (loader, getattr(loader, "sampler", None))}
        # The bar waits half a second: most slices need no bar.
        bar = tqdm(
            total=total, desc="slice", unit="pt", delay=0.5, leave=False, disable=not show_progress(self.progress)
        )
        with bar, torch.no_grad(), preserved_random_state(self.scene.device, *generators):
            found = self.evaluate(self.scene, *self._both(), wanted, bar.update)
        self.values[:, wanted] = found[:, wanted]
        self.known |= wanted
        self.seconds += time.perf_counter() - start

    def _both(self) -> tuple[np.ndarray, np.ndarray]:
        """The two axes; the second of a 1-D slice is the point 0."""
        return self.axes[0], self.axes[1] if len(self.axes) == 2 else np.zeros(1)


def check_size(model: nn.Module, points: Sequence[int]) -> None:
    """Raise, before anything is allocated, where grid and copies of the parameters do not fit into the memory."""
    for n in points:
        if isinstance(n, bool) or not isinstance(n, int | np.integer) or n < 2:
            raise ValueError(f"points={n!r} must be a whole number of at least 2, e.g. 51")
    weights = list(trainable(model).values())
    copies = 5 * sum(w.nbytes for w in weights)  # the copy, origin, two directions, a row
    grid = 8 * 6 * math.prod(points)  # loss and accuracy in float64, as they are found, kept and handed out
    for what, needed, place in (("grid", grid, torch.device("cpu")), ("copies", copies, weights[0].device)):
        free = free_memory(place)
        if free is not None and needed > free:
            size = " × ".join(f"{n:,}" for n in points)
            remedy = "take fewer points" if what == "grid" else "use a smaller model or another device"
            owner = f"a grid of {size} points" if what == "grid" else "five copies of the parameters"
            raise MemoryError(f"{owner} takes {needed:,} bytes, and only {free:,} are free on {place}: {remedy}")


def warn_of_gaps(picture: Slice) -> None:
    """Tell once how many points have no finite loss."""
    if picture.n_nonfinite:
        count, total = picture.n_nonfinite, picture.loss.size
        text = f"the loss is not finite at {count:,} of {total:,} points: they are nan, gaps in a picture"
        warnings.warn(f"{text}; a smaller extent avoids them", RuntimeWarning, stacklevel=3)


def settings_of(scene: Scene, directions: Directions, method: str) -> dict[str, Any]:
    """What a slice was made with, in plain numbers and words."""
    loss, tensors = scene.loss_fn, scene.tensors
    return {
        "model": type(scene.twin).__name__,
        "parameters": sum(w.numel() for w in scene.weights),
        "loss": repr(loss) if isinstance(loss, nn.Module) else getattr(loss, "__qualname__", repr(loss)),
        "samples": len(tensors[0]) if tensors else len(getattr(scene.data, "dataset", ())) or None,
        "directions": dict(directions.settings),
        "explained": None if directions.explained is None else list(directions.explained),
        "batch_norm": scene.batch_norm,
        "method": method,
        "device": scene.device.type,
        "dtype": str(scene.weights[0].dtype).removeprefix("torch."),
        "torch": torch.__version__,
    }
