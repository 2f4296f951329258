"""The likelihood and the reduction that a loss module names: what turns outputs into curvature."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn


@dataclass(frozen=True)
class Likelihood(ABC):
    r"""p(y | f) for the outputs f of a model, and how the losses ℓ = −log p + const of a batch are reduced.

    With C outputs a sample, Λ is the expectation over the model's own labels that Fisher's matrix is made of,

        Λ = E_{y~p(·|f)} [∇_f ℓ ∇_f ℓᵀ],    F = scale · Σ_i J_iᵀ Λ_i J_i,    J_i = ∂f(x_i)/∂w.

    Args:
        reduction: "mean" or "sum", as in the loss module.

    Example:
        >>> likelihood_of(nn.MSELoss()).scale(n=4, outputs=10)  # torch's mean runs over samples and outputs
        0.025

    References:
        J. Martens, 2014, arXiv 1412.1193, §8 and §9.2.
    """

    reduction: str
    name: ClassVar[str]

    @abstractmethod
    def scale(self, n: int, outputs: int) -> float:
        """The factor in front of the sum over n samples with `outputs` outputs each."""

    @abstractmethod
    def losses(self, f: Tensor, y: Tensor) -> Tensor:
        """ℓ(f_i, y_i) of each sample, shape (n,), for f of shape (n, C)."""

    @abstractmethod
    def score_rows(self, f: Tensor) -> Tensor:
        """S with SᵀS = Λ, shape (n, C, C): each row is one ∇_f ℓ times the root of its probability mass."""

    @abstractmethod
    def expected_outer(self, f: Tensor, u: Tensor) -> Tensor:
        """Λu for f of shape (n, C) and u of shape (..., n, C)."""

    @abstractmethod
    def checked_targets(self, f: Tensor, y: Tensor) -> Tensor:
        """The targets in the form that `losses` takes; raise if they do not fit the outputs f."""

    def gradients(self, f: Tensor, y: Tensor) -> Tensor:
        """∇_f ℓ(f_i, y_i) of each sample by autograd, shape (n, C)."""
        f, slope = self.differentiable_gradients(f, y)
        return slope.detach()

    def differentiable_gradients(self, f: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        """A leaf with the values of f, and ∇_f ℓ there, which can be differentiated once more."""
        with torch.enable_grad():
            leaf = f.detach().requires_grad_()
            (slope,) = torch.autograd.grad(self.losses(leaf, y).sum(), leaf, create_graph=True)
        return leaf, slope

    @torch.enable_grad()
    def hessians(self, f: Tensor, y: Tensor) -> Tensor:
        """∇²_f ℓ(f_i, y_i) of each sample by autograd, shape (n, C, C): what the Gauss–Newton matrix is made of."""
        leaf, slope = self.differentiable_gradients(f, y)
        rows = [torch.autograd.grad(column.sum(), leaf, retain_graph=True)[0] for column in slope.unbind(-1)]
        return torch.stack(rows, dim=-2)


class Categorical(Likelihood):
    """p(c | f) = softmax(f)_c, of `nn.CrossEntropyLoss`: Λ = diag(p) − p pᵀ."""

    name = "categorical"

    def scale(self, n: int, outputs: int) -> float:
        """1/n for the mean, 1 for the sum."""
        return 1 / n if self.reduction == "mean" else 1.0

    def losses(self, f: Tensor, y: Tensor) -> Tensor:
        """−log p(y | f), shape (n,)."""
        return F.cross_entropy(f, y, reduction="none")

    def score_rows(self, f: Tensor) -> Tensor:
        """√p_c (p − e_c) for each label c: its gradient, times the root of its probability."""
        p = f.softmax(-1)
        return p.sqrt()[..., :, None] * (p[..., None, :] - torch.eye(f.shape[-1], dtype=f.dtype, device=f.device))

    def expected_outer(self, f: Tensor, u: Tensor) -> Tensor:
        """Λu = p∘u − p (pᵀu)."""
        p = f.softmax(-1)
        return p * (u - (p * u).sum(-1, keepdim=True))

    def checked_targets(self, f: Tensor, y: Tensor) -> Tensor:
        """Class indices 0 … C − 1, shape (n,), as int64."""
        if y.dim() != 1 or y.is_floating_point() or y.is_complex() or y.dtype == torch.bool:
            raise ValueError(
                f"y must hold one class index per sample, integers of shape ({f.shape[0]},), for CrossEntropyLoss, "
                f"got {y.dtype} of shape {tuple(y.shape)}: pass indices, e.g. y.argmax(1) for one-hot rows"
            )
        labels, classes = y.long(), f.shape[-1]
        if bool((labels == -100).any()):
            raise ValueError("y holds -100, the loss's ignore_index: drop those samples from x and y first")
        if bool(((labels < 0) | (labels >= classes)).any()):
            raise ValueError(
                f"y must lie in 0 … {classes - 1}, the model has {classes} outputs, got labels from "
                f"{int(labels.min())} to {int(labels.max())}: relabel them, or give the last layer more outputs"
            )
        return labels


class Gaussian(Likelihood):
    """N(f, I/2), of `nn.MSELoss`, with ℓ = ‖f − y‖²: Λ = 2I."""

    name = "Gaussian"

    def scale(self, n: int, outputs: int) -> float:
        """1/(n·C) for the mean, as torch averages over samples and outputs; 1 for the sum."""
        return 1 / (n * outputs) if self.reduction == "mean" else 1.0

    def losses(self, f: Tensor, y: Tensor) -> Tensor:
        """‖f − y‖², shape (n,)."""
        return (f - y).square().sum(-1)

    def score_rows(self, f: Tensor) -> Tensor:
        """√2 I: the gradient 2(f − y) has the covariance 4 · I/2."""
        eye = torch.eye(f.shape[-1], dtype=f.dtype, device=f.device)
        return (2**0.5 * eye).expand(*f.shape[:-1], *eye.shape)

    def expected_outer(self, f: Tensor, u: Tensor) -> Tensor:
        """Λu = 2u."""
        return 2 * u

    def checked_targets(self, f: Tensor, y: Tensor) -> Tensor:
        """Targets of the shape and dtype of f."""
        if y.shape != f.shape:
            raise ValueError(
                f"y must have the shape of the model's outputs, {tuple(f.shape)}, for MSELoss, got {tuple(y.shape)}: "
                "reshape it, e.g. y[:, None] for one output"
            )
        if y.dtype != f.dtype:
            raise ValueError(
                f"y must have the dtype of the model's outputs, {f.dtype}, got {y.dtype}: use y.to({f.dtype})"
            )
        return y


_KNOWN = (nn.CrossEntropyLoss, nn.MSELoss)  # and no class derived from them


def likelihood_of(loss_fn: nn.Module) -> Likelihood:
    """The likelihood that a loss module stands for.

    `nn.CrossEntropyLoss` is −log p of a categorical distribution with softmax probabilities, `nn.MSELoss` that of
    N(f, I/2) up to a constant.

    Args:
        loss_fn: `nn.CrossEntropyLoss` or `nn.MSELoss`, with reduction "mean" or "sum" and without class weights,
            ignored classes and label smoothing.

    Returns:
        The likelihood, with the reduction of the module.

    Raises:
        TypeError: loss_fn is a function or another module.
        ValueError: an option of loss_fn that changes the likelihood, or reduction="none".

    Example:
        >>> likelihood_of(nn.CrossEntropyLoss())
        Categorical(reduction='mean')

    References:
        J. Martens, 2014, arXiv 1412.1193, §9.2 and Table 1 (losses that are log-likelihoods).
    """
    if not isinstance(loss_fn, _KNOWN) or type(loss_fn) not in _KNOWN:
        got = f"the class {loss_fn.__name__}" if isinstance(loss_fn, type) else type(loss_fn).__name__
        raise TypeError(
            f"loss_fn must be an instance of nn.CrossEntropyLoss or nn.MSELoss, got {got}: "
            "curvature needs to know the likelihood, and only these two name one here"
        )
    if loss_fn.reduction not in ("mean", "sum"):
        raise ValueError(
            f"loss_fn has reduction={loss_fn.reduction!r}, which gives no scalar loss: use reduction='mean' or 'sum'"
        )
    if isinstance(loss_fn, nn.MSELoss):
        return Gaussian(loss_fn.reduction)
    plain = "use nn.CrossEntropyLoss() without it; its likelihood is then a plain categorical one"
    if loss_fn.weight is not None:
        raise ValueError(f"loss_fn has class weights (weight={loss_fn.weight.tolist()}): {plain}")
    if loss_fn.label_smoothing != 0:
        raise ValueError(f"loss_fn has label_smoothing={loss_fn.label_smoothing}: {plain}")
    if loss_fn.ignore_index != -100:
        raise ValueError(f"loss_fn has ignore_index={loss_fn.ignore_index}: drop those samples and {plain}")
    return Categorical(loss_fn.reduction)
