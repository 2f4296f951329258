"""Newton's method with the exact Hessian, made safe for losses that are not convex."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor

from sofim_lab.curvature.memory import MAX_D
from sofim_lab.optim._exact.base import SecondOrder
from sofim_lab.optim._exact.directions import Modified, rounding
from sofim_lab.optim._exact.globalise import Trials, armijo, full_step, gain_ratio
from sofim_lab.optim._exact.objective import Closure, Objective


@dataclass(frozen=True)
class Globalisation:
    """How damping λ turns the eigenvalues e of H into those of A, and whether λ is added where H is not decomposed."""

    modified: Modified
    added: bool


GLOBALISATIONS = {
    "saddle-free": Globalisation(lambda e, damping: e.abs().clamp(min=damping), added=False),
    "shift": Globalisation(lambda e, damping: e + (damping - e[0]).clamp(min=0), added=False),
    "lm": Globalisation(lambda e, damping: e + (-e[0]).clamp(min=0) + max(damping, rounding(e)), added=True),
    "none": Globalisation(lambda e, damping: e + damping, added=True),
}


class Newton(SecondOrder):
    r"""Descent along p = −A⁻¹g, where A is the Hessian H of the loss made positive definite with the damping λ.

    With the eigenvalues e and eigenvectors Q of H, `globalisation` chooses A and how far to go:

        "saddle-free"  A = Q max(|e|, λ) Qᵀ               w ← w + t p, t by Armijo backtracking from lr
        "shift"        A = H + (λ − e_min)₊ I             the same
        "lm"           A = H + ((−e_min)₊ + λ) I          t = lr; λ follows the gain ratio (Levenberg–Marquardt)
        "none"         A = H + λI, perhaps indefinite     t = lr, unchecked: kept to show how it diverges

    Hence λ is the least curvature that is trusted in the first two (eigenvalues above it are Newton's own, undamped),
    a trust region's multiplier in the third and a constant in the fourth. Under "lm" the present λ is the groups'
    `damping`, which `state_dict` carries.

    **Matrix-free.** `solver="cg"` needs products Hv alone. In the first two cases conjugate gradients run on H itself
    and stop at a direction d with curvature dᵀHd < λ dᵀd; in the others they run on H + λI and stop at dᵀ(H + λI)d ≤ 0.
    Then p is the iterate so far, or −g/max(|κ|, λ) (the last two: −g/|κ|) where the first direction, −g, had such a
    curvature κ: a direction of descent each time, and the record says that it happened. Without a stop by curvature,
    p solves Hp = −g, or (H + λI)p = −g, to `cg_tol`.

    **The closure** returns the loss, or a pair of the loss and something else, and does not call backward. It is
    called once with gradients and again, without, at each trial point, so it must be deterministic: one batch, no
    dropout; BatchNorm layers in training mode count each call. The loss needs two derivatives; weight decay belongs
    into it. `.grad` is neither read nor written. Returned is the loss before the step.

    **A step** that lowers the loss nowhere along p leaves the parameters as they were; a trial loss that is inf or nan
    is no decrease. Where rounding of the loss hides the decrease in prospect, the whole step is taken unless the loss
    visibly rises. Where g = 0 there is no step, also at a saddle: H then has a negative eigenvalue, and the record
    shows it (the dense one: without a direction, conjugate gradients see nothing). Nothing is perturbed.

    Args:
        params: parameters, named parameters or dictionaries of groups: all of a model's or some, e.g. the last layer's.
            One matrix is made over all groups, so their options are equal.
        lr: the first step length t ≥ 0; 1 is Newton's.
        damping: λ ≥ 0, in units of the curvature; > 0 for "lm", where it is the first one.
        globalisation: see above.
        solver: "dense" (H in full, d³ work, 12 d² bytes, 27 d² in float64) or "cg" (products).
        linalg_dtype: `torch.float64` for eigenvalues or conjugate gradients in float64 whatever the parameters' type.
        max_backtracks: how often t is halved, or the damping raised, before the step is given up.
        cg_tol: relative progress per iteration at which conjugate gradients stop (Martens); 0 iterates to rounding.
        cg_max_iter: the most products a solve may take.
        max_d: the largest d for "dense"; None leaves the free memory as the only bound.
        max_records: how many steps `records` goes back; `records.clear()` empties it. Copies and pickles of the
            optimizer carry the records, `state_dict` does not.

    Attributes:
        records: list of `SecondOrderRecord`, one a step: losses, eigenvalues, damping, step length, gain ratio, …

    Raises:
        TypeError: the closure is none, or does not return a tensor.
        ValueError: an option out of range, options that differ between groups, parameters that are frozen, complex or
            of mixed types, d > max_d; a loss that is no number, not finite (`NotFiniteError`) or independent of them.
        MemoryError: the dense matrix does not fit the free memory.
        torch.linalg.LinAlgError: A is singular, with λ = 0 or "none".

    Example:
        One step solves linear least squares:

        >>> import torch
        >>> w = torch.nn.Parameter(torch.zeros(2))
        >>> A, b = torch.tensor([[2.0, 0.0], [1.0, 1.0]]), torch.tensor([2.0, 3.0])
        >>> optimizer = Newton([w])
        >>> optimizer.step(lambda: (A @ w - b).square().sum())
        tensor(13.)
        >>> w.data
        tensor([1.0000, 2.0000])

        Newton on the last layer, another optimizer on the rest (DN-SGD):

        >>> _ = torch.manual_seed(0)
        >>> body, head = torch.nn.Sequential(torch.nn.Linear(2, 4), torch.nn.Tanh()), torch.nn.Linear(4, 1)
        >>> x = torch.randn(32, 2)
        >>> loss = lambda: (head(body(x)) - x.prod(1, keepdim=True)).square().mean()
        >>> sgd, newton = torch.optim.SGD(body.parameters(), lr=0.1), Newton(head.parameters())
        >>> before = loss().item()
        >>> for _ in range(5):
        ...     sgd.zero_grad()
        ...     loss().backward()
        ...     sgd.step()
        ...     _ = newton.step(loss)
        >>> loss().item() < before / 2
        True

    References:
        Y. Dauphin et al., 2014, arXiv 1406.2572 ("saddle-free"). J. Nocedal and S. Wright, 2006, "Numerical
        Optimization", §3.4 ("shift"). K. Madsen, H. B. Nielsen and O. Tingleff, 2004, "Methods for non-linear least
        squares problems", eq. 2.21 ("lm"). J. Martens, 2010, "Deep learning via Hessian-free optimization", §4.4.
    """

    globalisations = tuple(GLOBALISATIONS)

    def __init__(
        self,
        params: Iterable[Any],
        lr: float | Tensor = 1.0,
        damping: float = 1e-3,
        globalisation: Literal["saddle-free", "shift", "lm", "none"] = "saddle-free",
        *,
        solver: Literal["dense", "cg"] = "dense",
        linalg_dtype: torch.dtype | None = None,
        max_backtracks: int = 20,
        cg_tol: float = 5e-4,
        cg_max_iter: int = 250,
        max_d: int | None = MAX_D,
        max_records: int = 1000,
    ) -> None:
        defaults = {
            "lr": lr, "damping": damping, "globalisation": globalisation, "solver": solver,
            "linalg_dtype": linalg_dtype, "max_backtracks": max_backtracks, "cg_tol": cg_tol,
            "cg_max_iter": cg_max_iter, "max_d": max_d, "max_records": max_records,
        }  # fmt: skip
        super().__init__(params, defaults)

    @torch.no_grad()
    def step(self, closure: Closure | None = None) -> Tensor:  # type: ignore[override]  # torch says float
        """Take one step along −A⁻¹g and record it; returns the loss before it."""
        params, o = self._checked()
        lr, damping, tries = float(o["lr"]), float(o["damping"]), o["max_backtracks"]
        rule = GLOBALISATIONS[o["globalisation"]]

        here = Objective(closure, params, owner=self.owner)
        solve = self._solver(here.gradient, here.hessian, here.hvp, o, modified=rule.modified, added=rule.added)
        trials = Trials(here, self.owner)

        if not here.gradient.any():
            done = trials.stay(solve(damping), damping)
        elif o["globalisation"] == "lm":
            done, damping = gain_ratio(trials, solve, damping, lr, tries)
            self._set_damping(damping)
        elif o["globalisation"] == "none":
            done = full_step(trials, solve(damping), damping, lr)
        else:
            done = armijo(trials, solve(damping), damping, lr, tries)

        self._keep(trials, done, o["max_records"])
        return here.loss

    def _set_damping(self, damping: float) -> None:
        """The next step's damping, for all groups; never so small that it could not grow again."""
        lowest = 1e-16 * self.defaults["damping"]
        for group in self.param_groups:
            group["damping"] = max(damping, lowest)
