"""A copy of a model to move about in, so that the model itself is never touched, whatever happens."""

import copy
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from sofim_lab.curvature._modules import random_state, restore_random_state


def working_copy(model: nn.Module) -> nn.Module:
    """A deep copy with parameters, buffers and modes of its own; nothing done to it reaches the model."""
    # copy.deepcopy refuses tensors with a graph, which old-style weight norm keeps as attributes.
    kept = (value for module in model.modules() for value in vars(module).values() if isinstance(value, Tensor))
    memo = {id(value): value.detach().clone() for value in kept if not value.is_leaf}
    twin = copy.deepcopy(model, memo)
    for p in twin.parameters():
        p.grad = None
    return twin


@contextmanager
def preserved_random_state(device: torch.device, *generators: torch.Generator | None) -> Iterator[None]:
    """Leave the random numbers that follow as if nothing had been drawn here."""
    before, own = random_state(device), [(g, g.get_state()) for g in generators if g is not None]
    try:
        yield
    finally:
        restore_random_state(device, before)
        for generator, state in own:
            generator.set_state(state)
