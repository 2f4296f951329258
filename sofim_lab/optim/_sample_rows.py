"""Mean gradients of groups of a batch's samples, from the losses of the samples that a closure returns."""

from collections.abc import Callable, Sequence
from functools import reduce

import torch
from torch import Tensor

from sofim_lab.curvature.memory import CHUNK_BYTES, samples_per_chunk
from sofim_lab.curvature.vjp import flat, pull
from sofim_lab.curvature.woodbury import wide
from sofim_lab.optim._errors import NotFiniteError
from sofim_lab.optim._exact.objective import one_by_one


def per_sample_losses(closure: Callable[[], Tensor] | None, owner: str) -> tuple[Tensor, int]:
    """The closure's losses, shape (n,), with their graph, and the bytes that the graph holds, checked."""
    remedy = "return one loss a sample, shape (n,), without calling backward, e.g. with reduction='none'"
    if not callable(closure):
        raise TypeError(f"{owner}.step needs a closure for rows='samples', got {type(closure).__name__}: {remedy}")
    saved: dict[int, int] = {}

    def note(t: Tensor) -> Tensor:
        saved[t.data_ptr()] = t.numel() * t.element_size()
        return t

    with torch.enable_grad(), torch.autograd.graph.saved_tensors_hooks(note, lambda t: t):
        losses = closure()
    if not isinstance(losses, Tensor):
        raise TypeError(f"{owner}: the closure returned {type(losses).__name__}: {remedy}")
    if losses.dim() != 1 or losses.numel() == 0 or not losses.is_floating_point():
        raise ValueError(
            f"{owner}: the closure returned losses of shape {tuple(losses.shape)}, {losses.dtype}: {remedy}"
        )
    if not bool(losses.isfinite().all()):
        bad = int((~losses.isfinite()).sum())
        raise NotFiniteError(
            f"{owner}: {bad} of the {len(losses)} losses are not finite at the present parameters, nothing was "
            "changed: look for overflow, log(0) or inf in the data, or lower lr"
        )
    return losses, sum(saved.values())


def group_means(
    losses: Tensor, params: Sequence[Tensor], k: int | None, saved: int, owner: str
) -> tuple[Tensor, Tensor]:
    """The mean gradient of each of k groups, cut at ⌊j n/k⌋, shape (k, d), and the groups' shares of the samples."""
    n = len(losses)
    k = n if k is None else k
    if k > n:
        raise ValueError(
            f"{owner}: k={k} groups cannot be made of n={n} samples, as many losses as the closure returned: "
            "lower k, take a larger batch, or k=None for one row a sample"
        )
    cuts = torch.tensor([j * n // k for j in range(k + 1)], device=losses.device)
    sizes = cuts.diff()
    group = torch.repeat_interleave(torch.arange(k, device=losses.device), sizes)
    dtype = reduce(torch.promote_types, (p.dtype for p in params))
    rows = torch.empty(k, sum(p.numel() for p in params), dtype=dtype, device=losses.device)
    at_once = samples_per_chunk(saved + 2 * rows[:1].nbytes, CHUNK_BYTES)
    for some in torch.arange(k, device=losses.device).split(at_once):
        means = (group == some[:, None]) / sizes[some][:, None].to(losses)  # one cotangent a group
        rows[some] = _pulled_back(losses, params, means, owner)
    if not bool(rows.any()) and not _depends(losses, params):
        raise ValueError(
            f"{owner}: the losses do not depend on the optimizer's parameters: compute them from these in the "
            "closure, without no_grad, detach or item"
        )
    if not bool(rows.isfinite().all()):
        raise NotFiniteError(
            f"{owner}: a gradient is not finite at the present parameters, though the losses are; nothing was "
            "changed: look for the square root or logarithm of 0, or lower lr"
        )
    return rows, wide(sizes) / n


def _pulled_back(losses: Tensor, params: Sequence[Tensor], cotangents: Tensor, owner: str) -> Tensor:
    """Cotangents (k, n) times the Jacobian of the losses, shape (k, d)."""
    try:
        return one_by_one(lambda rows: flat(pull((losses,), params, (rows,))), cotangents)
    except RuntimeError as error:
        if "second time" not in str(error):
            raise
        raise RuntimeError(
            f"{owner}: the losses' graph is gone, the closure has called backward: return the losses without it"
        ) from error


def _depends(losses: Tensor, params: Sequence[Tensor]) -> bool:
    """Whether any parameter is in the graph of the losses."""
    if not losses.requires_grad:
        return False
    slopes = torch.autograd.grad(losses, params, torch.ones_like(losses), retain_graph=True, allow_unused=True)
    return any(slope is not None for slope in slopes)
