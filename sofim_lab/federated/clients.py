"""What clients do with the server's weights: some steps of their own, all clients of a round at once."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.func import functional_call, grad, vmap

from sofim_lab.problems import Split
from sofim_lab.training.refusals import whole_number

Weights = dict[str, Tensor]


@dataclass(frozen=True)
class LocalWork:
    """What each client does in a round: E steps of gradient descent on its own samples.

    Args:
        steps: E, 1 or more.
        rate: η_c > 0. With E = 1 nothing depends on it.
        batch_size: Samples a step, drawn anew from the client's own, fewer where it has fewer; None takes all of them.

    Raises:
        ValueError: An argument is out of its range.
    """

    steps: int = 1
    rate: float = 0.1
    batch_size: int | None = None

    def __post_init__(self) -> None:
        if whole_number("steps", self.steps) < 1:
            raise ValueError(f"steps={self.steps!r} must be 1 or more: without a local step there is nothing to send")
        if not 0 < self.rate < float("inf"):
            raise ValueError(f"rate={self.rate!r} must be positive and finite")
        if self.batch_size is not None and whole_number("batch_size", self.batch_size) < 1:
            raise ValueError(f"batch_size={self.batch_size!r} must be 1 or more, or None for all samples of a client")


def client_gradients(
    model: nn.Module, data: Split, parts: Sequence[Tensor], work: LocalWork, generator: torch.Generator
) -> Tensor:
    r"""What each client sends: the mean of the gradients that it met on its way.

    Client k starts at the server's weights w and takes E steps w_k ← w_k − η_c ∇f_k(w_k) with the gradients of the mean
    cross-entropy of its batches. It sends

        Δ_k = (w − w_k)/(η_c E),

    for E = 1 its gradient at w; for E > 1 a pseudo-gradient, which is no gradient of any function in general. All
    clients compute together, through `torch.func.vmap`.

    Args:
        model: Maps samples to logits, each sample by itself; it holds w and is left as it is.
        data: All samples.
        parts: Indices of each client's samples.
        work: E, η_c and the batches.
        generator: Draws the batches, on the CPU.

    Returns:
        Shape (clients, d), in the order of the model's parameters; frozen ones (`requires_grad=False`) are left out.

    Raises:
        ValueError: The model has buffers, such as running statistics of batches, which clients would have to share, or
            all its parameters are frozen; there is no client, one without samples, or an index that no sample has.

    Example:
        >>> from sofim_lab.problems import load_digits, mlp
        >>> digits, model = load_digits("cpu"), mlp((64, 10), device="cpu")
        >>> parts = torch.arange(1197).chunk(3)
        >>> client_gradients(model, digits.train, parts, LocalWork(steps=5), torch.Generator()).shape
        torch.Size([3, 650])

    References:
        S. J. Reddi et al., 2020, "Adaptive Federated Optimization", arXiv 2003.00295 (pseudo-gradients w − w_k).
    """
    if (buffer := next(model.named_buffers(), None)) is not None:
        raise ValueError(f"the model has the buffer {buffer[0]!r}: use layers without running statistics here")
    refuse_parts(parts, len(data))
    weights = {name: p.detach().expand(len(parts), *p.shape) for name, p in trainable(model).items()}
    total = {name: torch.zeros_like(w) for name, w in weights.items()}

    def loss(own: Weights, x: Tensor, y: Tensor, shares: Tensor) -> Tensor:
        logits = functional_call(model, own, (x,))
        return shares @ nn.functional.cross_entropy(logits, y, reduction="none")

    slopes_of = vmap(grad(loss))
    for step in range(work.steps):
        if step == 0 or work.batch_size is not None:
            places, shares = _batches(parts, work.batch_size, generator)
            x, y, shares = data.x[places], data.y[places], shares.to(data.x)
        slopes = slopes_of(weights, x, y, shares)
        weights = {name: w - work.rate * slopes[name] for name, w in weights.items()}
        total = {name: t + slopes[name] / work.steps for name, t in total.items()}  # (w − w_k) would cancel
    return torch.cat([t.reshape(len(parts), -1) for t in total.values()], dim=1)


def trainable(model: nn.Module) -> dict[str, nn.Parameter]:
    """The parameters that are not frozen, by name; a model without any is refused."""
    found = {name: p for name, p in model.named_parameters() if p.requires_grad}
    if not found:
        raise ValueError("the model has no parameter to train: at least one needs requires_grad_(True)")
    return found


def refuse_parts(parts: Sequence[Tensor], samples: int) -> None:
    """Say which client's samples are none."""
    if not len(parts) or min(len(part) for part in parts) == 0:
        raise ValueError("parts must hold at least one client, and no client without samples: see dirichlet_split")
    for client, part in enumerate(parts):
        low, high = int(part.min()), int(part.max())
        if low < 0 or high >= samples:
            wrong = low if low < 0 else high
            raise ValueError(
                f"parts[{client}] holds the index {wrong}: with {samples} samples they are 0 to {samples - 1}, see "
                "dirichlet_split"
            )


def _batches(parts: Sequence[Tensor], size: int | None, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Indices of one batch a client, filled up to one length, and the weights of their mean, 0 for the filling."""
    if size is not None:
        parts = [p[torch.randperm(len(p), generator=generator)[:size].to(p.device)] for p in parts]
    longest = max(len(part) for part in parts)
    places = torch.zeros(len(parts), longest, dtype=torch.int64, device=parts[0].device)
    shares = torch.zeros(len(parts), longest, dtype=torch.float64)  # on the CPU: not every device has float64
    for row, part in enumerate(parts):
        places[row, : len(part)] = part
        shares[row, : len(part)] = 1 / len(part)
    return places, shares
