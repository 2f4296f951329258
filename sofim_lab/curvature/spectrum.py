"""The spectrum of a curvature matrix from its products alone: its top and its trace (and its density, next door)."""

from dataclasses import dataclass

import torch
from torch import Tensor

from sofim_lab.curvature._lanczos import Lanczos, check_count, draw, norm
from sofim_lab.curvature.spectrum_density import SpectralDensity, spectral_density
from sofim_lab.curvature.symmetric import Symmetric, check_symmetric

__all__ = ["Eigenpairs", "SpectralDensity", "TraceEstimate", "spectral_density", "top_eigenpairs", "trace"]

_WHICH = {"largest": lambda values: values, "magnitude": torch.abs, "smallest": torch.neg}


@dataclass(frozen=True)
class Eigenpairs:
    """Some eigenvalues of a symmetric matrix A, with their eigenvectors and how well they fit.

    Attributes:
        values: λ, the wanted end of the spectrum first, shape (k,), float64 on the CPU.
        vectors: Unit vectors v as columns, shape (d, k), dtype and device of A; their largest entry is positive.
        residuals: ‖Av − λv‖, shape (k,), float64 on the CPU.
        products: How many products Av they cost.
    """

    values: Tensor
    vectors: Tensor
    residuals: Tensor
    products: int


@dataclass(frozen=True)
class TraceEstimate:
    """An estimated trace.

    Attributes:
        value: The estimate.
        standard_error: Standard deviation of the estimate, itself estimated from the probes.
        products: How many products Av it cost.
    """

    value: float
    standard_error: float
    products: int


@torch.no_grad()
def top_eigenpairs(
    A: Symmetric,
    k: int = 1,
    *,
    which: str = "largest",
    tol: float = 1e-5,
    start: Tensor | None = None,
    confirm: bool = True,
    seed: int = 0,
    max_products: int = 500,
) -> Eigenpairs:
    r"""The k eigenpairs at one end of the spectrum, by Lanczos with full reorthogonalisation.

    On V = span{v, Av, A²v, …} the eigenpairs (θ, s) of H = VᵀAV give A's: λ ≈ θ, v ≈ Vs, until the residuals
    ‖Av − λv‖ are at most tol · max |λ|. A third as many products from a second start vector then look for eigenvectors
    that the first one is blind to: every further one of a repeated eigenvalue. The error of λ is at most its residual,
    and of the order of its square.

    Args:
        A: `hessian_operator(...)` and the like, or a dense symmetric tensor, shape (d, d).
        k: How many, 1 to d.
        which: `largest` or `smallest` (algebraically), or `magnitude`, the largest |λ|.
        tol: Residual in units of the largest |λ|; at least about 20 roundings, 2e−6 in float32.
        start: First vector, shape (d,), e.g. the eigenvector of a point nearby; random if None.
        confirm: Look again from a second vector, for a third more products. False trusts that no wanted eigenvalue is
            repeated, as ARPACK does: a repeated one is then found once.
        seed: Seed of the random start vectors.
        max_products: When to give up. About 2d numbers are kept for each product.

    Returns:
        `Eigenpairs`.

    Raises:
        TypeError: A does not multiply tensors.
        ValueError: A is not square, real and symmetric, or an argument is out of its range.
        FloatingPointError: A product is not finite.
        RuntimeError: max_products did not do.

    Example:
        >>> A = torch.tensor([[2.0, 3.0], [3.0, 2.0]], dtype=torch.float64)
        >>> top = top_eigenpairs(A, k=2)
        >>> top.values.round(decimals=6).tolist(), top.products
        ([5.0, -1.0], 2)

    References:
        C. Lanczos, 1950. B. N. Parlett, 1998, "The Symmetric Eigenvalue Problem", chapter 13.
    """
    check_symmetric(A)
    _check_eigen(A, k, which, tol, max_products)
    generator = torch.Generator().manual_seed(seed)
    space = Lanczos(A, draw(A, generator) if start is None else _checked_start(start, A))
    believed, next_check, limit = None, k, min(max_products, A.shape[0])
    while True:
        space.extend()
        m = space.size
        if m >= next_check or m == limit or (space.exhausted and m >= k):
            theta, s = torch.linalg.eigh(space.H)
            chosen, accepted = _WHICH[which](theta).topk(k).indices, tol * float(theta.abs().max())
            if space.estimates(s[:, chosen]).max() > accepted and m < limit and not space.exhausted:
                next_check = m + max(1, m // 20)
                continue
            vectors, rests = space.ritz(theta[chosen], s[:, chosen])
            residuals = norm(rests)
            next_check = m + max(2, m // 10)
            if residuals.max() <= accepted:
                settled = believed is not None and (theta[chosen] - believed).abs().max() <= accepted
                if settled or not confirm or m == A.shape[0]:
                    return Eigenpairs(theta[chosen], _signed(vectors), residuals.to("cpu", torch.float64), m)
                believed, next_check = theta[chosen], m + max(4, m // 3)
                space.restart(draw(A, generator))
            elif believed is not None:  # a restart breaks the chain of vectors: go on along what is missing
                space.restart(rests[:, residuals.argmax()])
            if m == limit:
                raise RuntimeError(
                    f"after {m} products the largest residual is {float(residuals.max()):.1e}, wanted {accepted:.1e}, "
                    f"{tol:g} of the largest eigenvalue: raise max_products={max_products} or tol"
                )
        if space.exhausted:
            space.restart(draw(A, generator))


@torch.no_grad()
def trace(A: Symmetric, *, probes: int = 30, deflate: int = 0, seed: int = 0) -> TraceEstimate:
    r"""The trace from a few products: the mean of zᵀAz over random signs z (Hutchinson).

    E zᵀAz = tr A, with the variance 2 Σ_{i≠j} A_ij². With `deflate` = r an orthonormal basis Q of AS, S random with r
    columns, takes the large eigenvalues out (Hutch++):

        tr A = tr QᵀAQ + E zᵀPAPz,    P = I − QQᵀ,

    the first term exactly, the second estimated. That pays where few eigenvalues carry the matrix.

    Args:
        A: `hessian_operator(...)` and the like, or a dense symmetric tensor, shape (d, d).
        probes: Vectors z, 2 or more; one product each.
        deflate: r, 0 to d; two products each.
        seed: Seed of z and S.

    Returns:
        `TraceEstimate`; with the exact trace within about two standard errors in 19 of 20 cases.

    Raises:
        TypeError: A does not multiply tensors.
        ValueError: A is not square, real and symmetric, or an argument is out of its range.
        FloatingPointError: A product is not finite.

    Example:
        >>> trace(torch.eye(4), probes=2)
        TraceEstimate(value=4.0, standard_error=0.0, products=2)

    References:
        M. F. Hutchinson, 1990. R. A. Meyer et al., 2021, arXiv 2010.09649, Algorithm 1 (Hutch++).
    """
    check_symmetric(A)
    d = A.shape[0]
    check_count("probes", probes, 2, None, "one probe has no standard error")
    check_count("deflate", deflate, 0, d, f"the matrix has {d} dimensions")
    generator = torch.Generator().manual_seed(seed)
    Q = torch.empty(d, 0, dtype=A.dtype, device=A.device)
    if deflate:
        Q = torch.linalg.qr(torch.stack([A @ draw(A, generator) for _ in range(deflate)], dim=1)).Q
    exact = sum(_double(q) @ _double(A @ q) for q in Q.mT)
    samples = []
    for _ in range(probes):
        z = draw(A, generator).sign()
        z = z - Q @ (Q.mT @ z)
        samples.append(_double(z) @ _double(A @ z))
    rest = torch.stack(samples)
    if not torch.isfinite(exact + rest.sum()):
        raise FloatingPointError("a product with the matrix is not finite: the loss or its derivatives are not")
    error = float(rest.std()) / probes**0.5
    return TraceEstimate(float(exact + rest.mean()), error, probes + 2 * deflate)


def _signed(vectors: Tensor) -> Tensor:
    """Columns of length one whose largest entry is positive."""
    largest = vectors.gather(0, vectors.abs().argmax(0, keepdim=True))
    return vectors / norm(vectors) * largest.sign()


def _double(x: Tensor) -> Tensor:
    """Move x to float64 on the CPU, for sums over all parameters."""
    return x.to("cpu", torch.float64)


def _check_eigen(A: Symmetric, k: int, which: str, tol: float, max_products: int) -> None:
    """Raise unless the arguments of `top_eigenpairs` are in range."""
    check_count("k", k, 1, A.shape[0], f"the matrix has {A.shape[0]} eigenvalues")
    if which not in _WHICH:
        raise ValueError(f"which={which!r} is unknown: choose one of {', '.join(_WHICH)}")
    floor = 20 * torch.finfo(A.dtype).eps
    if not tol >= floor:
        raise ValueError(f"tol={tol} must be {floor:.0e} or more: {A.dtype} rounds to that, use float64 for less")
    check_count("max_products", max_products, k, None, f"k={k} eigenpairs need as many")


def _checked_start(start: Tensor, A: Symmetric) -> Tensor:
    """The first vector; raise unless it is one."""
    if not isinstance(start, Tensor) or start.shape != A.shape[:1]:
        got = tuple(start.shape) if isinstance(start, Tensor) else type(start).__name__
        raise ValueError(f"start must be a tensor of shape ({A.shape[0]},), got {got}")
    if start.dtype != A.dtype or start.device != A.device:
        raise ValueError(f"start must be {A.dtype} on {A.device}, got {start.dtype} on {start.device}")
    if not bool(torch.isfinite(start).all()) or not bool(start.any()):
        raise ValueError("start must be finite and not zero: leave it out for a random vector")
    return start.detach()
