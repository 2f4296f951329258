"""Natural gradient descent with the exact Fisher matrix."""

from collections.abc import Iterable
from typing import Any, Literal

import torch
from torch import Tensor, nn

from sofim_lab.curvature.likelihood import likelihood_of
from sofim_lab.curvature.memory import MAX_D
from sofim_lab.optim._exact.base import SecondOrder
from sofim_lab.optim._exact.fisher import OutputFisher
from sofim_lab.optim._exact.globalise import Trials, armijo, full_step, kl_step
from sofim_lab.optim._exact.objective import Closure, Objective


class NaturalGradient(SecondOrder):
    r"""Descent along p = −(F + λI)⁻¹g with the exact Fisher matrix F of the model's outputs.

        F = s Σ_i E_{y~p(·|f_i)} [∇log p ∇log pᵀ] = s Σ_i J_iᵀ Λ_i J_i,    J_i = ∂f_i/∂w

    The expectation over the model's own labels is exact. `loss_fn` names likelihood and reduction:
    `nn.CrossEntropyLoss` a categorical one, Λ = diag(p) − p pᵀ, and s = 1/n for the mean; `nn.MSELoss` N(f, I/2),
    Λ = 2I, and s = 1/(nC), as torch averages over samples and outputs; s = 1 for the sum. F equals the generalized
    Gauss–Newton matrix, and the Hessian where the outputs are linear in w. `globalisation` says how far to go:

        "armijo"  w ← w + t p, t by backtracking from lr until the loss falls enough
        "kl"      t = lr, or less, so that ½ δᵀFδ ≤ kl_max for δ = t p: the KL divergence from the old to the new
                  predictive distribution to second order, per sample for the mean of cross-entropies, for that of
                  squared errors per output too, in total for the sum; the loss is not looked at
        "none"    t = lr

    In all of them λ is added to F, an isotropic prior trust in the parameters; it breaks the invariance under
    reparametrisation that the undamped step has. λ = 0 asks for an F that is regular: with more parameters than n·C
    it never is.

    **The closure** returns (loss, outputs), outputs of shape (n, C) with their graph, and does not call backward. The
    gradient is that of the whole loss; terms that are not part of the likelihood (weight decay) are in g and not in F.
    The closure is called once with gradients and, for "armijo", again without, at each trial point: it must be
    deterministic. `.grad` is neither read nor written. Returned is the loss before the step.

    **A step** that lowers the loss nowhere along p leaves the parameters as they were ("armijo"); a trial loss that is
    inf or nan is no decrease. Where g = 0 there is no step.

    **Matrix-free.** `solver="cg"` solves with products Fv. F + λI has no negative curvature; where rounding shows
    some (dᵀ(F + λI)d ≤ 0, with λ ≈ 0), conjugate gradients stop as in `Newton`, and the record says so.

    Args:
        params: parameters, named parameters or dictionaries of groups: all of a model's or some. One matrix is made
            over all groups, so their options are equal.
        loss_fn: `nn.CrossEntropyLoss` or `nn.MSELoss`, with reduction "mean" or "sum", as the closure uses it.
        lr: the first step length t ≥ 0.
        damping: λ ≥ 0, in units of F.
        globalisation: see above.
        kl_max: the radius of "kl", > 0.
        solver: "dense" (F in full, d³ work, 12 d² bytes, 27 d² in float64) or "cg" (products).
        linalg_dtype: `torch.float64` for eigenvalues or conjugate gradients in float64 whatever the parameters' type.
        max_backtracks: how often t is halved before the step is given up.
        cg_tol: relative progress per iteration at which conjugate gradients stop (Martens); 0 iterates to rounding.
        cg_max_iter: the most products a solve may take.
        max_d: the largest d for "dense"; None leaves the free memory as the only bound.
        max_records: how many steps `records` goes back; `records.clear()` empties it. Copies and pickles of the
            optimizer carry the records, `state_dict` does not.

    Attributes:
        records: list of `SecondOrderRecord`, one a step: losses, eigenvalues of F, step length, KL divergence, …

    Raises:
        TypeError: loss_fn is no such module, the closure is none or does not return (loss, outputs).
        ValueError: an option out of range, options that differ between groups, parameters that are frozen, complex or
            of mixed types, d > max_d; a loss or outputs that do not fit, are not finite (`NotFiniteError`) or constant.
        MemoryError: the dense matrix does not fit the free memory.
        torch.linalg.LinAlgError: F is singular, with λ = 0.

    Example:
        For a model that is linear in w, F is the Hessian, and one step solves least squares:

        >>> import torch
        >>> from torch import nn
        >>> model, loss_fn = nn.Linear(1, 1), nn.MSELoss()
        >>> x = torch.tensor([[0.0], [1.0], [2.0]])
        >>> y = 3 * x + 1
        >>> def closure():
        ...     outputs = model(x)
        ...     return loss_fn(outputs, y), outputs
        >>> optimizer = NaturalGradient(model.parameters(), loss_fn, damping=0.0)
        >>> _ = optimizer.step(closure)
        >>> round(model.weight.item(), 3), round(model.bias.item(), 3)
        (3.0, 1.0)

    References:
        S. Amari, 1998, "Natural gradient works efficiently in learning". J. Martens, 2014, arXiv 1412.1193, §6 and
        §8. R. Pascanu and Y. Bengio, 2013, arXiv 1301.3584 (trust in the KL divergence).
    """

    globalisations = ("armijo", "kl", "none")
    kept = (*SecondOrder.kept, "likelihood")

    def __init__(
        self,
        params: Iterable[Any],
        loss_fn: nn.Module,
        lr: float | Tensor = 1.0,
        damping: float = 1e-3,
        globalisation: Literal["armijo", "kl", "none"] = "armijo",
        *,
        kl_max: float = 1e-2,
        solver: Literal["dense", "cg"] = "dense",
        linalg_dtype: torch.dtype | None = None,
        max_backtracks: int = 20,
        cg_tol: float = 5e-4,
        cg_max_iter: int = 250,
        max_d: int | None = MAX_D,
        max_records: int = 1000,
    ) -> None:
        self.likelihood = likelihood_of(loss_fn)
        defaults = {
            "lr": lr, "damping": damping, "globalisation": globalisation, "kl_max": kl_max, "solver": solver,
            "linalg_dtype": linalg_dtype, "max_backtracks": max_backtracks, "cg_tol": cg_tol,
            "cg_max_iter": cg_max_iter, "max_d": max_d, "max_records": max_records,
        }  # fmt: skip
        super().__init__(params, defaults)

    @torch.no_grad()
    def step(self, closure: Closure | None = None) -> Tensor:  # type: ignore[override]  # torch says float
        """Take one step along −(F + λI)⁻¹g and record it; returns the loss before it."""
        params, o = self._checked()
        lr, damping = float(o["lr"]), float(o["damping"])

        here = Objective(closure, params, owner=self.owner)
        fisher = OutputFisher(here, self.likelihood, owner=self.owner)
        direction = self._solver(here.gradient, fisher.matrix, fisher.matvec, o, modified=_damped, added=True)(damping)
        trials = Trials(here, self.owner)

        if not here.gradient.any():
            done = trials.stay(direction, damping)
        elif o["globalisation"] == "armijo":
            done = armijo(trials, direction, damping, lr, o["max_backtracks"])
        elif o["globalisation"] == "kl":
            done = kl_step(trials, direction, damping, lr, fisher.matvec, o["kl_max"])
        else:
            done = full_step(trials, direction, damping, lr)

        self._keep(trials, done, o["max_records"])
        return here.loss


def _damped(e: Tensor, damping: float) -> Tensor:
    """The eigenvalues of F + λI; those of F are not negative, beyond rounding."""
    return e.clamp(min=0) + damping
