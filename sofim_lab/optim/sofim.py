"""SOFIM: descent along F⁻¹v with the rank-one Fisher proxy F = m mᵀ + ρI."""

import math
from collections.abc import Callable, Iterable
from typing import Any, Literal

import torch
from torch import Tensor
from torch.optim import Optimizer

from sofim_lab.optim._sofim.block import Block
from sofim_lab.optim._sofim.collect import Members, members_of
from sofim_lab.optim._sofim.diagnostics import Diagnostics, Gauge
from sofim_lab.optim._sofim.nonfinite import all_finite, raise_nonfinite
from sofim_lab.optim._sofim.options import SHARED, check_options, check_shared
from sofim_lab.optim._sofim.plan import Plan
from sofim_lab.optim._sofim.reduce import Scalar, plus
from sofim_lab.optim._sofim.saved import check_state_dict, complete, restore_moments
from sofim_lab.optim._sofim.traced import traced_step


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
    with L2 decay the bound is that of the decayed gradient's average; blocks="tensor": times √(number of tensors). The
    gradient direction has none.
    **Limits.** For ρ ≫ ‖m‖² this is momentum at rate η/ρ, i.e. `SGD(lr=(1 − β)·η/ρ, momentum=β)` after its warm-up.

    **State.** A parameter without a gradient keeps its moment and its own step count t and is left out of ‖m‖. The
    state of a parameter is `step` and `moment`, m itself (float32 for bfloat16 and float16 parameters):
    m_t = m_{t−1} + (v_t − m_{t−1})(1 − β)/(1 − βᵗ). lr, beta, rho and weight_decay of a group may be changed between
    steps, by a scheduler or by hand; m stays an average with weights that sum to one. A scheduler that cycles
    `momentum` or `betas` has to be told not to: `OneCycleLR(..., cycle_momentum=False)`, `CyclicLR` likewise.
    **Shards.** With FSDP2 (`fully_shard`) and DDP m runs over the parameters of all processes.

    Args:
        params: parameters, named parameters or dictionaries of groups, as in every `torch.optim.Optimizer`.
        lr: the rate η ≥ 0. A natural scale is ρ: η/ρ is the rate of the large-ρ limit.
        beta: decay β of the average, in [0, 1); 0 uses the gradient alone.
        rho: damping ρ > 0, in units of ‖g‖².
        direction: `"momentum"` or `"gradient"`; one for all groups.
        weight_decay: L2 coefficient λ ≥ 0; the gradient becomes g + λw.
        decoupled_weight_decay: `True` takes λ out of the gradient and shrinks w by the factor 1 − ηλ instead (AdamW).
        blocks: `"global"`, one F for everything as in the paper; or `"tensor"`, one F for each tensor by itself.
        nonfinite: what to do about a gradient with inf or nan. `"raise"`: a NotFiniteError before any parameter
            is changed; the moments of the parameters it names start afresh, the others have averaged. `"skip"`: look
            at the gradients first, one more pass over them, and leave a bad step out entirely. `"propagate"`: all
            parameters of that F become nan. `None` means "raise" where everything is on the CPU, as it costs nothing
            there, else "propagate", as the others would wait for the device.
        maximize: ascend instead of descend.
        foreach: `True` uses the multi-tensor kernels, `False` one tensor at a time, `None` what is quicker for
            tensors of this size. The results agree up to rounding. blocks="tensor" goes one at a time.
        capturable: keep the step counts on the device and never branch on a value: for CUDA graphs, and what
            `torch.compile` does of its own accord. lr must then be a tensor if it is to change.
        differentiable: let autograd see the step; parameters must not be leaves then.
        diagnostics: append a `Diagnostics` (‖m‖, step length, cos∠(g, m)) to `records` at each step, at the cost of
            temporary copies of a tensor. A replayed graph overwrites its one record.

    Raises:
        TypeError: `params` is a module.
        ValueError: an option is out of its range, or a group differs from the others where all must agree.
        RuntimeError: a gradient is sparse; nothing has been changed then.
        NotFiniteError: a gradient is not finite, see `nonfinite`; a FloatingPointError.

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
        decoupled_weight_decay: bool = False,
        blocks: Literal["global", "tensor"] = "global",
        nonfinite: Literal["raise", "skip", "propagate"] | None = None,
        maximize: bool = False,
        foreach: bool | None = None,
        capturable: bool = False,
        differentiable: bool = False,
        diagnostics: bool = False,
    ) -> None:
        defaults = {
            "lr": lr, "beta": beta, "rho": rho, "direction": direction, "weight_decay": weight_decay,
            "decoupled_weight_decay": decoupled_weight_decay, "blocks": blocks, "nonfinite": nonfinite,
            "maximize": maximize, "foreach": foreach, "capturable": capturable, "differentiable": differentiable,
            "diagnostics": diagnostics,
        }  # fmt: skip
        check_options(defaults)
        if isinstance(params, torch.nn.Module):
            raise TypeError(f"params is a {type(params).__name__}: pass its parameters, model.parameters()")
        self.records: list[Diagnostics] = []
        self._plan = Plan()  # never saved or copied
        super().__init__(params, defaults)

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Take one step, m ← average of v and w ← w − η F⁻¹v; returns what `closure` returns."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        with torch.set_grad_enabled(self._shared["differentiable"]):
            self._step()
        return loss

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """Add a group; its options are checked before it joins, those that all groups share are the optimizer's."""
        if isinstance(param_group, dict):
            shared = {name: self._shared[name] for name in SHARED}
            param_group = {**shared, **param_group}
            check_options({**self.defaults, **param_group})
            if self.param_groups:
                check_shared(param_group, shared)
        super().add_param_group(param_group)

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Load a state; one of an older version or of another dtype or device is converted.

        Args:
            state_dict: what `state_dict()` returned, here or elsewhere.

        Raises:
            ValueError: it is the state of another optimizer, or of other groups; nothing has been changed then.
        """
        loaded: list[dict[str, Any]] = []

        def last(_: Optimizer, final: dict[str, Any]) -> None:  # after the user's own hooks
            check_state_dict(final)
            loaded.append(final)

        hook = self.register_load_state_dict_pre_hook(last)
        try:
            super().load_state_dict(state_dict)
        finally:
            hook.remove()
        restore_moments(self.param_groups, self.state, loaded[0])

    def __getstate__(self) -> dict[str, Any]:
        return {**super().__getstate__(), "records": self.records}

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        self.__dict__.setdefault("records", [])
        self._plan = Plan()
        complete(self.param_groups, self.state)

    @property
    def _shared(self) -> dict[str, Any]:
        """Where the options are that all groups share."""
        return self.param_groups[0] if self.param_groups else self.defaults

    def _step(self) -> None:
        """Look at the gradients where that is asked for, then step in the form that the options need."""
        members, shared = members_of(self.param_groups), self._shared
        gauge = Gauge() if shared["diagnostics"] and members else None
        traced = shared["capturable"] or shared["differentiable"] or torch.compiler.is_compiling()
        if shared["nonfinite"] == "skip" and not traced and not all_finite(members):
            return
        if traced:
            traced_step(members, self.state, gauge)
        else:
            self._step_in_blocks(members, gauge)
        if gauge is not None:
            self.records.append(gauge.record())

    def _step_in_blocks(self, members: Members, gauge: Gauge | None) -> None:
        """Average everything, then move everything: only in between is ‖m‖ known."""
        families = self._plan.families(members, self.state)
        moves = [(blocks, *self._average(blocks)) for blocks in families]
        if any(self._must_raise(s) for _, _, s, _ in moves):
            raise_nonfinite(members, self.param_groups, self.state)
        for blocks, collapsed, s, t in reversed(moves):
            for b in reversed(blocks):  # the last are still in the cache
                if gauge is not None:
                    b.measure(gauge, s, None if collapsed else t)
                if collapsed:
                    b.along_moment(-b.rate / (b.rho * (1 + s)))  # F⁻¹m = m / (ρ (1 + s))
                else:
                    b.along_gradient(-b.rate / b.rho, t / (1 + s))  # F⁻¹v = (v − m t/(1 + s)) / ρ
        self._plan.keep(families, self.state)

    def _average(self, blocks: list[Block]) -> tuple[bool, Scalar, Scalar]:
        """Average v into m; returns whether v = m, then ‖m‖² and mᵀv in the metric of diag(1/ρ)."""
        collapsed = self._shared["direction"] == "momentum" or all(b.weight == 1 for b in blocks)
        s: Scalar = 0.0
        t: Scalar = 0.0
        for b in blocks:
            mm, mv = b.average(with_product=not collapsed)
            s, t = plus(s, mm / b.rho), plus(t, mv / b.rho)
        s = s.fmod(math.inf) if isinstance(s, Tensor) else s + (s - s)
        return collapsed, s, t  # an infinite ‖m‖ has become nan and is seen, 1/∞ would only stop the step

    def _must_raise(self, s: Scalar) -> bool:
        """Whether ‖m‖ is not finite and somebody is to hear of it."""
        on_cpu = not isinstance(s, Tensor)
        nonfinite = self._shared["nonfinite"] or ("raise" if on_cpu else "propagate")
        return nonfinite == "raise" and not math.isfinite(s)
