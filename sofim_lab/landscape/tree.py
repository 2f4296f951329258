"""Parameter-shaped trees: what a point or a direction in the space of a model's parameters is kept as."""

import math
from collections.abc import Mapping

import torch
from torch import Tensor, nn

Tree = dict[str, Tensor]


def parameters(model: nn.Module) -> Tree:
    """The point at which a model stands: copies of its trainable parameters, by name, in the model's order.

    Args:
        model: Any module; it is left as it is.

    Returns:
        Detached copies under the names of `model.named_parameters()`. A parameter that two layers share occurs once.

    Raises:
        TypeError: model is no module.
        ValueError: It has no trainable parameters, or lazy ones without a shape.

    Example:
        >>> {name: tuple(w.shape) for name, w in parameters(nn.Linear(3, 2)).items()}
        {'weight': (2, 3), 'bias': (2,)}
    """
    return {name: p.detach().clone() for name, p in trainable(model).items()}


def trainable(model: nn.Module) -> dict[str, nn.Parameter]:
    """The trainable parameters themselves, by name, checked to be there and to have shapes.

    Args:
        model: Any module.

    Raises:
        TypeError: model is no module.
        ValueError: It has no trainable parameters, or lazy ones without a shape.
    """
    if not isinstance(model, nn.Module):
        raise TypeError(f"model must be an nn.Module, got {type(model).__name__}")
    found = {name: p for name, p in model.named_parameters() if p.requires_grad}
    if not found:
        raise ValueError("model has no trainable parameters: use requires_grad_(True), or another model")
    for name, p in found.items():
        if nn.parameter.is_lazy(p):
            raise ValueError(f"the parameter {name} of a lazy module has no shape yet: run model(x) once first")
    return found


def dot(a: Tree, b: Tree) -> float:
    """⟨a, b⟩ = Σ_i a_i b_i over all entries of all tensors, accumulated in float64.

    Args:
        a: A tree.
        b: A tree of the same names and shapes, on any device.

    Raises:
        ValueError: The trees differ in names or shapes.

    Example:
        >>> dot({"w": torch.tensor([1.0, 2.0])}, {"w": torch.tensor([3.0, 4.0])})
        11.0
    """
    check_alike("b", b, a)
    return math.fsum(float(torch.dot(_wide(a[name]), _wide(b[name]))) for name in a)


def norm(a: Tree) -> float:
    """‖a‖ = √⟨a, a⟩, the Euclidean length over all tensors together.

    Args:
        a: A tree.

    Example:
        >>> norm({"w": torch.tensor([3.0]), "b": torch.tensor([4.0])})
        5.0
    """
    return math.sqrt(dot(a, a))


def combine(*terms: tuple[float, Tree]) -> Tree:
    """The sum Σ_k c_k a_k of trees with factors; it shares no memory with them.

    Args:
        terms: Pairs (c, a) of a number and a tree, all trees of the same names and shapes.

    Raises:
        ValueError: No term, or trees that differ in names or shapes.

    Example:
        >>> combine((1.0, {"w": torch.ones(2)}), (-0.5, {"w": torch.tensor([2.0, 4.0])}))
        {'w': tensor([ 0., -1.])}
    """
    if not terms:
        raise ValueError("combine needs at least one pair (factor, tree)")
    (factor, first), *rest = terms
    for _, tree in rest:
        check_alike("a tree", tree, first)
    total = {name: factor * tensor for name, tensor in first.items()}
    for c, tree in rest:
        for name, tensor in tree.items():
            total[name].add_(tensor.to(total[name]), alpha=c)
    return total


def flatten(tree: Tree) -> Tensor:
    """The tree as one vector of shape (d,), tensors in their order, row by row.

    Args:
        tree: A tree.

    Example:
        >>> flatten({"w": torch.tensor([[1.0, 2.0]]), "b": torch.tensor([3.0])})
        tensor([1., 2., 3.])
    """
    return torch.cat([tensor.reshape(-1) for tensor in tree.values()])


def unflatten(vector: Tensor, like: Mapping[str, Tensor]) -> Tree:
    """The inverse of `flatten`: a vector cut into tensors.

    Args:
        vector: Shape (d,).
        like: The tree whose names and shapes to take; dtype and device are the vector's.

    Raises:
        ValueError: The vector has another length or shape.

    Example:
        >>> unflatten(torch.arange(3.0), {"w": torch.zeros(1, 2), "b": torch.zeros(1)})
        {'w': tensor([[0., 1.]]), 'b': tensor([2.])}
    """
    sizes = [tensor.numel() for tensor in like.values()]
    if vector.shape != (sum(sizes),):
        raise ValueError(f"vector must have the shape ({sum(sizes)},), got {tuple(vector.shape)}")
    parts = vector.detach().split(sizes)
    return {name: part.reshape(tensor.shape).clone() for part, (name, tensor) in zip(parts, like.items(), strict=True)}


def to(tree: Tree, device: torch.device | str | None = None, dtype: torch.dtype | None = None) -> Tree:
    """The tree on another device or in another dtype; tensors that are there already are not copied.

    Args:
        tree: A tree.
        device: Where to; None leaves it.
        dtype: In what; None leaves it.

    Example:
        >>> to({"w": torch.ones(1)}, dtype=torch.float64)
        {'w': tensor([1.], dtype=torch.float64)}
    """
    return {name: tensor.to(device=device, dtype=dtype) for name, tensor in tree.items()}


def check_alike(
    what: str, tree: Mapping[str, Tensor], like: Mapping[str, Tensor], owner: str = "the other tree"
) -> None:
    """Raise unless two trees have the same names and shapes.

    Args:
        what: How to call the tree in the message.
        tree: The tree to check.
        like: What it has to look like.
        owner: How to call that.

    Raises:
        ValueError: It names the first tensor that differs.
    """
    if tree.keys() != like.keys():
        odd = next(iter([*(like.keys() - tree.keys()), *(tree.keys() - like.keys())]))
        side = "lacks" if odd in like else "has, beyond it,"
        raise ValueError(f"{what} does not belong to {owner}: it {side} the parameter {odd!r}; make it from this model")
    for name, tensor in like.items():
        if tree[name].shape != tensor.shape:
            shapes = f"{name} is {tuple(tree[name].shape)}, not {tuple(tensor.shape)}"
            raise ValueError(f"{what} does not belong to {owner}: {shapes}; make it from this model")


def _wide(tensor: Tensor) -> Tensor:
    """A flat copy in float64 (float32 on Apple's MPS, which has no float64)."""
    return tensor.detach().reshape(-1).to(torch.float32 if tensor.device.type == "mps" else torch.float64)
