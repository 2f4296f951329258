"""Directions that are computed: from a path its principal components, from the curvature its eigenvectors."""

from collections.abc import Callable
from typing import Any

from torch import Tensor, nn

from sofim_lab.curvature.operators import fisher_operator, hessian_operator
from sofim_lab.curvature.spectrum import top_eigenpairs
from sofim_lab.landscape.directions import Directions
from sofim_lab.landscape.path import Path
from sofim_lab.landscape.principal import principal_components
from sofim_lab.landscape.tree import flatten, trainable, unflatten
from sofim_lab.landscape.working_copy import working_copy

_MODULES = {nn.functional.cross_entropy: nn.CrossEntropyLoss, nn.functional.mse_loss: nn.MSELoss}


def principal_directions(path: Path, count: int = 2, *, centre: str = "mean") -> Directions:
    """The directions along which a path spreads most: the principal components of its points.

    Args:
        path: A path of at least count + 1 points.
        count: How many, 1 or more.
        centre: What the spread is measured from: `mean` (principal component analysis proper), `start` or `end`.
            A plane through the end that shows most of the way there has centre="end".

    Returns:
        `Directions` of length one, pointing from its start to its end; `explained` holds the share of the
        squared distances to the centre that lies along each.

    Raises:
        ValueError: An unknown centre, or a path that spans fewer dimensions than count.

    Example:
        >>> import torch
        >>> path = Path({"w": torch.zeros(2)}, torch.tensor([[0.0, 0.0], [4.0, 1.0], [8.0, 0.0]]), (0, 1, 2))
        >>> pair = principal_directions(path)
        >>> pair.trees[0]["w"].round(), round(pair.explained[0], 2)
        (tensor([1., 0.]), 0.98)

    References:
        H. Li, Z. Xu, G. Taylor, C. Studer and T. Goldstein, 2018, arXiv 1712.09913, §7.
    """
    places: dict[str, Callable[[], Tensor | None]] = {
        "mean": lambda: path.offsets.double().mean(0),
        "start": lambda: None,
        "end": lambda: path.offsets[-1],
    }
    if centre not in places:
        raise ValueError(f"centre={centre!r} is unknown: choose 'mean', 'start' or 'end'")
    components, shares = principal_components(path.offsets, count, centre=places[centre]())
    dtype = flatten(path.start).dtype
    trees = tuple(unflatten(component.to(dtype), path.start) for component in components)
    settings = {"kind": "principal", "centre": centre, "points": len(path), "path": path.name}
    return Directions(trees, tuple(f"principal {k + 1}" for k in range(count)), tuple(shares), settings)


def eigen_directions(
    model: nn.Module,
    loss_fn: nn.Module,
    x: Tensor,
    y: Tensor,
    count: int = 2,
    *,
    matrix: str = "hessian",
    which: str = "largest",
    tol: float = 1e-5,
    seed: int = 0,
) -> Directions:
    """Eigenvectors of the Hessian or of the Fisher matrix at the model's parameters: where the loss bends most.

    They are unit vectors of the whole parameter space, one scale for all tensors, so that the second derivative of
    the loss along a Hessian one is its eigenvalue.

    Args:
        model: It is left as it is, and taken in evaluation mode, as for a slice.
        loss_fn: `nn.CrossEntropyLoss` or `nn.MSELoss` (or the functions `cross_entropy`, `mse_loss`).
        x: Inputs.
        y: Targets.
        count: How many.
        matrix: `hessian` or `fisher`.
        which: See `top_eigenpairs`.
        tol: See `top_eigenpairs`.
        seed: See `top_eigenpairs`.

    Returns:
        `Directions`; `explained` holds the eigenvalues.

    Raises:
        TypeError: See `hessian_operator`.
        ValueError: An unknown matrix, or see `hessian_operator` and `top_eigenpairs`.
        RuntimeError: See `top_eigenpairs`.

    Example:
        >>> import torch
        >>> model, x, y = nn.Linear(2, 1, bias=False), torch.tensor([[3.0, 4.0]]), torch.ones(1, 1)
        >>> top = eigen_directions(model, nn.MSELoss(), x, y, count=1)
        >>> [round(value, 3) for value in top.explained], top.trees[0]["weight"]
        ([50.0], tensor([[0.6000, 0.8000]]))
    """
    if matrix not in ("hessian", "fisher"):
        raise ValueError(f"matrix={matrix!r} is unknown: choose 'hessian' or 'fisher'")
    loss_fn = as_module(loss_fn)
    twin = working_copy(model).eval()
    A = hessian_operator(twin, loss_fn, x, y) if matrix == "hessian" else fisher_operator(twin, loss_fn, x)
    found = top_eigenpairs(A, count, which=which, tol=tol, seed=seed)
    trees = tuple(unflatten(vector, trainable(model)) for vector in found.vectors.mT)
    settings = {"kind": "eigen", "matrix": matrix, "which": which, "samples": len(x), "seed": seed}
    labels = tuple(f"{matrix.capitalize()} eigenvector {k + 1}" for k in range(count))
    return Directions(trees, labels, tuple(found.values.tolist()), settings)


def as_module(loss_fn: Any) -> Any:
    """`nn.CrossEntropyLoss()` for the function `cross_entropy`, and so on; anything else as it is."""
    return next((module() for function, module in _MODULES.items() if loss_fn is function), loss_fn)
