"""The parameters that one step treats alike, and the two passes SOFIM makes over them."""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import Parameter

from sofim_lab.optim._sofim.diagnostics import Gauge
from sofim_lab.optim._sofim.reduce import (
    ON_DEVICE,
    Column,
    Scalar,
    Sums,
    float32,
    in_memory,
    number,
    pair,
    remainder,
    runs,
)
from sofim_lab.optim._sofim.shards import Shards, is_sharded, local, sum_over

PART = 2**20  # numbers of one part: few enough to be in the cache still when their norm is taken
STIFF = 10.0  # ‖m‖²/ρ from which the rounding of mᵀv is magnified

_ASCENT: dict[str, Any] = {
    "weight_decay": 0.0, "momentum": 0.0, "dampening": 0.0, "nesterov": False, "maximize": True,
    "is_first_step": False,
}  # fmt: skip

Part = tuple[list[Tensor], list[Tensor], list[Tensor]]  # parameters, gradients, moments


@dataclass
class Block:
    """Parameters of one group with equal step count, dtype, device and shards: one weight, one rate, one decay.

    v is the gradient with its L2 decay, v = g + decay·p. Where the group maximizes, `rate` and `decay` are
    negative: then v and m are those of −g with the opposite sign, which changes neither mmᵀ nor mᵀv.

    A block of ordinary tensors on the CPU or on CUDA can be used again as long as it `fits`: where tensors are small,
    most of a step is finding out what belongs together.
    """

    group: dict[str, Any]
    shards: Shards
    ps: list[Tensor]
    states: list[dict[str, Any]]

    def __post_init__(self) -> None:
        self.step: int = int(self.states[0]["step"])
        self.moments = [state["moment"] for state in self.states]
        self.foreach, self.dtype = self.group["foreach"], self.ps[0].dtype
        plain = all(type(p) is Parameter and in_memory(p) for p in self.ps)
        self.can_stay = plain and not self.ps[0].is_complex()
        self._identities = [*map(id, self.ps)]
        self._places = [m.data_ptr() for m in self.moments] if plain else []
        ps, ms = self._as_real(self.ps), self._as_real(self.moments)
        self.low = ps[0].dtype.itemsize < 4  # bfloat16 and float16: their moments are float32
        self._cuts = [(some, ps[some], Column(ms[some])) for some in cuts(ps, self.foreach)]

    def fits(self, group: dict[str, Any], ps: list[Tensor]) -> bool:
        """Whether a block made for these parameters now, with the same states, would be this one."""
        if group is not self.group or group["foreach"] is not self.foreach or [*map(id, ps)] != self._identities:
            return False
        step, dtype = self.step, self.dtype
        for p, own, m, place in zip(ps, self.states, self.moments, self._places, strict=True):
            if own["step"] != step or own["moment"] is not m or m.data_ptr() != place or p.dtype is not dtype:
                return False
        return True

    def begin(self, gs: list[Tensor]) -> None:
        """Take up the gradients and the options of the coming step."""
        group, step, gs = self.group, self.step + 1, self._as_real(gs)
        sign = -1 if group["maximize"] else 1
        self.step = step  # the number of this step, counted from 1, for every parameter here
        self.lr = number(group["lr"])
        self.rho, self.rate = group["rho"], sign * self.lr
        self.weight = (1 - group["beta"]) / (1 - group["beta"] ** step)  # of v in the average m
        self.decay = 0.0 if group["decoupled_weight_decay"] else sign * group["weight_decay"]
        self.parts: list[Part] = [(ps, gs[some], ms) for some, ps, ms in self._cuts]

    def end(self) -> None:
        """Let go of the gradients."""
        self.parts = []

    @property
    def device(self) -> torch.device:
        """Where everything here lives."""
        return self.ps[0].device

    def average(self, with_product: bool) -> tuple[Scalar, Scalar]:
        """Average: m ← m + w (v − m), counting the step; returns ‖m‖² and, where asked for, mᵀv."""
        for state in self.states:
            state["step"] = self.step
        sums, decayed = Sums(), Sums() if with_product and self.decay else None
        for ps, gs, ms in self.parts:
            _lerp(ms, gs, self.weight)
            if self.decay:
                _add(ms, ps, self.weight * self.decay)
            sums.add(ms, gs if with_product else None)
            if decayed:
                decayed.add(ms, ps)
        mm: Scalar = sums.squared_norm()
        mv: Scalar = 0.0
        if with_product:
            mv = self._refined(sums, mm, sums.product())
            mv = mv + self.decay * decayed.product() if decayed else mv
        if self.shards:
            mm, mv = self._summed(mm, mv)
        return mm, mv

    def _summed(self, *values: Scalar) -> list[Scalar]:
        """The values summed over all processes that hold a part."""
        sums = torch.stack([torch.as_tensor(x, dtype=torch.float64, device=self.device) for x in values])
        sums = sum_over(self.shards, sums)
        return sums.tolist() if self.ps[0].is_cpu else list(sums)

    def along_moment(self, a: Scalar) -> None:
        """Step p ← shrink·p + a m; the last parts first, they are still in the cache."""
        for ps, _, ms in reversed(self.parts):
            self._shrink(ps)
            _add(ps, ms, a)

    def along_gradient(self, a: Scalar, k: Scalar) -> None:
        """Step p ← shrink·p + a (v − k m); the last parts first."""
        a, b = pair(a, -k, torch.float32 if self.low else self.parts[0][0][0].dtype)
        for ps, gs, ms in reversed(self.parts):
            if self.low:  # one rounding to the low precision, not two or three
                gs, ms = [a * (g.float() + self.decay * p) + b * m for p, g, m in zip(ps, gs, ms, strict=True)], []
            self._shrink(ps)
            if self.low:
                _add(ps, gs, 1.0)
                continue
            if self.decay:
                _add(ps, ps, a * self.decay)
            _add(ps, gs, a)
            _add(ps, ms, b)

    def measure(self, gauge: Gauge, s: Scalar, t: Scalar | None) -> None:
        """Add the coming step to the gauge: along m where t is None, else along v − m t/(1 + s)."""
        for ps, gs, ms in self.parts:
            for p, g, m in zip(ps, gs, ms, strict=True):
                direction = m / (1 + s) if t is None else g + self.decay * p - m * (t / (1 + s))
                gauge.add(g, m, direction * (self.rate / self.rho), self.shards)

    def _shrink(self, ps: list[Tensor]) -> None:
        """Decoupled weight decay, w ← (1 − lr·weight_decay) w."""
        if self.group["decoupled_weight_decay"] and self.group["weight_decay"]:
            torch._foreach_mul_(ps, 1 - self.lr * self.group["weight_decay"])

    def _as_real(self, xs: list[Tensor]) -> list[Tensor]:
        """What this process has of the tensors, complex numbers as pairs."""
        if is_sharded(self.ps[0]):
            xs = [local(x, p) for x, p in zip(xs, self.ps, strict=True)]
        return [torch.view_as_real(x) for x in xs] if self.ps[0].is_complex() else xs

    def _refined(self, sums: Sums, mm: Scalar, mg: Scalar) -> Scalar:
        """Scalar product mᵀg with all its digits where the step is a small difference, at sin²∠(m, g) < 0.1."""
        if isinstance(mm, Tensor) or isinstance(mg, Tensor):  # on an accelerator
            return mg
        if not mm > STIFF * self.rho or not sums.look_parallel(mm, mg):
            return mg
        gradient = Sums()
        for _, gs, _ in self.parts:
            gradient.add(gs)
        if mg**2 <= 0.9 * mm * gradient.squared_norm():
            return mg
        a = float32(mg / mm)
        size = sum(p.numel() for ps, _, _ in self.parts for p in ps)
        return a * mm + sum(remainder(ms, gs, a, size) for _, gs, ms in self.parts)


def cuts(ps: list[Tensor], foreach: bool | None) -> list[slice]:
    """Parts for the _foreach kernels: all tensors together or each alone if asked to."""
    if foreach is None:
        return parts_of(ps)
    return [slice(None)] if foreach else [some for some, _ in runs(ps, 0)]


def parts_of(ps: list[Tensor]) -> list[slice]:
    """Neighbours up to a length: on the CPU what its cache holds, on an accelerator what one call should copy."""
    return [some for some, _ in runs(ps, PART if ps[0].is_cpu else ON_DEVICE)]


def _lerp(ms: list[Tensor], gs: list[Tensor], weight: float) -> None:
    """Average m ← m + weight (g − m), in the precision of m."""
    if ms[0].dtype != gs[0].dtype:
        gs = [g.to(m.dtype) for g, m in zip(gs, ms, strict=True)]
    ms[0].lerp_(gs[0], weight) if len(ms) == 1 else torch._foreach_lerp_(ms, gs, weight)


def _add(xs: list[Tensor], ys: list[Tensor], a: Scalar) -> None:
    """Add x ← x + a y, without reading a multiplier that lives on an accelerator."""
    if xs[0].is_cpu:
        a = float(a)
    if isinstance(a, float):
        torch._foreach_add_(xs, ys, alpha=a) if len(xs) > 1 else xs[0].add_(ys[0], alpha=a)
        return
    a = a.to(xs[0].device, ys[0].dtype)  # it may be the sum of blocks on several devices
    if len(xs) == 1:
        xs[0].addcmul_(ys[0], a)
    elif _same_layout(xs, ys):
        torch._fused_sgd_(xs, ys, [], lr=a, **_ASCENT)  # two passes less than below, and nothing is written down
    else:
        torch._foreach_add_(xs, torch._foreach_mul(ys, a))


def _same_layout(xs: list[Tensor], ys: list[Tensor]) -> bool:
    """Whether PyTorch's fused SGD, w ← w + lr g with lr on the device, which is float32 there, takes the tensors."""
    if not xs[0].is_cuda or not xs[0].dtype is ys[0].dtype is torch.float32:
        return False
    return all(map(Tensor.is_contiguous, xs)) and [*map(Tensor.stride, xs)] == [*map(Tensor.stride, ys)]
