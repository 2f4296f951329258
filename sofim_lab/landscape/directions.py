"""Directions to look along: random, differences of minima, the gradient, an optimizer's momentum."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from sofim_lab.landscape.normalisation import normalise as normalised
from sofim_lab.landscape.tree import Tree, check_alike, combine, dot, norm, parameters, trainable
from sofim_lab.landscape.working_copy import working_copy
from sofim_lab.problems.seeding import preserved_random_state

MOMENTS = ("moment", "momentum_buffer", "exp_avg")  # what SOFIM, SGD and the Adam family call their first moment


@dataclass(frozen=True)
class Directions:
    """Directions in the space of a model's parameters, each a tree shaped as they are.

    Attributes:
        trees: The directions.
        labels: A name for each, for the axes of a plot.
        explained: The share of a path's variance, or the eigenvalue, of each, where the directions come from one.
        settings: How they were made: plain numbers and words, saved with every slice.

    Example:
        >>> pair = random_directions(nn.Linear(3, 2), seed=0) + random_directions(nn.Linear(3, 2), 1, seed=1)
        >>> pair.labels
        ('random 1', 'random 2', 'random 1')
        >>> pair[:2].labels
        ('random 1', 'random 2')
    """

    trees: tuple[Tree, ...]
    labels: tuple[str, ...]
    explained: tuple[float, ...] | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name in ("labels", "explained"):
            given = getattr(self, name)
            if given is not None and len(given) != len(self.trees):
                raise ValueError(f"{name} has {len(given)} entries for {len(self.trees)} directions: give one for each")

    def __len__(self) -> int:
        return len(self.trees)

    def __iter__(self) -> Iterator[Tree]:
        return iter(self.trees)

    def __getitem__(self, index: int | slice) -> "Directions":
        """Some of the directions; one of them for an integer."""
        index = slice(index, index + 1 or None) if isinstance(index, int) else index
        explained = None if self.explained is None else self.explained[index]
        return Directions(self.trees[index], self.labels[index], explained, self.settings)

    def __add__(self, other: "Directions") -> "Directions":
        """The directions of both, in their order."""
        if not isinstance(other, Directions):
            return NotImplemented
        parts = {"of": [dict(self.settings), dict(other.settings)]}
        return Directions(self.trees + other.trees, self.labels + other.labels, None, parts)


def random_directions(
    model: nn.Module,
    count: int = 2,
    *,
    seed: int,
    normalise: str = "filter",
    ignore: str | None = "biasbn",
) -> Directions:
    """Gaussian directions d ~ N(0, I), scaled to the model's weights.

    They are drawn in float64 on the CPU from the seed alone: every device and dtype gets the same directions, and the
    first one does not depend on how many are asked for. The global random state is left as it was.

    Args:
        model: Gives shapes and lengths; it is left as it is.
        count: How many, at least 1.
        seed: Seed of the draw.
        normalise: "filter", "layer", "model" or "none", see `normalise`.
        ignore: Biases and norm layers: "biasbn" (do not move), "copy", or None (move as well), see `normalise`.

    Returns:
        `Directions` on the model's device, in its dtype.

    Raises:
        ValueError: count < 1, or an unknown normalise or ignore.

    Example:
        >>> model = nn.Linear(3, 2)
        >>> first, second = random_directions(model, seed=0)
        >>> bool((first["weight"].norm(dim=1) - model.weight.norm(dim=1)).abs().max() < 1e-6)
        True

    References:
        H. Li, Z. Xu, G. Taylor, C. Studer and T. Goldstein, 2018, arXiv 1712.09913, §4.
    """
    if count < 1:
        raise ValueError(f"count={count!r} must be at least 1: a slice needs one or two directions")
    generator, here = torch.Generator().manual_seed(seed), trainable(model)
    trees = []
    for _ in range(count):
        drawn = {name: torch.randn(p.shape, generator=generator, dtype=torch.float64) for name, p in here.items()}
        drawn = {name: d.to(here[name].dtype).to(here[name].device) for name, d in drawn.items()}
        trees.append(normalised(drawn, model, normalise, ignore))
    settings = {"kind": "random", "seed": seed, "normalise": normalise, "ignore": ignore}
    return Directions(tuple(trees), tuple(f"random {k + 1}" for k in range(count)), None, settings)


def difference_directions(minima: Sequence[nn.Module | Tree], labels: Sequence[str] = ("A", "B", "C")) -> Directions:
    """From the first of two or three minima to the others: w_B − w_A, and w_C − w_A.

    A slice from A (`origin=minima[0]`) then has A at (0, 0), B at (1, 0) and C at (0, 1).

    Args:
        minima: Two or three models, or trees of one model's parameters.
        labels: What to call them.

    Returns:
        `Directions`, one fewer than there are minima.

    Raises:
        ValueError: Not two or three minima, of different models, or two that are the same point.

    Example:
        >>> difference_directions([nn.Linear(1, 1), nn.Linear(1, 1)]).labels
        ('A to B',)

    References:
        I. J. Goodfellow, O. Vinyals and A. M. Saxe, 2015, arXiv 1412.6544, §3.
    """
    if len(minima) not in (2, 3):
        raise ValueError(f"minima has {len(minima)} entries: give two for a line, three for a plane")
    points = [parameters(m) if isinstance(m, nn.Module) else m for m in minima]
    trees = []
    for label, point in zip(labels[1:], points[1:], strict=False):
        check_alike(f"minimum {label}", point, points[0], f"the model of minimum {labels[0]}")
        trees.append(combine((1.0, point), (-1.0, points[0])))
        if norm(trees[-1]) == 0:
            raise ValueError(f"the minima {labels[0]} and {label} are the same point: there is no direction between")
    names = tuple(f"{labels[0]} to {label}" for label in labels[1 : len(points)])
    return Directions(tuple(trees), names, None, {"kind": "difference"})


def gradient_direction(model: nn.Module, loss_fn: Any, x: Tensor, y: Tensor) -> Directions:
    """The gradient ∇L(w) of the loss at the model's present parameters: L(w + aD) falls at a < 0, and fastest so.

    Args:
        model: It is left as it is, and taken in evaluation mode, as for a slice.
        loss_fn: Module or function of (outputs, y), mean over samples.
        x: Inputs of the batch.
        y: Targets of the batch.

    Returns:
        `Directions` of one tree; zero where the loss does not reach a parameter.

    Raises:
        ValueError: The gradient is zero or not finite.

    Example:
        >>> model = nn.Linear(1, 1, bias=False)
        >>> _ = nn.init.constant_(model.weight, 2.0)
        >>> gradient_direction(model, nn.MSELoss(), torch.ones(1, 1), torch.zeros(1, 1)).trees
        ({'weight': tensor([[4.]])},)
    """
    twin = working_copy(model).eval()
    here = trainable(twin)
    with torch.enable_grad(), preserved_random_state(next(iter(here.values())).device):
        loss = loss_fn(twin(x), y)
        parts = torch.autograd.grad(loss, tuple(here.values()), allow_unused=True)
    slopes = zip(here.items(), parts, strict=True)
    tree = {name: torch.zeros_like(p).detach() if g is None else g.detach() for (name, p), g in slopes}
    _check_length("the gradient", tree, "the model stands at a stationary point of this batch")
    return Directions((tree,), ("gradient",), None, {"kind": "gradient", "samples": len(x)})


def moment_direction(model: nn.Module, optimizer: Optimizer) -> Directions:
    """The first moment that an optimizer keeps of the gradient: the momentum it walks along.

    Args:
        model: Names the optimizer's parameters.
        optimizer: SOFIM, SGD with momentum, or one of the Adam family, after at least one step.

    Returns:
        `Directions` of one tree, as stored (without bias correction); zero where a parameter has no moment.

    Raises:
        ValueError: The optimizer keeps none for any parameter of the model, or it is zero.

    Example:
        >>> model = nn.Linear(1, 1, bias=False)
        >>> optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
        >>> model(torch.ones(1, 1)).sum().backward()
        >>> optimizer.step()
        >>> moment_direction(model, optimizer).trees
        ({'weight': tensor([[1.]])},)
    """
    here, tree, found = trainable(model), {}, 0
    for name, p in here.items():
        state = optimizer.state.get(p, {})
        moment = next((state[key] for key in MOMENTS if isinstance(state.get(key), Tensor)), None)
        found += moment is not None
        tree[name] = torch.zeros_like(p).detach() if moment is None else moment.detach().to(p).clone()
    name = type(optimizer).__name__
    if not found:
        raise ValueError(f"{name} keeps no moment of this model: take a step first, or use SGD(momentum=0.9), Adam, …")
    _check_length(f"the moment of {name}", tree, "take a step with a gradient first")
    return Directions((tree,), (f"momentum of {name}",), None, {"kind": "moment", "optimizer": name})


def orthogonalise(directions: Directions, *, keep_lengths: bool = True) -> Directions:
    """The directions made perpendicular one after the other, the first unchanged (Gram–Schmidt, in float64 products).

        d_k ← d_k − Σ_{j<k} (⟨d_k, d_j⟩ / ‖d_j‖²) d_j

    Args:
        directions: Two or more.
        keep_lengths: Scale each to the length that it had; otherwise it is what remains.

    Returns:
        New `Directions` with the same span.

    Raises:
        ValueError: A direction is zero or lies in the span of those before it.

    Example:
        >>> pair = Directions(({"w": torch.tensor([1.0, 0.0])}, {"w": torch.tensor([3.0, 4.0])}), ("a", "b"))
        >>> orthogonalise(pair, keep_lengths=False).trees[1]
        {'w': tensor([0., 4.])}
    """
    done: list[Tree] = []
    for tree, label in zip(directions.trees, directions.labels, strict=True):
        length, rest = norm(tree), tree
        for _ in range(2):  # twice is enough: the second pass takes away what rounding left
            for other in done:
                rest = combine((1.0, rest), (-dot(rest, other) / dot(other, other), other))
        precision = max(torch.finfo(tensor.dtype).eps for tensor in tree.values())
        if norm(rest) <= 10 * precision * length:
            raise ValueError(f"the direction {label!r} is zero or lies in the span of those before it: take another")
        done.append(combine((length / norm(rest) if keep_lengths else 1.0, rest)))
    settings = dict(directions.settings) | {"orthogonalised": True}
    return Directions(tuple(done), directions.labels, directions.explained, settings)


def _check_length(what: str, tree: Tree, hint: str) -> None:
    """Raise unless the tree is finite and not zero."""
    length = norm(tree)
    if not 0 < length < float("inf"):
        raise ValueError(f"{what} has the length {length}, so it is no direction: {hint}")
