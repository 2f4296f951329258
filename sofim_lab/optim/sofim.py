"""SOFIM: descent along F⁻¹v with the rank-one Fisher proxy F = m mᵀ + ρI."""

from collections.abc import Callable, Iterable
from typing import Any, Literal

import torch
from torch import Tensor
from torch.optim import Optimizer

from sofim_lab.optim._block import Block, split
from sofim_lab.optim._options import check_options


class SOFIM(Optimizer):
    r"""Stochastic descent preconditioned by the regularized rank-one Fisher matrix of the mean gradient.

    With the gradient g, its exponential average M and its bias-corrected average m,

        M_t = β M_{t−1} + (1 − β) g_t        m_t = M_t / (1 − βᵗ)
        F_t = m_t m_tᵀ + ρI                  w_{t+1} = w_t − η F_t⁻¹ v_t

    where v_t = m_t (`direction="momentum"`, Algorithm 1 of the paper) or v_t = g_t (`direction="gradient"`). By the
    Sherman–Morrison identity F⁻¹v = (v − m mᵀv/(ρ + ‖m‖²))/ρ, so a step costs O(d). The vector m runs over ALL
    parameters and groups that have a gradient in this step; groups may differ in ρ, then F = m mᵀ + diag(ρ_g).

    **Collapse.** For v = m the direction is F⁻¹m = m/(ρ + ‖m‖²): momentum with one scalar, norm-adaptive rate.
    **Trust radius.** Hence no momentum step is longer than η/(2√ρ), reached at ‖m‖ = √ρ. Groups: 1/(2√min ρ);
    with weight decay the bound is that of the decayed gradient's average. The gradient direction has none.
    **Limits.** For ρ ≫ ‖m‖² this is momentum at rate η/ρ, i.e. `SGD(lr=(1 − β)·η/ρ, momentum=β)` after its warm-up.

    A parameter without a gradient keeps its moment and its own step count t and is left out of ‖m‖. The state of a
    parameter is `step` (an int) and `moment`, m itself: m_t = m_{t−1} + (v_t − m_{t−1})(1 − β)/(1 − βᵗ). A group's
    β may be changed between steps; m stays an average with weights that sum to one.

    Args:
        params: parameters, named parameters or dictionaries of groups, as in every `torch.optim.Optimizer`.
        lr: the rate η ≥ 0. A natural scale is ρ: η/ρ is the rate of the large-ρ limit.
        beta: decay β of the average, in [0, 1); 0 uses the gradient alone.
        rho: damping ρ > 0, in units of ‖g‖².
        direction: `"momentum"` or `"gradient"`; one for all groups.
        weight_decay: L2 coefficient ≥ 0; the gradient becomes g + weight_decay·w.
        maximize: ascend instead of descend.
        foreach: `True` uses the multi-tensor kernels, `False` one tensor at a time, `None` what is quicker for
            tensors of this size. The results agree up to rounding.

    Raises:
        ValueError: an option is out of its range, or a group has another direction than the rest.
        RuntimeError: a gradient is sparse; nothing has been changed then.

    Example:
        At ‖m‖ = √ρ a step is as long as it can be, 1/(2√ρ) = 0.1:

        >>> import torch
        >>> w = torch.nn.Parameter(torch.tensor([3.0, 4.0]))
        >>> optimizer = SOFIM([w], lr=1.0, rho=25.0)
        >>> (0.5 * w.square().sum()).backward()
        >>> optimizer.step()
        >>> w.tolist()
        [2.94..., 3.92...]

    References:
        SOFIM, 2024, arXiv 2403.02833, Algorithm 1 (momentum). DP-FedSOFIM, 2026, arXiv 2601.09166 (gradient).
    """

    def __init__(
        self,
        params: Iterable[Any],
        lr: float | Tensor = 1.0,
        beta: float = 0.9,
        rho: float = 0.5,
        direction: Literal["momentum", "gradient"] = "momentum",
        weight_decay: float = 0.0,
        *,
        maximize: bool = False,
        foreach: bool | None = None,
    ) -> None:
        defaults = {
            "lr": lr, "beta": beta, "rho": rho, "direction": direction, "weight_decay": weight_decay,
            "maximize": maximize, "foreach": foreach,
        }  # fmt: skip
        check_options(defaults)
        if isinstance(params, torch.nn.Module):
            raise TypeError(f"params is a {type(params).__name__}: pass its parameters, model.parameters()")
        super().__init__(params, defaults)

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Take one step, m ← average of v and w ← w − η F⁻¹v; returns what `closure` returns."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()

        momentum = self._direction() == "momentum"
        blocks = self._blocks()
        collapsed = momentum or all(b.weight == 1 for b in blocks)  # v = m, also where nothing is remembered

        s = t = 0.0  # ‖m‖² and mᵀv in the metric of diag(1/ρ)
        for b in blocks:
            mm, mv = b.average(with_product=not collapsed)
            s, t = s + mm / b.rho, t + mv / b.rho

        for b in reversed(blocks):
            if collapsed:
                b.along_moment(-b.rate / (b.rho * (1 + s)))  # F⁻¹m = m / (ρ (1 + s))
            else:
                b.along_gradient(-b.rate / b.rho, t / (1 + s))  # F⁻¹v = (v − m t/(1 + s)) / ρ
        return loss

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """Add a group; its options are checked before it joins, its direction is the optimizer's."""
        if isinstance(param_group, dict):
            param_group = {"direction": self._direction(), **param_group}
            check_options({**self.defaults, **param_group})
            if param_group["direction"] != self._direction():
                raise ValueError(
                    f"direction must be the same in all groups: this group has {param_group['direction']!r}, "
                    f"the optimizer {self._direction()!r}; use two optimizers for two directions"
                )
        super().add_param_group(param_group)

    def _direction(self) -> str:
        return (self.param_groups or [self.defaults])[0]["direction"]

    def _blocks(self) -> list[Block]:
        """Everything that has a gradient, sorted into what is treated alike; counts this step."""
        self._refuse_sparse()
        blocks = []
        for group in self.param_groups:
            beta, sign = group["beta"], -1 if group["maximize"] else 1
            for t, columns in self._count(group["params"]).items():
                for (ps, gs, ms), _ in self._group_tensors_by_device_and_dtype(columns).values():
                    size = sum(map(Tensor.numel, ps))
                    blocks.append(
                        Block(
                            parts=split((ps, gs, ms), size, group["foreach"]),
                            weight=(1 - beta) / (1 - beta**t),
                            rate=sign * group["lr"],
                            rho=group["rho"],
                            decay=sign * group["weight_decay"],
                            size=size,
                        )
                    )
        return blocks

    def _count(self, params: list[Tensor]) -> dict[int, list[list[Tensor]]]:
        """Parameters, gradients and moments by the parameters' own step counts, which this step advances."""
        by_step: dict[int, list[list[Tensor]]] = {}
        for p in params:
            g = p.grad
            if g is None:
                continue
            state = self.state[p]
            if not state:
                state["step"] = 0
                state["moment"] = torch.zeros_like(p, memory_format=torch.preserve_format)
            m = state["moment"]
            state["step"] = t = state["step"] + 1
            if p.is_complex():
                p, g, m = torch.view_as_real(p), torch.view_as_real(g), torch.view_as_real(m)
            ps, gs, ms = by_step.get(t) or by_step.setdefault(t, [[], [], []])
            ps.append(p)
            gs.append(g)
            ms.append(m)
        return by_step

    def _refuse_sparse(self) -> None:
        """Raise for a sparse gradient before anything has changed."""
        for i, group in enumerate(self.param_groups):
            for j, p in enumerate(group["params"]):
                g = p.grad
                if g is not None and g.layout is not torch.strided:
                    name = group["param_names"][j] if "param_names" in group else f"parameter {j} of group {i}"
                    raise RuntimeError(
                        f"SOFIM needs dense gradients: that of {name}, shape {tuple(p.shape)}, has the layout "
                        f"{g.layout}; build the layer with sparse=False, or call p.grad = p.grad.to_dense()"
                    )
