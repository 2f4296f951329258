"""Full-batch training of one network on several sets of labels at once, with the network kept at chosen steps."""

import copy
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.func import vmap

from sofim_lab.curvature.flat_function import flat_function


def snapshots(
    model: nn.Module, loss_fn: nn.Module, x: Tensor, targets: Tensor, steps: Sequence[int], lr: float = 0.05
) -> list[dict[int, nn.Module]]:
    """Train the same start on each row of targets with Adam, and keep copies along the way.

    Adam works entry by entry, so that R networks, stacked and trained on the sum of their losses, move just as each
    would alone, in the time of about one.

    Args:
        model: The start; it is left as it is.
        loss_fn: `nn.CrossEntropyLoss` or `nn.MSELoss`.
        x: Inputs, shape (n, ...).
        targets: R sets of targets, shape (R, n, ...).
        steps: After how many steps to keep a copy, ascending, 0 for the start itself.
        lr: Adam's learning rate.

    Returns:
        For each set of targets a table from steps to networks, each in the mode of the model.

    Raises:
        ValueError: No steps, or they are negative or not ascending.

    Example:
        >>> x, y = torch.eye(3), torch.tensor([[0, 1, 2], [2, 1, 0]])
        >>> right, wrong = snapshots(nn.Linear(3, 3), nn.CrossEntropyLoss(), x, y, steps=(0, 100))
        >>> right[100](x).argmax(1), wrong[100](x).argmax(1)
        (tensor([0, 1, 2]), tensor([2, 1, 0]))
    """
    if not steps or steps[0] < 0 or list(steps) != sorted(set(steps)):
        raise ValueError(f"steps={tuple(steps)} must be ascending numbers, 0 or more, e.g. (0, 100)")
    start, f = flat_function(model)
    w = start.repeat(len(targets), 1).requires_grad_()
    optimizer = torch.optim.Adam([w], lr=lr)
    losses = vmap(lambda row, y: loss_fn(f(row, x), y))
    kept: list[dict[int, nn.Module]] = [{} for _ in targets]
    for step in range(steps[-1] + 1):
        if step in steps:
            for run, row in zip(kept, w.detach(), strict=True):
                run[step] = copy.deepcopy(model)
                trainable = [p for p in run[step].parameters() if p.requires_grad]
                nn.utils.vector_to_parameters(row.clone(), trainable)
        if step < steps[-1]:
            optimizer.zero_grad()
            losses(w, targets).sum().backward()
            optimizer.step()
    return kept
