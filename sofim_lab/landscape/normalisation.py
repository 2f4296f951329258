"""Scaling a direction to the weights that it moves, so that landscapes of different networks can be compared."""

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _NormBase
from torch.nn.modules.conv import _ConvTransposeNd

from sofim_lab.landscape.tree import Tree, check_alike, norm, parameters

NORMALISATIONS = ("filter", "layer", "model", "none")
IGNORED = ("biasbn", "copy", None)
_NORM_LAYERS = (_NormBase, nn.LayerNorm, nn.GroupNorm, nn.RMSNorm)


def normalise(direction: Tree, model: nn.Module, method: str = "filter", ignore: str | None = "biasbn") -> Tree:
    """A direction scaled to the weights w of a model: a step of length 1 then means the same in every network.

        "filter"   d_ij ← d_ij ‖w_ij‖ / ‖d_ij‖   for each filter j of each layer i, the weights of one output
        "layer"    d_i  ← d_i ‖w_i‖ / ‖d_i‖      for each tensor i
        "model"    d    ← d ‖w‖ / ‖d‖            for all parameters together
        "none"     d

    A filter is one slice of the first dimension of a weight (of the output dimension, in a transposed convolution).
    Biases, and the scales and shifts of norm layers, have no filters. The paper leaves them where they are.

    Args:
        direction: Shaped as the model's trainable parameters.
        model: Its present weights give the lengths; it is left as it is.
        method: "filter", "layer", "model" or "none".
        ignore: What becomes of biases and norm layers. "biasbn": zero, as in the paper. "copy": the weights
            themselves, d = w, as the authors' code does without that option. None: they are scaled as one layer each.

    Returns:
        A new tree. A filter or layer that is zero stays zero.

    Raises:
        ValueError: An unknown method, or a direction of another model.

    Example:
        >>> model = nn.Linear(2, 2)
        >>> _ = nn.init.constant_(model.weight, 3.0)
        >>> normalise({"weight": torch.tensor([[1.0, 0.0], [3.0, 4.0]]), "bias": torch.ones(2)}, model)["bias"]
        tensor([0., 0.])

    References:
        H. Li, Z. Xu, G. Taylor, C. Studer and T. Goldstein, 2018, arXiv 1712.09913, §4.
    """
    if method not in NORMALISATIONS:
        raise ValueError(f"normalise={method!r} is unknown: choose one of {', '.join(map(repr, NORMALISATIONS))}")
    if ignore not in IGNORED:
        raise ValueError(f"ignore={ignore!r} is unknown: choose one of {', '.join(map(repr, IGNORED))}")
    weights = parameters(model)
    check_alike("direction", direction, weights, "model")
    small, transposed = _without_filters(model), _transposed(model)
    d = {name: tensor.detach().clone() for name, tensor in direction.items()}
    if ignore is not None:
        d |= {name: weights[name].to(d[name]) if ignore == "copy" else torch.zeros_like(d[name]) for name in small}
    if method == "model":
        length = norm(d)
        return {name: tensor * (norm(weights) / length if length else 1.0) for name, tensor in d.items()}
    if method == "none":
        return d
    for name, w in weights.items():
        by_filter = method == "filter" and name not in small
        d[name] = _rescaled(d[name], w.to(d[name]), _filter_axes(w, transposed.get(name)) if by_filter else None)
    return d


def _rescaled(d: Tensor, w: Tensor, axes: tuple[torch.Size, tuple[int, ...]] | None) -> Tensor:
    """D with the norms of w, taken over the axes of a filter in a given shape, or over all."""
    shape, dims = axes or (d.shape, tuple(range(d.dim())))
    d, w, original = d.reshape(shape), w.reshape(shape), d.shape
    wide = torch.float32 if d.device.type == "mps" else torch.float64
    lengths = [torch.linalg.vector_norm(t, dim=dims, keepdim=True, dtype=wide) for t in (w, d)]
    factor = torch.where(lengths[1] > 0, lengths[0] / lengths[1], torch.zeros_like(lengths[0]))
    return (d * factor.to(d.dtype)).reshape(original)


def _filter_axes(w: Tensor, groups: int | None) -> tuple[torch.Size, tuple[int, ...]]:
    """A shape of this weight, and the axes that one filter runs over; groups of a transposed convolution, else None."""
    if groups is None:
        return w.shape, tuple(range(1, w.dim()))
    shape = torch.Size((groups, w.shape[0] // groups, *w.shape[1:]))  # (groups, in, out, ...): out is axis 2
    return shape, (1, *range(3, len(shape)))


def _without_filters(model: nn.Module) -> set[str]:
    """Names of the trainable parameters that are biases, other vectors and numbers, or belong to a norm layer."""
    in_norms = {id(p) for m in model.modules() if isinstance(m, _NORM_LAYERS) for p in m.parameters(recurse=False)}
    return {name for name, p in model.named_parameters() if p.requires_grad and (p.dim() <= 1 or id(p) in in_norms)}


def _transposed(model: nn.Module) -> dict[str, int]:
    """Names of the weights of transposed convolutions, with their number of groups."""
    found = {id(m.weight): m.groups for m in model.modules() if isinstance(m, _ConvTransposeNd)}
    return {name: found[id(p)] for name, p in model.named_parameters() if id(p) in found}
