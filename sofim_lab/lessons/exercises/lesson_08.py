"""Exercises of lesson 08, the benchmark."""

import math
from itertools import combinations

import torch
from torch import Tensor

from sofim_lab.lessons.exercises.exercise import Case, Exercise, Mistake

_ENDS = (0.025, 0.975)


def _target_case(random: torch.Generator, number: int) -> Case:
    """Noisy curves of some seeds: one never gets to the target, one meets it, one does not stay, one begins there."""
    seeds, epochs = ((3, 6), (5, 9), (7, 12), (9, 20), (4, 30))[number % 5]
    falling = torch.linspace(1.0, 0.0, epochs, dtype=torch.float64)
    curves = falling + 0.4 * torch.rand(seeds, epochs, generator=random, dtype=torch.float64)
    target = 0.5
    curves[0] += 1.0  # never
    curves[1, epochs // 2] = target  # meets it
    curves[2, [1, 2, -1]] = torch.tensor([0.4, 0.9, 0.6]).double()  # passes it and comes back, twice
    curves[3:4, 0] = 0.3  # after the first epoch already
    return curves, target, float("1e3")


def _by_counting(losses: Tensor, target: float, never: float) -> Tensor:
    """One more than the number of leading epochs whose running minimum is still above the target."""
    waiting = (torch.cummin(losses, dim=1).values > target).sum(dim=1).double()
    return torch.where(waiting == losses.shape[1], never, waiting + 1)


def _first(losses: Tensor, target: float, never: float, *, strict: bool = False) -> Tensor:
    """The first epoch at the target, or below it."""
    there = losses < target if strict else losses <= target
    return torch.where(there.any(dim=1), there.double().argmax(dim=1) + 1.0, never)


def _late(losses: Tensor, target: float, never: float, by: int = 1) -> Tensor:
    """The first epoch at the target, counted from another column."""
    first = _first(losses, target, never)
    return torch.where(first == never, never, first + by)


def _lowest(losses: Tensor, target: float, never: float) -> Tensor:
    """The epoch with the lowest loss, of the runs that arrive."""
    return torch.where((losses <= target).any(dim=1), losses.argmin(dim=1) + 1.0, never)


def _last(losses: Tensor, target: float, never: float) -> Tensor:
    """The epoch from which on the loss stays at the target."""
    above = (losses > target).double()
    last = above.shape[1] - above.flip(1).argmax(dim=1).double()
    return torch.where(losses[:, -1] <= target, torch.where(above.any(dim=1), last, 0.0) + 1, never)


def _pair_case(random: torch.Generator, number: int) -> Case:
    """Times of two optimizers whose seeds go together, and resamples of the seeds."""
    n = (9, 15, 21, 11, 25)[number % 5]
    theirs = 4 + 20 * torch.rand(n, generator=random, dtype=torch.float64)
    ours = theirs * (0.5 + 0.5 * torch.rand(n, generator=random, dtype=torch.float64))
    return ours, theirs, torch.randint(n, (400, n), generator=random)


def _by_loop(ours: Tensor, theirs: Tensor, picks: Tensor) -> Tensor:
    """One resample at a time, the middle one of the sorted times."""
    middle = picks.shape[1] // 2
    ratios = [float(ours[p].sort().values[middle] / theirs[p].sort().values[middle]) for p in picks]
    return torch.quantile(torch.tensor(ratios, dtype=torch.float64), torch.tensor(_ENDS, dtype=torch.float64))


def _ends(ratios: Tensor, ends: tuple[float, float] = _ENDS) -> Tensor:
    """Two quantiles."""
    return torch.quantile(ratios, torch.tensor(ends, dtype=torch.float64))


def _medians(times: Tensor, picks: Tensor, dim: int = 1) -> Tensor:
    """The median of each resample."""
    return times[picks].median(dim=dim).values


def _budget_case(random: torch.Generator, number: int) -> Case:
    """Losses of all configurations that were tried, and a smaller budget."""
    n, k = ((4, 2), (6, 1), (8, 3), (10, 9), (12, 4))[number % 5]
    return torch.rand(n, generator=random, dtype=torch.float64), k


def _over_subsets(losses: Tensor, k: int) -> Tensor:
    """The mean of the minimum over every subset of k."""
    return torch.stack([losses[list(few)].min() for few in combinations(range(len(losses)), int(k))]).mean()


def _weighted(losses: Tensor, k: int, *, up: bool = True, first: int = 1, others: int = 1) -> Tensor:
    """Σ of sorted losses, each with the probability of being the best of k; ranks from `first`, k − `others` worse."""
    n, k = len(losses), int(k)
    chances = [math.comb(n - i, k - others) / math.comb(n, k) for i in range(first, n + first)]
    return (losses.sort(descending=not up).values * torch.tensor(chances, dtype=torch.float64)).sum()


def _unsorted(losses: Tensor, k: int) -> Tensor:
    """The weights of the ranks, given to the losses as they come."""
    n, k = len(losses), int(k)
    return sum((losses[i] * math.comb(n - 1 - i, k - 1) for i in range(n)), torch.zeros(())) / math.comb(n, k)


def _replaced(losses: Tensor, k: int) -> Tensor:
    """The expected best of k draws with replacement."""
    left = torch.arange(len(losses), -1, -1, dtype=torch.float64) / len(losses)
    return -(losses.sort().values * torch.diff(left ** int(k))).sum()


EXERCISES = (
    Exercise(
        id="08.time_to_target",
        cases=_target_case,
        reference=_by_counting,
        mistakes=(
            Mistake(
                lambda x, target, never: _first(x, target, float(x.shape[1])),
                "A run that never arrives gets the last epoch here: that calls it as fast as one that arrives there. "
                "Give it `never`.",
            ),
            Mistake(
                lambda x, target, never: _first(x, target, 1.0),
                "A run that never arrives gets 1 here, because argmax of nothing but False is 0: the slowest of all "
                "would be the fastest. Give it `never`.",
            ),
            Mistake(_last, "This is the epoch from which on the loss stays there. Asked for is the first one."),
            Mistake(
                lambda x, target, never: _first(x, target, never, strict=True),
                "A loss equal to the target has reached it: ≤, not <.",
            ),
            Mistake(_late, "One too many: column 0 is the loss after epoch 1, so column t is epoch t + 1."),
            Mistake(
                lambda x, target, never: _late(x, target, never, -1),
                "One too few: column 0 is the loss after epoch 1, so column t is epoch t + 1.",
            ),
            Mistake(
                lambda x, target, never: torch.where(x[:, -1] <= target, _first(x, target, never), never),
                "A run that was at the target and ends above it counts as never there. It has been there: the first "
                "epoch is asked for, wherever the run ends.",
            ),
            Mistake(
                lambda x, target, never: _first(x, target, math.inf),
                "A run that never arrives gets inf or nan here. What stands for it is an argument: give it `never`.",
            ),
            Mistake(_lowest, "This is the epoch with the lowest loss. Asked for is the first one at the target."),
            Mistake(
                lambda x, target, never: _first(-x, -target, never),
                "The comparison is the wrong way round: a loss is there when it is at most the target, ≤.",
            ),
        ),
        hints=(
            "losses <= target is a table of truth values, a row a seed. You need the first True of each row.",
            "there.double().argmax(dim=1) gives the place of the first largest entry, and 0 where all are False. "
            "Place 0 is epoch 1.",
            "torch.where(there.any(dim=1), place + 1, never)",
        ),
        otherwise="Try one row: the losses 3, 1, 2, 1 with the target 1 give 2, with the target 0.5 they give never.",
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
                lambda a, b, p: _ends(_medians(a, p) / _medians(b, p), (0.0, 1.0)),
                "These are the smallest and the largest of all ratios. A 95 % interval leaves out 2.5 % on each side.",
            ),
            Mistake(
                lambda a, b, p: _ends(_medians(a, p) / b.median()),
                "Only ours is resampled. A resample chooses seeds, and a seed stands for both optimizers.",
            ),
            Mistake(
                lambda a, b, p: _ends(a.median() / _medians(b, p)),
                "Only theirs is resampled. A resample chooses seeds, and a seed stands for both optimizers.",
            ),
            Mistake(
                lambda a, b, p: _ends(_medians(a, p, 0) / _medians(b, p, 0)),
                "These are medians over the draws. A row of picks is a draw: the median is along dim=1.",
            ),
            Mistake(
                lambda a, b, p: _ends(_medians(a, p) / _medians(b, p)).flip(0),
                "The ends are exchanged: the 2.5 % quantile comes first.",
            ),
        ),
        hints=(
            "ours[picks] has a row a resample. Its median along dim=1 gives one number for each.",
            "Do the same with theirs[picks], the same picks, and divide.",
            "torch.quantile(ratios, torch.tensor([0.025, 0.975], dtype=ratios.dtype))",
        ),
        otherwise="Check the steps: a median a row of picks for each optimizer, a ratio a row, two quantiles of them.",
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
                lambda x, k: _weighted(x, k, up=False),
                "The order is reversed: the smallest loss is the best, and has the largest weight.",
            ),
            Mistake(
                _replaced, "This draws with replacement. Nobody runs the same configuration twice: subsets, as in (3)."
            ),
            Mistake(_unsorted, "The weights belong to the sorted losses: sort them first."),
            Mistake(
                lambda x, k: _weighted(x, k, first=0),
                "The ranks i begin with 1 in (3): the smallest of n losses has n − 1 larger ones, not n.",
            ),
            Mistake(
                lambda x, k: _weighted(x, k, others=0),
                "The best of k leaves k − 1 others, not k, to be drawn from the n − i larger losses.",
            ),
            Mistake(
                lambda x, k: _weighted(x, k) * math.comb(len(x), int(k)),
                "The weights have to sum to one: divide by the number of subsets, math.comb(n, k).",
            ),
            Mistake(lambda x, k: x.mean(), "That is the mean of all losses: what a budget of one gives."),
        ),
        hints=(
            "Sort the losses. The i-th is the best of a subset if the other k − 1 come from the n − i larger ones.",
            "math.comb(n - i, k - 1) / math.comb(n, k) for i = 1 … n",
            "sum of weight times sorted loss, as a tensor",
        ),
        otherwise="Try the losses 1, 2, 3 with k = 2: the best of the three subsets are 1, 1 and 2, the mean is 4/3.",
    ),
)
