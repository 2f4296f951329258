"""All data sets by name."""

from collections.abc import Callable
from dataclasses import dataclass

import torch

from sofim_lab.problems.dataset import Dataset
from sofim_lab.problems.digits import load_digits
from sofim_lab.problems.openml import SOURCES, load_openml
from sofim_lab.problems.variants import ill_conditioned_digits, noisy_digits

Loader = Callable[[str | torch.device, torch.dtype, int], Dataset]


@dataclass(frozen=True)
class DatasetEntry:
    """A data set as sweeps, benchmarks and tables need to know it.

    Attributes:
        title: What figures call it.
        load: From device, dtype and seed to the data.
        needs_download: Whether the first use needs the network.
        model: A model of `sofim_lab.problems.models` that suits it.
    """

    title: str
    load: Loader
    needs_download: bool
    model: str


def _openml(name: str, title: str, model: str) -> DatasetEntry:
    """The entry of a data set that is downloaded; its split is fixed, there is nothing to draw."""
    return DatasetEntry(title, lambda device, dtype, seed: load_openml(SOURCES[name], device, dtype), True, model)


DATASETS: dict[str, DatasetEntry] = {
    "digits": DatasetEntry("digits", lambda device, dtype, seed: load_digits(device, dtype), False, "mlp"),
    "digits-ill-conditioned": DatasetEntry("digits, ill-conditioned", ill_conditioned_digits, False, "mlp"),
    "digits-noisy": DatasetEntry("digits, noisy labels", noisy_digits, False, "mlp"),
    "mnist": _openml("mnist", "MNIST", "cnn"),
    "fashion-mnist": _openml("fashion-mnist", "Fashion-MNIST", "cnn"),
    "svhn": _openml("svhn", "SVHN", "resnet9"),
    "cifar10": _openml("cifar10", "CIFAR-10", "resnet9"),
}


def load_dataset(
    name: str, device: str | torch.device = "auto", dtype: torch.dtype = torch.float32, seed: int = 0
) -> Dataset:
    """A data set by its name.

    Args:
        name: A key of `DATASETS`.
        device: `auto`, `cpu`, `cuda`, `mps` or a `torch.device`; see `resolve_device`.
        dtype: Floating type of the samples.
        seed: Of what is drawn: the wrong labels of `digits-noisy`, the order of the scales of
            `digits-ill-conditioned`. The split into train, val and test is the same for every seed.

    Returns:
        The data set.

    Raises:
        ValueError: There is none of that name, the device does not exist here, dtype is no floating type, or what was
            downloaded is not what it should be.
        ConnectionError: It has to be downloaded, and that is not possible; see `sofim_lab.problems.openml`.
        OSError: Its cache cannot be read or written.

    Example:
        >>> load_dataset("digits", "cpu").shape
        (1, 8, 8)
    """
    if name not in DATASETS:
        raise ValueError(f"no data set is called {name!r}: there are {', '.join(DATASETS)}")
    return DATASETS[name].load(device, dtype, seed)
