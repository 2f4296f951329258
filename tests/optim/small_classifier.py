"""A classifier of 43 parameters with its data, for tests against whole matrices."""

import torch
from torch import nn

WIDE = torch.float64
CE = nn.CrossEntropyLoss()


def net(seed=0, dtype=WIDE):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return nn.Sequential(nn.Linear(4, 5), nn.Tanh(), nn.Linear(5, 3)).to(dtype)


def batch(n=10, seed=1, dtype=WIDE):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(n, 4, generator=generator, dtype=dtype), torch.randint(0, 3, (n,), generator=generator)


def vector(model):
    return nn.utils.parameters_to_vector(model.parameters()).detach().clone()
