"""The dial between SOFIM and the natural gradient: descent along F⁻¹g with a Fisher proxy of k rows."""

from collections.abc import Callable, Iterable, Iterator
from typing import Any, Literal

import torch
from torch import Tensor
from torch.optim import Optimizer

from sofim_lab.curvature.woodbury import Dual, combine, inner_products, wide
from sofim_lab.optim._errors import NotFiniteError
from sofim_lab.optim._parameters import check_count, check_parameters, check_rate_and_damping
from sofim_lab.optim._sample_rows import group_means, per_sample_losses

Rows = tuple[Any, list[tuple[Tensor, dict[str, Any], Tensor]], Tensor, Tensor]  # loss, (w, group, g) …, p, a


class LowRankFisher(Optimizer):
    r"""Stochastic descent preconditioned by k gradients: at k = 1 SOFIM, at k = n the empirical natural gradient.

    With rows g_1 … g_k and weights p that sum to one,

        F = Σ_j p_j g_j g_jᵀ + ρI        w ← w − η F⁻¹v

    `rows="samples"`: the batch of n samples, in its order, is cut into k groups at the places ⌊j n/k⌋; g_j is the
    mean gradient of group j and p_j its share of the samples, so that v = Σ_j p_j g_j is the gradient of the mean loss
    for any k. The cuts for k are among those for 2k, 3k, …: the groups are nested, and F grows from the rank-one
    v vᵀ + ρI (k = 1: `SOFIM(beta=0)`) through the covariance between groups to (1/n) Σ_i ∇ℓ_i ∇ℓ_iᵀ + ρI (k = n: the
    empirical FIM for cross-entropy, which is not the Fisher matrix).

    `rows="gradients"`: g_j are the last k mini-batch gradients, p_j = 1/k, and v is the newest (M-FAC). k = 1 is again
    `SOFIM(beta=0)`. While fewer than k steps have been made, k is their number. A parameter without a gradient has
    the row zero in this step and is left out of it.

    Where samples see each other (BatchNorm in training mode), ∇ℓ_i is the derivative of loss i within its batch.

    Since v lies in the row space, F⁻¹v = GᵀS (K + I)⁻¹ S⁻¹ a without any subtraction (see `LowRankFIM`). Groups may
    differ in η and ρ; F = Σ p g gᵀ + diag(ρ_g) is one matrix over all groups. The rows from samples cost k backward
    passes of the batch, and k words a parameter; those from gradients k words a parameter of state.

    Args:
        params: parameters, named parameters or dictionaries of groups, as in every `torch.optim.Optimizer`.
        lr: the rate η ≥ 0. A natural scale is ρ.
        rho: damping ρ > 0, in units of ‖g‖².
        k: number of rows ≥ 1; None makes each sample a row (k = n), for samples alone. May be changed between steps
            for samples; one for all groups.
        rows: `"samples"` or `"gradients"`; one for all groups.

    Raises:
        ValueError: an option is out of its range, the groups differ in k or rows, or a parameter requires no grad.

    Example:
        The closure returns one loss a sample and does not call backward:

        >>> x, y = torch.eye(2), torch.tensor([1.0, 2.0])
        >>> w = torch.nn.Parameter(torch.zeros(2))
        >>> optimizer = LowRankFisher([w], lr=1.0, rho=0.5, k=2)
        >>> optimizer.step(lambda: 0.5 * (x @ w - y).square())
        tensor([0.5000, 2.0000])
        >>> w.detach()  # g = −(1, 2)/2, F = diag(1, 4)/2 + I/2
        tensor([0.5000, 0.4000])

    References:
        SOFIM, 2024, arXiv 2403.02833. E. Frantar, E. Kurtic and D. Alistarh, 2021, arXiv 2107.03356 (M-FAC).
    """

    def __init__(
        self,
        params: Iterable[Any],
        lr: float | Tensor = 1.0,
        rho: float = 0.5,
        k: int | None = 8,
        rows: Literal["samples", "gradients"] = "samples",
    ) -> None:
        if isinstance(params, torch.nn.Module):
            raise TypeError(f"params is a {type(params).__name__}: pass its parameters, model.parameters()")
        super().__init__(params, {"lr": lr, "rho": rho, "k": k, "rows": rows})

    @property
    def closure_kind(self) -> str:
        """What the closure must do: return the `losses` of the samples, or leave the `gradient` in `.grad`."""
        return "losses" if self._option("rows") == "samples" else "gradient"

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Take one step w ← w − η F⁻¹v.

        Args:
            closure: For samples, needed: returns the losses of the samples, shape (n,), without calling backward. For
                gradients as in torch: optional, calls backward.

        Returns:
            What the closure returned, without its graph.

        Raises:
            TypeError: there is no closure for samples, or it returns something else than a tensor.
            ValueError: it returns no vector, k > n, or losses or gradients that are not finite (`NotFiniteError`) or do
                not depend on the parameters; nothing has been changed then.
            RuntimeError: the graph is gone, or a gradient is sparse.
        """
        params = self._checked()
        if self._option("rows") == "samples":
            loss, rows, p, a = self._from_samples(closure, params)
        else:
            loss, rows, p, a = self._from_gradients(closure, params)
        if not rows:
            return loss
        gram = sum(inner_products(g, g) / group["rho"] for _, group, g in rows)
        c = Dual(gram, p).push_through(a[:, None], 1.0)  # in units of ρ: F = diag(√ρ) (… + I) diag(√ρ)
        for w, group, g in rows:
            w.sub_(combine(g, c).view_as(w).to(w.dtype) * (group["lr"] / group["rho"]))
        return loss

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """Add a group; its options and parameters are checked before it joins."""
        super().add_param_group(param_group)
        try:
            self._checked()
        except ValueError:
            self.param_groups.pop()
            raise

    def _checked(self) -> list[Tensor]:
        """All parameters, in order; raise unless all options are in range and those of the one matrix are equal."""
        for group in self.param_groups:
            check_rate_and_damping(group)
            if group["rows"] not in ("samples", "gradients"):
                raise ValueError(f"rows must be 'samples' or 'gradients', got {group['rows']!r}")
            if group["k"] is not None:
                check_count("k", group["k"], default=8)
            elif group["rows"] == "gradients":
                raise ValueError("k=None means a row for each sample: give rows='gradients' a number, e.g. k=8")
        for name in ("k", "rows"):
            self._option(name)
        return check_parameters(self.param_groups, "LowRankFisher")

    def _option(self, name: str) -> Any:
        """An option of the one matrix, which all groups share."""
        first = self.param_groups[0][name]
        for i, group in enumerate(self.param_groups):
            if group[name] != first:
                raise ValueError(
                    f"{name} must be the same in all groups, there is one matrix: group {i} has {group[name]!r}, "
                    f"group 0 has {first!r}"
                )
        return first

    def _from_samples(self, closure: Callable[[], Tensor] | None, params: list[Tensor]) -> Rows:
        """The rows g, p and a = p for the mean of the rows."""
        losses, saved = per_sample_losses(closure, "LowRankFisher")
        rows, p = group_means(losses, params, self._option("k"), saved, "LowRankFisher")
        parts = rows.split([w.numel() for w in params], dim=1)
        return losses.detach(), list(zip(params, self._groups(), parts, strict=True)), p, p

    def _from_gradients(self, closure: Callable[[], Any] | None, params: list[Tensor]) -> Rows:
        """The rows g of the parameters with a gradient, p, and a = e_i for the newest gradient in place i."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        k = self._option("k")
        if all(w.grad is None for w in params):
            return loss, [], torch.empty(0), torch.empty(0)
        _refuse_gradients(params)
        self._refuse_other_k(params, k)
        step = 1 + max(self.state[w].get("step", 0) for w in params)
        count, newest = min(step, k), (step - 1) % k
        rows = []
        for w, group in zip(params, self._groups(), strict=True):
            state = self.state[w]
            if "rows" not in state:
                state["rows"] = w.new_zeros(k, *w.shape)
            state["step"] = step
            state["rows"][newest] = 0 if w.grad is None else w.grad
            if w.grad is not None:
                rows.append((w, group, state["rows"][:count].flatten(1)))
        a = wide(torch.zeros(count, device=params[0].device))
        a[newest] = 1
        p = torch.full_like(a, 1 / count)
        return loss, rows, p, a

    def _refuse_other_k(self, params: list[Tensor], k: int) -> None:
        """Raise where k gradients have not been kept."""
        kept = {len(self.state[w]["rows"]) for w in params if "rows" in self.state[w]} - {k}
        if kept:
            raise ValueError(
                f"k={k}, but {kept.pop()} gradients are kept for each parameter: k cannot change between steps of "
                "rows='gradients'; make a new optimizer"
            )

    def _groups(self) -> Iterator[dict[str, Any]]:
        """The group of each parameter, in order."""
        return (group for group in self.param_groups for _ in group["params"])


def _refuse_gradients(params: list[Tensor]) -> None:
    """Raise for a gradient that is sparse or not finite, before it is remembered."""
    for w in params:
        if w.grad is None:
            continue
        if w.grad.layout is not torch.strided:
            raise RuntimeError(
                f"LowRankFisher needs dense gradients: that of a parameter of shape {tuple(w.shape)} has the layout "
                f"{w.grad.layout}; build the layer with sparse=False"
            )
        if not bool(w.grad.isfinite().all()):
            raise NotFiniteError(
                f"LowRankFisher: the gradient of a parameter of shape {tuple(w.shape)} is not finite, nothing was "
                "changed: it would stay in the last k rows; skip this step, or lower lr"
            )
