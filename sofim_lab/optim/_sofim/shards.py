"""Parameters spread over processes (DTensor, as FSDP2 makes them): their local part, and sums over all parts."""

import sys
from typing import TYPE_CHECKING, Any, TypeGuard, cast

import torch
from torch import Tensor
from torch.nn import Parameter

if TYPE_CHECKING:
    from torch.distributed.tensor import DTensor

Shards = tuple[Any, ...]  # the process groups over which a tensor is cut; () for one that is whole


def is_sharded(x: Tensor) -> "TypeGuard[DTensor]":
    """Whether x is a DTensor; its module is not loaded for this question, that takes half a second."""
    if type(x) in (Parameter, Tensor) or "torch.distributed.tensor" not in sys.modules:
        return False
    return isinstance(x, sys.modules["torch.distributed.tensor"].DTensor)


def shards_of(x: Tensor) -> Shards:
    """The process groups that hold different parts of x."""
    if not is_sharded(x):
        return ()
    for placement in x.placements:
        if placement.is_partial():
            raise RuntimeError(
                f"SOFIM cannot step a DTensor with the placement {placement}: its parts have to be added first, "
                "x.redistribute(placements=[Replicate()])"
            )
    return tuple(x.device_mesh.get_group(i) for i, placement in enumerate(x.placements) if placement.is_shard())


def local(x: Tensor, like: Tensor | None = None) -> Tensor:
    """The part of x in this process, cut as `like` is; x itself where nothing is spread."""
    if not is_sharded(x):
        return x
    if like is not None and x.placements != (wanted := cast("DTensor", like).placements):
        x = x.redistribute(placements=wanted)
    return x.to_local()


def sum_over(shards: Shards, values: Tensor) -> Tensor:
    """The values summed over the processes, in place."""
    for group in shards:
        torch.distributed.all_reduce(values, group=group)
    return values
