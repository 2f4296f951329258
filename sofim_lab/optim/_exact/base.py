"""What the optimizers that solve with a whole curvature matrix share: parameters, options, copies, records."""

from collections.abc import Callable, Iterable
from typing import Any, ClassVar

import torch
from torch import Tensor
from torch.optim import Optimizer

from sofim_lab.curvature import check_dense_size
from sofim_lab.optim._exact.directions import Dense, Direction, MatrixFree, Modified
from sofim_lab.optim._exact.globalise import Search, Trials
from sofim_lab.optim._exact.record import SecondOrderRecord
from sofim_lab.optim._parameters import check_parameters, is_finite

SOLVERS = ("dense", "cg")


class SecondOrder(Optimizer):
    """One matrix over all groups and one step length: groups may name parameters, their options are equal."""

    globalisations: ClassVar[tuple[str, ...]]
    kept: ClassVar[tuple[str, ...]] = ("records",)  # what copies and pickles take along beside torch's own

    def __init__(self, params: Iterable[Any], defaults: dict[str, Any]) -> None:
        self.records: list[SecondOrderRecord] = []
        if isinstance(params, torch.nn.Module):
            raise TypeError(f"params is a {type(params).__name__}: pass its parameters, model.parameters()")
        self._check_options(defaults)
        super().__init__(params, defaults)

    @property
    def owner(self) -> str:
        """The name to use in errors."""
        return type(self).__name__

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """Add a group, with the options of the others; nothing is added where something does not fit."""
        if isinstance(param_group, dict) and self.param_groups:
            param_group = {**self._options_of(self.param_groups[0]), **param_group}
        super().add_param_group(param_group)
        try:
            self._checked()
        except Exception:
            self.param_groups.pop()
            raise

    def __getstate__(self) -> dict[str, Any]:
        """Torch keeps options and parameters; copies and pickles keep the records too."""
        return {**super().__getstate__(), **{name: getattr(self, name) for name in self.kept}}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Options that a saved state does not know yet get their defaults."""
        super().__setstate__(state)
        for group in self.param_groups:
            for name, value in self.defaults.items():
                group.setdefault(name, value)

    def _options_of(self, group: dict[str, Any]) -> dict[str, Any]:
        """The options of a group, without its parameters."""
        return {name: group[name] for name in self.defaults if name in group}

    def _checked(self) -> tuple[list[Tensor], dict[str, Any]]:
        """All parameters in order, and the options; raise where they cannot make one matrix."""
        options = self._options_of(self.param_groups[0])
        for i, group in enumerate(self.param_groups):
            for name, value in options.items():
                if group[name] != value:
                    raise ValueError(
                        f"{self.owner} solves with one matrix over all groups: {name} must be the same in all, got "
                        f"{value!r} in group 0 and {group[name]!r} in group {i}; use two optimizers for two values"
                    )
        self._check_options(options)
        params = check_parameters(self.param_groups, self.owner)
        first, d = params[0], sum(p.numel() for p in params)
        for p in params:
            if p.dtype != first.dtype:
                raise ValueError(
                    f"{self.owner}: all parameters must share one dtype, got {first.dtype} and {p.dtype}: "
                    "convert the model, e.g. model.float(), or use two optimizers"
                )
        if d == 0:
            raise ValueError(f"{self.owner}: the parameters hold no numbers: pass at least one that is not empty")
        if options["solver"] == "dense":
            dtype, instead = linalg_dtype(options, first), f'{self.owner}(solver="cg")'
            check_dense_size(d, dtype, first.device, max_d=options["max_d"], instead=instead)
        return params, options

    def _check_options(self, options: dict[str, Any]) -> None:
        """Raise a ValueError that names the option, its value and the remedy."""
        owner = self.owner
        for name, zero, advice in (
            ("lr", True, "1.0 tries the whole step first"),
            ("damping", options["globalisation"] != "lm", "choose for example 1e-3"),
            ("cg_tol", True, "5e-4 is Martens' value, 0 iterates to rounding"),
            ("kl_max", False, "choose for example 1e-2"),
        ):
            value = options.get(name, 1.0)
            if not (is_finite(value) and (value > 0 or (zero and value == 0))):
                lowest = ">= 0" if zero else "> 0"
                raise ValueError(f"{owner}: {name} must be a finite number {lowest}, got {value!r}: {advice}")
        for name, allowed in (("globalisation", self.globalisations), ("solver", SOLVERS)):
            if options[name] not in allowed:
                known = ", ".join(map(repr, allowed))
                raise ValueError(f"{owner}: {name} must be one of {known}, got {options[name]!r}")
        for name, least in (("max_backtracks", 0), ("cg_max_iter", 1), ("max_records", 0), ("max_d", 1)):
            value = options[name]
            whole = isinstance(value, int) and not isinstance(value, bool) and value >= least
            if not whole and not (name == "max_d" and value is None):
                raise ValueError(f"{owner}: {name} must be a whole number >= {least}, got {value!r}")
        if options["linalg_dtype"] not in (None, torch.float32, torch.float64):
            raise ValueError(
                f"{owner}: linalg_dtype must be torch.float32, torch.float64 or None for the parameters' own, "
                f"got {options['linalg_dtype']!r}"
            )

    def _solver(
        self,
        gradient: Tensor,
        matrix: Callable[[torch.dtype], Tensor],
        product: Callable[[Tensor], Tensor],
        options: dict[str, Any],
        *,
        modified: Modified,
        added: bool,
    ) -> Callable[[float], Direction]:
        """Damping to direction, from the matrix, decomposed once, or from its products."""
        dtype = linalg_dtype(options, gradient)
        if options["solver"] == "dense":
            return Dense(matrix(dtype), gradient, modified, self.owner)
        tol, max_iter = options["cg_tol"], options["cg_max_iter"]
        return MatrixFree(product, gradient.to(dtype), added=added, tol=tol, max_iter=max_iter)

    def _keep(self, trials: Trials, done: Search, max_records: int) -> None:
        """Write the record of this step; the oldest ones go."""
        direction, gradient = done.direction, trials.here.gradient
        record = SecondOrderRecord(
            outcome="stepped" if done.taken else "no decrease" if bool(gradient.any()) else "stationary",
            loss=trials.loss,
            loss_after=done.loss_after,
            gradient_norm=torch.linalg.vector_norm(gradient).item(),
            damping=done.damping,
            step_length=done.step_length,
            backtracks=done.backtracks,
            evaluations=trials.evaluations,
            gain_ratio=done.gain_ratio,
            kl=done.kl,
            negative_curvature=direction.negative_curvature,
            eigenvalues=direction.eigenvalues,
            cg_iterations=direction.cg.iterations if direction.cg else None,
            cg_stop=direction.cg.stop if direction.cg else None,
        )
        self.records.append(record)
        del self.records[: max(0, len(self.records) - max_records)]


def linalg_dtype(options: dict[str, Any], like: Tensor) -> torch.dtype:
    """The type of the linear algebra: as asked for, else the parameters' own, and float32 at least."""
    return options["linalg_dtype"] or torch.promote_types(like.dtype, torch.float32)
