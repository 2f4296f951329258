"""Nyström-SGD: descent along (ZZᵀ + ρI)⁻¹g with a sketch ZZᵀ of the Hessian from a few of its columns."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.optim import Optimizer

from sofim_lab.curvature.woodbury import LowRankFIM, wide
from sofim_lab.optim._errors import NotFiniteError
from sofim_lab.optim._exact.objective import Objective
from sofim_lab.optim._parameters import check_count, check_parameters, check_rate_and_damping, is_finite


@dataclass(frozen=True)
class SketchRecord:
    """One refresh: the step before which it was made, its columns, and the eigenvalues of W, ascending, on the CPU."""

    step: int
    columns: Tensor  # indices into the flat parameters, shape (min(rank, d),)
    eigenvalues: Tensor  # of W = H[idx, idx], also the dropped ones
    rank: int  # how many were kept


class NystromSGD(Optimizer):
    r"""Stochastic descent preconditioned by a Nyström sketch of the Hessian (Nys-Newton).

    For random places idx, C = H[:, idx] by Hessian-vector products and W = H[idx, idx] = U diag(σ) Uᵀ,

        H ≈ C W⁺ Cᵀ,   Z = C U₊ diag(σ₊)^(−1/2)
        w ← w − η (ZZᵀ + ρI)⁻¹ g

    over the eigenvalues σ₊ > tol·σ_max alone: the Hessian of a network is indefinite, ZZᵀ is its positive part as far
    as the columns show it. On a positive semidefinite H, C W⁺ Cᵀ with all d columns is H itself.

    **tol.** Eigenvalues of W near zero, divided by, blow Z up. On a small network before training, λ_max(ZZᵀ) was
    2 to 37 times that of H for tol ≤ 1e−3, mostly 1.3 to 4 times for 1e−2 and 0.9 to 1.3 times for 0.1.
    **Columns.** They are drawn anew every `update_every` steps, from the mini-batch of that step; which ones depends on
    `seed` and the number of the step alone, so that a run resumed from a state_dict goes on as it would have.
    **Cost.** A refresh takes `rank` Hessian-vector products and O(d rank²); every other step one gradient and
    O(d rank). The state is Z, at most `rank` words a parameter. Across the columns of Z the direction is g/ρ: choose
    η/ρ as one chooses a rate for gradient descent.

    Args:
        params: parameters, named parameters or dictionaries of groups; groups may differ in lr alone.
        lr: the rate η ≥ 0.
        rho: damping ρ > 0, in units of the Hessian's eigenvalues.
        rank: number of columns ≥ 1; more than d means d.
        update_every: steps between refreshes, ≥ 1.
        tol: where to drop eigenvalues of W, in [0, 1), relative to the largest; rounding is dropped in any case.
        seed: of the columns.

    Raises:
        ValueError: an option is out of its range, groups differ in another one than lr, or a parameter requires no
            grad.

    Example:
        The closure returns the loss and does not call backward. A quadratic, all columns: Newton's step.

        >>> w = torch.nn.Parameter(torch.tensor([1.0, 1.0]))
        >>> optimizer = NystromSGD([w], lr=1.0, rho=1e-6, rank=2)
        >>> optimizer.step(lambda: 2 * w[0] ** 2 + w[1] ** 2)
        tensor(3.)
        >>> w.detach().abs().max() < 1e-5
        tensor(True)
        >>> optimizer.records[0].rank
        2

    References:
        D. Singh, H. Tankaria and M. Yamada, 2021, arXiv 2110.08577. C. Williams and M. Seeger, 2001, "Using the Nyström
        method to speed up kernel machines".
    """

    def __init__(
        self,
        params: Iterable[Any],
        lr: float | Tensor = 1.0,
        rho: float = 1.0,
        rank: int = 20,
        update_every: int = 10,
        *,
        tol: float = 0.1,
        seed: int = 0,
    ) -> None:
        self.records: list[SketchRecord] = []
        self._damped: LowRankFIM | None = None  # ZZᵀ + ρI, decomposed; made again from the state where it is lost
        if isinstance(params, torch.nn.Module):
            raise TypeError(f"params is a {type(params).__name__}: pass its parameters, model.parameters()")
        defaults = {"lr": lr, "rho": rho, "rank": rank, "update_every": update_every, "tol": tol, "seed": seed}
        super().__init__(params, defaults)

    @torch.no_grad()
    def step(self, closure: Callable[[], Tensor] | None = None) -> Tensor:  # type: ignore[override]  # torch says float
        """Take one step w ← w − η (ZZᵀ + ρI)⁻¹ g, from a fresh sketch where one is due.

        Args:
            closure: Returns the loss, a scalar, without calling backward; called once.

        Returns:
            The loss before the step, detached.

        Raises:
            TypeError: there is no closure, or it returns no tensor.
            ValueError: the loss is no finite scalar or does not depend on the parameters, or the sketch is not finite;
                nothing has been changed then.
            RuntimeError: the closure has called backward.
        """
        params, options = self._checked()
        here = Objective(closure, params, owner="NystromSGD")
        done = max(self.state[p].get("step", 0) for p in params)
        sketched = all("sketch" in self.state[p] for p in params)  # not where a group has joined
        if done % options["update_every"] == 0 or not sketched:
            rows = self._sketch(here, options, done)
            for p, part in zip(params, here.split(rows), strict=True):
                self.state[p]["sketch"] = part.clone()
            self._damped = None
        for p in params:
            self.state[p]["step"] = done + 1

        direction = self._solve(here.gradient, params, options["rho"])
        rates = [group["lr"] for group in self.param_groups for _ in group["params"]]
        for p, (part,), lr in zip(params, here.split(direction[None]), rates, strict=True):
            p.sub_(part * lr)
        return here.loss

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """Add a group; its options and parameters are checked before it joins, its columns are drawn at once."""
        super().add_param_group(param_group)
        try:
            self._checked()
        except ValueError:
            self.param_groups.pop()
            raise

    def __getstate__(self) -> dict[str, Any]:
        """Torch keeps options, parameters and state; copies and pickles keep the records too."""
        return {**super().__getstate__(), "records": self.records}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """A loaded or copied state brings its own sketch."""
        super().__setstate__(state)
        self._damped = None

    def _sketch(self, here: Objective, options: dict[str, Any], step: int) -> Tensor:
        """Zᵀ, shape (kept, d), from `rank` random columns of the Hessian."""
        d = len(here.gradient)
        draw = torch.Generator().manual_seed((options["seed"] * 1_000_003 + step) % 2**63)
        columns = torch.randperm(d, generator=draw)[: options["rank"]]
        idx = columns.to(here.gradient.device)
        C = here.hvp(torch.zeros(d, len(idx)).to(here.gradient).scatter_(0, idx[None], 1.0))
        W = wide(C[idx])
        if not bool(C.isfinite().all()):
            raise NotFiniteError(
                "NystromSGD: the columns of the Hessian are not finite at the present parameters, nothing was changed: "
                "look for a loss without a second derivative, or lower lr"
            )
        values, U = torch.linalg.eigh((W + W.mT) / 2)
        floor = max(options["tol"], len(idx) * torch.finfo(C.dtype).eps) * values[-1]
        kept = (values > floor) & (values > 0)
        self.records.append(SketchRecord(step + 1, columns, values.cpu(), int(kept.sum())))
        return ((U[:, kept] / values[kept].sqrt()).to(C).mT @ C.mT).contiguous()

    def _solve(self, gradient: Tensor, params: list[Tensor], rho: float) -> Tensor:
        """(ZZᵀ + ρI)⁻¹ g by Woodbury's identity."""
        if self._damped is None:
            rows = torch.cat([self.state[p]["sketch"].flatten(1) for p in params], dim=1).to(gradient)
            if not len(rows):  # no positive curvature in these columns
                return gradient / rho
            self._damped = LowRankFIM(rows, rho, torch.ones(len(rows)).to(rows))
        self._damped.rho = float(rho)
        return self._damped.solve(gradient)

    def _checked(self) -> tuple[list[Tensor], dict[str, Any]]:
        """All parameters, and the options of the one matrix; raise where something is out of range."""
        first = self.param_groups[0]
        for i, group in enumerate(self.param_groups):
            check_rate_and_damping(group)
            check_count("rank", group["rank"], default=20)
            check_count("update_every", group["update_every"], default=10)
            if not (is_finite(group["tol"]) and 0 <= group["tol"] < 1):
                raise ValueError(f"tol must lie in [0, 1), got {group['tol']!r}: choose for example tol=0.1")
            if isinstance(group["seed"], bool) or not isinstance(group["seed"], int):
                raise ValueError(f"seed must be a whole number, got {group['seed']!r}: choose for example seed=0")
            for name in ("rho", "rank", "update_every", "tol", "seed"):
                if group[name] != first[name]:
                    raise ValueError(
                        f"{name} must be the same in all groups, there is one matrix: group {i} has {group[name]!r}, "
                        f"group 0 has {first[name]!r}; use two optimizers for two values"
                    )
        return check_parameters(self.param_groups, "NystromSGD"), first
