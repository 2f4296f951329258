"""Where a model stands: all its parameters as one vector."""

from collections.abc import Iterable

import torch
from torch import Tensor


def point_of(parameters: Iterable[Tensor]) -> Tensor:
    """A copy of the parameters as one vector (d,), whatever their memory format.

    `torch.nn.utils.parameters_to_vector` fails on those that are not contiguous, as in the format `channels_last`.
    """
    return torch.cat([p.detach().flatten() for p in parameters])
