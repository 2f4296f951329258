"""Optimizers: SOFIM, the reference implementation."""

from sofim_lab.optim.sofim import SOFIM

__all__ = ["SOFIM"]
