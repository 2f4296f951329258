"""The same seed gives the same numbers, to the last digit, on the same machine with the same number of threads."""

import pytest

from sofim_lab.lessons.running.runner import run_lessons

pytestmark = pytest.mark.slow

TRAIN = """
import torch
from sofim_lab import SOFIM
from sofim_lab.lessons import metric
from sofim_lab.problems import load_digits, mlp
from sofim_lab.training import train
model = mlp(seed=SEED, device="cpu")
result = train(model, load_digits("cpu"), SOFIM(model.parameters(), lr=1.0, rho=0.5), epochs=1, seed=SEED)
metric("train_loss", result.final.train_loss)
metric("norm", torch.cat([p.detach().flatten() for p in model.parameters()]).norm())
"""


def test_the_same_seed_gives_the_same_numbers(make_lesson, tmp_path):
    other = "DEVICE = 'auto'\nPROFILE = 'quick'\nSEED = 1"
    lessons = [make_lesson("01_a", TRAIN), make_lesson("02_a", TRAIN), make_lesson("03_b", TRAIN, parameters=other)]
    runs = run_lessons(lessons, output=tmp_path / "out", device="cpu", jobs=2, threads=1, progress=False)
    first, again, seeded = ([(m.name, m.value) for m in run.metrics] for run in runs)
    assert len(first) == 2, runs[0].failure
    assert first == again
    assert all(one != two for one, two in zip(first, seeded, strict=True))
