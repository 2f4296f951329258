"""Products of one chunk of samples with many vectors, from a graph that is kept and differentiated again and again."""

from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from sofim_lab.curvature._bound import Bound
from sofim_lab.curvature.memory import samples_per_chunk
from sofim_lab.curvature.vjp import flat, pull

Product = Callable[[Tensor], Tensor]  # rows (k, d) to rows (k, d), without the scale of the reduction
Linearise = Callable[[Bound, Tensor, Tensor], Product]

_GRAPHS = 6  # a gradient's graph and one product take about six times what the forward pass saves
_KEPT = 3  # the graph alone: 1.1 to 2.7 times, over networks of every kind
_CACHE_BYTES = 2**20  # vectors are taken together while the activations stay in the processor's cache
_PIECE_BYTES = 2**25  # on a CPU: a convolution in pieces of a few hundred samples takes 2/3 of the time of all at once


@torch.enable_grad()
def gradient(bound: Bound, x: Tensor, y: Tensor) -> tuple[Tensor | None, ...]:
    """The gradient of the summed losses of a chunk, with its graph; None for a parameter that takes no part."""
    loss = bound.likelihood.losses(bound.forward(x), y).sum()
    return torch.autograd.grad(loss, bound.weights, create_graph=True, allow_unused=True)


def hessian_part(bound: Bound, x: Tensor, y: Tensor) -> Product:
    """Hv = ∇(∇Lᵀv): the gradient's graph, transposed; H is symmetric."""
    slopes = gradient(bound, x, y)
    return lambda rows: flat(pull(slopes, bound.weights, bound.split(rows)))


def fisher_part(bound: Bound, x: Tensor, y: Tensor) -> Product:
    """JᵀΛJv with the closed form of Λ."""
    f = bound.forward(x)
    at = f.detach()
    return _sandwich(bound, f, lambda u: bound.likelihood.expected_outer(at, u))


def ggn_part(bound: Bound, x: Tensor, y: Tensor) -> Product:
    """Jᵀ ∇²_f ℓ Jv with the Hessian of the loss by autograd."""
    f = bound.forward(x)
    leaf, slope = bound.likelihood.differentiable_gradients(f, y)
    return _sandwich(bound, f, lambda u: pull((slope,), (leaf,), (u,))[0])


@torch.enable_grad()
def empirical_part(bound: Bound, x: Tensor, y: Tensor) -> Product:
    """GᵀGv, G being the Jacobian of the losses of the samples."""
    return _sandwich(bound, bound.likelihood.losses(bound.forward(x), y), lambda u: u)


def pieces(bound: Bound, chunk_bytes: int, start: int = 0) -> Iterator[tuple[Tensor, Tensor]]:
    """The samples from `start` on in chunks whose graph, and a product with it, fits the budget."""
    return bound.chunks(*_sizes(bound, chunk_bytes), start)


def linearised(bound: Bound, linearise: Linearise, chunk_bytes: int, start: int = 0) -> Iterator[Product]:
    """One product for each chunk of the samples from `start` on."""
    for x, y in pieces(bound, chunk_bytes, start):
        yield linearise(bound, x, y)


def keep(bound: Bound, linearise: Linearise, chunk_bytes: int, keep_bytes: int) -> tuple[list[Product], int]:
    """The products of the first chunks, as many as the budget holds the graphs of, and the first sample beyond them."""
    size = samples_per_chunk(*_sizes(bound, chunk_bytes))
    affordable = keep_bytes // (_KEPT * max(1, bound.sample_bytes))
    covered = bound.n if affordable >= bound.n else affordable // size * size
    made = linearised(bound, linearise, chunk_bytes)
    return [next(made) for _ in range(0, covered, size)], covered


def columns_at_once(bound: Bound, chunk_bytes: int) -> int:
    """How many vectors to push through a graph together."""
    budget = min(chunk_bytes, _CACHE_BYTES) if bound.device.type == "cpu" else chunk_bytes
    samples = min(bound.n, samples_per_chunk(*_sizes(bound, chunk_bytes)))
    return max(1, budget // max(1, samples * bound.sample_bytes))


def _sizes(bound: Bound, chunk_bytes: int) -> tuple[int, int]:
    """What the work on a sample takes, and what a chunk may take: the budget, and on a CPU no more than is fast."""
    return _GRAPHS * bound.sample_bytes, min(chunk_bytes, _PIECE_BYTES) if bound.device.type == "cpu" else chunk_bytes


@torch.enable_grad()
def _sandwich(bound: Bound, outputs: Tensor, middle: Callable[[Tensor], Tensor]) -> Product:
    """Jᵀ middle(J v) for J = ∂outputs/∂w; J v by differentiating u ↦ Jᵀu, which is linear, so that u may be 0."""
    u = torch.zeros_like(outputs, requires_grad=True)
    transposed = torch.autograd.grad(outputs, bound.weights, u, create_graph=True, allow_unused=True)

    def product(rows: Tensor) -> Tensor:
        (pushed,) = pull(transposed, (u,), bound.split(rows))
        return flat(pull((outputs,), bound.weights, (middle(pushed),)))

    return product
