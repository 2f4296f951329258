"""What a step looked like, as scalars on the device that nobody waits for."""

from typing import NamedTuple

import torch
from torch import Tensor

from sofim_lab.optim._sofim.reduce import wide
from sofim_lab.optim._sofim.shards import Shards, sum_over


class Diagnostics(NamedTuple):
    """One step of SOFIM, as 0-dimensional tensors on the parameters' device.

    moment_norm is ‖m‖ over all parameters that took part; step_length ‖η F⁻¹v‖, without decoupled weight decay;
    cosine that of the angle between the gradient g and m, 0 where one of them is zero.
    """

    moment_norm: Tensor
    step_length: Tensor
    cosine: Tensor


class Gauge:
    """Adds up a step, parameter by parameter."""

    def __init__(self) -> None:
        self.sums: Tensor | None = None  # ‖m‖², ‖step‖², mᵀg, ‖g‖²

    def add(self, g: Tensor, m: Tensor, step: Tensor, shards: Shards = ()) -> None:
        """Count in one tensor, this process's part of it and those of the others."""
        g, m, step = (wide(x.detach()) for x in (g, m, step))
        own = torch.stack([(x * y).sum() for x, y in ((m, m), (step, step), (m, g), (g, g))])
        own = sum_over(shards, own)
        self.sums = own if self.sums is None else self.sums + own.to(self.sums.device)

    def record(self) -> Diagnostics:
        """The finished record."""
        assert self.sums is not None, "a record of nothing"
        mm, ss, mg, gg = self.sums
        size = (mm.sqrt() * gg.sqrt()).clamp_min(torch.finfo(mm.dtype).tiny)
        return Diagnostics(mm.sqrt(), ss.sqrt(), mg / size)
