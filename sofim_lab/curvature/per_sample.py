"""Gradients and Jacobians of single samples, by torch.func, in chunks of bounded memory."""

from collections.abc import Iterable

import torch
from torch import Tensor, nn
from torch.func import vjp, vmap

from sofim_lab.curvature._bound import Bound, bind
from sofim_lab.curvature.memory import CHUNK_BYTES


def per_sample_gradients(
    model: nn.Module,
    loss_fn: nn.Module,
    x: Tensor,
    y: Tensor,
    *,
    params: Iterable[Tensor] | None = None,
    chunk_bytes: int = CHUNK_BYTES,
) -> Tensor:
    r"""The gradient of each sample's loss, one a row: g_i = ∇_w ℓ(f(x_i; w), y_i).

    ℓ is −log p(y | f) for `nn.CrossEntropyLoss` and ‖f − y‖² for `nn.MSELoss`, whatever the reduction. The gradient
    of the reduced loss is s Σ_i g_i, with s = 1 for "sum", 1/n for the mean of cross-entropies and 1/(nC) for that of
    squared errors; the empirical FIM is s Σ_i g_i g_iᵀ.

    Args:
        model: Maps (n, ...) to outputs (n, C), each sample by itself; it is left as it is.
        loss_fn: `nn.CrossEntropyLoss` or `nn.MSELoss`.
        x: Inputs, n samples in the first dimension.
        y: Class indices (n,), or targets (n, C) for `nn.MSELoss`.
        params: Parameters of the model to differentiate by; all trainable ones if None.
        chunk_bytes: Memory for the work on one chunk of samples, about; the result itself comes on top.

    Returns:
        Shape (n, d), in the dtype of the parameters, flattened in their order.

    Raises:
        TypeError: An argument is of another type.
        ValueError: The data do not fit the model or the loss, or samples have no gradients of their own.

    Example:
        >>> model = nn.Linear(2, 1, bias=False)
        >>> _ = nn.init.zeros_(model.weight)
        >>> x, y = torch.tensor([[1.0, 2.0], [3.0, 1.0]]), torch.ones(2, 1)
        >>> per_sample_gradients(model, nn.MSELoss(), x, y)
        tensor([[-2., -4.],
                [-6., -2.]])

    References:
        I. Goodfellow, 2015, "Efficient Per-Example Gradient Computations", arXiv 1510.01799.
    """
    bound = bind(model, loss_fn, x, y, params)
    rows = torch.empty(bound.n, bound.d, dtype=bound.dtype, device=bound.device)
    done = 0
    for inputs, targets in bound.chunks(bytes_of_rows(bound, 1), chunk_bytes):
        slopes = bound.likelihood.gradients(bound.forward(inputs), targets)
        rows[done : done + len(inputs)] = pull_back(bound, inputs, slopes[:, None])[:, 0]
        done += len(inputs)
    return rows


def bytes_of_rows(bound: Bound, rows: int) -> int:
    """About what `pull_back` takes per sample for this many rows: the result, its parts, the saved activations."""
    return 2 * (rows * bound.d * bound.dtype.itemsize + (rows + 1) * bound.sample_bytes)


def pull_back(bound: Bound, x: Tensor, cotangents: Tensor) -> Tensor:
    """U_i J_i for each sample: cotangents U of shape (n, K, C) to rows of shape (n, K, d)."""

    def one_sample(inputs: Tensor, rows: Tensor) -> tuple[Tensor, ...]:
        transposed = vjp(lambda weights: bound.forward(inputs[None], weights)[0], bound.weights)[1]
        return vmap(transposed)(rows)[0]

    try:
        parts = vmap(one_sample)(x, cotangents)
    except torch.OutOfMemoryError:
        raise
    except RuntimeError:  # no batching rule (nn.LSTM), or a branch on values: if the model is at fault, it fails again
        parts = _one_by_one(bound, x, cotangents)
    return torch.cat([part.detach().reshape(*cotangents.shape[:2], -1) for part in parts], dim=2)


def _one_by_one(bound: Bound, x: Tensor, cotangents: Tensor) -> tuple[Tensor, ...]:
    """The same by a loop over samples and rows, for models that `vmap` cannot run."""
    parts = [torch.zeros(*cotangents.shape[:2], *w.shape, dtype=w.dtype, device=w.device) for w in bound.weights]
    for i, rows in enumerate(cotangents):
        f = bound.forward(x[i : i + 1])[0]
        for k, row in enumerate(rows):
            slopes = torch.autograd.grad(f, bound.weights, row, retain_graph=True, allow_unused=True)
            for part, slope in zip(parts, slopes, strict=True):
                if slope is not None:
                    part[i, k] = slope
    return tuple(parts)
