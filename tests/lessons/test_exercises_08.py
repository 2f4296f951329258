"""Other right answers than the folded solutions; what holds for every exercise is in test_every_exercise.py."""

import numpy as np
import pandas as pd
import pytest
import torch

from sofim_lab.benchmark import resamples
from sofim_lab.benchmark import time_to_target as time_of_the_benchmark
from sofim_lab.benchmark.intervals import quantile
from sofim_lab.lessons.checking import judge
from sofim_lab.lessons.exercises import find_exercise


def time_to_target(losses, target, never):
    there = losses <= target
    return torch.where(there.any(dim=1), there.double().argmax(dim=1) + 1.0, never)


def paired_interval(ours, theirs, picks):
    ratios = ours[picks].median(dim=1).values / theirs[picks].median(dim=1).values
    return torch.quantile(ratios, torch.tensor([0.025, 0.975], dtype=ratios.dtype))


def by_numpy(ours, theirs, picks):
    ratios = np.median(ours.numpy()[picks], axis=1) / np.median(theirs.numpy()[picks], axis=1)
    return torch.tensor(np.quantile(ratios, [0.025, 0.975]))


def expected_best(losses, k):
    n = len(losses)
    chance = torch.full((n,), k / n, dtype=torch.float64)  # P(the best of k has rank i), one rank after the other
    for i in range(1, n):
        chance[i] = chance[i - 1] * (n - k - i + 1) / (n - i)
    return (losses.sort().values * chance).sum()


RIGHT = [
    ("08.time_to_target", time_to_target),
    ("08.paired_interval", paired_interval),
    ("08.paired_interval", by_numpy),
    ("08.expected_best", expected_best),
]


@pytest.mark.parametrize(("id", "answer"), RIGHT)
def test_a_right_answer_is_right(id, answer):
    assert judge(find_exercise(id), answer).solved


def test_the_library_has_the_same_interval_for_all_resamples():
    """With every order once instead of drawn ones, the exercise's interval is the benchmark's."""
    places, probabilities = resamples(5)
    ours, theirs = torch.tensor([3.0, 5, 7, 8, 9]), torch.tensor([4.0, 4, 9, 8, 12])
    copies = np.round(probabilities * 5**5).astype(int)
    picks = torch.tensor(np.repeat(places, copies, axis=0))
    assert len(picks) == 5**5
    ratios = np.median(ours.numpy()[places], axis=1) / np.median(theirs.numpy()[places], axis=1)
    low, high = paired_interval(ours, theirs, picks).tolist()
    assert low == pytest.approx(quantile(ratios, probabilities, 0.025), rel=1e-6)
    assert high == pytest.approx(quantile(ratios, probabilities, 0.975), rel=1e-6)


def test_the_benchmark_has_the_same_times():
    """Also where the target holds before the first step, which the exercise does not know of."""
    curves = torch.rand(6, 8, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    curves[0, 0], curves[1] = 0.0, 1.0
    rows = [
        {"configuration": "a", "seed": seed, "epoch": epoch, "train_loss": float(loss)}
        for seed, losses in enumerate(curves)
        for epoch, loss in enumerate(losses)
    ]
    found = time_of_the_benchmark(pd.DataFrame(rows), "train_loss", 0.2)
    assert find_exercise("08.time_to_target").reference(curves[:, 1:], 0.2, float("inf")).tolist() == found.tolist()
