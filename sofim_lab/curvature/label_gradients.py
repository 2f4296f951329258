"""The gradient for every label that the model could draw: the Fisher matrix, its Monte Carlo estimate, the error."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from sofim_lab.curvature.gram import mirror
from sofim_lab.curvature.likelihood import Categorical, likelihood_of
from sofim_lab.curvature.per_sample import per_sample_gradients


@dataclass(frozen=True, eq=False)
class LabelGradients:
    r"""Gradients g_i(c) = ∇_w ℓ(f(x_i; w), c) for all samples i and labels c, and the labels' probabilities p_i(c).

        F = (1/n) Σ_i Σ_c p_i(c) g_i(c) g_i(c)ᵀ

    is the exact Fisher matrix. With labels c_is drawn from the model, s = 1 … S, the Monte Carlo estimate

        F_S = (1/(nS)) Σ_i Σ_s g_i(c_is) g_i(c_is)ᵀ

    has the mean F and, as the draws are independent, the mean squared error

        E‖F_S − F‖² = V/S,    V = (1/n²) Σ_i (Σ_c p_i(c) ‖g_i(c)‖⁴ − ‖F_i‖²),    F_i = Σ_c p_i(c) g_i(c) g_i(c)ᵀ

    in the Frobenius norm. Its trace is far less scattered:

        Var(tr F_S) = (1/(n²S)) Σ_i Var_{c~p_i} ‖g_i(c)‖².

    Attributes:
        rows: g_i(c), shape (n, C, d).
        probabilities: p_i(c), shape (n, C).

    Example:
        >>> model = nn.Linear(1, 2, bias=False)
        >>> _ = nn.init.zeros_(model.weight)
        >>> table = label_gradients(model, nn.CrossEntropyLoss(), torch.ones(3, 1))
        >>> table.fisher()
        tensor([[ 0.2500, -0.2500],
                [-0.2500,  0.2500]])
        >>> table.expected_error(draws=10)  # both labels give the same outer product
        0.0

    References:
        J. Martens, 2014, arXiv 1412.1193, §5. F. Kunstner, L. Balles and P. Hennig, 2019, arXiv 1905.12558, §2.
    """

    rows: Tensor
    probabilities: Tensor

    def fisher(self) -> Tensor:
        """The exact Fisher matrix F, shape (d, d)."""
        return self._weighted(self.probabilities)

    def monte_carlo(self, draws: int, generator: torch.Generator | None = None) -> Tensor:
        """The Monte Carlo estimate F_S from S = `draws` labels a sample, shape (d, d).

        Args:
            draws: S, 1 or more.
            generator: Source of the labels, on the CPU; the global one if None.

        Returns:
            F_S; a different matrix for every state of the generator.

        Raises:
            ValueError: draws < 1.
        """
        return self._weighted(self.counts(draws, generator) / draws)

    def monte_carlo_path(self, draws: Sequence[int], generator: torch.Generator | None = None) -> tuple[Tensor, ...]:
        """The estimates F_S of one growing set of labels, for each S in `draws`.

        Args:
            draws: Numbers of labels a sample, ascending, 1 or more.
            generator: Source of the labels, on the CPU; the global one if None.

        Returns:
            One matrix for each S; each contains the labels of those before it.

        Raises:
            ValueError: draws does not ascend from 1 or more.
        """
        path, counts, before = [], torch.zeros_like(self.probabilities), 0
        for S in draws:
            counts = counts + self.counts(S - before, generator)
            path.append(self._weighted(counts / S))
            before = S
        return tuple(path)

    def counts(self, draws: int, generator: torch.Generator | None = None) -> Tensor:
        """How often each label was drawn for each sample, shape (n, C); each row has the sum `draws`."""
        _check(draws)
        p = self.probabilities.cpu()
        labels = torch.multinomial(p, draws, replacement=True, generator=generator)
        return torch.zeros_like(p).scatter_add_(1, labels, torch.ones_like(labels, dtype=p.dtype)).to(self.rows.device)

    def expected_error(self, draws: int = 1) -> float:
        """√(E‖F_S − F‖²) = √(V/S), exactly: the root mean square distance of F_S from F.

        Args:
            draws: S, 1 or more.

        Returns:
            The distance, in the Frobenius norm.

        Raises:
            ValueError: draws < 1.
        """
        _check(draws)
        n, p = len(self.rows), self.probabilities
        products = self.rows @ self.rows.mT  # gᵀg of all pairs of labels of a sample, shape (n, C, C)
        fourth = (p * products.diagonal(dim1=1, dim2=2).square()).sum()
        squares = (p[:, :, None] * products.square() * p[:, None, :]).sum()  # Σ_i ‖F_i‖²
        return float(((fourth - squares).clamp(min=0) / draws).sqrt()) / n

    def trace_spread(self, draws: int = 1) -> float:
        """The standard deviation of tr F_S, exactly; its mean is tr F.

        Args:
            draws: S, 1 or more.

        Returns:
            The standard deviation.

        Raises:
            ValueError: draws < 1.
        """
        _check(draws)
        lengths, p = self.rows.square().sum(-1), self.probabilities
        means = (p * lengths).sum(1, keepdim=True)
        return float(((p * (lengths - means).square()).sum() / draws).sqrt()) / len(p)

    def luck(self, draws: int = 1) -> tuple[float, float]:
        """How far drawn labels lead astray, as a share: √(E‖F_S − F‖²)/‖F‖, and the standard deviation of tr F_S/tr F.

        Args:
            draws: S, 1 or more.

        Returns:
            The two shares.

        Raises:
            ValueError: draws < 1.
        """
        F = self.fisher()
        norm, trace = float(torch.linalg.matrix_norm(F)), float(F.trace())
        return self.expected_error(draws) / norm, self.trace_spread(draws) / trace

    def _weighted(self, weights: Tensor) -> Tensor:
        """(1/n) Σ_i Σ_c weight_i(c) g_i(c) g_i(c)ᵀ, exactly symmetric."""
        scaled = (self.rows * (weights / len(self.rows)).sqrt()[..., None]).flatten(0, 1)
        return mirror(scaled.mT @ scaled)


def _check(draws: int) -> None:
    """Raise unless there is a draw."""
    if draws < 1:
        raise ValueError(f"draws={draws} must be 1 or more: an estimate needs a label for each sample")


def label_gradients(model: nn.Module, loss_fn: nn.Module, x: Tensor) -> LabelGradients:
    """The gradients of all labels at all samples, by one pass of per-sample gradients for each label.

    Args:
        model: Maps (n, ...) to logits (n, C), each sample by itself; it is left as it is.
        loss_fn: `nn.CrossEntropyLoss`; its labels can be counted. Its reduction does not matter: matrices are means.
        x: Inputs, n samples in the first dimension.

    Returns:
        `LabelGradients`, of n·C·d numbers.

    Raises:
        TypeError: loss_fn is no likelihood, or one whose labels cannot be counted.
        ValueError: The data do not fit the model.

    Example:
        >>> table = label_gradients(nn.Linear(2, 3), nn.CrossEntropyLoss(), torch.ones(4, 2))
        >>> table.rows.shape
        torch.Size([4, 3, 9])
    """
    if not isinstance(likelihood_of(loss_fn), Categorical):
        raise TypeError(f"loss_fn must be nn.CrossEntropyLoss, got {type(loss_fn).__name__}: its labels are not finite")
    with torch.no_grad():
        probabilities = model(x).softmax(-1)
    columns = [
        per_sample_gradients(model, loss_fn, x, torch.full((len(x),), label, device=x.device))
        for label in range(probabilities.shape[1])
    ]
    return LabelGradients(torch.stack(columns, dim=1), probabilities)
