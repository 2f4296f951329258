"""Sharpness along a path: the largest eigenvalue of the Hessian at its points."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from sofim_lab.curvature.operators import hessian_operator
from sofim_lab.curvature.spectrum import top_eigenpairs
from sofim_lab.landscape.directions_from import as_module
from sofim_lab.landscape.path import Path
from sofim_lab.landscape.tree import check_alike, trainable
from sofim_lab.landscape.working_copy import working_copy


@dataclass(frozen=True, eq=False)
class Sharpness:
    """λ_max of the Hessian along a path.

    Attributes:
        steps: At which steps of the optimizer, shape (n,).
        values: λ_max there, shape (n,). Gradient descent at the rate η is stable where it is below 2/η.
        residuals: ‖Hv − λv‖ of each, shape (n,).
        name: What the path is called.
    """

    steps: np.ndarray
    values: np.ndarray
    residuals: np.ndarray
    name: str = ""


def sharpness(
    path: Path, model: nn.Module, loss_fn: nn.Module, x: Tensor, y: Tensor, *, points: int = 20, tol: float = 1e-3
) -> Sharpness:
    """λ_max of the Hessian at points spread evenly over a path, both ends included.

    Each search starts at the eigenvector of the point before.

    Args:
        path: The path.
        model: Its architecture; it is left as it is, and taken in evaluation mode.
        loss_fn: `nn.CrossEntropyLoss` or `nn.MSELoss` (or the functions `cross_entropy`, `mse_loss`).
        x: Inputs.
        y: Targets.
        points: At how many points of the path, at most all.
        tol: See `top_eigenpairs`; the error of λ_max is of the order of tol².

    Returns:
        `Sharpness`.

    Raises:
        ValueError: points < 1, a path of another model, or see `hessian_operator`.

    Example:
        >>> path = Path({"weight": torch.zeros(1, 1)}, torch.tensor([[0.0], [1.0]]), (0, 1))
        >>> model, x, y = nn.Linear(1, 1, bias=False), torch.full((1, 1), 3.0), torch.ones(1, 1)
        >>> sharpness(path, model, nn.MSELoss(), x, y).values.round(3)
        array([18., 18.])

    References:
        J. M. Cohen et al., 2021, arXiv 2103.00065, §2 (sharpness and the bound 2/η).
    """
    if points < 1:
        raise ValueError(f"points={points} must be 1 or more")
    twin = working_copy(model).eval()
    weights = trainable(twin)
    check_alike("the path", path.start, weights, "model")
    chosen = np.unique(np.linspace(0, len(path) - 1, min(points, len(path))).round().astype(int))
    values, residuals, start = [], [], None
    for index in chosen.tolist():
        with torch.no_grad():
            for name, value in path.tree(index).items():
                weights[name].copy_(value)
        top = top_eigenpairs(hessian_operator(twin, as_module(loss_fn), x, y), tol=tol, start=start)
        start = top.vectors[:, 0]
        values.append(float(top.values[0]))
        residuals.append(float(top.residuals[0]))
    return Sharpness(np.asarray(path.steps)[chosen], np.array(values), np.array(residuals), path.name)
