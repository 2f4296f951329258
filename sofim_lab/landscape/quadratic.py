"""What second derivatives say of a plane: the quadratic model over it, and the curvatures in it."""

from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from sofim_lab.curvature.symmetric import Symmetric
from sofim_lab.landscape.directions import Directions, orthogonalise
from sofim_lab.landscape.result import Slice
from sofim_lab.landscape.tree import flatten


def quadratic_model(plane: Slice, H: Symmetric, directions: Directions, gradient: Tensor) -> Slice:
    r"""The loss's Taylor polynomial of second order over the plane of a slice.

        q[j, i] = L(w) + gᵀδ + ½ δᵀHδ,    δ = a_i D_1 + b_j D_2

    Args:
        plane: The slice around w; w is the middle of its grid.
        H: The Hessian at w, an operator or a dense tensor.
        directions: D_1 and D_2.
        gradient: g at w, shape (d,).

    Returns:
        A slice like the given one with the values of q.

    Raises:
        ValueError: The grid does not hold (0, 0) in its middle.

    Example:
        >>> axis = np.array([-1.0, 0.0, 1.0])
        >>> bowl = Slice(axis, axis, np.array([[2.0, 1.0, 2.0], [1.0, 0.0, 1.0], [2.0, 1.0, 2.0]]))
        >>> units = Directions(({"w": torch.tensor([1.0, 0.0])}, {"w": torch.tensor([0.0, 1.0])}), ("a", "b"))
        >>> quadratic_model(bowl, 2 * torch.eye(2), units, torch.zeros(2)).loss[2]
        array([2., 1., 2.])
    """
    first, second = plane.axes
    column, row = len(first) // 2, len(second) // 2
    if first[column] != 0 or second[row] != 0:
        raise ValueError("the slice must have (0, 0) in the middle of its grid: give an extent e and odd points")
    D = torch.stack([flatten(tree) for tree in directions], dim=1)
    slope, bend = (D.mT @ gradient).double().cpu().numpy(), (D.mT @ (H @ D)).double().cpu().numpy()
    a, b = np.meshgrid(first, second)
    bent = bend[0, 0] * a**2 + (bend[0, 1] + bend[1, 0]) * a * b + bend[1, 1] * b**2
    return replace(plane, loss=plane.loss[row, column] + slope[0] * a + slope[1] * b + bent / 2)


def plane_curvatures(H: Symmetric, directions: Directions) -> tuple[float, float]:
    """The largest and the smallest curvature uᵀHu over the unit vectors u of a plane.

    They are the eigenvalues of QᵀHQ, the columns of Q an orthonormal basis: never more than λ₁, never less than λ_d.

    Args:
        H: The Hessian, an operator or a dense tensor.
        directions: Two directions that span the plane; their lengths and angle do not matter.

    Example:
        >>> slanted = Directions(({"w": torch.tensor([1.0, 0.0])}, {"w": torch.tensor([3.0, 4.0])}), ("a", "b"))
        >>> plane_curvatures(torch.diag(torch.tensor([2.0, 5.0])), slanted)
        (5.0, 2.0)
    """
    Q = torch.stack([flatten(tree) for tree in orthogonalise(directions)], dim=1)
    Q = Q / torch.linalg.vector_norm(Q, dim=0)
    low, high = torch.linalg.eigvalsh((Q.mT @ (H @ Q)).double().cpu()).tolist()
    return high, low
