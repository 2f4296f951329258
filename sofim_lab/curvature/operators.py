"""The four curvature matrices as products Av: no d×d numbers, a few gradients' cost for each vector."""

from collections.abc import Iterable, Iterator

import torch
from torch import Tensor, nn

from sofim_lab.curvature import _products
from sofim_lab.curvature._bound import Bound, bind
from sofim_lab.curvature._products import Linearise, Product
from sofim_lab.curvature.memory import CHUNK_BYTES, KEEP_BYTES


class CurvatureOperator:
    """A symmetric d×d curvature matrix A that is known through its products Av alone.

    It belongs to the parameters as they were when it was made: changing the model afterwards does not change it. x
    and y are not copied, so leave them unchanged, and leave the model's mode as it is.

    Example:
        >>> A = hessian_operator(nn.Linear(2, 1, bias=False), nn.MSELoss(), torch.eye(2), torch.zeros(2, 1))
        >>> A
        CurvatureOperator(hessian, d=2, torch.float32, cpu)
        >>> A @ torch.tensor([1.0, 3.0])
        tensor([1., 3.])

    References:
        N. N. Schraudolph, 2002, "Fast curvature matrix-vector products for second-order gradient descent".
    """

    def __init__(self, kind: str, bound: Bound, linearise: Linearise, chunk_bytes: int, keep_bytes: int) -> None:
        if keep_bytes < 0:
            raise ValueError(f"keep_bytes={keep_bytes!r} must be at least 0: the default is {KEEP_BYTES}")
        self.kind = kind
        self.shape = torch.Size((bound.d, bound.d))
        self.dtype, self.device = bound.dtype, bound.device
        self._bound, self._linearise, self._chunk_bytes = bound, linearise, chunk_bytes
        self._kept, self._covered = _products.keep(bound, linearise, chunk_bytes, int(keep_bytes))

    def __repr__(self) -> str:
        return f"CurvatureOperator({self.kind}, d={self.shape[0]}, {self.dtype}, {self.device})"

    def matvec(self, v: Tensor) -> Tensor:
        """Av.

        Args:
            v: Shape (d,) or (d, k), dtype and device of the operator.

        Returns:
            The product, shaped as v.

        Raises:
            ValueError: v has another length, number of dimensions, dtype or device.
        """
        d = self.shape[0]
        if not isinstance(v, Tensor) or v.dim() not in (1, 2) or v.shape[0] != d:
            got = tuple(v.shape) if isinstance(v, Tensor) else type(v).__name__
            raise ValueError(f"v must be a tensor of shape ({d},) or ({d}, k) to match {self!r}, got {got}")
        if v.dtype != self.dtype or v.device != self.device:
            raise ValueError(
                f"v must be {self.dtype} on {self.device} to match {self!r}, got {v.dtype} on {v.device}: "
                f"use v.to({str(self.device)!r}, {self.dtype})"
            )
        rows = v.detach().reshape(d, -1).mT
        width = _products.columns_at_once(self._bound, self._chunk_bytes)
        result = torch.zeros(rows.shape, dtype=v.dtype, device=v.device)
        for product in self._parts():
            for start in range(0, len(rows), width):
                result[start : start + width] += product(rows[start : start + width])
        return (result * self._bound.scale).mT.reshape(v.shape)

    __matmul__ = matvec

    def _parts(self) -> Iterator[Product]:
        """The products of all chunks: those with kept graphs, then the others made again, one at a time."""
        yield from self._kept
        if self._covered < self._bound.n:
            yield from _products.linearised(self._bound, self._linearise, self._chunk_bytes, self._covered)


def fisher_operator(
    model: nn.Module,
    loss_fn: nn.Module,
    x: Tensor,
    *,
    params: Iterable[Tensor] | None = None,
    chunk_bytes: int = CHUNK_BYTES,
    keep_bytes: int = KEEP_BYTES,
) -> CurvatureOperator:
    r"""Products with the exact Fisher matrix, Fv = s Σ_i J_iᵀ (Λ_i (J_i v)), as `fisher` defines it.

    Λ = diag(p) − p pᵀ or 2I is applied in closed form: the expectation over the model's labels is exact.

    Args:
        model: Maps (n, ...) to outputs (n, C), each sample by itself; it is left as it is.
        loss_fn: `nn.CrossEntropyLoss` or `nn.MSELoss`: likelihood and reduction.
        x: Inputs, n samples in the first dimension.
        params: Parameters of the model to differentiate by; all trainable ones if None.
        chunk_bytes: About what the work on one chunk of samples may take.
        keep_bytes: About what the graphs of the chunks may hold together, as long as the operator lives; those that do
            not fit are made again at each product.

    Returns:
        The operator, shape (d, d).

    Raises:
        TypeError: An argument is of another type.
        ValueError: The data do not fit the model or the loss, or samples have no gradients of their own.

    Example:
        >>> F = fisher_operator(nn.Linear(2, 1, bias=False), nn.MSELoss(), torch.tensor([[1.0, 2.0]]))
        >>> F @ torch.tensor([1.0, 0.0])
        tensor([2., 4.])

    References:
        J. Martens, 2014, arXiv 1412.1193, §8 and §9.
    """
    bound = bind(model, loss_fn, x, None, params, needs_y=False)
    return CurvatureOperator("fisher", bound, _products.fisher_part, chunk_bytes, keep_bytes)


def empirical_fisher_operator(
    model: nn.Module,
    loss_fn: nn.Module,
    x: Tensor,
    y: Tensor,
    *,
    params: Iterable[Tensor] | None = None,
    chunk_bytes: int = CHUNK_BYTES,
    keep_bytes: int = KEEP_BYTES,
) -> CurvatureOperator:
    r"""Products with the empirical FIM, s Σ_i g_i (g_iᵀ v), as `empirical_fisher` defines it.

    g_iᵀv are the slopes of the samples' losses along v; no gradient of a single sample is ever formed.

    Args:
        model: Maps (n, ...) to outputs (n, C), each sample by itself; it is left as it is.
        loss_fn: `nn.CrossEntropyLoss` or `nn.MSELoss`: likelihood and reduction.
        x: Inputs, n samples in the first dimension.
        y: Class indices (n,), or targets (n, C) for `nn.MSELoss`.
        params: Parameters of the model to differentiate by; all trainable ones if None.
        chunk_bytes: About what the work on one chunk of samples may take.
        keep_bytes: About what the graphs of the chunks may hold together, as long as the operator lives; those that do
            not fit are made again at each product.

    Returns:
        The operator, shape (d, d).

    Raises:
        TypeError: An argument is of another type.
        ValueError: The data do not fit the model or the loss, or samples have no gradients of their own.

    Example:
        >>> model = nn.Linear(2, 1, bias=False)
        >>> _ = nn.init.zeros_(model.weight)
        >>> E = empirical_fisher_operator(model, nn.MSELoss(), torch.tensor([[1.0, 2.0]]), torch.ones(1, 1))
        >>> E @ torch.tensor([1.0, 0.0])  # g = (−2, −4)
        tensor([4., 8.])

    References:
        F. Kunstner, L. Balles and P. Hennig, 2019, arXiv 1905.12558, eq. 3.
    """
    bound = bind(model, loss_fn, x, y, params)
    return CurvatureOperator("empirical_fisher", bound, _products.empirical_part, chunk_bytes, keep_bytes)


def ggn_operator(
    model: nn.Module,
    loss_fn: nn.Module,
    x: Tensor,
    y: Tensor,
    *,
    params: Iterable[Tensor] | None = None,
    chunk_bytes: int = CHUNK_BYTES,
    keep_bytes: int = KEEP_BYTES,
) -> CurvatureOperator:
    r"""Products with the generalized Gauss–Newton matrix, s Σ_i J_iᵀ (∇²_f ℓ_i (J_i v)), as `ggn` defines it.

    The loss's Hessian in the outputs is applied by autograd, at the given targets.

    Args:
        model: Maps (n, ...) to outputs (n, C), each sample by itself; it is left as it is.
        loss_fn: `nn.CrossEntropyLoss` or `nn.MSELoss`: likelihood and reduction.
        x: Inputs, n samples in the first dimension.
        y: Class indices (n,), or targets (n, C) for `nn.MSELoss`.
        params: Parameters of the model to differentiate by; all trainable ones if None.
        chunk_bytes: About what the work on one chunk of samples may take.
        keep_bytes: About what the graphs of the chunks may hold together, as long as the operator lives; those that do
            not fit are made again at each product.

    Returns:
        The operator, shape (d, d).

    Raises:
        TypeError: An argument is of another type.
        ValueError: The data do not fit the model or the loss, or samples have no gradients of their own.

    Example:
        >>> G = ggn_operator(nn.Linear(2, 1, bias=False), nn.MSELoss(), torch.tensor([[1.0, 2.0]]), torch.ones(1, 1))
        >>> G @ torch.tensor([1.0, 0.0])
        tensor([2., 4.])

    References:
        N. N. Schraudolph, 2002, "Fast curvature matrix-vector products for second-order gradient descent", §3.
    """
    bound = bind(model, loss_fn, x, y, params)
    return CurvatureOperator("ggn", bound, _products.ggn_part, chunk_bytes, keep_bytes)


def hessian_operator(
    model: nn.Module,
    loss_fn: nn.Module,
    x: Tensor,
    y: Tensor,
    *,
    params: Iterable[Tensor] | None = None,
    chunk_bytes: int = CHUNK_BYTES,
    keep_bytes: int = KEEP_BYTES,
) -> CurvatureOperator:
    r"""Products with the Hessian of the loss, Hv = ∇(∇Lᵀ v), by differentiating a kept graph of the gradient.

    Args:
        model: Maps (n, ...) to outputs (n, C), each sample by itself; it is left as it is.
        loss_fn: `nn.CrossEntropyLoss` or `nn.MSELoss`: likelihood and reduction.
        x: Inputs, n samples in the first dimension.
        y: Class indices (n,), or targets (n, C) for `nn.MSELoss`.
        params: Parameters of the model to differentiate by; all trainable ones if None.
        chunk_bytes: About what the work on one chunk of samples may take.
        keep_bytes: About what the graphs of the chunks may hold together, as long as the operator lives; those that do
            not fit are made again at each product.

    Returns:
        The operator, shape (d, d).

    Raises:
        TypeError: An argument is of another type.
        ValueError: The data do not fit the model or the loss, or samples have no gradients of their own.

    Example:
        >>> model, x, y = nn.Linear(2, 1, bias=False), torch.tensor([[1.0, 2.0]]), torch.ones(1, 1)
        >>> hessian_operator(model, nn.MSELoss(), x, y) @ torch.tensor([[1.0, 0.0], [0.0, 1.0]])
        tensor([[2., 4.],
                [4., 8.]])

    References:
        B. A. Pearlmutter, 1994, "Fast exact multiplication by the Hessian", Neural Computation 6(1).
    """
    bound = bind(model, loss_fn, x, y, params)
    return CurvatureOperator("hessian", bound, _products.hessian_part, chunk_bytes, keep_bytes)
