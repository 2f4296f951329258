"""Recording where an optimizer walks, in bounded memory."""

from typing import Any

import torch
from torch import Tensor, nn

from sofim_lab.landscape.path import Path
from sofim_lab.landscape.tree import Tree, flatten, parameters, trainable
from sofim_lab.training.train import Callback

_DTYPES = (torch.bfloat16, torch.float16, torch.float32, torch.float64)


class PathRecorder:
    """Keeps every k-th point of a training run, on the CPU, at most `max_points` of them.

    Kept are the start w_0, exactly, and the offsets w_t − w_0 in `dtype`. So the error of a point is relative to the
    way from the start and not to the weights: per coordinate 2⁻²⁴|w_t − w_0| in float32, 2⁻⁸|w_t − w_0| in bfloat16.
    When there is no more room every second point is dropped, and from then on half as many are kept.

    Args:
        model: Its trainable parameters, as they are now, are the start.
        every: k, keep one point in k steps.
        dtype: `torch.float32`, or `bfloat16` for half the memory, or `float64`.
        max_points: 4 or more; the memory is at most max_points · d numbers of `dtype`.
        name: What the path is called, e.g. the optimizer's name.

    Raises:
        TypeError: model is no module.
        ValueError: Another dtype, every < 1, max_points < 4, or a model without trainable parameters.

    Example:
        >>> model = nn.Linear(2, 1)
        >>> recorder, optimizer = PathRecorder(model), torch.optim.SGD(model.parameters(), lr=0.1)
        >>> for _ in range(3):
        ...     optimizer.zero_grad()
        ...     model(torch.ones(1, 2)).square().sum().backward()
        ...     optimizer.step()
        ...     recorder.record()
        >>> recorder.path()
        Path(4 points, d=3, steps 0 to 3)
    """

    def __init__(
        self,
        model: nn.Module,
        *,
        every: int = 1,
        dtype: torch.dtype = torch.float32,
        max_points: int = 200,
        name: str = "",
    ) -> None:
        if every < 1:
            raise ValueError(f"every={every} must be 1 or more steps")
        if dtype not in _DTYPES:
            raise ValueError(f"dtype={dtype} must be one of {', '.join(map(str, _DTYPES))}")
        if max_points < 4:
            raise ValueError(f"max_points={max_points} must be 4 or more: dropping every second has to leave a path")
        self.name, self.every, self.dtype, self.max_points = name, every, dtype, max_points
        self.left_out = 0
        self._model = model
        self._start = {name: p.to("cpu") for name, p in parameters(model).items()}
        self._step = 0
        self._kept: list[tuple[int, Tensor]] = [(0, torch.zeros(flatten(self._start).shape, dtype=dtype))]

    def record(self, *_: object) -> None:
        """Call it after each step of the optimizer, or hand it to `train` as the callback."""
        self._step += 1
        if self._step % self.every == 0 and (offset := self._offset()) is not None:
            if len(self._kept) == self.max_points - 1:  # one place is the last point's
                self._thin()
            if self._step % self.every == 0:
                self._kept.append((self._step, offset))

    def path(self) -> Path:
        """The path so far. The model's present parameters are its last point, whether or not that step is a k-th one.

        Returns:
            `Path`. Points that are not finite are left out; `left_out` counts them.

        Raises:
            ValueError: No step has been recorded.
        """
        if self._step == 0:
            raise ValueError("the path is empty, no step has been recorded: call record() after optimizer.step()")
        points = list(self._kept)
        if points[-1][0] != self._step and (offset := self._offset()) is not None:
            points.append((self._step, offset))
        steps, offsets = zip(*points, strict=True)
        return Path(dict(self._start), torch.stack(offsets), steps, self.name)

    def _offset(self) -> Tensor | None:
        """The way from the start to here, or None if it is not finite."""
        here: Tree = {name: p.detach().to("cpu") - self._start[name] for name, p in trainable(self._model).items()}
        offset = flatten(here).to(self.dtype)
        finite = bool(torch.isfinite(offset).all())
        self.left_out += not finite
        return offset if finite else None

    def _thin(self) -> None:
        """Keep the points at multiples of twice the stride."""
        self.every *= 2
        self._kept = [(step, offset) for step, offset in self._kept if step % self.every == 0]


class RacePaths:
    """The paths of all runs of a `race`: hand it over as `watch`, read `paths` afterwards.

    Args:
        every: See `PathRecorder`.
        dtype: See `PathRecorder`.
        max_points: See `PathRecorder`.

    Example:
        >>> from sofim_lab.problems import load_digits, mlp
        >>> from sofim_lab.training import race
        >>> watch = RacePaths(every=5)
        >>> make = lambda seed: mlp((64, 10), seed=seed, device="cpu")
        >>> _ = race(make, load_digits("cpu"), ["SOFIM"], epochs=1, watch=watch, progress=False)
        >>> watch.paths(seed=0)
        (Path('SOFIM', 5 points, d=650, steps 0 to 19),)
    """

    def __init__(self, *, every: int = 1, dtype: torch.dtype = torch.float32, max_points: int = 200) -> None:
        self._settings: dict[str, Any] = {"every": every, "dtype": dtype, "max_points": max_points}
        self._recorders: dict[tuple[str, int], PathRecorder] = {}

    def __call__(self, name: str, seed: int, model: nn.Module) -> Callback:
        """Start to record a run; `race` calls it."""
        recorder = self._recorders[name, seed] = PathRecorder(model, name=name, **self._settings)
        return recorder.record

    def paths(self, seed: int) -> tuple[Path, ...]:
        """The paths of one seed, which have one start, in the order of the race.

        Args:
            seed: One of the race's seeds.

        Raises:
            ValueError: No run of this seed was recorded.
        """
        found = tuple(recorder.path() for (_, of), recorder in self._recorders.items() if of == seed)
        if not found:
            known = sorted({of for _, of in self._recorders})
            raise ValueError(f"no run of seed={seed} was recorded: there are the seeds {known}")
        return found
