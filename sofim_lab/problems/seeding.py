"""Random numbers that depend on a seed alone."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch


@contextmanager
def seeded(seed: int, device: torch.device | None = None) -> Iterator[None]:
    """Whatever draws inside depends on the seed alone, and whoever draws next on neither.

    Args:
        seed: Of torch's global generators.
        device: Where else than on the CPU random numbers are drawn.

    Example:
        >>> with seeded(3):
        ...     a = torch.rand(2)
        >>> with seeded(3):
        ...     torch.equal(torch.rand(2), a)
        True
    """
    with torch.random.fork_rng(devices=[device] if device is not None and device.type == "cuda" else []):
        torch.manual_seed(seed)
        yield
