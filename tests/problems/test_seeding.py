"""Seeds that bind what is drawn inside, and nothing else."""

import pytest
import torch

from sofim_lab.problems import mlp
from sofim_lab.problems.seeding import seeded


def test_what_is_drawn_depends_on_the_seed_and_what_follows_does_not():
    torch.manual_seed(0)
    expected = torch.rand(2)
    torch.manual_seed(0)
    with seeded(5):
        inside = torch.rand(2)
    assert torch.equal(torch.rand(2), expected)
    assert torch.equal(inside, torch.rand(2, generator=torch.Generator().manual_seed(5)))


@pytest.mark.parametrize("module", [torch.cuda, torch.mps])
def test_a_device_that_is_not_asked_for_keeps_its_state(monkeypatch, module):
    """`torch.manual_seed` would seed it, and nobody would put it back."""
    seeds = []
    for name in ("manual_seed", "manual_seed_all"):
        monkeypatch.setattr(module, name, seeds.append, raising=False)
    mlp((4, 2), seed=3, device="cpu")
    assert seeds == []


@pytest.mark.gpu
def test_a_cuda_device_is_seeded_and_put_back():
    cuda = torch.device("cuda")
    before = torch.cuda.get_rng_state(cuda)
    drawn = []
    for _ in range(2):
        with seeded(5, cuda):
            drawn.append(torch.rand(2, device=cuda))
    assert torch.equal(*drawn)
    assert torch.equal(torch.cuda.get_rng_state(cuda), before)
