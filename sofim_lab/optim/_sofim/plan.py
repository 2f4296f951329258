"""From the parameters of a step to its blocks: what is treated alike. Found once, while nothing changes."""

from collections.abc import Iterable
from typing import Any

from torch import Tensor
from torch.nn import Parameter

from sofim_lab.optim._sofim.block import Block
from sofim_lab.optim._sofim.collect import Members, State, states_of
from sofim_lab.optim._sofim.shards import shards_of

Families = list[list[Block]]  # blocks that share one F


class Plan:
    """The blocks of a step, kept for the next one: where tensors are small, finding them takes as long as the rest.

    Kept is one block for each group of ordinary tensors on the CPU or on CUDA. They are used again as long as they are
    what would be found anew, whatever has been done to parameters, states and groups in between.
    """

    def __init__(self) -> None:
        self._blocks: list[Block] = []
        self._states: list[int] = []  # identities; the blocks hold the states, so that no other can have them

    def families(self, members: Members, state: State) -> Families:
        """The blocks by families, ready for the coming step: all in one, or for blocks="tensor" each by itself."""
        each_alone = bool(members) and members[0][0]["blocks"] == "tensor"
        if not each_alone and self._fits(members, state):
            blocks, self._blocks = self._blocks, []  # an error in the middle of the step leaves none
            for block, (_, _, gs) in zip(blocks, members, strict=True):
                block.begin(gs)
        else:
            blocks = []
            for group, ps, gs in members:
                for some, theirs, owns in _alike(ps, gs, states_of(ps, group, state), each_alone):
                    blocks.append(Block(group, shards_of(some[0]), some, owns))
                    blocks[-1].begin(theirs)
        return [[block] for block in blocks] if each_alone else [blocks] if blocks else []

    def keep(self, families: Families, state: State) -> None:
        """Let go of the gradients, and keep what can be used again."""
        for blocks in families:
            for block in blocks:
                block.end()
        if len(families) == 1 and all(block.can_stay for block in families[0]):
            self._blocks = families[0]
            self._states = [*map(id, state.values())]

    def _fits(self, members: Members, state: State) -> bool:
        """Whether the blocks made anew would be those that were kept."""
        blocks = self._blocks
        if not blocks or len(blocks) != len(members) or [*map(id, state.values())] != self._states:
            return False
        return all(block.fits(group, ps) for block, (group, ps, _) in zip(blocks, members, strict=True))


def _alike(
    ps: list[Tensor], gs: list[Tensor], owns: list[dict[str, Any]], each_alone: bool
) -> Iterable[tuple[list[Any], ...]]:
    """Parameters that one block can treat alike, with their gradients and states, in the order of their appearance."""
    keys = [id(p) for p in ps] if each_alone else _keys(ps, owns)
    if keys is None:
        return [(ps, gs, owns)]
    found: dict[Any, list[tuple[Any, ...]]] = {}
    for key, *row in zip(keys, ps, gs, owns, strict=True):
        found.setdefault(key, []).append(tuple(row))
    return [tuple(map(list, zip(*some, strict=True))) for some in found.values()]


def _keys(ps: list[Tensor], owns: list[dict[str, Any]]) -> list[Any] | None:
    """What tells parameters apart that cannot be treated alike; None where nothing does, as in most models."""
    step, dtype, device, kept = owns[0]["step"], ps[0].dtype, ps[0].device, owns[0]["moment"].dtype
    for p, own in zip(ps, owns, strict=True):
        alike = p.dtype is dtype and own["moment"].dtype is kept and p.device == device and own["step"] == step
        if type(p) is not Parameter or not alike:
            pairs = zip(ps, owns, strict=True)
            return [(int(own["step"]), p.dtype, own["moment"].dtype, p.device, shards_of(p)) for p, own in pairs]
    return None
