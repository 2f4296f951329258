"""What to tune: an optimizer's name with its settings, and a fair way to draw some of them."""

import copy
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from sofim_lab.optim import registry
from sofim_lab.optim.entry import LogUniform

_DIGITS = 4  # of a drawn number: what a table shows is what was run


@dataclass(frozen=True, eq=False)
class Configuration:
    """An optimizer of the registry at certain settings.

    Two are equal where their keys are: 1 and 1.0 are written differently, so they are two settings.

    Args:
        optimizer: One of `sofim_lab.optim.registry.names()`.
        settings: Its options: numbers, strings, truth values, None, or lists of them. What is not named here stays as
            the registry has it.

    Raises:
        ValueError: The registry does not know the name, the settings are no mapping from names, or one cannot be
            written as JSON.

    Example:
        >>> Configuration("SGD momentum", {"lr": 0.1, "momentum": 0.9}).key
        'bd9c103be7fa'
    """

    optimizer: str
    settings: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        registry.get(self.optimizer)
        if not isinstance(self.settings, Mapping) or not all(isinstance(name, str) for name in self.settings):
            raise ValueError(f"settings={self.settings!r} of {self.optimizer} must map names to values: {{'lr': 0.1}}")
        try:
            json.dumps(dict(self.settings), allow_nan=False)
        except (TypeError, ValueError) as error:
            raise ValueError(
                f"settings={self.settings!r} of {self.optimizer} must be plain finite numbers, strings or lists, "
                f"which a file can hold ({error}); x.item() makes one of a scalar of NumPy or PyTorch"
            ) from None
        # A copy of its own: whoever fills one dictionary in a loop means another configuration each time.
        object.__setattr__(self, "settings", copy.deepcopy(dict(self.settings)))

    @property
    def text(self) -> str:
        """The settings as JSON, sorted: equal settings have equal texts."""
        return json.dumps(self.settings, sort_keys=True)

    @property
    def key(self) -> str:
        """A short name of optimizer and settings, the same in every process and on every machine."""
        return digest([self.optimizer, self.settings])

    def __eq__(self, other: object) -> bool:
        return self.key == other.key if isinstance(other, Configuration) else NotImplemented

    def __hash__(self) -> int:
        return hash(self.key)


def digest(plain: Any) -> str:
    """Twelve hexadecimal digits that stand for plain values, whatever the order of the keys."""
    return hashlib.sha256(json.dumps(plain, sort_keys=True).encode()).hexdigest()[:12]


def draw(optimizer: str, n: int, seed: int = 0) -> list[Configuration]:
    """The registry's defaults, then n − 1 points spread evenly over the optimizer's grid.

    The points are those of a scrambled Halton sequence, which fill the box of all options (ranges in the logarithm)
    more evenly than independent draws, and of which every beginning does: `draw(name, 8)` begins with `draw(name, 4)`.
    Optimizers with the same grid get the same points.

    Args:
        optimizer: One of `sofim_lab.optim.registry.names()`.
        n: How many, 1 or more: the tuning budget.
        seed: Seed of the scrambling.

    Returns:
        n configurations, drawn numbers rounded to four digits.

    Raises:
        ValueError: n is less than 1; the registry does not know the name, or it knows nothing to tune.

    Example:
        >>> [one.settings["lr"] for one in draw("SGD", 3)]
        [0.3, 0.5648, 0.03261]
    """
    entry = registry.get(optimizer)
    if n < 1:
        raise ValueError(f"n={n} must be 1 or more: the first configuration is the optimizer's defaults")
    first = Configuration(optimizer, dict(entry.defaults))
    if n == 1:
        return [first]
    if not entry.grid:
        raise ValueError(f"{optimizer} has no grid to draw from: register it with grid=..., or draw n=1, its defaults")
    from scipy.stats import qmc  # a quarter of a second, which `import sofim_lab` should not pay

    points = qmc.Halton(len(entry.grid), rng=seed).random(n - 1)
    return [first] + [
        Configuration(
            optimizer,
            dict(entry.defaults)
            | {name: _at(grid, float(u)) for (name, grid), u in zip(entry.grid.items(), point, strict=True)},
        )
        for point in points
    ]


def _at(grid: LogUniform | tuple[Any, ...], u: float) -> Any:
    """The value at the share u in [0, 1) of the way through a range or a choice."""
    if isinstance(grid, LogUniform):
        return min(max(float(f"{grid.at(u):.{_DIGITS}g}"), grid.low), grid.high)
    return grid[int(u * len(grid))]
