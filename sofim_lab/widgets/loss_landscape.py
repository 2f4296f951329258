"""Explorers of lesson 07: one network through two lenses, and the plane that a picture of a stop is taken on."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache, partial

import ipywidgets as W
import numpy as np
import torch
from torch import Tensor, nn

from sofim_lab.curvature import CurvatureOperator, hessian_operator, top_eigenpairs
from sofim_lab.landscape import (
    Directions,
    Path,
    ProjectedPath,
    Slice,
    Tree,
    normalise,
    plane_curvatures,
    principal_directions,
    project,
    quadratic_model,
    random_directions,
    rescaled,
    slice_1d,
    slice_2d,
    stand_at,
)
from sofim_lab.landscape.tree import unflatten
from sofim_lab.landscape.working_copy import working_copy
from sofim_lab.plots import Picture, new_axes, picture, plot_contour, plot_profile, set_title
from sofim_lab.plots.four_matrices import percent
from sofim_lab.plots.scale import number
from sofim_lab.plots.style import label_of
from sofim_lab.problems import Split
from sofim_lab.widgets.explorer import Explorer, Goal
from sofim_lab.widgets.sliders import log_slider

LAYER, UNITS = "the whole layer", "every second unit"
PLANES = ("random", "path", "Hessian")
_POINTS, _FEW = 21, 11  # a side of a plane, and of its preview
_ZOOM = -3, 0.3  # exponents: how far a picture reaches, in lengths of the directions


@dataclass(frozen=True)
class LensState:
    """One function twice: the loss along a direction from a point, and from the point rescaled by α.

    Attributes:
        alpha: α.
        what: What is rescaled, `LAYER` or `UNITS`.
        method: The normalisation of the direction.
        lines: The slice from the point itself, and from the rescaled one.
        sharpness: λ₁ at both.
    """

    alpha: float
    what: str
    method: str
    lines: tuple[Slice, Slice]
    sharpness: tuple[float, float]

    @property
    def difference(self) -> float:
        """The largest distance of the two curves, as a share of the first one's range."""
        one, other = (line.loss for line in self.lines)
        gap = np.abs(one - other).max()
        return float(gap / (one.max() - one.min())) if np.isfinite(gap) else float("inf")


def render_lens(state: LensState) -> Picture:
    """Both curves, with λ₁ of both in words."""
    (ax,) = new_axes(width=7.6, height=3.8)
    plot_profile({"as it is": state.lines[0], "rescaled": state.lines[1]}, ax)
    set_title(ax, f"{state.what} × {number(state.alpha)}, normalisation: {state.method}")
    finite = np.isfinite(state.difference)
    apart = f"{percent(state.difference)} of the range apart" if finite else "far apart"
    return picture(
        ax,
        f"Loss along one random direction, normalisation {state.method}, from a stop and from the same function "
        f"with {state.what} rescaled by α = {number(state.alpha)}. At the edges the first is at "
        f"{_ends(state.lines[0])}, the second at {_ends(state.lines[1])}; the curves are at most {apart}. "
        f"λ₁ is {number(state.sharpness[0])} and {number(state.sharpness[1])}.",
    )


def _ends(line: Slice) -> str:
    """The losses at both ends of a slice."""
    return f"{number(line.loss[0])} and {number(line.loss[-1])}"


def lens_explorer(model: nn.Module, loss_fn: nn.Module, data: Split, *, seed: int = 0) -> Explorer[LensState]:
    """Rescale a ReLU network without changing its function; see which normalisation sees that it is the same.

    Args:
        model: An `mlp` with ReLU, where training stopped; it is left as it is.
        loss_fn: Mean loss.
        data: Images and labels.
        seed: Seed of the direction.

    Returns:
        The explorer; its result is a `LensState`.
    """
    twin = working_copy(model).eval()
    start = {name: p.detach().clone() for name, p in model.named_parameters()}
    first = _top(twin, loss_fn, data)

    def line(tree: Tree, method: str, extent: float) -> Slice:
        stand_at(twin, tree)
        direction = random_directions(twin, 1, seed=seed, normalise=method)
        return slice_1d(twin, loss_fn, (data.x, data.y), direction, extent=extent, points=41, progress=False)

    def compute(what: str, alpha: float, method: str, zoom: float) -> LensState:
        factors = torch.ones(len(start[list(start)[1]]), dtype=data.x.dtype, device=data.x.device)
        factors[slice(None) if what == LAYER else slice(None, None, 2)] = alpha
        other = rescaled(start, factors)
        pair = line(start, method, zoom), line(other, method, zoom)
        return LensState(alpha, what, method, pair, (first, _top(stand_at(twin, other), loss_fn, data)))

    return Explorer(
        {
            "what": W.Dropdown(options=[LAYER, UNITS], description="rescale"),
            "alpha": log_slider("α", 2.0, -4, 4, 0.5, base=2),
            "method": W.Dropdown(options=["none", "model", "layer", "filter"], description="normalise"),
            "zoom": log_slider("zoom", 0.1, *_ZOOM),
        },
        compute,
        render_lens,
        goal=Goal(
            "rescale the whole layer by 4 or more (or by ¼ or less), and choose a normalisation with which the two "
            "curves agree within 1 % of their range.",
            lambda state: state.what == LAYER and abs(np.log2(state.alpha)) >= 2 - 1e-9 and state.difference <= 0.01,
            example={"alpha": 4.0, "method": "filter"},
        ),
        play="alpha",
    )


@dataclass(frozen=True)
class PlaneState:
    """A picture of a stop on one plane, beside its quadratic model.

    Attributes:
        name: Whose stop it is.
        plane: One of `PLANES`.
        method: The normalisation.
        picture: The loss over the plane.
        model: The quadratic model of the loss at its middle, over the same plane.
        path: The way to the stop, projected.
        curvatures: Largest and smallest second derivative along unit vectors of the plane.
        top: λ₁ of the Hessian, the most that any plane can show.
        mean: tr H/d, what a random direction shows on average.
    """

    name: str
    plane: str
    method: str
    picture: Slice = field(repr=False)
    model: Slice = field(repr=False)
    path: ProjectedPath = field(repr=False)
    curvatures: tuple[float, float]
    top: float
    mean: float

    @property
    def shown(self) -> float:
        """The plane's largest curvature as a share of λ₁."""
        return self.curvatures[0] / self.top

    @property
    def error(self) -> float:
        """How far the quadratic model is off, at most, as a share of the largest rise of the loss."""
        middle = _middle(self.picture)
        rise = np.abs(self.picture.loss - middle).max()
        return float(np.abs(self.picture.loss - self.model.loss).max() / rise) if rise > 0 else float("inf")


def render_plane(state: PlaneState) -> Picture:
    """Left the plane with the path, right the profile along its first direction beside the quadratic model."""
    left, right = new_axes(2, width=9.8, height=4.0)
    # On the Hessian's plane the path is a scribble: it hardly moves along the sharpest directions but for noise.
    plot_contour(state.picture, None if state.plane == "Hessian" else {state.name: state.path}, left)
    left.figure.subplots_adjust(wspace=0.55)
    rows = {"loss": _first_row(state.picture), "quadratic model": _first_row(state.model)}
    plot_profile(rows, right, log=False)
    right.set_ylim(0, 1.15 * rows["loss"].loss.max())
    set_title(left, f"{state.plane} plane, normalisation: {state.method}", fontsize=10)
    set_title(right, "along its first direction", fontsize=10)
    middle = _middle(state.picture)
    rise = state.picture.loss.max()
    return picture(
        left,
        f"The stop of {label_of(state.name)} on the {state.plane} plane, normalisation {state.method}: loss "
        f"{number(middle)} in the middle, at most {number(rise)}. The largest curvature in this plane is "
        f"{number(state.curvatures[0])}, {100 * state.shown:.3g} % of λ₁ = {number(state.top)} and "
        f"{number(state.curvatures[0] / state.mean)} times the mean curvature; the smallest is "
        f"{number(state.curvatures[1])}. The quadratic model is off by up to {100 * state.error:.2g} % of the rise. "
        f"The plane shows {100 * state.path.share:.2g} % of the path to it.",
    )


def _middle(result: Slice) -> float:
    """The loss in the middle of a plane."""
    return float(result.loss[tuple(size // 2 for size in result.loss.shape)])


def _first_row(result: Slice) -> Slice:
    """The slice along the first direction through the middle of a plane."""
    return replace(result, b=None, loss=result.loss[len(result.loss) // 2], labels=result.labels[:1])


def plane_explorer(
    paths: Mapping[str, Path], model: nn.Module, loss_fn: nn.Module, data: Split, *, seed: int = 0
) -> Explorer[PlaneState]:
    """Look at a stop on a random plane, on that of the path, or on that of the Hessian's top eigenvectors.

    Args:
        paths: Name to path; the stop is its end.
        model: The architecture; it is left as it is.
        loss_fn: `nn.CrossEntropyLoss` or `nn.MSELoss`.
        data: Images and labels.
        seed: Seed of the random directions.

    Returns:
        The explorer; its result is a `PlaneState`.

    Raises:
        ValueError: There is no path.
    """
    if not paths:
        raise ValueError("paths is empty: give at least one path")
    twin = working_copy(model).eval()

    @lru_cache(maxsize=len(paths))
    def ground(name: str) -> tuple[CurvatureOperator, Directions, float, float]:
        """The Hessian at a stop, its two leading eigenvectors, λ₁ and tr H/d: as good as the time of a slice."""
        stand_at(twin, paths[name].tree(-1))
        H = hessian_operator(twin, loss_fn, data.x, data.y)
        found = top_eigenpairs(H, 2, tol=1e-4)
        trees = tuple(unflatten(vector, paths[name].start) for vector in found.vectors.mT)
        z = torch.randn(H.shape[0], 60, generator=torch.Generator().manual_seed(seed)).sign().to(H.device, H.dtype)
        mean = float((z * (H @ z)).mean())
        return H, Directions(trees, ("eigenvector 1", "eigenvector 2")), float(found.values[0]), mean

    @lru_cache(maxsize=64)
    def chosen(name: str, plane: str, method: str) -> tuple[Directions, ProjectedPath, tuple[float, float], Tensor]:
        """What does not change with the zoom: the directions, the path on them, their curvatures, the gradient."""
        end = paths[name].tree(-1)
        stand_at(twin, end)
        if plane == "random":
            raw = random_directions(twin, 2, seed=seed, normalise="none", ignore=None)
        else:
            raw = ground(name)[1] if plane == "Hessian" else principal_directions(paths[name], centre="end")
        ignore = None if method == "model" else "biasbn"
        pair = replace(raw, trees=tuple(normalise(tree, twin, method, ignore) for tree in raw.trees))
        curvatures = plane_curvatures(ground(name)[0], pair)
        return pair, project(paths[name], pair, end), curvatures, _gradient(twin, loss_fn, data)

    def compute(name: str, plane: str, method: str, zoom: float, points: int = _POINTS) -> PlaneState:
        H, _, top, mean = ground(name)
        pair, path, curvatures, gradient = chosen(name, plane, method)
        stand_at(twin, paths[name].tree(-1))
        seen = slice_2d(twin, loss_fn, (data.x, data.y), pair, extent=zoom, points=points, progress=False)
        return PlaneState(
            name,
            plane,
            method,
            seen,
            quadratic_model(seen, H, pair, gradient),
            path,
            curvatures,
            top,
            mean,
        )

    return Explorer(
        {
            "name": W.Dropdown(options=[(label_of(name), name) for name in paths], description="stop of"),
            "plane": W.Dropdown(options=PLANES, description="plane"),
            "method": W.Dropdown(options=["filter", "layer", "model"], description="normalise"),
            "zoom": log_slider("zoom", 0.5, *_ZOOM, late=True),
        },
        compute,
        render_plane,
        goal=Goal(
            "a plane that shows at least 99 % of λ₁, at a zoom at which the quadratic model is within 10 % of the rise "
            "everywhere in the picture.",
            lambda state: state.shown >= 0.99 and state.error <= 0.1,
            example={"plane": "Hessian", "method": "model", "zoom": 1e-3},
        ),
        preview=partial(compute, points=_FEW),
        play="zoom",
    )


def _gradient(twin: nn.Module, loss_fn: nn.Module, data: Split) -> Tensor:
    """The gradient at the point where the network stands, as one vector."""
    parts = torch.autograd.grad(loss_fn(twin(data.x), data.y), list(twin.parameters()))
    return torch.cat([part.flatten() for part in parts])


def _top(model: nn.Module, loss_fn: nn.Module, data: Split) -> float:
    """λ₁ of the Hessian at the point where the network stands."""
    return float(top_eigenpairs(hessian_operator(model, loss_fn, data.x, data.y), tol=1e-3).values[0])
