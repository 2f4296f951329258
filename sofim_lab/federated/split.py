"""Training samples dealt to clients whose mixtures of classes differ."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor


def dirichlet_split(labels: Tensor, clients: int, alpha: float, *, seed: int = 0) -> tuple[Tensor, ...]:
    """Deal every sample to one of K clients; how unlike their classes are mixed is set by α.

    For each class the shares of the clients are drawn from a Dirichlet distribution with K parameters α, and the
    class's samples, shuffled, are cut by them. α → ∞ gives every client the same share of each class; with α near 0 a
    class goes to few clients. A client left without any sample gets one of the client that has most.

    Args:
        labels: Class of each sample, shape (n,), integers.
        clients: K, from 1 to n.
        alpha: α > 0.
        seed: Seed of the shares and of the shuffling.

    Returns:
        K tensors of indices into `labels`, each sorted and not empty; every index is in just one of them.

    Raises:
        ValueError: An argument is out of its range.

    Example:
        >>> labels = torch.arange(1000) % 10
        >>> parts = dirichlet_split(labels, clients=4, alpha=0.1)
        >>> sum(len(part) for part in parts), bool((torch.cat(parts).sort().values == torch.arange(1000)).all())
        (1000, True)

    References:
        T.-M. H. Hsu, H. Qi, M. Brown, 2019, "Measuring the Effects of Non-Identical Data Distribution for Federated
        Visual Classification", arXiv 1909.06335, who draw the shares of the classes for each client instead.
    """
    if labels.ndim != 1 or labels.is_floating_point():
        raise ValueError(f"labels of shape {tuple(labels.shape)}, {labels.dtype}: one whole number a sample is needed")
    if not 1 <= clients <= len(labels):
        raise ValueError(f"clients={clients!r} must lie in [1, {len(labels)}]: each needs at least one sample")
    if not (alpha > 0 and np.isfinite(alpha)):
        raise ValueError(f"alpha={alpha!r} must be positive and finite; 1000 mixes evenly, 0.1 hardly at all")
    random = np.random.default_rng(seed)
    known = labels.cpu().numpy()
    owner = np.empty(len(known), dtype=np.int64)
    for label in np.unique(known):
        members = random.permutation(np.flatnonzero(known == label))
        ends = np.rint(np.cumsum(_shares(random, clients, alpha)) * len(members)).astype(np.int64)
        owner[members] = np.searchsorted(ends, np.arange(len(members)), side="right").clip(max=clients - 1)
    _leave_nobody_out(owner, clients)
    return tuple(torch.from_numpy(np.flatnonzero(owner == client)).to(labels.device) for client in range(clients))


def class_counts(labels: Tensor, parts: Sequence[Tensor], classes: int = 10) -> Tensor:
    """How many samples of each class a client has.

    Args:
        labels: Class of each sample, shape (n,).
        parts: From `dirichlet_split`.
        classes: C.

    Returns:
        Shape (K, C), int64.

    Raises:
        ValueError: A label is none of the classes 0 to C − 1.

    Example:
        >>> class_counts(torch.tensor([0, 1, 1]), [torch.tensor([0, 1]), torch.tensor([2])], classes=2)
        tensor([[1, 1],
                [0, 1]])
    """
    strange = labels[(labels < 0) | (labels >= classes)]
    if len(strange):
        raise ValueError(f"classes={classes!r}, but a label is {int(strange[0])}: with C classes they are 0 to C - 1")
    return torch.stack([torch.bincount(labels[part], minlength=classes) for part in parts])


def unevenness(labels: Tensor, parts: Sequence[Tensor], classes: int = 10) -> float:
    """How far the clients' mixtures of classes are from that of all samples.

    The total variation distance between a client's shares of the classes and the shares among all samples,
    ½ Σ_c |p_kc − p_c|, averaged over the clients with their numbers of samples as weights.

    Args:
        labels: Class of each sample, shape (n,).
        parts: From `dirichlet_split`.
        classes: C.

    Returns:
        0 for equal mixtures; towards 1 where each client has a rare class of its own.

    Raises:
        ValueError: As in `class_counts`.

    Example:
        >>> unevenness(torch.tensor([0, 0, 1, 1]), [torch.tensor([0, 1]), torch.tensor([2, 3])], classes=2)
        0.5
    """
    counts = class_counts(labels, parts, classes).double()
    sizes = counts.sum(dim=1, keepdim=True)
    distances = (counts / sizes - counts.sum(dim=0) / counts.sum()).abs().sum(dim=1) / 2
    return float((distances * sizes[:, 0]).sum() / sizes.sum())


def _shares(random: np.random.Generator, clients: int, alpha: float) -> np.ndarray:
    """Shares of one class, which sum to one; all of it to one client where α is too small for the floats to tell."""
    shares = random.dirichlet(np.full(clients, min(alpha, 1e12)))  # even by then; the sum of far larger ones overflows
    if np.isfinite(shares).all() and shares.sum() > 0.5:
        return shares
    return np.eye(clients)[random.integers(clients)]


def _leave_nobody_out(owner: np.ndarray, clients: int) -> None:
    """Give each client without a sample one of the client that has most, in place."""
    for client in range(clients):
        sizes = np.bincount(owner, minlength=clients)
        if sizes[client] == 0:
            owner[np.flatnonzero(owner == sizes.argmax())[-1]] = client
