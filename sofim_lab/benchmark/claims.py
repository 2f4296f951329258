"""The claims as data, and the rule that gives each its verdict."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from sofim_lab.benchmark.intervals import Interval, exact_ratio, paired_ratio
from sofim_lab.benchmark.protocol import MEASURES
from sofim_lab.benchmark.results import Benchmark, Final
from sofim_lab.benchmark.targets import UNITS
from sofim_lab.optim import registry

Status = Literal["supported", "not supported", "undecided"]
Unit = Literal["epoch", "gradient_evaluations", "seconds", "seconds an epoch", "bytes of state"]
Source = Literal["paper", "ours", "control"]


@dataclass(frozen=True)
class Claim:
    """SOFIM takes less of something than a rival.

    Args:
        text: The claim in words.
        rival: Whom SOFIM is compared with, a name of the registry.
        unit: What is compared: `epoch` or `gradient_evaluations` (to target), `seconds` (to target), `seconds an epoch`
            or `bytes of state`.
        shifted: Whether it is about the shifted streams instead of the shuffled ones.
        threshold: The interval of the ratio has to lie below it.
        source: Who says so: `paper`; `ours` for what one may expect of it and it does not say; `control` for a
            comparison that it did not make.
    """

    text: str
    rival: str
    unit: Unit = "epoch"
    shifted: bool = False
    threshold: float = 1.0
    source: Source = "paper"


def _fewer(rival: str, source: Source = "paper") -> Claim:
    """The claim on epochs."""
    return Claim(f"fewer epochs to the targets than {registry.get(rival).label}", rival, source=source)


CLAIMS = (
    *map(_fewer, ("SGD momentum", "L-BFGS", "AdaHessian", "NystromSGD")),
    Claim("an epoch takes no longer than with SGD with momentum", "SGD momentum", "seconds an epoch", threshold=1.1),
    Claim("no more state than SGD with momentum", "SGD momentum", "bytes of state", threshold=1.1),
    Claim("fewer seconds to the targets than SGD with momentum", "SGD momentum", "seconds", source="ours"),
    Claim("under concept shift the first moment saves epochs", "SOFIM without moment", shifted=True),
    Claim("under concept shift fewer epochs than SGD with momentum", "SGD momentum", shifted=True, source="ours"),
    *(
        _fewer(rival, "control")
        for rival in ("constant-rate mean", "clipped mean", "normalised mean", "Adam", "SGD", "SOFIM gradient")
    ),
)


@dataclass(frozen=True)
class Verdict:
    """What the measurements say about a claim on a data set.

    Attributes:
        claim: The claim.
        data: Name of the data set.
        status: `supported`, `not supported` or `undecided`.
        ratio: SOFIM's over the rival's; None where nothing was measured.
        cells: How many cells (task and measure) it is made of, and how many of these by themselves would be supported,
            not supported and undecided.
        reason: Why it is undecided without a ratio, e.g. `not run`.
    """

    claim: Claim
    data: str
    status: Status
    ratio: Interval | None = None
    cells: tuple[int, int, int, int] = (0, 0, 0, 0)
    reason: str = ""

    def __str__(self) -> str:
        head = f"{self.data}: {self.claim.text}: {self.status}"
        if self.ratio is None:
            return f"{head}: {self.reason}"
        count, yes, no, open_ = self.cells
        return (
            f"{head}; ratio {self.ratio} of {count} cell{'s' * (count > 1)} "
            f"({yes} supported, {no} not supported, {open_} undecided by themselves)"
        )


def decide(ratio: Interval, threshold: float = 1.0) -> Status:
    """The rule: supported below the threshold, not supported at or above it, undecided where it lies within.

    Example:
        >>> decide(Interval(0.8, 0.7, 0.9)), decide(Interval(1.0, 1.0, 1.0)), decide(Interval(0.8, 0.7, 1.0))
        ('supported', 'not supported', 'undecided')
    """
    if ratio.high < threshold:
        return "supported"
    return "not supported" if ratio.low >= threshold else "undecided"


def judge(claim: Claim, data: str, found: Benchmark, costs: pd.DataFrame | None = None) -> Verdict:
    """The verdict on a claim on one data set.

    Args:
        claim: One of `CLAIMS`.
        data: Name of the data set.
        found: What was run.
        costs: Of `measure_costs`, for what is in seconds or bytes.

    Returns:
        `Verdict`; undecided if the data set was not run, or the rival, or the costs were not measured, and where
        there is one seed alone (of costs: one round; bytes are counted, and one count decides).
    """
    finals = [one for one in found.on(data, shifted=claim.shifted) if claim.rival in one.chosen]
    if not finals:
        return Verdict(claim, data, "undecided", reason="not run")
    if claim.unit not in UNITS:
        measured = set() if costs is None else set(zip(costs["task"], costs["optimizer"], strict=True))
        both = ("SOFIM", claim.rival)
        finals = [one for one in finals if all((one.task.title, name) in measured for name in both)]
        if not finals:
            return Verdict(claim, data, "undecided", reason="costs not measured")
    once = claim.unit in ("seconds an epoch", "bytes of state")  # whatever the target
    names = ("train_loss",) if once else tuple(MEASURES)
    pairs = [_pair(claim, one, measure, costs) for one in finals for measure in names]
    ours, theirs = (np.stack(side) for side in zip(*pairs, strict=True))
    compare = exact_ratio if claim.unit == "bytes of state" else paired_ratio
    alone = [decide(compare(a, b), claim.threshold) for a, b in zip(ours, theirs, strict=True)]
    counts = (alone.count("supported"), alone.count("not supported"), alone.count("undecided"))
    ratio = compare(ours, theirs)
    return Verdict(claim, data, decide(ratio, claim.threshold), ratio, (len(alone), *counts))


def judge_all(
    found: Benchmark, data: Sequence[str], costs: pd.DataFrame | None = None, claims: Sequence[Claim] = CLAIMS
) -> list[Verdict]:
    """The verdict on every claim for every data set, claim by claim."""
    return [judge(claim, name, found, costs) for claim in claims for name in data]


def _pair(
    claim: Claim, final: Final, measure: str, costs: pd.DataFrame | None
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """SOFIM's and the rival's numbers in one cell."""
    if claim.unit in UNITS:
        times = final.times(measure, claim.unit)
        return times["SOFIM"], times[claim.rival]
    own = pd.DataFrame(costs)
    own = own[own["task"] == final.task.title].sort_values("round")
    column = "state_bytes" if claim.unit == "bytes of state" else "seconds"
    spent = {name: own.loc[own["optimizer"] == name, column].to_numpy(float) for name in ("SOFIM", claim.rival)}
    if claim.unit != "seconds":
        return spent["SOFIM"], spent[claim.rival]
    times = final.times(measure)
    return times["SOFIM"] * np.median(spent["SOFIM"]), times[claim.rival] * np.median(spent[claim.rival])
