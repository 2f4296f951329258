"""In which order an epoch shows the samples: shuffled, class by class, or in uneven mixtures of the classes."""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

Order = Callable[[Tensor, int, torch.Generator], Tensor]


@dataclass(frozen=True)
class Stream:
    """How an epoch's batches are drawn from the labels: each sample once, as many batches whatever the order.

    Every stream is computed on the CPU, so that all devices see the same batches, and can be pickled.

    Attributes:
        name: `get` finds it by.
        order: (labels (n,) on the CPU, batch size, generator) to a permutation of 0 … n − 1, shape (n,).

    Example:
        >>> y = torch.tensor([0, 1, 0, 1, 0, 1])
        >>> [len(set(y[batch].tolist())) for batch in sorted_by_class(y, 3, torch.Generator().manual_seed(0))]
        [1, 1]
    """

    name: str
    order: Order

    def __call__(self, labels: Tensor, batch_size: int, generator: torch.Generator) -> Iterator[Tensor]:
        """The batches of one epoch.

        Args:
            labels: Shape (n,), on any device.
            batch_size: Samples a batch, 1 or more; the last batch may be smaller.
            generator: On the CPU; it moves on, the next epoch is another.

        Returns:
            Indices into the labels, int64, on their device.
        """
        order = self.order(labels.cpu(), batch_size, generator)
        return iter(order.to(labels.device).split(batch_size))


def _shuffled(labels: Tensor, batch_size: int, generator: torch.Generator) -> Tensor:
    return torch.randperm(len(labels), generator=generator)


def _sorted_by_class(labels: Tensor, batch_size: int, generator: torch.Generator) -> Tensor:
    """One block a class, the blocks in random order, the samples of a block, too."""
    if not len(labels):
        return torch.arange(0)
    block = torch.randperm(int(labels.max()) + 1, generator=generator)[labels]
    mixed = torch.randperm(len(labels), generator=generator)
    return mixed[torch.argsort(block[mixed], stable=True)]


_EVEN = 1e12  # from here on all shares are equal as far as counts of samples can tell; sums of far larger ones overflow


@dataclass(frozen=True)
class _Dirichlet:
    """Batch by batch: a mixture p from Dirichlet(α, …, α), counts from Multinomial(p), as far as samples are left."""

    alpha: float

    def __call__(self, labels: Tensor, batch_size: int, generator: torch.Generator) -> Tensor:
        random = np.random.default_rng(int(torch.randint(2**62, (), generator=generator)))
        left = [random.permutation(np.flatnonzero(labels.numpy() == c)) for c in np.unique(labels.numpy())]
        batches = [np.empty(0, dtype=np.int64)]
        for start in range(0, len(labels), batch_size):
            missing, batch = min(batch_size, len(labels) - start), []
            while missing:  # a class that runs out leaves the rest of the batch to another mixture of the others
                left = [rows for rows in left if len(rows)]
                counts = random.multinomial(missing, random.dirichlet(np.full(len(left), min(self.alpha, _EVEN))))
                taken = np.minimum(counts, [len(rows) for rows in left])
                batch += [rows[:k] for rows, k in zip(left, taken, strict=True)]
                left = [rows[k:] for rows, k in zip(left, taken, strict=True)]
                missing -= int(taken.sum())
            batches.append(random.permutation(np.concatenate(batch)))
        return torch.from_numpy(np.concatenate(batches))


shuffled = Stream("shuffled", _shuffled)
"""All samples in random order: batches are alike."""

sorted_by_class = Stream("sorted_by_class", _sorted_by_class)
"""Class after class, in a new order each epoch: each batch of one class as far as possible, abrupt concept shift."""


def dirichlet(alpha: float = 0.1) -> Stream:
    """Each batch its own mixture of the classes, drawn from Dirichlet(α, …, α).

    Small α gives batches of one or two classes, large α those of `shuffled`. No sample comes twice in an epoch: where
    a class has run out, the rest of a batch is drawn from the others, so that the last batches of an epoch are the
    most uneven.

    Args:
        alpha: α > 0.

    Returns:
        The stream, `dirichlet` for α = 0.1, else `dirichlet(α)`.

    Raises:
        ValueError: alpha is not a positive number.

    Example:
        >>> dirichlet(0.5).name, get("dirichlet(0.5)") == dirichlet(0.5)
        ('dirichlet(0.5)', True)
    """
    if isinstance(alpha, str) or alpha is None or not 0 < float(alpha) < np.inf:
        raise ValueError(f"alpha={alpha!r} must be a positive number: 0.1 gives batches of one or two classes")
    alpha = float(alpha)  # the name of 1 is that of 1.0, and no scalar of NumPy is in it
    return Stream("dirichlet" if alpha == 0.1 else f"dirichlet({alpha!r})", _Dirichlet(alpha))


STREAMS: dict[str, Stream] = {stream.name: stream for stream in (shuffled, sorted_by_class, dirichlet())}


def get(name: str | Stream) -> Stream:
    """The stream of a name.

    Args:
        name: A key of `STREAMS`, or `dirichlet(α)` with a number, e.g. `dirichlet(0.5)`; or the stream itself.

    Returns:
        The stream.

    Raises:
        ValueError: There is none of that name, or it is no name.

    Example:
        >>> get("sorted_by_class") is sorted_by_class
        True
    """
    if isinstance(name, Stream):
        return name
    if not isinstance(name, str):
        raise ValueError(f"stream={name!r} must be a Stream or a name: there are {', '.join(STREAMS)}")
    if name in STREAMS:
        return STREAMS[name]
    number = re.fullmatch(r"dirichlet\((\d+(?:\.\d*)?(?:e[+-]?\d+)?)\)", name)
    if number is None:
        raise ValueError(f"no stream is called {name!r}: there are {', '.join(STREAMS)} and, say, dirichlet(0.5)")
    return dirichlet(float(number[1]))
