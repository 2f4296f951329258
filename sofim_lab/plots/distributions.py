"""Figures of distributions: two of them side by side, KL along a step, and the paths of a fit."""

from collections.abc import Mapping, Sequence

import torch
from matplotlib.axes import Axes
from torch import Tensor

from sofim_lab.plots.style import Style, few_ticks, log_x, log_y, look, new_axes, set_title
from sofim_lab.problems.distributions import gaussian

_LEVELS = (0.02, 0.1, 0.3, 0.7, 1.5, 3.0)


def plot_two_gaussians(v: Tensor, w: Tensor, ax: Axes | None = None) -> Axes:
    """The densities of N(μ, σ²) for two pairs (μ, σ), the second one dashed.

    Args:
        v: (μ, σ) of the first.
        w: (μ, σ) of the second.
        ax: Axes to draw into; new ones by default.

    Returns:
        The axes.
    """
    ax = ax or new_axes()[0]
    reach = 3.2 * max(float(v[1]), float(w[1]))
    x = torch.linspace(min(float(v[0]), float(w[0])) - reach, max(float(v[0]), float(w[0])) + reach, 241).to(v)
    for index, (one, name) in enumerate(((v, "first"), (w, "second"))):
        own, density = look(index), gaussian.log_prob(one, x).exp()
        mean, std = (float(value) for value in one)
        ax.plot(
            x,
            density,
            color=own.color,
            linestyle=own.linestyle,
            linewidth=2,
            label=f"{name}: N({mean:.2g}, {std:.2g}²)",
        )
        ax.fill_between(x, density, color=own.color, alpha=0.12)
    ax.set(xlabel="x", ylabel="density")
    few_ticks(ax.xaxis, ax.yaxis)
    ax.set_ylim(0, 1.35 * float(max(gaussian.log_prob(one, one[:1]).exp() for one in (v, w))))
    ax.legend(loc="upper right", fontsize=9)
    return ax


def plot_two_coins(p: float, q: float, ax: Axes | None = None) -> Axes:
    """The probabilities of 0 and 1 of two Bernoulli distributions as bars, the second pair hatched.

    Args:
        p: Probability of 1 of the first.
        q: Probability of 1 of the second.
        ax: Axes to draw into; new ones by default.

    Returns:
        The axes.
    """
    ax = ax or new_axes()[0]
    for index, (one, name) in enumerate(((p, "first"), (q, "second"))):
        places = [-0.2 + 0.4 * index, 0.8 + 0.4 * index]
        hatch = "///" * index
        ax.bar(
            places,
            [1 - one, one],
            0.36,
            color=look(index).color,
            alpha=0.75,
            hatch=hatch,
            label=f"{name}: p = {one:.2g}",
        )
    ax.set_xticks([0, 1], ["y = 0", "y = 1"])
    ax.set(ylabel="probability", ylim=(0, 1.25), xlim=(-0.5, 1.5))
    few_ticks(ax.yaxis)
    ax.legend(loc="upper center", ncols=2, fontsize=9)
    return ax


def plot_kl_along(kl: Tensor, quadratic: float, ax: Axes | None = None) -> Axes:
    """KL(p_w ‖ p_{w + tδ}) for t from 0 to 1, and its approximation ½ t² δᵀFδ.

    Args:
        kl: At equidistant t from 0 to 1, shape (k,).
        quadratic: ½ δᵀFδ.
        ax: Axes to draw into; new ones by default.

    Returns:
        The axes.
    """
    ax = ax or new_axes()[0]
    t = torch.linspace(0, 1, len(kl), dtype=kl.dtype)
    exact, near = look(2), look(1)
    ax.plot(t, kl, color=exact.color, linewidth=2.2, label="KL")
    ax.plot(t, quadratic * t**2, color=near.color, linestyle="--", linewidth=2, label="½ t² δᵀFδ")
    ax.plot([1], [float(kl[-1])], exact.marker, color=exact.color, markersize=8, clip_on=False)
    ax.plot([1], [quadratic], near.marker, color=near.color, markersize=7, clip_on=False)
    ax.set(xlabel="share t of the step δ", ylabel="nats", xlim=(0, 1))
    ax.set_ylim(0, max(1.12 * max(float(kl[-1]), quadratic), 1e-9))
    few_ticks(ax.xaxis, ax.yaxis)
    ax.legend(loc="upper left", fontsize=9)
    return ax


def plot_fits(
    paths: Mapping[str, Tensor],
    target: Tensor,
    window: tuple[float, float, float, float],
    levels: tuple[Tensor, Tensor, Tensor] | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Paths in the plane of μ and σ, over level curves of the loss; a path that ended early has a cross at its end.

    Args:
        paths: Name to points (T + 1, 2) in (μ, σ).
        target: (μ, σ) of the target, drawn as a star.
        window: Left, right, bottom, top.
        levels: From `loss_levels`; no curves where it is None.
        ax: Axes to draw into; new ones by default.

    Returns:
        The axes.
    """
    ax = ax or new_axes()[0]
    if levels is not None:
        ax.contour(*levels, levels=_LEVELS, colors="0.75", linewidths=0.8)
    longest = max(len(points) for points in paths.values())
    for index, (name, points) in enumerate(paths.items()):
        own = look(index)
        style: Style = {
            "markersize": 8 - 3 * index,
            "markevery": max(1, len(points) // 12),
            "linewidth": 3.2 - 1.7 * index,
        }
        ax.plot(points[:, 0], points[:, 1], label=name, **own.line(**style), alpha=0.9)
        if len(points) < longest:
            ax.plot(*points[-1:].T, "x", color="black", markersize=11, markeredgewidth=2.5)
    ax.plot(*target[:, None], "*", color="black", markersize=13)
    ax.set(xlabel="μ", ylabel="σ", xlim=window[:2], ylim=window[2:])
    few_ticks(ax.xaxis, ax.yaxis)
    ax.legend(loc="upper right", fontsize=9)
    return ax


def loss_levels(
    target: Tensor, window: tuple[float, float, float, float], n: int = 41
) -> tuple[Tensor, Tensor, Tensor]:
    """KL(target ‖ N(μ, σ²)) over a window, for the level curves of `plot_fits`.

    Args:
        target: (μ, σ) of the target.
        window: Left, right, bottom, top; bottom > 0.
        n: Points along each axis.

    Returns:
        μ (n,), σ (n,) and the loss (n, n), a row for each σ.
    """
    left, right, bottom, top = window
    mean, std = torch.linspace(left, right, n).to(target), torch.linspace(bottom, top, n).to(target)
    rows, columns = torch.meshgrid(std, mean, indexing="ij")
    return mean, std, gaussian.kl(target, torch.stack([columns, rows], -1))


def plot_orders(
    sizes: Sequence[float], curves: Mapping[str, tuple[Sequence[float], float]], xlabel: str, ax: Axes | None = None
) -> Axes:
    """Errors against a step size on two logarithmic scales, each with the order that was measured.

    Args:
        sizes: Step sizes, positive.
        curves: Name to errors (positive, one a size) and measured order.
        xlabel: What the sizes are.
        ax: Axes to draw into; new ones by default.

    Returns:
        The axes.
    """
    ax = ax or new_axes()[0]
    for index, (name, (errors, order)) in enumerate(curves.items()):
        ax.plot(sizes, errors, label=f"{name}: order {order:.2f}", **look(index).line())
    log_x(ax)
    log_y(ax)
    ax.set(xlabel=xlabel, ylabel="error")
    set_title(ax, "what is left when the step is halved")
    ax.legend(loc="best", fontsize=9)
    return ax
