"""Vector-Jacobian products of several cotangents at once, for parameters that are a list of tensors."""

from collections.abc import Sequence

import torch
from torch import Tensor

from sofim_lab.curvature import passes


def pull(outputs: Sequence[Tensor | None], inputs: Sequence[Tensor], cotangents: Sequence[Tensor]) -> list[Tensor]:
    """Vector-Jacobian products of k cotangents each, (k, *output) to (k, *input); no dependence gives zeros."""
    k = len(cotangents[0])
    used = [(out, c) for out, c in zip(outputs, cotangents, strict=True) if out is not None and out.requires_grad]
    slopes: Sequence[Tensor | None] = [None] * len(inputs)
    if used:
        outs, weights = zip(*used, strict=True)
        if k == 1:  # one vector alone is faster without the batching machinery
            weights = tuple(c[0] for c in weights)
        with passes.together(k):
            slopes = torch.autograd.grad(
                outs, inputs, weights, retain_graph=True, allow_unused=True, is_grads_batched=k > 1
            )
    return [
        torch.zeros(k, *x.shape, dtype=x.dtype, device=x.device) if s is None else s.reshape(k, *x.shape)
        for s, x in zip(slopes, inputs, strict=True)
    ]


def flat(parts: Sequence[Tensor]) -> Tensor:
    """(k, *shape) of each parameter as (k, d)."""
    return torch.cat([part.reshape(len(part), -1) for part in parts], dim=1)
