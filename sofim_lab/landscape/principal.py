"""Principal components of few points in many dimensions."""

import torch
from torch import Tensor

_COLUMNS = 2**16  # dimensions at a time, so that no float64 copy of all points is made


def principal_components(
    rows: Tensor, count: int, *, centre: Tensor | None = None, weights: Tensor | None = None
) -> tuple[Tensor, list[float]]:
    r"""The directions along which points spread most, from the small matrix of their inner products.

    With X_t = √ω_t (row_t − c), XXᵀ = UΣ²Uᵀ: the components are the rows of Σ⁻¹UᵀX, their shares σ_k² / Σ_j σ_j².
    All in float64, in O(T²d).

    Args:
        rows: Points, shape (T, d).
        count: How many components.
        centre: c, shape (d,); None for 0.
        weights: ω, shape (T,); None for 1.

    Returns:
        Orthonormal components (count, d), float64, pointing from the first row to the last, and their shares.

    Raises:
        ValueError: The points span fewer dimensions than count.

    Example:
        >>> components, shares = principal_components(torch.tensor([[0.0, 0.0], [3.0, 0.0], [0.0, 1.0]]), 2)
        >>> components.abs(), shares
        (tensor([[1., 0.], [0., 1.]], dtype=torch.float64), [0.9, 0.1])
    """
    T, d = rows.shape
    root = torch.ones(T, dtype=torch.float64) if weights is None else weights.sqrt()

    def block(at: int) -> Tensor:
        part = rows[:, at : at + _COLUMNS].to("cpu", torch.float64)
        part = part if centre is None else part - centre[at : at + _COLUMNS].to("cpu", torch.float64)
        return root[:, None] * part

    places = range(0, d, _COLUMNS)
    gram = sum((b @ b.mT for b in map(block, places)), torch.zeros(T, T, dtype=torch.float64))
    squares, U = torch.linalg.eigh(gram)
    squares, U = squares.flip(0).clamp(min=0), U.flip(1)
    dimensions = int((squares > 1e-14 * squares[0]).sum())
    if count < 1 or count > dimensions:
        raise ValueError(
            f"count={count} principal components of {T} points that span {dimensions} dimensions: "
            f"ask for 1 to {dimensions}, or record more points"
            if dimensions
            else f"the {T} points of the path are one and the same: it goes nowhere, record more steps"
        )
    raw = torch.cat([U[:, :count].mT @ block(at) for at in places], dim=1)
    Q = torch.linalg.qr(raw.mT).Q.mT  # orthonormal to the last digit; the inner products know only half of them
    side = Q @ (rows[-1].to("cpu", torch.float64) - rows[0].to("cpu", torch.float64))[:, None]
    return torch.where(side < 0, -Q, Q), (squares[:count] / squares.sum()).tolist()
