"""Curvature matrices: tensors in, tensors out, no training."""

from sofim_lab.curvature.cancellation import (
    CancellationRow,
    cancellation_table,
    collapsed_direction,
    guarded_direction,
    textbook_direction,
)
from sofim_lab.curvature.cost import SolveTime, solve_times
from sofim_lab.curvature.derivation import DerivationLine, derivation_residuals
from sofim_lab.curvature.regularized import RegularizedFIM, sherman_morrison

__all__ = [
    "CancellationRow",
    "DerivationLine",
    "RegularizedFIM",
    "SolveTime",
    "cancellation_table",
    "collapsed_direction",
    "derivation_residuals",
    "guarded_direction",
    "sherman_morrison",
    "solve_times",
    "textbook_direction",
]
