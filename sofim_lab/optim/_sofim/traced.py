"""SOFIM's step with every scalar a tensor: what CUDA graphs replay, autograd differentiates, torch.compile traces."""

import math
from typing import Any, NamedTuple

import torch
from torch import Tensor

from sofim_lab.optim._sofim.collect import Group, Members, State, state_of
from sofim_lab.optim._sofim.diagnostics import Gauge
from sofim_lab.optim._sofim.reduce import wide, widest
from sofim_lab.optim._sofim.shards import Shards, local, shards_of, sum_over


class _Row(NamedTuple):
    """One tensor of a step, this process's part of it, as real numbers."""

    group: Group
    p: Tensor
    g: Tensor
    v: Tensor
    m: Tensor
    lr: float | Tensor
    shards: Shards


def traced_step(members: Members, state: State, gauge: Gauge | None = None) -> None:
    """One step without a branch on a value of a tensor."""
    leaves_out = any(group["nonfinite"] == "skip" for group, _, _ in members)
    finite = _finite(members) if leaves_out else None
    rows = [
        _averaged(group, p, g, state_of(p, group, state), finite)
        for group, ps, gs in members
        for p, g in zip(ps, gs, strict=True)
    ]
    each_alone = any(group["blocks"] == "tensor" for group, _, _ in members)
    for family in [[row] for row in rows] if each_alone or not rows else [rows]:
        for row, direction in zip(family, _directions(family), strict=True):
            step = (row.lr if row.group["maximize"] else -row.lr) * direction
            if gauge is not None:
                gauge.add(row.g, row.m, step, row.shards)
            if row.group["decoupled_weight_decay"]:
                row.p.mul_(1 - row.lr * row.group["weight_decay"])
            row.p.add_(step)


def _averaged(group: Group, p: Tensor, g: Tensor, own: dict[str, Any], finite: Tensor | None) -> _Row:
    """Count the step and average v into m; out of place where autograd may still need the old m."""
    own["step"] += 1 if finite is None else finite
    shards, sign = shards_of(p), -1 if group["maximize"] else 1
    p, g, m = local(p), local(g, p), local(own["moment"])
    if p.is_complex():
        p, g, m = (torch.view_as_real(x) for x in (p, g, m))
    v = g = g.to(m.dtype)
    if group["weight_decay"] and not group["decoupled_weight_decay"]:
        v = g + sign * group["weight_decay"] * p
    lr = group["lr"]
    if finite is not None:  # left out: nothing averaged, nothing moved
        v, lr = torch.where(finite, v, m), wide(finite) * lr
    weight = _weight(group["beta"], own["step"])
    if group["differentiable"]:
        m = torch.lerp(m, v, weight)
        own["moment"] = torch.view_as_complex(m) if own["moment"].is_complex() else m
    else:
        m.lerp_(v, weight.to(m.dtype) if isinstance(weight, Tensor) else weight)
    return _Row(group, p, g, v, m, lr, shards)


def _weight(beta: float, step: int | Tensor) -> float | Tensor:
    """(1 − β)/(1 − βᵗ), exactly 1 at t = 1; with expm1, for the difference 1 − βᵗ loses digits."""
    if not isinstance(step, Tensor):
        return (1 - beta) / (1 - beta**step)
    t = wide(step)
    return torch.where(t <= 1, 1.0, (1 - beta) / -torch.expm1(t * math.log(beta))) if beta else torch.ones_like(t)


def _directions(family: list[_Row]) -> list[Tensor]:
    """F⁻¹v of each tensor; with s = ‖m‖²/ρ, α = mᵀv/‖m‖² and the rest r = v − αm it is (r + m α/(1 + s))/ρ."""
    s = _product(family, [row.m for row in family])
    if family[0].group["direction"] == "momentum":
        return [row.m / (row.group["rho"] * (1 + s)) for row in family]
    alpha = _product(family, [row.v for row in family]) / s.clamp_min(torch.finfo(s.dtype).tiny)
    rests = [row.v - alpha.to(row.m) * row.m for row in family]
    along = alpha / (1 + s)
    return [(rest + along.to(row.m) * row.m) / row.group["rho"] for row, rest in zip(family, rests, strict=True)]


def _product(family: list[_Row], ys: list[Tensor]) -> Tensor:
    """Scalar product of m and y in the metric of diag(1/ρ), over all processes, in the widest type."""
    total: Any = 0.0  # a tensor from the first row on
    for row, y in zip(family, ys, strict=True):
        mine = sum_over(row.shards, (row.m * y).sum(dtype=widest(y)) / row.group["rho"])
        total = total + (mine.to(total.device) if isinstance(total, Tensor) else mine)
    return total


def _finite(members: Members) -> Tensor:
    """Whether all gradients are finite, in every process, as a tensor."""
    bad: Any = 0.0  # a tensor from the first gradient on
    for _, ps, gs in members:
        for p, g in zip(ps, gs, strict=True):
            mine = sum_over(shards_of(p), (~torch.isfinite(local(g, p))).any().float())
            bad = bad + (mine.to(bad.device) if isinstance(bad, Tensor) else mine)
    return bad == 0
