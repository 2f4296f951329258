"""One optimizer as races, sweeps and figures need to know it."""

import math
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any, Literal, get_args

from torch.optim import Optimizer

from sofim_lab.optim.palette import PALETTE

ClosureKind = Literal["gradient", "create_graph", "loss", "loss and outputs", "losses"]


@dataclass(frozen=True)
class LogUniform:
    """A range of positive numbers to draw from uniformly in the logarithm.

    Args:
        low: The smallest, > 0.
        high: The largest, > low.

    Raises:
        ValueError: The bounds are not finite, not positive or not in order.

    Example:
        >>> LogUniform(0.01, 100.0).at(0.75)
        10.0
    """

    low: float
    high: float

    def __post_init__(self) -> None:
        if not (0 < self.low < self.high < math.inf):
            raise ValueError(f"LogUniform needs 0 < low < high, finite, got low={self.low!r}, high={self.high!r}")

    def at(self, u: float) -> float:
        """The number at the share u of the way, low^(1−u)·high^u, for u in [0, 1]."""
        return min(max(self.low ** (1 - u) * self.high**u, self.low), self.high)


@dataclass(frozen=True)
class Entry:
    """An optimizer's name, how it is built and tuned, what its closure must do, and how it is drawn.

    Args:
        name: Its key in the registry, and its name in results.
        target: The constructor, or where it is imported from when it is first needed, `"module:Class"`.
        closure: What the function passed to `step` must do:
            `"gradient"` call backward and return the loss, as for `torch.optim.SGD`;
            `"create_graph"` the same with `create_graph=True`;
            `"loss"` return the loss, without backward;
            `"loss and outputs"` return the loss and the model's outputs, without backward;
            `"losses"` return the losses of the samples, shape (n,), without backward.
        options: Fixed options, which make it what its name says.
        defaults: Where to start, for whoever tunes nothing.
        grid: What to tune: `LogUniform` ranges and tuples of choices by the option's name.
        label: Name in figures; `name` by default.
        evaluates_again: Whether it may call the closure several times a step, so that steps do not compare its cost.
        extra: The extra of this package that installs it, where it comes from elsewhere.
        place: Its number among the looks; the registry gives the next one.

    Raises:
        ValueError: The name is empty, or the closure is of an unknown kind.

    Example:
        >>> entry = Entry("SGD, small steps", "torch.optim:SGD", defaults={"lr": 1e-4})
        >>> entry.constructor.__name__, entry.label
        ('SGD', 'SGD, small steps')
    """

    name: str
    target: str | Callable[..., Optimizer]
    closure: ClosureKind = "gradient"
    options: Mapping[str, Any] = field(default_factory=dict)
    defaults: Mapping[str, Any] = field(default_factory=dict)
    grid: Mapping[str, LogUniform | tuple[Any, ...]] = field(default_factory=dict)
    label: str = ""
    evaluates_again: bool = False
    extra: str | None = None
    place: int | None = None

    def __post_init__(self) -> None:
        if not self.name.strip():
            raise ValueError(f"name must say what the optimizer is called, got {self.name!r}")
        kinds = get_args(ClosureKind)
        if self.closure not in kinds:
            raise ValueError(f"closure must be one of {', '.join(map(repr, kinds))}, got {self.closure!r}")
        if not self.label:
            object.__setattr__(self, "label", self.name)

    @property
    def colour(self) -> str:
        """The colour of its curves."""
        return PALETTE[(self.place or 0) % len(PALETTE)]

    @property
    def marker(self) -> int:
        """The number of its marker and of its line: whoever shares its colour has another."""
        place = self.place or 0
        return (place + 3 * (place // len(PALETTE))) % len(PALETTE)

    @property
    def constructor(self) -> Callable[..., Optimizer]:
        """The class or function that builds it, imported now; an ImportError says what to install."""
        if callable(self.target):
            return self.target
        module, _, name = self.target.partition(":")
        try:
            return getattr(import_module(module), name)
        except ModuleNotFoundError as error:
            if self.extra is None:
                raise
            raise ImportError(
                f'{self.name} comes from {module}, which is not installed: pip install "sofim-lab[{self.extra}]"'
            ) from error

    def builds(self, kind: type) -> bool:
        """Whether this is the entry of a class, or of one that it inherits from; imports nothing."""
        target: Any = self.target
        if isinstance(target, str):
            module, _, name = target.partition(":")
            target = getattr(sys.modules.get(module), name, None)
        return isinstance(target, type) and issubclass(kind, target)
