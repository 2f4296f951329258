import copy

import pytest
import torch
from torch import nn

from sofim_lab.problems import mlp
from sofim_lab.training.snapshots import snapshots

LOSS = nn.CrossEntropyLoss()


def test_together_they_move_as_each_would_alone():
    random = torch.Generator().manual_seed(0)
    x = torch.randn(12, 4, generator=random, dtype=torch.float64)
    y = torch.randint(0, 3, (2, 12), generator=random)
    start = mlp((4, 5, 3), device="cpu", dtype=torch.float64)
    runs = snapshots(start, LOSS, x, y, steps=(0, 3, 20), lr=0.1)
    for labels, run in zip(y, runs, strict=True):
        alone = copy.deepcopy(start)
        optimizer = torch.optim.Adam(alone.parameters(), lr=0.1)
        for step in range(21):
            if step in run:
                for mine, theirs in zip(alone.parameters(), run[step].parameters(), strict=True):
                    assert torch.allclose(mine, theirs, rtol=0, atol=1e-10)
            optimizer.zero_grad()
            LOSS(alone(x), labels).backward()
            optimizer.step()
        assert list(run) == [0, 3, 20]


def test_the_start_is_left_as_it_is_and_copies_are_apart():
    start = mlp((2, 2), device="cpu")
    before = [p.detach().clone() for p in start.parameters()]
    (run,) = snapshots(start, LOSS, torch.eye(2), torch.tensor([[0, 1]]), steps=(0, 5))
    assert all(torch.equal(a, b) for a, b in zip(before, start.parameters(), strict=True))
    assert all(torch.equal(a, b) for a, b in zip(before, run[0].parameters(), strict=True))
    assert not torch.equal(run[0][0].weight, run[5][0].weight)


@pytest.mark.parametrize("steps", [(), (-1, 2), (3, 1), (1, 1)])
def test_steps_must_ascend(steps):
    with pytest.raises(ValueError, match="must be ascending numbers"):
        snapshots(mlp((2, 2), device="cpu"), LOSS, torch.eye(2), torch.tensor([[0, 1]]), steps=steps)
