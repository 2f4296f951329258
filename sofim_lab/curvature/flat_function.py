"""A model as a function of one vector: what derivatives by hand start from."""

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.func import functional_call


def flat_function(model: nn.Module) -> tuple[Tensor, Callable[[Tensor, Tensor], Tensor]]:
    """The trainable parameters as one vector w, and the outputs f(w, x) as a function of it.

        f(w, x) = model(x),    J = ∂f/∂w = torch.func.jacrev(f)(w, x), of shape (n, C, d) for n samples

    Args:
        model: Maps x to outputs; it is left as it is.

    Returns:
        w, shape (d,), a copy in the order of `model.parameters()`, and f, which can be differentiated by w.

    Raises:
        ValueError: The model has no trainable parameters.

    Example:
        >>> w, f = flat_function(nn.Linear(2, 1, bias=False))
        >>> torch.func.jacrev(f)(w, torch.tensor([[1.0, 2.0]]))
        tensor([[[1., 2.]]])
    """
    trainable = {name: p for name, p in model.named_parameters() if p.requires_grad}
    if not trainable:
        raise ValueError("model has no trainable parameters: use requires_grad_(True), or another model")
    lengths = [p.numel() for p in trainable.values()]

    def f(w: Tensor, x: Tensor) -> Tensor:
        parts = w.split(lengths)
        weights = {name: part.view_as(p) for (name, p), part in zip(trainable.items(), parts, strict=True)}
        return functional_call(model, weights, (x,))

    return torch.cat([p.detach().flatten() for p in trainable.values()]), f
