"""All optimizers by name: what a race, a sweep and a figure need to know of each, in one place."""

import difflib
from collections.abc import Iterable, Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Any

from torch import nn
from torch.optim import Optimizer

from sofim_lab.optim.controls import BETAS, CONTROLS, SOFIM_GRID
from sofim_lab.optim.entry import ClosureKind, Entry, LogUniform

__all__ = ["OWN", "Entry", "LogUniform", "closure_kind", "get", "make", "names", "register", "unregister"]

_OURS = "sofim_lab.optim"
_DAMPING_GRID = {"damping": LogUniform(1e-4, 1.0)}

_entries: dict[str, Entry] = {}


def names() -> tuple[str, ...]:
    """The names of all optimizers, in the order in which they were registered.

    Example:
        >>> names()[:3]
        ('SOFIM', 'SGD momentum', 'Adam')
    """
    return tuple(_entries)


def get(name: str) -> Entry:
    """The entry of a name.

    Args:
        name: One of `names()`.

    Returns:
        The entry.

    Raises:
        ValueError: There is none of that name; the message lists those there are.

    Example:
        >>> get("Newton").closure
        'loss'
    """
    if name not in _entries:
        folded = {known.casefold(): known for known in _entries}
        close = difflib.get_close_matches(str(name).casefold(), folded, n=1, cutoff=0.5)
        hint = f"did you mean {folded[close[0]]!r}? " if close else ""
        raise ValueError(f"no optimizer is called {name!r}: {hint}There are {', '.join(_entries)}")
    return _entries[name]


def make(name: str, params: Iterable[Any], **options: Any) -> Optimizer:
    """Build an optimizer by name.

    Args:
        name: One of `names()`.
        params: Parameters or groups, as in every `torch.optim.Optimizer`.
        **options: Settings in place of the entry's `defaults` and `options`.

    Returns:
        The optimizer.

    Raises:
        ValueError: There is none of that name.
        ImportError: It comes from a package that is not installed; the message says what to install.

    Example:
        >>> make("SOFIM", nn.Linear(2, 1).parameters(), rho=0.1).param_groups[0]["rho"]
        0.1
    """
    entry = get(name)
    return entry.constructor(params, **{**entry.options, **entry.defaults, **options})


def register(entry: Entry, *, replacing: bool = False) -> Entry:
    """Add an optimizer of one's own, so that races, sweeps and figures know it by name.

    Args:
        entry: What there is to know.
        replacing: Whether it takes the place of the entry of that name.

    Returns:
        The entry as it is kept, with a place among the looks.

    Raises:
        ValueError: The name is taken.

    Example:
        >>> import torch
        >>> register(Entry("SGD, Nesterov", torch.optim.SGD, options={"nesterov": True, "momentum": 0.9})).marker
        2
        >>> make("SGD, Nesterov", nn.Linear(2, 1).parameters()).param_groups[0]["nesterov"]
        True
        >>> _ = unregister("SGD, Nesterov")
    """
    known = _entries.get(entry.name)
    if known is not None and not replacing:
        raise ValueError(f"the name {entry.name!r} is taken: choose another, or pass replacing=True")
    if entry.place is None:
        taken = {other.place for other in _entries.values()}
        free = next(place for place in range(len(taken) + 1) if place not in taken)
        entry = replace(entry, place=free if known is None else known.place)
    _entries[entry.name] = entry
    return entry


def unregister(name: str) -> Entry:
    """Take an optimizer out again; returns its entry."""
    get(name)
    return _entries.pop(name)


def closure_kind(optimizer: Optimizer) -> ClosureKind:
    """What the closure for `optimizer.step` must do, see `Entry.closure`.

    An optimizer's attribute `closure_kind` counts, then the entry of its class; others are taken to want what torch's
    own do, `"gradient"`.

    Args:
        optimizer: Any optimizer.

    Returns:
        The kind.

    Example:
        >>> import torch
        >>> closure_kind(torch.optim.SGD(nn.Linear(2, 1).parameters()))
        'gradient'
    """
    own = getattr(optimizer, "closure_kind", None)
    if own is not None:
        return own
    kinds = (entry.closure for entry in reversed(_entries.values()) if entry.builds(type(optimizer)))
    return next(kinds, "gradient")


# The order gives the colours: the first seven differ, and the next ones share those of their relatives.
for _entry in (
    Entry(
        "SOFIM",
        f"{_OURS}.sofim:SOFIM",
        defaults={"lr": 1.0, "rho": 0.5, "beta": 0.9},
        grid=SOFIM_GRID,
    ),
    Entry(
        "SGD momentum",
        "torch.optim:SGD",
        defaults={"lr": 0.1, "momentum": 0.9},
        grid={"lr": LogUniform(1e-3, 1.0), "momentum": BETAS},
        label="SGD with momentum",
    ),
    Entry(
        "Adam",
        "torch.optim:Adam",
        defaults={"lr": 0.01},
        grid={"lr": LogUniform(1e-4, 0.1)},
    ),
    # Weights that sum to one: SOFIM's average without its matrix, its limit for large ρ at η/ρ = lr.
    Entry(
        "EMA momentum",
        "torch.optim:SGD",
        options={"momentum": 0.9, "dampening": 0.9},
        defaults={"lr": 1.0},
        grid={"lr": LogUniform(0.01, 10.0)},
        label="averaged momentum",
    ),
    Entry(
        "NaturalGradient",
        f"{_OURS}.natural_gradient:NaturalGradient",
        closure="loss and outputs",
        options={"loss_fn": nn.CrossEntropyLoss()},  # the likelihood: pass loss_fn= for another
        defaults={"damping": 0.01},
        grid=_DAMPING_GRID,
        label="natural gradient",
        evaluates_again=True,
    ),
    Entry(
        "Newton",
        f"{_OURS}.newton:Newton",
        closure="loss",
        defaults={"damping": 0.01},
        grid=_DAMPING_GRID,
        evaluates_again=True,
    ),
    Entry(
        "L-BFGS",
        "torch.optim:LBFGS",
        options={"line_search_fn": "strong_wolfe"},
        defaults={"lr": 1.0, "max_iter": 10, "history_size": 10},
        grid={"lr": LogUniform(0.05, 1.0), "history_size": (5, 10, 20)},
        evaluates_again=True,
    ),
    Entry(
        "SOFIM gradient",
        f"{_OURS}.sofim:SOFIM",
        options={"direction": "gradient"},
        defaults={"lr": 0.1, "rho": 0.5, "beta": 0.9},
        grid=SOFIM_GRID,
        label="SOFIM, gradient direction",
    ),
    Entry(
        "SGD",
        "torch.optim:SGD",
        defaults={"lr": 0.3},
        grid={"lr": LogUniform(1e-2, 3.0)},
    ),
    Entry(
        "AdaHessian",
        "pytorch_optimizer:AdaHessian",
        closure="create_graph",
        defaults={"lr": 0.1},
        grid={"lr": LogUniform(1e-2, 1.0), "hessian_power": (0.5, 1.0)},
        extra="bench",
    ),
    Entry(
        "LowRankFisher",
        f"{_OURS}.low_rank:LowRankFisher",
        closure="losses",
        defaults={"lr": 0.5, "rho": 0.5, "k": 8},
        grid={"lr": LogUniform(0.01, 10.0), "rho": LogUniform(0.01, 10.0), "k": (1, 4, 16)},
        label="k-row Fisher",
    ),
    Entry(
        "NystromSGD",
        f"{_OURS}.nystrom:NystromSGD",
        closure="loss",
        defaults={"lr": 1.0, "rho": 1.0, "rank": 20},
        grid={"lr": LogUniform(0.05, 5.0), "rho": LogUniform(0.05, 5.0), "rank": (5, 20, 50)},
        label="Nyström-SGD",
    ),
    *CONTROLS,
):
    register(_entry)

OWN: Mapping[str, Entry] = MappingProxyType(dict(_entries))
"""The entries of this package, whatever was registered in their place."""
