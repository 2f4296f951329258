"""Any module whose data go straight into a linear or convolution layer: that layer costs two additions a point.

It is linear in its weights, so that for a block of samples x, with U, U_1, U_2 its outputs at W, D_1 and D_2,

    (W + a D_1 + b D_2) * x = U + a U_1 + b U_2

The copy's layer is made to return this sum, and the rest of the copy runs as always. Whether it may is found out by
trying: see `find`.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from sofim_lab.landscape.loop import Tick, mover
from sofim_lab.landscape.scene import Scene

MANY_INPUTS = 256
KINDS = (nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d)


class _Reached(Exception):
    """The pass has come to the layer."""


def applies(scene: Scene) -> bool:
    """Whether the copy has such a layer, and the loss is a mean that may be taken block by block."""
    if scene.tensors is None or scene.recomputes or not scene.cache_block:
        return False
    try:
        return find(scene) is not None and _loss_splits(scene)
    except Exception:  # a module may refuse the nans, a loss the random outputs: then the plain loop it is
        return False


def pays(scene: Scene) -> bool:
    """Whether the layer costs enough: a convolution does; a product with few inputs is as cheap as two additions."""
    layers = [m for m in scene.twin.modules() if type(m) in KINDS]
    return bool(layers) and (type(layers[0]) is not nn.Linear or layers[0].in_features >= MANY_INPUTS)


@torch.no_grad()
def find(scene: Scene) -> str | None:
    """The name of the first layer, None if there is none of which all of this is true.

    It is called once, shares no weights, and moves; what it is given does not change with any weight; and the data
    reach the outputs through it alone: with it fixed, data of nans leave them as they are.
    """
    if not scene.pair[0].is_floating_point():
        return None
    x, model = scene.pair[0][:2], scene.twin
    calls = _calls(model, x)
    if not calls or [name for name, _ in calls].count(calls[0][0]) > 1:
        return None
    name, given = calls[0]
    layer = model.get_submodule(name)
    names = {id(p): key for key, p in model.named_parameters()}
    own = [names[id(p)] for p in layer.parameters(recurse=False)]
    owners = [m for m in model.modules() for p in m.parameters(recurse=False) if names[id(p)] in own]
    if any(key not in scene.origin for key in own) or any(m is not layer for m in owners):
        return None
    outputs, fixed = model(x), layer(given)
    with replaced(layer, lambda _: fixed):
        apart = torch.equal(model(torch.full_like(x, torch.nan)), outputs)
    move = mover(scene)
    move(1.0, 1.0)
    moved = _calls(model, x)[0][1]
    move(0.0, 0.0)
    return name if apart and torch.equal(moved, given) else None


def evaluate(scene: Scene, a: np.ndarray, b: np.ndarray, wanted: np.ndarray, tick: Tick) -> np.ndarray:
    """Loss and accuracy at the wanted points (a_i, b_j), shape (2, ny, nx), float64."""
    x, y = scene.pair
    name = find(scene)
    assert name is not None, "see applies"
    layer = scene.twin.get_submodule(name)
    move = mover(scene, [key for key in scene.origin if key.rpartition(".")[0] != name])
    totals = torch.zeros(2, *wanted.shape, dtype=torch.float64, device=scene.device)
    size = scene.cache_block
    for xs, ys in zip(x.split(size), y.split(size), strict=True):
        maps = _maps(scene, layer, name, xs)
        sums = torch.empty_like(maps[0])

        def summed(_: Tensor, sums: Tensor = sums) -> Tensor:
            return sums

        with replaced(layer, summed):
            for j in np.flatnonzero(wanted.any(1)):
                row = maps[0] if len(maps) == 2 else torch.add(maps[0], maps[2], alpha=float(b[j]))
                for i in np.flatnonzero(wanted[j]):
                    move(float(a[i]), float(b[j]))
                    torch.add(row, maps[1], alpha=float(a[i]), out=sums)  # the rest may work in place on it
                    totals[:, j, i] += len(xs) * scene.judge(scene.twin(xs), ys)
                    tick(len(xs) / len(x))
    result = (totals / len(x)).cpu().numpy()
    return np.where(wanted, result, np.nan)


def _maps(scene: Scene, layer: nn.Module, name: str, x: Tensor) -> list[Tensor]:
    """The layer's outputs for this block with the weights of the origin and of each direction in their place."""
    given = _input_of(scene.twin, layer, x)
    own = dict(layer.named_parameters(recurse=False))
    maps = []
    for tree in (scene.origin, *scene.directions):
        for key, p in own.items():
            p.data.copy_(tree[f"{name}.{key}" if name else key])
        maps.append(layer(given))
    return maps


def _input_of(model: nn.Module, layer: nn.Module, x: Tensor) -> Tensor:
    """What the layer is given in a pass, which goes no further."""

    def stop(given: Tensor) -> Tensor:
        raise _Reached(given)

    try:
        with replaced(layer, stop):
            model(x)
    except _Reached as reached:
        return reached.args[0]
    raise RuntimeError("the pass did not reach its first layer: pass method='loop'")


def _calls(model: nn.Module, x: Tensor) -> list[tuple[str, Tensor]]:
    """Names and inputs of the layers of these kinds in the order in which a pass calls them."""
    calls: list[tuple[str, Tensor]] = []

    def note(name: str) -> Callable[[nn.Module, tuple[Any, ...]], None]:
        return lambda _module, given: calls.append((name, given[0]))

    hooks = [m.register_forward_pre_hook(note(n)) for n, m in model.named_modules() if type(m) in KINDS]
    try:
        model(x)
    finally:
        for hook in hooks:
            hook.remove()
    return calls


@contextmanager
def replaced(layer: nn.Module, forward: Callable[[Tensor], Tensor]) -> Iterator[None]:
    """Another forward pass for a layer of the copy."""
    layer.forward = forward
    try:
        yield
    finally:
        del layer.forward


@torch.no_grad()
def _loss_splits(scene: Scene) -> bool:
    """Whether the loss is the weighted mean of the blocks' losses, at random outputs: class weights break it."""
    x, y = scene.pair
    shape = scene.twin(x[:1]).shape[1:]
    outputs = torch.randn(len(x), *shape, generator=torch.Generator().manual_seed(0)).to(x)
    pairs = zip(outputs.split(scene.cache_block), y.split(scene.cache_block), strict=True)
    parts = torch.stack([len(ys) * scene.judge(fs, ys)[0] for fs, ys in pairs]).sum() / len(x)
    return bool(torch.isclose(scene.judge(outputs, y)[0], parts, rtol=1e-5, atol=0.0))
