"""The function that an optimizer's step calls, for every kind of optimizer."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from sofim_lab.curvature.passes import BackwardPasses
from sofim_lab.optim.registry import closure_kind

LossFunction = Callable[[Tensor, Tensor], Tensor]


def make_closure(
    model: nn.Module,
    optimizer: Optimizer,
    loss_fn: LossFunction,
    x: Tensor,
    y: Tensor,
    seen: Callable[[Tensor], None] = lambda loss: None,
    passes: BackwardPasses | None = None,
) -> Callable[[], Any]:
    """A closure for one mini-batch, which does what this optimizer expects of it.

    Args:
        model: Maps x to outputs.
        optimizer: See `sofim_lab.optim.registry.closure_kind`.
        loss_fn: Mean loss of outputs and targets, a scalar.
        x: Inputs, n samples in the first dimension.
        y: Targets.
        seen: Is shown each mean loss, detached, before anything is made of it.
        passes: Counts the backward passes.

    Returns:
        The closure, for `optimizer.step`.

    Example:
        >>> from sofim_lab.optim import LowRankFisher
        >>> model = nn.Linear(2, 3)
        >>> x, y = torch.ones(4, 2), torch.tensor([0, 1, 2, 0])
        >>> optimizer = LowRankFisher(model.parameters(), k=4)
        >>> optimizer.step(make_closure(model, optimizer, nn.functional.cross_entropy, x, y)).shape
        torch.Size([4])
    """
    kind = closure_kind(optimizer)

    def closure() -> Any:
        outputs = model(x)
        if passes is not None:
            passes.watch(outputs)
        if kind == "losses":
            losses = sample_losses(loss_fn, outputs, y)
            seen(losses.detach().mean())
            return losses
        loss = loss_fn(outputs, y)
        seen(loss.detach())
        if kind == "gradient":
            optimizer.zero_grad()
            loss.backward()
        elif kind == "create_graph":
            backward_with_graph(loss, optimizer)
        return (loss, outputs) if kind == "loss and outputs" else loss

    return closure


def sample_losses(loss_fn: LossFunction, outputs: Tensor, y: Tensor) -> Tensor:
    """The loss of each sample alone, shape (n,): the mean over one sample is its loss."""
    return torch.vmap(lambda output, target: loss_fn(output[None], target[None]))(outputs, y)


def backward_with_graph(loss: Tensor, optimizer: Optimizer) -> None:
    """Fill `.grad` with gradients that can be differentiated again; clear it after the step, the graph hangs on it."""
    params = [p for group in optimizer.param_groups for p in group["params"] if p.requires_grad]
    gradients = torch.autograd.grad(loss, params, create_graph=True, allow_unused=True)
    for p, gradient in zip(params, gradients, strict=True):
        p.grad = gradient
