"""Loss and accuracy of a classifier on whole splits, in evaluation mode."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn

from sofim_lab.problems import Split
from sofim_lab.training.closures import LossFunction

CHUNK = 4096  # samples at once: a convolution's activations for 50,000 images would take gigabytes


@contextmanager
def mode(model: nn.Module, training: bool) -> Iterator[None]:
    """The model in training or evaluation mode; afterwards every part is in the mode that it was in."""
    before = [(part, part.training) for part in model.modules()]
    model.train(training)
    try:
        yield
    finally:
        for part, was in before:
            part.training = was


@torch.no_grad()
def evaluate(model: nn.Module, split: Split, loss_fn: LossFunction) -> tuple[float, float]:
    """Mean loss and accuracy on a split, in evaluation mode, some thousands of samples at once.

    Args:
        model: Maps rows (n, d) to logits (n, classes); its mode is restored.
        split: The samples; an empty one gives nan.
        loss_fn: Mean loss of logits and labels, a scalar.

    Returns:
        Mean loss and share of the samples whose largest logit is their label's.

    Example:
        >>> zero = nn.Linear(2, 2)
        >>> _ = nn.init.zeros_(zero.weight), nn.init.zeros_(zero.bias)
        >>> loss, accuracy = evaluate(zero, Split(torch.ones(4, 2), torch.tensor([0, 0, 0, 1])), nn.CrossEntropyLoss())
        >>> round(loss, 4), accuracy
        (0.6931, 0.75)
    """
    if not len(split):
        return float("nan"), float("nan")
    loss = right = 0.0
    with mode(model, training=False):
        for x, y in zip(split.x.split(CHUNK), split.y.split(CHUNK), strict=True):
            logits = model(x)
            loss += len(y) / len(split) * float(loss_fn(logits, y))
            right += float((logits.argmax(1) == y).sum())
    return loss, right / len(split)
