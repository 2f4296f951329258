"""Random numbers: drawn from a seed alone, or left as if nobody had drawn any."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch


@contextmanager
def seeded(seed: int, device: torch.device | None = None) -> Iterator[None]:
    """Whatever draws inside depends on the seed alone, and whoever draws next on neither.

    Args:
        seed: Of torch's global generators.
        device: Where random numbers are drawn besides the CPU. Other devices are left alone.

    Example:
        >>> with seeded(3):
        ...     a = torch.rand(2)
        >>> with seeded(3):
        ...     torch.equal(torch.rand(2), a)
        True
    """
    device = torch.device("cpu") if device is None else device
    with preserved_random_state(device):
        torch.default_generator.manual_seed(int(seed))  # torch.manual_seed would seed every device's, for good
        if device.type == "cuda":
            with torch.cuda.device(device):
                torch.cuda.manual_seed(int(seed))
        elif device.type != "cpu":
            torch.get_device_module(device).manual_seed(int(seed))
        yield


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


def random_state(device: torch.device) -> tuple[torch.Tensor, ...]:
    """The states of the random number generators that a forward pass on this device could draw from."""
    if device.type == "cpu":
        return (torch.get_rng_state(),)
    backend = torch.get_device_module(device)
    return torch.get_rng_state(), backend.get_rng_state(device) if device.type == "cuda" else backend.get_rng_state()


def restore_random_state(device: torch.device, state: tuple[torch.Tensor, ...]) -> None:
    """Put back what `random_state` returned."""
    torch.set_rng_state(state[0])
    if device.type != "cpu":
        backend = torch.get_device_module(device)
        backend.set_rng_state(state[1], device) if device.type == "cuda" else backend.set_rng_state(state[1])
