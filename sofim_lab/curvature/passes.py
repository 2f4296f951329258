"""Counting backward passes through a model: what first- and second-order methods have in common as a unit of work."""

from collections.abc import Iterator
from contextlib import contextmanager

from torch import Tensor

_vectors = [1]  # of the pass under way; for the process, since on a GPU hooks run in a thread of autograd's own


@contextmanager
def together(vectors: int) -> Iterator[None]:
    """Backward passes inside pull back so many vectors at once; a hook sees the batch of them as one."""
    outer, _vectors[0] = _vectors[0], vectors
    try:
        yield
    finally:
        _vectors[0] = outer


class BackwardPasses:
    """Counts vectors pulled back from a model's outputs to its parameters, times samples.

    A gradient is one vector, whatever the loss; a product Hv, differentiating the gradient again, is one more; k
    vectors pulled back together are k. A forward pass alone counts nothing. Exact while one run at a time counts in a
    process.

    Attributes:
        samples: The count so far.

    Example:
        >>> import torch
        >>> model, passes = torch.nn.Linear(2, 3), BackwardPasses()
        >>> outputs = passes.watch(model(torch.ones(5, 2)))
        >>> g = torch.autograd.grad(outputs.square().mean(), model.weight, create_graph=True)[0]
        >>> _ = torch.autograd.grad(g.sum(), model.weight)
        >>> passes.samples
        10
    """

    def __init__(self) -> None:
        self.samples = 0

    def watch(self, outputs: Tensor) -> Tensor:
        """Count the passes that start, or go through, these outputs, n samples in the first dimension."""
        if outputs.requires_grad:
            n = len(outputs)

            def passed(_: Tensor) -> None:
                self.samples += n * _vectors[0]

            outputs.register_hook(passed)
        return outputs
