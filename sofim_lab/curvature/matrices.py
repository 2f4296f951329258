"""The four curvature matrices in full: the Fisher matrix, the empirical FIM, Gauss–Newton and the Hessian."""

from collections.abc import Iterable

import torch
from torch import Tensor, nn

from sofim_lab.curvature import _products
from sofim_lab.curvature._bound import Bound, bind
from sofim_lab.curvature.gram import add_products, mirror
from sofim_lab.curvature.memory import CHUNK_BYTES, MAX_D, check_dense_size
from sofim_lab.curvature.per_sample import bytes_of_rows, pull_back
from sofim_lab.curvature.vjp import flat, pull


def fisher(
    model: nn.Module,
    loss_fn: nn.Module,
    x: Tensor,
    *,
    params: Iterable[Tensor] | None = None,
    chunk_bytes: int = CHUNK_BYTES,
    max_d: int | None = MAX_D,
) -> Tensor:
    r"""The exact Fisher matrix, whose expectation runs over the model's own labels, not the data's.

        F = s Σ_i E_{y~p(·|x_i,w)} [∇log p ∇log pᵀ] = s Σ_i J_iᵀ Λ_i J_i,    J_i = ∂f(x_i)/∂w

    `nn.CrossEntropyLoss` names a categorical likelihood, Λ = diag(p) − p pᵀ, and s = 1/n for reduction="mean";
    `nn.MSELoss` names N(f, I/2), Λ = 2I, and s = 1/(nC), as torch averages over samples and outputs. For
    reduction="sum", s = 1. The expectation is exact, a sum over the C labels or the closed form of the Gaussian.

    Args:
        model: Maps (n, ...) to outputs (n, C), each sample by itself; it is left as it is.
        loss_fn: `nn.CrossEntropyLoss` or `nn.MSELoss`: likelihood and reduction.
        x: Inputs, n samples in the first dimension.
        params: Parameters of the model to differentiate by; all trainable ones if None.
        chunk_bytes: Memory for the work on one chunk of samples, about; the matrix comes on top.
        max_d: The largest d that is allowed; None leaves the free memory as the only bound.

    Returns:
        Shape (d, d), exactly symmetric, parameters flattened in their order.

    Raises:
        TypeError: An argument is of another type.
        ValueError: The data do not fit the model or the loss, samples have no gradients of their own, or d > max_d.
        MemoryError: 12 d² bytes (27 d² in float64) are not free.

    Example:
        >>> fisher(nn.Linear(2, 1, bias=False), nn.MSELoss(), torch.tensor([[1.0, 2.0]])).round(decimals=4)
        tensor([[2., 4.],
                [4., 8.]])

    References:
        S. Amari, 1998, "Natural gradient works efficiently in learning". J. Martens, 2014, arXiv 1412.1193, §5 and §8.
    """
    bound = bind(model, loss_fn, x, None, params, needs_y=False)
    matrix = _zeros(bound, max_d, "fisher_operator")
    for inputs, _ in bound.chunks(bytes_of_rows(bound, bound.outputs), chunk_bytes):
        scores = bound.likelihood.score_rows(bound.forward(inputs).detach())
        rows = pull_back(bound, inputs, scores).flatten(0, 1)
        add_products(matrix, rows, rows, bound.scale)
    return mirror(matrix)


def empirical_fisher(
    model: nn.Module,
    loss_fn: nn.Module,
    x: Tensor,
    y: Tensor,
    *,
    params: Iterable[Tensor] | None = None,
    chunk_bytes: int = CHUNK_BYTES,
    max_d: int | None = MAX_D,
) -> Tensor:
    r"""The empirical FIM: outer products of the gradients at the data's labels. It is not the Fisher matrix.

        s Σ_i g_i g_iᵀ,    g_i = ∇_w ℓ(f(x_i; w), y_i)

    ℓ = −log p and s = 1/n for the mean of `nn.CrossEntropyLoss`; ℓ = ‖f − y‖² and s = 1/(nC) for that of `nn.MSELoss`;
    s = 1 for the sum. If the labels are drawn from the model, its mean over the draws is the Fisher matrix.

    Args:
        model: Maps (n, ...) to outputs (n, C), each sample by itself; it is left as it is.
        loss_fn: `nn.CrossEntropyLoss` or `nn.MSELoss`: likelihood and reduction.
        x: Inputs, n samples in the first dimension.
        y: Class indices (n,), or targets (n, C) for `nn.MSELoss`.
        params: Parameters of the model to differentiate by; all trainable ones if None.
        chunk_bytes: Memory for the work on one chunk of samples, about; the matrix comes on top.
        max_d: The largest d that is allowed; None leaves the free memory as the only bound.

    Returns:
        Shape (d, d), exactly symmetric, of rank n at most.

    Raises:
        TypeError: An argument is of another type.
        ValueError: The data do not fit the model or the loss, samples have no gradients of their own, or d > max_d.
        MemoryError: 12 d² bytes (27 d² in float64) are not free.

    Example:
        >>> model = nn.Linear(2, 1, bias=False)
        >>> _ = nn.init.zeros_(model.weight)
        >>> empirical_fisher(model, nn.MSELoss(), torch.tensor([[1.0, 2.0]]), torch.ones(1, 1))
        tensor([[ 4.,  8.],
                [ 8., 16.]])

    References:
        F. Kunstner, L. Balles and P. Hennig, 2019, arXiv 1905.12558, eq. 3.
    """
    bound = bind(model, loss_fn, x, y, params)
    matrix = _zeros(bound, max_d, "empirical_fisher_operator")
    for inputs, targets in bound.chunks(bytes_of_rows(bound, 1), chunk_bytes):
        slopes = bound.likelihood.gradients(bound.forward(inputs), targets)
        rows = pull_back(bound, inputs, slopes[:, None])[:, 0]
        add_products(matrix, rows, rows, bound.scale)
    return mirror(matrix)


def ggn(
    model: nn.Module,
    loss_fn: nn.Module,
    x: Tensor,
    y: Tensor,
    *,
    params: Iterable[Tensor] | None = None,
    chunk_bytes: int = CHUNK_BYTES,
    max_d: int | None = MAX_D,
) -> Tensor:
    r"""The generalized Gauss–Newton matrix: the Hessian of the loss with the model replaced by its linearisation.

        G = s Σ_i J_iᵀ ∇²_f ℓ(f_i, y_i) J_i,    J_i = ∂f(x_i)/∂w

    with s as in `fisher`. ∇²_f ℓ is taken by autograd at the given targets, so that F = G, which holds for both
    likelihoods, is a statement that can be checked.

    Args:
        model: Maps (n, ...) to outputs (n, C), each sample by itself; it is left as it is.
        loss_fn: `nn.CrossEntropyLoss` or `nn.MSELoss`: likelihood and reduction.
        x: Inputs, n samples in the first dimension.
        y: Class indices (n,), or targets (n, C) for `nn.MSELoss`.
        params: Parameters of the model to differentiate by; all trainable ones if None.
        chunk_bytes: Memory for the work on one chunk of samples, about; the matrix comes on top.
        max_d: The largest d that is allowed; None leaves the free memory as the only bound.

    Returns:
        Shape (d, d), exactly symmetric.

    Raises:
        TypeError: An argument is of another type.
        ValueError: The data do not fit the model or the loss, samples have no gradients of their own, or d > max_d.
        MemoryError: 12 d² bytes (27 d² in float64) are not free.

    Example:
        >>> ggn(nn.Linear(2, 1, bias=False), nn.MSELoss(reduction="sum"), torch.eye(2), torch.ones(2, 1))
        tensor([[2., 0.],
                [0., 2.]])

    References:
        N. N. Schraudolph, 2002, "Fast curvature matrix-vector products for second-order gradient descent", §3.
    """
    bound = bind(model, loss_fn, x, y, params)
    matrix = _zeros(bound, max_d, "ggn_operator")
    for inputs, targets in bound.chunks(2 * bytes_of_rows(bound, bound.outputs), chunk_bytes):
        f = bound.forward(inputs).detach()
        curvature = bound.likelihood.hessians(f, targets)
        jacobians = pull_back(bound, inputs, torch.eye(bound.outputs).to(f).expand_as(curvature))
        add_products(matrix, jacobians.flatten(0, 1), (curvature @ jacobians).flatten(0, 1), bound.scale)
    return mirror(matrix)


def hessian(
    model: nn.Module,
    loss_fn: nn.Module,
    x: Tensor,
    y: Tensor,
    *,
    params: Iterable[Tensor] | None = None,
    chunk_bytes: int = CHUNK_BYTES,
    max_d: int | None = MAX_D,
) -> Tensor:
    r"""The Hessian of the loss, H = ∇²_w L(w), indefinite in general.

        H = G + s Σ_i Σ_c (∂ℓ_i/∂f_c) ∇²_w f_c(x_i)

    It equals the Gauss–Newton matrix G where the model is linear in w, and tends to it as the residuals vanish.

    Args:
        model: Maps (n, ...) to outputs (n, C), each sample by itself; it is left as it is.
        loss_fn: `nn.CrossEntropyLoss` or `nn.MSELoss`: likelihood and reduction.
        x: Inputs, n samples in the first dimension.
        y: Class indices (n,), or targets (n, C) for `nn.MSELoss`.
        params: Parameters of the model to differentiate by; all trainable ones if None.
        chunk_bytes: Memory for the work on one chunk of samples, about; the matrix comes on top.
        max_d: The largest d that is allowed; None leaves the free memory as the only bound.

    Returns:
        Shape (d, d), exactly symmetric.

    Raises:
        TypeError: An argument is of another type.
        ValueError: The data do not fit the model or the loss, samples have no gradients of their own, or d > max_d.
        MemoryError: 12 d² bytes (27 d² in float64) are not free.

    Example:
        >>> hessian(nn.Linear(2, 1, bias=False), nn.MSELoss(), torch.tensor([[1.0, 2.0]]), torch.ones(1, 1))
        tensor([[2., 4.],
                [4., 8.]])

    References:
        B. A. Pearlmutter, 1994, "Fast exact multiplication by the Hessian", Neural Computation 6(1).
    """
    bound = bind(model, loss_fn, x, y, params)
    matrix = _zeros(bound, max_d, "hessian_operator")
    width = _products.columns_at_once(bound, chunk_bytes)
    for inputs, targets in _products.pieces(bound, chunk_bytes):
        slopes = _products.gradient(bound, inputs, targets)
        first = 0
        for index, weight in enumerate(bound.weights):  # row by row, from the diagonal block of this tensor on
            for start in range(0, weight.numel(), width):
                units = _units(weight, start, width)
                rows = flat(pull(slopes[index : index + 1], bound.weights[index:], (units,)))
                matrix[first + start : first + start + len(units), first:] += rows
            first += weight.numel()
    return mirror(matrix.mul_(bound.scale))


def _zeros(bound: Bound, max_d: int | None, instead: str) -> Tensor:
    """A d×d matrix of zeros, if it is allowed and fits."""
    check_dense_size(bound.d, bound.dtype, bound.device, max_d=max_d, instead=instead)
    return torch.zeros(bound.d, bound.d, dtype=bound.dtype, device=bound.device)


def _units(weight: Tensor, start: int, width: int) -> Tensor:
    """The unit vectors e_start, e_start+1, …, at most `width`, each in the shape of the weight."""
    rows = torch.zeros(min(width, weight.numel() - start), weight.numel(), dtype=weight.dtype, device=weight.device)
    rows.diagonal(offset=start).fill_(1)
    return rows.reshape(-1, *weight.shape)
