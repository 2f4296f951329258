"""A model, a likelihood and a batch, checked together and frozen: what every curvature matrix starts from."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn.attention import SDPBackend, sdpa_kernel

from sofim_lab.curvature._modules import check_modules
from sofim_lab.curvature.likelihood import Likelihood, likelihood_of
from sofim_lab.curvature.memory import samples_per_chunk
from sofim_lab.problems.seeding import random_state, restore_random_state


@dataclass(frozen=True)
class Bound:
    """Checked input. `parameters` are copies to differentiate at, `constants` copies of all else the model holds."""

    model: nn.Module
    likelihood: Likelihood
    x: Tensor
    y: Tensor  # of shape (n, 0) for a matrix that asks for no targets
    parameters: dict[str, Tensor]
    constants: dict[str, Tensor]
    outputs: int
    sample_bytes: int  # what autograd keeps of one sample

    @property
    def weights(self) -> tuple[Tensor, ...]:
        """The parameters in their order, without names."""
        return tuple(self.parameters.values())

    @property
    def d(self) -> int:
        """Number of parameters."""
        return sum(w.numel() for w in self.weights)

    @property
    def n(self) -> int:
        """Number of samples."""
        return self.x.shape[0]

    @property
    def dtype(self) -> torch.dtype:
        """Type of the parameters, and of every matrix."""
        return self.weights[0].dtype

    @property
    def device(self) -> torch.device:
        """Where parameters and data are."""
        return self.weights[0].device

    @property
    def scale(self) -> float:
        """The factor in front of the sum over samples."""
        return self.likelihood.scale(self.n, self.outputs)

    def forward(self, x: Tensor, weights: tuple[Tensor, ...] | None = None) -> Tensor:
        """The outputs at x, shape (n, C), as a function of the weights alone."""
        chosen = self.parameters if weights is None else dict(zip(self.parameters, weights, strict=True))
        # The fused attention kernels have no second derivative; the plain one does.
        with torch.enable_grad(), sdpa_kernel(SDPBackend.MATH):
            return functional_call(self.model, self.constants | chosen, (x,))

    def chunks(self, bytes_per_sample: int, chunk_bytes: int, start: int = 0) -> Iterator[tuple[Tensor, Tensor]]:
        """The batch, from a sample on, in pieces that fit the budget."""
        check_modules(self.model)  # an operator may live longer than the mode that it was made in
        size = samples_per_chunk(bytes_per_sample, chunk_bytes)
        for first in range(start, self.n, size):
            piece = slice(first, first + size)
            yield self.x[piece], self.y[piece]

    def split(self, vectors: Tensor) -> tuple[Tensor, ...]:
        """Vectors of shape (k, d) as one tensor (k, *shape) per parameter."""
        parts = vectors.split([w.numel() for w in self.weights], dim=1)
        return tuple(part.reshape(-1, *w.shape) for part, w in zip(parts, self.weights, strict=True))


@torch.enable_grad()  # an optimizer steps without gradients
def bind(
    model: nn.Module,
    loss_fn: nn.Module,
    x: Tensor,
    y: Tensor | None = None,
    params: Iterable[Tensor] | None = None,
    *,
    needs_y: bool = True,
) -> Bound:
    """Check everything, run at most two samples through the model, and freeze the parameters as they are."""
    likelihood = likelihood_of(loss_fn)
    if not isinstance(model, nn.Module):
        raise TypeError(f"model must be an nn.Module, got {type(model).__name__}")
    check_modules(model)
    names = _chosen_names(model, params)
    live: dict[str, Tensor] = dict(model.named_parameters())
    _check_tensors(live, names, {"x": x, "y": y} if needs_y else {"x": x})
    everything = {name: t.detach().clone() for name, t in (live | dict(model.named_buffers())).items()}
    parameters = {name: everything.pop(name).requires_grad_() for name in names}
    x, none = x.detach(), x.new_empty(len(x), 0)
    f, sample_bytes = _probe(Bound(model, likelihood, x, none, parameters, everything, 0, 0))
    targets = none
    if needs_y and y is not None:
        targets = likelihood.checked_targets(f.detach()[:1].expand(len(x), -1), y.detach())
    return Bound(model, likelihood, x, targets, parameters, everything, f.shape[1], sample_bytes)


def _chosen_names(model: nn.Module, params: Iterable[Tensor] | None) -> list[str]:
    """The names of the parameters to differentiate, in order."""
    if params is None:
        names = [name for name, p in model.named_parameters() if p.requires_grad]
        if not names:
            raise ValueError("model has no trainable parameters: use requires_grad_(True), or another model")
        return names
    if isinstance(params, Tensor):
        raise TypeError("params must be an iterable of the model's parameters, got one tensor: pass [tensor]")
    known = {id(p): name for name, p in model.named_parameters()}
    names = []
    for index, p in enumerate(params):
        if id(p) not in known:
            what = f"shape {tuple(p.shape)}" if isinstance(p, Tensor) else type(p).__name__
            raise ValueError(f"params[{index}] ({what}) is not a parameter of model: pass e.g. model[-1].parameters()")
        if not p.requires_grad:
            raise ValueError(
                f"params[{index}], {known[id(p)]}, is frozen (requires_grad=False): leave it out or unfreeze it"
            )
        if known[id(p)] in names:
            raise ValueError(f"params[{index}], {known[id(p)]}, occurs twice: pass each parameter once")
        names.append(known[id(p)])
    if not names:
        raise ValueError("params is empty: pass at least one parameter, or None for all trainable ones")
    return names


def _check_tensors(live: dict[str, Tensor], names: list[str], batch: dict[str, Tensor | None]) -> None:
    """Raise unless parameters and batch are tensors of one device, the former of one real dtype, the latter as long."""
    first = live[names[0]]
    if not first.is_floating_point():
        raise ValueError(f"the parameters must be real floating point, {names[0]} is {first.dtype}")
    for name in names:
        if live[name].dtype != first.dtype:
            raise ValueError(
                f"the parameters must share one dtype, {names[0]} is {first.dtype} and {name} {live[name].dtype}: "
                "convert the model, e.g. model.float(), or pass params= of one dtype"
            )
    for name, p in live.items():
        if p.device != first.device:
            raise ValueError(f"the model must lie on one device, {names[0]} is on {first.device}, {name} on {p.device}")
    lengths = []
    for name, data in batch.items():
        if not isinstance(data, Tensor):
            raise TypeError(f"{name} must be a tensor, got {type(data).__name__}: use torch.as_tensor({name})")
        if data.dim() == 0 or data.shape[0] == 0:
            raise ValueError(f"{name} must hold at least one sample in its first dimension, got {tuple(data.shape)}")
        if data.device != first.device:
            raise ValueError(
                f"model is on {first.device}, {name} on {data.device}: move one, e.g. {name}.to({str(first.device)!r})"
            )
        lengths.append(len(data))
    if lengths[0] != lengths[-1]:
        raise ValueError(f"x has {lengths[0]} samples and y has {lengths[-1]}: they must be of one length")


def _probe(bound: Bound) -> tuple[Tensor, int]:
    """The outputs of the first two samples, checked, and the bytes that autograd keeps of one sample."""
    held = {t.untyped_storage().data_ptr() for t in (*bound.weights, *bound.constants.values())}
    saved: dict[int, int] = {}

    def note(t: Tensor) -> Tensor:
        if t.untyped_storage().data_ptr() not in held:
            saved[t.data_ptr()] = t.numel() * t.element_size()
        return t

    x = bound.x[:2]
    before = random_state(bound.device)
    with torch.autograd.graph.saved_tensors_hooks(note, lambda t: t):
        f = bound.forward(x)
    drawn = any(not torch.equal(a, b) for a, b in zip(before, random_state(bound.device), strict=True))
    restore_random_state(bound.device, before)
    if drawn:
        raise ValueError(
            f"the forward pass of {type(bound.model).__name__} draws random numbers, so that its curvature is not "
            "defined: call model.eval() first, or take the noise out"
        )
    if not isinstance(f, Tensor) or f.dim() != 2 or f.shape[0] != len(x):
        got = f"the shape {tuple(f.shape)}" if isinstance(f, Tensor) else type(f).__name__
        raise ValueError(
            f"model must return outputs of shape (n, C), got {got} for n = {len(x)}: "
            "flatten or select them in the model, e.g. f.flatten(1)"
        )
    _check_dependence(bound, f)
    if len(x) == 2:
        _check_separate(f.detach()[:1], bound.forward(x[:1]).detach(), bound.model)
    return f, sum(saved.values()) // len(x)


def _check_dependence(bound: Bound, f: Tensor) -> None:
    """Raise if no chosen parameter takes part in the outputs."""
    slopes = torch.autograd.grad(f.sum(), bound.weights, allow_unused=True) if f.requires_grad else (None,)
    if all(slope is None for slope in slopes):
        raise ValueError(
            f"the loss does not depend on the parameters {', '.join(bound.parameters)}: "
            "the model detaches its outputs from them or does not use them"
        )


def _check_separate(together: Tensor, alone: Tensor, model: nn.Module) -> None:
    """Raise if a sample's outputs change, beyond rounding, with the company that it is in."""
    size = float(alone.abs().nan_to_num().max())  # outputs that are not finite stay so in any company
    if not torch.allclose(together, alone, rtol=0.01, atol=0.01 * size, equal_nan=True):
        raise ValueError(
            f"the outputs of {type(model).__name__} for one sample depend on the other samples of the batch, so that "
            "no sample has a gradient of its own: normalise each sample by itself, e.g. with LayerNorm"
        )
