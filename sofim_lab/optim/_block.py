"""The parameters that one step treats alike, and the two passes SOFIM makes over them."""

from dataclasses import dataclass

import torch
from torch import Tensor

from sofim_lab.optim._reduce import Scalar, pair, products, squared_norm

HOT = 2**14  # mean length from which a tensor is worth finishing while it is in the cache

Part = tuple[list[Tensor], list[Tensor], list[Tensor]]  # parameters, gradients, moments


@dataclass
class Block:
    """Parameters of one group with equal step count, device and dtype: one weight, one rate, one decay.

    v is the gradient with its L2 decay, v = g + decay·p. Where the group maximizes, `rate` and `decay` are
    negative: then v and m are those of −g with the opposite sign, which changes neither mmᵀ nor mᵀv.
    """

    parts: list[Part]  # handled one after the other
    weight: float  # of v in the average m
    rate: float
    rho: float
    decay: float
    size: int  # numbers in all parts together

    def average(self, with_product: bool) -> tuple[Scalar, Scalar]:
        """Average: m ← m + w (v − m); returns ‖m‖² and, where asked for, mᵀv."""
        mm = mv = 0.0
        for ps, gs, ms in self.parts:
            torch._foreach_lerp_(ms, gs, self.weight)
            if self.decay:
                _add(ms, ps, self.weight * self.decay)
            if not with_product:
                mm += squared_norm(ms)
                continue
            squared, product = products(ms, gs, self.size)
            mm, mv = mm + squared, mv + product
            if self.decay:
                mv = mv + self.decay * products(ms, ps, self.size)[1]
        return mm, mv

    def along_moment(self, a: Scalar) -> None:
        """Step p ← p + a m; the last parts first, they are still in the cache."""
        for ps, _, ms in reversed(self.parts):
            _add(ps, ms, a)

    def along_gradient(self, a: Scalar, k: Scalar) -> None:
        """Step p ← p + a (v − k m); the last parts first."""
        a, b = pair(a, -k, self.parts[0][0][0].dtype)
        for ps, gs, ms in reversed(self.parts):
            if self.decay:
                _add(ps, ps, a * self.decay)
            _add(ps, gs, a)
            _add(ps, ms, b)


def split(part: Part, size: int, foreach: bool | None) -> list[Part]:
    """One part for the _foreach kernels or, quicker for long tensors, a part for each tensor."""
    if foreach is None:
        foreach = size < HOT * len(part[0])
    return [part] if foreach else [([p], [g], [m]) for p, g, m in zip(*part, strict=True)]


def _add(xs: list[Tensor], ys: list[Tensor], a: Scalar) -> None:
    """Add x ← x + a y, without reading a multiplier that lives on an accelerator."""
    if xs[0].device.type == "cpu":
        a = float(a)
    if len(xs) == 1:
        xs[0].add_(ys[0], alpha=a) if isinstance(a, float) else xs[0].addcmul_(ys[0], a)
    elif isinstance(a, float):
        torch._foreach_add_(xs, ys, alpha=a)
    else:
        torch._foreach_add_(xs, torch._foreach_mul(ys, a.to(xs[0].dtype)))
