"""What takes part in a step: the parameters that have a gradient, and their states."""

from collections import defaultdict
from typing import Any

import torch
from torch import Tensor
from torch.nn import Parameter

from sofim_lab.optim._sofim.block import parts_of
from sofim_lab.optim._sofim.reduce import in_memory

Group = dict[str, Any]
State = defaultdict[Tensor, dict[str, Any]]
Members = list[tuple[Group, list[Tensor], list[Tensor]]]  # of each group the parameters with a gradient, and these


def members_of(groups: list[Group]) -> Members:
    """The parameters of each group that have a gradient; raises for a sparse one before anything has changed."""
    found = []
    for group in groups:
        ps = [p for p in group["params"] if p.grad is not None]
        gs = [p.grad for p in ps]
        if ps:
            found.append((group, ps, gs))
        for p, g in zip(ps, gs, strict=True) if {g.layout for g in gs} - {torch.strided} else ():
            _refuse_sparse(p, g, groups)
    return found


def state_of(p: Tensor, group: Group, state: State) -> dict[str, Any]:
    """The state of a parameter, made at its first gradient; moments of low-precision parameters are float32."""
    own = state[p]
    if not own:
        own["step"] = torch.zeros((), dtype=step_dtype(), device=p.device) if group["capturable"] else 0
        own["moment"] = torch.zeros_like(p, dtype=moment_dtype(p), memory_format=torch.preserve_format)
    return own


def states_of(ps: list[Tensor], group: Group, state: State) -> list[dict[str, Any]]:
    """The states of parameters, made where they are missing; the moments of a part lie in one buffer.

    So their norm is that of one vector, and nothing has to be copied together for it.
    """
    owns = [state[p] for p in ps]
    if all(owns):
        return owns
    new = [p for p in ps if not state[p] and type(p) in (Parameter, Tensor) and in_memory(p) and p.is_contiguous()]
    for dtype, device in {(moment_dtype(p), p.device) for p in new}:
        alike = [p for p in new if moment_dtype(p) == dtype and p.device == device]
        for some in parts_of(alike):
            sizes = [p.numel() for p in alike[some]]
            moments = torch.zeros(sum(sizes), dtype=dtype, device=device).split(sizes)
            for p, moment in zip(alike[some], moments, strict=True):
                state[p] = {"step": 0, "moment": moment.view(p.shape)}
    return [state_of(p, group, state) for p in ps]


def step_dtype() -> torch.dtype:
    """The dtype of a step count on a device, by PyTorch's convention never narrower than float32."""
    return torch.float64 if torch.get_default_dtype() == torch.float64 else torch.float32


def moment_dtype(p: Tensor) -> torch.dtype:
    """The parameter's own dtype, at least float32."""
    return torch.float32 if p.dtype.itemsize < 4 else p.dtype


def name_of(p: Tensor, groups: list[Group]) -> str:
    """What to call a parameter in an error."""
    for i, group in enumerate(groups):
        for j, q in enumerate(group["params"]):
            if p is q:
                return group["param_names"][j] if "param_names" in group else f"parameter {j} of group {i}"
    return f"a parameter of shape {tuple(p.shape)}"


def _refuse_sparse(p: Tensor, g: Tensor, groups: list[Group]) -> None:
    """Raise for a gradient that is not dense."""
    if g.layout is not torch.strided:
        raise RuntimeError(
            f"SOFIM needs dense gradients: that of {name_of(p, groups)}, shape {tuple(p.shape)}, has the layout "
            f"{g.layout}; build the layer with sparse=False, or call p.grad = p.grad.to_dense()"
        )
