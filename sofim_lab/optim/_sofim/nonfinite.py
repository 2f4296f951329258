"""What to do about a gradient with infinite or undefined numbers."""

import math
from typing import Any

import torch
from torch import Tensor

from sofim_lab.optim._errors import NotFiniteError
from sofim_lab.optim._sofim.collect import Group, Members, State, name_of
from sofim_lab.optim._sofim.shards import local, shards_of, sum_over


def all_finite(members: Members) -> bool:
    """Whether every number of every gradient is finite, in every process; waits for an accelerator once."""
    bad: dict[Any, Any] = {}
    for _, ps, gs in members:
        for p, g in zip(ps, gs, strict=True):
            place = (g.device, shards_of(p))
            bad[place] = bad.get(place, 0) + _is_bad(local(g, p))
    return not any(
        sum_over(shards, torch.as_tensor(count, dtype=torch.float32, device=device)).item()
        for (device, shards), count in bad.items()
    )


def raise_nonfinite(members: Members, groups: list[Group], state: State) -> None:
    """Raise for the gradients that are not finite; their moments start afresh, so that the next step is sound."""
    found = [(p, g) for _, ps, gs in members for p, g in zip(ps, gs, strict=True) if not torch.isfinite(local(g)).all()]
    for p, _ in found:
        state.pop(p, None)
    if not found:
        raise NotFiniteError(
            "SOFIM: ‖m‖² is not finite though the gradients of this process are: look at the parameters and at "
            "optimizer.state; nothing has been stepped"
        )
    names = ", ".join(name_of(p, groups) for p, _ in found[:3]) + (", …" if len(found) > 3 else "")
    p, g = found[0]
    count = int((~torch.isfinite(local(g))).sum())
    raise NotFiniteError(
        f"SOFIM: the gradient of {names} is not finite ({count} of {g.numel()} numbers in the first): no parameter "
        "has been changed, and the average of these gradients starts afresh. Look at the loss and lower lr; or choose "
        'nonfinite="skip" to leave such steps out'
    )


def _is_bad(g: Tensor) -> float | Tensor:
    """1 where a number is not finite, else 0; on the CPU a quick sum tells in most cases."""
    if g.device.type == "cpu":
        return 0.0 if math.isfinite(abs(g.sum().item())) else float(not torch.isfinite(g).all())
    return (~torch.isfinite(g)).any().float()
