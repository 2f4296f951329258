"""Figures of the proxy m mᵀ + ρI: the dial to the full matrix, and how the proxy fares along a training run."""

from collections.abc import Mapping, Sequence

from matplotlib.axes import Axes

from sofim_lab.curvature.dial import DialError, DialPosition
from sofim_lab.curvature.proxy import ProxySpectrum
from sofim_lab.plots.style import Style, log_x, log_y, look, new_axes, set_title

_HERE: Style = {"color": "0.35", "linestyle": ":", "linewidth": 1.5}  # where a slider stands
_QUARTERS = (0, 0.25, 0.5, 0.75, 1)


def plot_dial(positions: Sequence[DialPosition], k: int, ax: Axes | None = None) -> Axes:
    """Cosine and relative length of F_k⁻¹g beside F_n⁻¹g, against k.

    Args:
        positions: From `dial`.
        k: The position that is marked.
        ax: Axes to draw into; new ones by default.

    Returns:
        The axes.
    """
    ax = ax or new_axes()[0]
    places = range(len(positions))
    ax.plot(places, [p.cosine for p in positions], label="cos with the full direction", **look(0).line())
    ax.plot(places, [p.length for p in positions], label="length / full length", **look(1).line())
    ax.axhline(0.99, color="0.6", linewidth=1)
    ax.axvline([p.k for p in positions].index(k), **_HERE)
    ax.set_xticks(list(places), [str(p.k) for p in positions])
    ax.set(xlabel="number of rows k", ylim=(0, max(1.1, 1.1 * max(p.length for p in positions))))
    set_title(ax, "direction F⁻¹g: k groups against all samples")
    ax.legend(loc="lower right")
    return ax


def plot_dial_spectrum(positions: Sequence[DialPosition], k: int, rho: float, ax: Axes | None = None) -> Axes:
    """Leading eigenvalues of F_k and of F_n, descending, above the floor ρ.

    Args:
        positions: From `dial`, the last with all samples.
        k: The position that is drawn.
        rho: ρ > 0, drawn as a line.
        ax: Axes to draw into; new ones by default.

    Returns:
        The axes, both scales logarithmic.
    """
    ax = ax or new_axes()[0]
    chosen, full = next(p for p in positions if p.k == k), positions[-1]
    shown = min(2 * full.k, len(full.eigenvalues))
    numbers = list(range(1, shown + 1))
    for position, own, label in ((full, look(1), f"all samples, k = {full.k}"), (chosen, look(0), f"k = {k}")):
        values = position.eigenvalues.flip(0)[:shown].tolist()
        ax.plot(numbers, values, label=label, **own.line(marker="", linewidth=2))
    ax.axhline(rho, label=f"ρ = {rho:.2g}", **_HERE)
    log_x(ax)
    log_y(ax)
    ax.set(xlabel="number of the eigenvalue", ylabel="eigenvalue of F")
    set_title(ax, "spectra")
    ax.legend(loc="upper right")
    return ax


def plot_dial_errors(errors: Sequence[DialError], ax: Axes | None = None) -> Axes:
    """Relative error of Woodbury's difference and of the push-through form, against ρ.

    Args:
        errors: From `dial_errors`.
        ax: Axes to draw into; new ones by default.

    Returns:
        The axes, both scales logarithmic.
    """
    ax = ax or new_axes()[0]
    rhos = [error.rho for error in errors]
    ax.plot(rhos, [error.woodbury for error in errors], label="Woodbury's difference", **look(1).line())
    ax.plot(rhos, [error.push_through for error in errors], label="push-through", **look(0).line())
    ax.axhline(1.0, **_HERE)
    ax.annotate("no digit left", (max(rhos), 1.0), (0, 3), textcoords="offset points", ha="right", fontsize=8)
    log_x(ax)
    log_y(ax)
    ax.set(xlabel="ρ", ylabel="relative error of F⁻¹g")
    ax.legend(loc="center right")
    return ax


def describe_dial_errors(errors: Sequence[DialError]) -> str:
    """In words: the worst of both forms."""
    worst = max(errors, key=lambda error: error.woodbury)
    return (
        f"Relative error of F⁻¹g in float32 against ρ. Woodbury's difference is off by {worst.woodbury:.1e} at "
        f"ρ = {worst.rho:.0e}; the push-through form by {max(e.push_through for e in errors):.1e} at most."
    )


def plot_coverage(spectrum: ProxySpectrum, ax: Axes | None = None) -> Axes:
    """What the k leading eigenvectors hold: of the trace of the matrix, and of ‖m‖².

    Args:
        spectrum: From `proxy_spectrum`.
        ax: Axes to draw into; new ones by default.

    Returns:
        The axes, k on a logarithmic scale.
    """
    ax = ax or new_axes()[0]
    numbers = range(1, len(spectrum.eigenvalues) + 1)
    trace, moment = spectrum.covered()
    ax.plot(numbers, trace.tolist(), label="of the trace", color=look(1).color, linestyle="--", linewidth=2)
    ax.plot(numbers, moment.tolist(), label="of ‖m‖²", color=look(0).color, linewidth=2)
    log_x(ax)
    ax.set(xlabel="leading eigenvectors k", ylabel="share in their span", ylim=(0, 1.05), yticks=_QUARTERS)
    ax.legend(loc="lower right")
    return ax


def plot_shares(run: Mapping[int, ProxySpectrum], step: int | None = None, ax: Axes | None = None) -> Axes:
    """The share of the trace along m at each checkpoint, between a random direction's and the largest possible.

    Args:
        run: Step to spectrum, in order.
        step: The checkpoint that is marked.
        ax: Axes to draw into; new ones by default.

    Returns:
        The axes, shares on a logarithmic scale.
    """
    ax = _along(run, step, ax)
    places, spectra = range(len(run)), list(run.values())
    ax.plot(places, [s.top_share for s in spectra], label="λ₁ / tr, the most possible", **look(1).line())
    ax.plot(places, [s.share for s in spectra], label="along m", **look(0).line())
    chance = 1 / len(spectra[0].eigenvalues)
    ax.axhline(chance, color="0.35", linestyle="--", linewidth=1, label="random direction: 1/d")
    log_y(ax)
    ax.set(ylabel="share of the trace", ylim=(chance / 2, 12))
    ax.legend(loc="upper right")
    return ax


def plot_agreement(
    run: Mapping[int, ProxySpectrum], rho: float, step: int | None = None, ax: Axes | None = None
) -> Axes:
    """What m has of the top eigenvector and of the direction of the whole matrix, at each checkpoint, all in [0, 1].

    Args:
        run: Step to spectrum, in order.
        rho: ρ > 0.
        step: The checkpoint that is marked.
        ax: Axes to draw into; new ones by default.

    Returns:
        The axes: cos∠(m, (A + ρI)⁻¹m), |cos∠(m, v₁)|, and the share of the trace along m over the largest possible.
    """
    ax = _along(run, step, ax)
    places, spectra = range(len(run)), list(run.values())
    ax.plot(places, [s.direction_cosine(rho) for s in spectra], label="cos(m, (A + ρI)⁻¹m)", **look(2).line())
    ax.plot(places, [s.cosine for s in spectra], label="|cos(m, v₁)|", **look(0).line())
    ax.plot(places, [s.share / s.top_share for s in spectra], label="m̂ᵀA m̂ / λ₁", **look(1).line())
    ax.set(ylim=(0, 1.55), yticks=_QUARTERS)
    ax.legend(loc="upper right")
    return ax


def describe_proxy(run: Mapping[int, ProxySpectrum], name: str) -> str:
    """In words: the range of the share along m and of the cosine with the top eigenvector."""
    shares, tops = [s.share for s in run.values()], [s.top_share for s in run.values()]
    cosines = [s.cosine for s in run.values()]
    return (
        f"{name}, {len(run)} checkpoints. The share of the trace along m lies between {min(shares):.2g} and "
        f"{max(shares):.2g}, the largest possible between {min(tops):.2g} and {max(tops):.2g}; the cosine of m "
        f"with the top eigenvector between {min(cosines):.2f} and {max(cosines):.2f}."
    )


def _along(run: Mapping[int, ProxySpectrum], step: int | None, ax: Axes | None) -> Axes:
    """Axes with one place for each checkpoint."""
    ax = ax or new_axes()[0]
    steps = list(run)
    ax.set_xticks(range(len(steps)), [str(s) for s in steps])
    ax.set_xlabel("after step")
    if step is not None:
        ax.axvline(steps.index(step), **_HERE)
    return ax
