"""SOFIM's relatives: descent along the averaged gradient m, with another rule for the length of the step."""

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch.optim import Optimizer

from sofim_lab.curvature.step_lengths import step_lengths

RULES = ("constant rate", "clipped", "normalised", "SOFIM")


class AlongMoment(Optimizer):
    r"""Steps along the bias-corrected mean m of the gradients, as long as a rule of ‖m‖ says.

        M_t = β M_{t−1} + (1 − β) g_t      m_t = M_t / (1 − βᵗ)      w_{t+1} = w_t − length(‖m_t‖) m_t / ‖m_t‖

    The rules are those of `sofim_lab.curvature.step_lengths`, matched to one SOFIM by its η and ρ: the same rate η/ρ
    for small m, and the same longest step η/(2√ρ). ‖m‖ runs over all parameters. The rule `SOFIM` is SOFIM itself,
    written plainly: for comparisons in which everything else is equal.

    Args:
        params: Parameters.
        rule: `constant rate`, `clipped`, `normalised` or `SOFIM`.
        lr: η ≥ 0 of the SOFIM that the rule is matched to.
        rho: its ρ > 0.
        beta: β in [0, 1).
        bias_correction: Whether m is M/(1 − βᵗ), or M itself.

    Raises:
        ValueError: Another rule, or an option out of its range.

    Example:
        >>> w = torch.nn.Parameter(torch.tensor([30.0, 40.0]))
        >>> w.grad = w.detach().clone()
        >>> AlongMoment([w], "clipped", lr=10.0, rho=1.0).step()
        >>> w.tolist()
        [27.0, 36.0]

    References:
        As in `step_lengths`.
    """

    def __init__(
        self,
        params: Iterable[Any],
        rule: str = "constant rate",
        lr: float = 1.0,
        rho: float = 0.5,
        beta: float = 0.9,
        bias_correction: bool = True,
    ) -> None:
        if rule not in RULES:
            raise ValueError(f"rule={rule!r} is unknown: choose one of {', '.join(RULES)}")
        if not 0 <= beta < 1:
            raise ValueError(f"beta={beta!r} must lie in [0, 1)")
        step_lengths(torch.ones(()), lr, rho)  # refuses what is out of range
        known = {"rule": rule, "lr": lr, "rho": rho, "beta": beta, "bias_correction": bias_correction}
        super().__init__(params, known)

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Take one step; returns what `closure` returns."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        known = self.param_groups[0]
        members = [p for group in self.param_groups for p in group["params"] if p.grad is not None]
        moments = []
        for p in members:
            state = self.state[p]
            state["step"] = state.get("step", 0) + 1
            state["moment"] = torch.lerp(p.grad, state.get("moment", torch.zeros_like(p)), known["beta"])
            lag = known["beta"] ** state["step"] if known["bias_correction"] else 0.0
            moments.append(state["moment"] / (1 - lag))
        norm = torch.stack([m.square().sum() for m in moments]).sum().sqrt() if moments else torch.zeros(())
        if norm > 0:
            rate = step_lengths(norm, known["lr"], known["rho"])[known["rule"]] / norm
            for p, m in zip(members, moments, strict=True):
                p.sub_(rate.to(m) * m)
        return loss
