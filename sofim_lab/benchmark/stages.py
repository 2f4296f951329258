"""The stages of the benchmark: which configurations are run on a task, from the tuning to the ablations."""

from collections.abc import Mapping
from functools import partial

from sofim_lab.benchmark.protocol import Protocol
from sofim_lab.training import Configuration, draw

SCALAR = "SOFIM as one scalar"
Selected = Mapping[str, Configuration]


def tuned(protocol: Protocol) -> list[Configuration]:
    """The same number of configurations for every optimizer, its defaults first.

    Example:
        >>> from sofim_lab.benchmark import DIGITS
        >>> len(tuned(DIGITS)) == DIGITS.configurations * len(DIGITS.optimizers)
        True
    """
    return [one for name in protocol.optimizers for one in draw(name, protocol.configurations)]


def judged(selected: Selected) -> dict[str, Configuration]:
    """What is run on the final seeds: each optimizer as selected, and SOFIM once more, written as one scalar."""
    return {**selected, SCALAR: Configuration(SCALAR, selected["SOFIM"].settings)}


def scanned(protocol: Protocol, selected: Selected) -> dict[str, dict[float, Configuration]]:
    """Multiples of the selected learning rate by optimizer and factor, the other settings as selected."""
    return {
        name: {
            factor: Configuration(name, {**selected[name].settings, "lr": factor * selected[name].settings["lr"]})
            for factor in protocol.factors
        }
        for name in protocol.scanned
    }


def ablated(selected: Selected) -> dict[str, Configuration]:
    """SOFIM as selected with one change each; the first is SOFIM unchanged.

    Example:
        >>> cut = ablated({"SOFIM": Configuration("SOFIM", {"lr": 1.0, "rho": 0.5, "beta": 0.9})})
        >>> cut["ρ × 10"].settings["rho"], cut["ρ × 10, η × 10"].settings["lr"]
        (5.0, 10.0)
    """
    base = dict(selected["SOFIM"].settings)
    sofim = partial(Configuration, "SOFIM")
    cut = {
        "as selected": sofim(base),
        "no bias correction": Configuration(SCALAR, {**base, "bias_correction": False}),
        "β = 0": sofim({**base, "beta": 0.0}),
        "gradient direction": sofim({**base, "direction": "gradient"}),
        "a block a tensor": sofim({**base, "blocks": "tensor"}),
    }
    for factor in (0.01, 0.1, 10.0, 100.0):
        other = {**base, "rho": factor * base["rho"]}
        cut[f"ρ × {factor:g}"] = sofim(other)
        cut[f"ρ × {factor:g}, η × {factor:g}"] = sofim({**other, "lr": factor * base["lr"]})
    return cut
