"""Exercises of lesson 08, the benchmark."""

import math
from itertools import combinations

import torch
from torch import Tensor

from sofim_lab.lessons.exercises.exercise import Case, Exercise, Mistake

_ENDS = (0.025, 0.975)


def _target_case(random: torch.Generator, number: int) -> Case:
    """Noisy curves of some seeds, of which some pass the target and come back, some meet it, and some never do."""
    seeds, epochs = ((3, 6), (5, 9), (7, 12), (9, 20), (4, 30))[number % 5]
    falling = torch.linspace(1.0, 0.0, epochs + 1, dtype=torch.float64)
    curves = falling + 0.4 * torch.rand(seeds, epochs + 1, generator=random, dtype=torch.float64)
    target = 0.5
    curves[0] += 1.0  # never
    curves[1, epochs // 2] = target  # meets it
    curves[2, 1:3] = torch.tensor([0.4, 0.9])  # passes it and comes back
    return curves, target, float("1e3")


def _by_counting(losses: Tensor, target: float, never: float) -> Tensor:
    """The number of leading epochs whose running minimum is still above the target."""
    waiting = (torch.cummin(losses, dim=1).values > target).sum(dim=1).double()
    return torch.where(waiting == losses.shape[1], never, waiting)


def _first(losses: Tensor, target: float, never: float, *, strict: bool = False) -> Tensor:
    """The first epoch at the target, or below it."""
    there = losses < target if strict else losses <= target
    return torch.where(there.any(dim=1), there.double().argmax(dim=1).double(), never)


def _last(losses: Tensor, target: float, never: float) -> Tensor:
    """The epoch from which on the loss stays at the target."""
    above = (losses > target).double()
    last = above.shape[1] - above.flip(1).argmax(dim=1).double()
    return torch.where(losses[:, -1] <= target, torch.where(above.any(dim=1), last, 0.0), never)


def _pair_case(random: torch.Generator, number: int) -> Case:
    """Times of two optimizers whose seeds go together, and resamples of the seeds."""
    n = (5, 7, 9, 5, 9)[number % 5]
    start = 4 + 20 * torch.rand(n, generator=random, dtype=torch.float64)
    ours = (start * (0.7 + 0.3 * torch.rand(n, generator=random, dtype=torch.float64))).round()
    picks = torch.randint(n, (400, n), generator=random)
    return ours, start.round(), picks


def _by_loop(ours: Tensor, theirs: Tensor, picks: Tensor) -> Tensor:
    """One resample at a time, the middle one of the sorted times."""
    middle = picks.shape[1] // 2
    ratios = [float(ours[p].sort().values[middle] / theirs[p].sort().values[middle]) for p in picks]
    return torch.quantile(torch.tensor(ratios, dtype=torch.float64), torch.tensor(_ENDS, dtype=torch.float64))


def _ends(ratios: Tensor, ends: tuple[float, float] = _ENDS) -> Tensor:
    """Two quantiles."""
    return torch.quantile(ratios, torch.tensor(ends, dtype=torch.float64))


def _medians(times: Tensor, picks: Tensor) -> Tensor:
    """The median of each resample."""
    return times[picks].median(dim=1).values


def _budget_case(random: torch.Generator, number: int) -> Case:
    """Losses of all configurations that were tried, and a smaller budget."""
    n, k = ((4, 2), (6, 1), (8, 3), (10, 9), (12, 4))[number % 5]
    return torch.rand(n, generator=random, dtype=torch.float64), k


def _over_subsets(losses: Tensor, k: int) -> Tensor:
    """The mean of the minimum over every subset of k."""
    return torch.stack([losses[list(few)].min() for few in combinations(range(len(losses)), int(k))]).mean()


def _weighted(losses: Tensor, k: int, *, descending: bool = False, replaced: bool = False) -> Tensor:
    """Σ of sorted losses, each with the probability of being the best of k."""
    n, k = len(losses), int(k)
    if replaced:
        ranks = torch.arange(n + 1, dtype=torch.float64)
        weights = -torch.diff(((n - ranks) / n) ** k)
    else:
        weights = torch.tensor([math.comb(n - i, k - 1) / math.comb(n, k) for i in range(1, n + 1)]).double()
    return (losses.sort(descending=descending).values * weights).sum()


EXERCISES = (
    Exercise(
        id="08.time_to_target",
        cases=_target_case,
        reference=_by_counting,
        mistakes=(
            Mistake(
                lambda x, target, never: _first(x, target, float(x.shape[1] - 1)),
                "A run that never arrives gets the last epoch here: that calls it as fast as one that arrives there. "
                "Give it `never`.",
            ),
            Mistake(
                lambda x, target, never: _first(x, target, 0.0),
                "A run that never arrives gets 0 here, because argmax of nothing but False is 0: the slowest of all "
                "would be the fastest. Give it `never`.",
            ),
            Mistake(_last, "This is the epoch from which on the loss stays there. Asked for is the first one."),
            Mistake(
                lambda x, target, never: _first(x, target, never, strict=True),
                "A loss equal to the target has reached it: ≤, not <.",
            ),
            Mistake(
                lambda x, target, never: _first(x, target, never) + 1,
                "One too many: column 0 is the loss before the first step, so column t is epoch t.",
            ),
        ),
        hints=(
            "losses <= target is a table of truth values, a row a seed. You need the first True of each row.",
            "there.double().argmax(dim=1) gives the place of the first largest entry, and 0 where all are False.",
            "torch.where(there.any(dim=1), first, never)",
        ),
    ),
    Exercise(
        id="08.paired_interval",
        cases=_pair_case,
        reference=_by_loop,
        mistakes=(
            Mistake(
                lambda a, b, p: _ends(_medians(a, p) / _medians(b, p.roll(1, 0))),
                "The two optimizers get different resamples here. They ran from the same seeds: use the same picks.",
            ),
            Mistake(
                lambda a, b, p: _ends(_medians(b, p) / _medians(a, p)),
                "The ratio is upside down: ours over theirs.",
            ),
            Mistake(
                lambda a, b, p: _ends((a / b)[p].median(dim=1).values),
                "This is the median of the ratios. Asked for is the ratio of the medians.",
            ),
            Mistake(
                lambda a, b, p: _ends(a[p].mean(dim=1) / b[p].mean(dim=1)),
                "These are means. One run that never arrives makes a mean infinite; take medians.",
            ),
            Mistake(
                lambda a, b, p: _ends(_medians(a, p) / _medians(b, p), (0.05, 0.95)),
                "These ends leave out 10 %. A 95 % interval leaves out 2.5 % on each side.",
            ),
            Mistake(
                lambda a, b, p: _ends(_medians(a, p) / b.median()),
                "Only ours is resampled. A resample chooses seeds, and a seed stands for both optimizers.",
            ),
        ),
        hints=(
            "ours[picks] has a row a resample. Its median along dim=1 gives one number for each.",
            "Do the same with theirs[picks], the same picks, and divide.",
            "torch.quantile(ratios, torch.tensor([0.025, 0.975], dtype=ratios.dtype))",
        ),
    ),
    Exercise(
        id="08.expected_best",
        cases=_budget_case,
        reference=_over_subsets,
        mistakes=(
            Mistake(
                lambda x, k: x.min(),
                "That is the best of all. With a budget of k one may miss it.",
            ),
            Mistake(
                lambda x, k: x[: int(k)].min(),
                "That is the best of the first k, one subset. Average over all subsets of k.",
            ),
            Mistake(
                lambda x, k: x.sort().values[: int(k)].mean(),
                "That is the mean of the k best. Asked for is the mean of the best of k.",
            ),
            Mistake(
                lambda x, k: _weighted(x, k, descending=True),
                "The order is reversed: the smallest loss is the best, and has the largest weight.",
            ),
            Mistake(
                lambda x, k: _weighted(x, k, replaced=True),
                "This draws with replacement. Nobody runs the same configuration twice: subsets, as in (3).",
            ),
        ),
        hints=(
            "Sort the losses. The i-th is the best of a subset if the other k − 1 come from the n − i larger ones.",
            "math.comb(n - i, k - 1) / math.comb(n, k) for i = 1 … n",
            "sum of weight times sorted loss, as a tensor",
        ),
    ),
)
