"""Optimizers: SOFIM, the reference implementation, and the exact and sketched methods to set beside it."""

from sofim_lab.optim._errors import NotFiniteError
from sofim_lab.optim._sofim.diagnostics import Diagnostics
from sofim_lab.optim.low_rank import LowRankFisher
from sofim_lab.optim.natural_gradient import NaturalGradient
from sofim_lab.optim.newton import Newton
from sofim_lab.optim.nystrom import NystromSGD
from sofim_lab.optim.sofim import SOFIM

__all__ = ["SOFIM", "Diagnostics", "LowRankFisher", "NaturalGradient", "Newton", "NotFiniteError", "NystromSGD"]
