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
from sofim_lab.curvature.likelihood import Likelihood, likelihood_of
from sofim_lab.curvature.matrices import empirical_fisher, fisher, ggn, hessian
from sofim_lab.curvature.memory import check_dense_size
from sofim_lab.curvature.operators import (
    CurvatureOperator,
    empirical_fisher_operator,
    fisher_operator,
    ggn_operator,
    hessian_operator,
)
from sofim_lab.curvature.per_sample import per_sample_gradients
from sofim_lab.curvature.regularized import RegularizedFIM, sherman_morrison
from sofim_lab.curvature.spectrum import (
    Eigenpairs,
    SpectralDensity,
    TraceEstimate,
    spectral_density,
    top_eigenpairs,
    trace,
)
from sofim_lab.curvature.woodbury import LowRankFIM

__all__ = [
    "CancellationRow",
    "CurvatureOperator",
    "DerivationLine",
    "Eigenpairs",
    "Likelihood",
    "LowRankFIM",
    "RegularizedFIM",
    "SolveTime",
    "SpectralDensity",
    "TraceEstimate",
    "cancellation_table",
    "check_dense_size",
    "collapsed_direction",
    "derivation_residuals",
    "empirical_fisher",
    "empirical_fisher_operator",
    "fisher",
    "fisher_operator",
    "ggn",
    "ggn_operator",
    "guarded_direction",
    "hessian",
    "hessian_operator",
    "likelihood_of",
    "per_sample_gradients",
    "sherman_morrison",
    "solve_times",
    "spectral_density",
    "textbook_direction",
    "top_eigenpairs",
    "trace",
]
