"""Fully connected networks: many points of a slice at once, and no product with the data for the first layer.

The first layer is linear in the weights, so that with U = W x, U_1 = D_1 x, U_2 = D_2 x for all samples

    (W + a D_1 + b D_2) x = U + a U_1 + b U_2

needs no product at a point. Where the activation is tanh or a sigmoid, made of exponentials, even these separate,

    exp κ(U + a U_1 + b U_2) = exp κ(U + b U_2) · exp κa U_1,    tanh u = 1 − 2 / (1 + e^{2u}),

the first factor belongs to a row of the grid, the second to a column: a point costs one product, not one exponential.
The factors 2 and −2 and the 1 are folded into the weights of the next layer. Further layers are batched products over
the points of a row, in blocks of samples that stay in the cache.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from sofim_lab.landscape.batched_loss import batched_loss
from sofim_lab.landscape.loop import Tick
from sofim_lab.landscape.scene import Scene

WIDEST = 512  # above, a product alone fills the cores
CACHE_BYTES = 2**21  # the activations of a block: measured best at 1 to 4 MiB
_ELEMENTWISE = (nn.ReLU, nn.GELU, nn.SiLU, nn.ELU, nn.LeakyReLU, nn.Softplus)
# κ, α, β: act(u) = α + β / (1 + e^{κu})
_LOGISTIC: dict[type, tuple[float, float, float]] = {nn.Tanh: (2.0, 1.0, -2.0), nn.Sigmoid: (-1.0, 0.0, 1.0)}
_PASSING = (nn.Identity, nn.Dropout)


@dataclass(frozen=True)
class Layer:
    """An affine map, its directions, and the activation that follows (None: none)."""

    weights: tuple[Tensor, ...]  # W, D_1 (and D_2), each (out, in)
    biases: tuple[Tensor, ...]  # the same for the bias, each (out,); empty without one
    activation: nn.Module | None

    @property
    def logistic(self) -> tuple[float, float, float] | None:
        """κ, α, β of an activation that is made of one exponential."""
        return _LOGISTIC.get(type(self.activation))


def applies(scene: Scene) -> bool:
    """Whether model, loss and data are of the kind that this file computes."""
    if scene.tensors is None or not scene.tensors[0].is_floating_point():
        return False
    y = scene.pair[1]
    if scene.accuracy and y.is_floating_point():
        return False  # the plain loop tells what is wrong
    return bool(read(scene)) and batched_loss(scene.loss_fn, y) is not None


def read(scene: Scene) -> list[Layer]:
    """The layers of a network of Linear layers and elementwise activations; empty for another network."""
    modules = _chain(scene.twin) or []
    names = {id(p): name for name, p in scene.twin.named_parameters()}
    layers: list[Layer] = []
    for place, module in enumerate(modules):
        kind = type(module)
        if module._forward_hooks or module._forward_pre_hooks:
            return []
        if isinstance(module, nn.Linear) and kind is nn.Linear and len(module.weight) <= WIDEST:
            weights = _moved(scene, names, module.weight)
            layers.append(Layer(weights, () if module.bias is None else _moved(scene, names, module.bias), None))
        elif kind in (*_LOGISTIC, *_ELEMENTWISE) and layers and layers[-1].activation is None:
            layers[-1] = Layer(layers[-1].weights, layers[-1].biases, module)
        elif not (kind in _PASSING or (kind is nn.Flatten and place == 0 and module.end_dim == -1)):
            return []
    x, outputs = (scene.tensors or (None,))[0], layers[-1].weights[0] if layers else None
    if outputs is None or x is None or x.dtype != outputs.dtype or x[0].numel() != layers[0].weights[0].shape[1]:
        return []
    return layers if x.dim() == 2 or type(modules[0]) is nn.Flatten else []


def evaluate(scene: Scene, a: np.ndarray, b: np.ndarray, wanted: np.ndarray, tick: Tick) -> np.ndarray:
    """Loss and accuracy at the wanted points (a_i, b_j), shape (2, ny, nx), float64."""
    (x, y), (first, *rest) = scene.pair, read(scene)
    losses = batched_loss(scene.loss_fn, y)
    assert losses is not None, "see applies"
    totals = torch.zeros(2, *wanted.shape, dtype=torch.float64, device=scene.device)
    samples, columns = _sizes(scene, [first, *rest], len(a))
    rows = [(j, float(b[j])) for j in np.flatnonzero(wanted.any(1))]
    used = torch.from_numpy(np.flatnonzero(wanted.any(0))).to(x.device)
    coordinates = torch.from_numpy(a).to(x)[:, None, None]
    for xs, ys in zip(x.flatten(1).split(samples), y.split(samples), strict=True):
        mapped = _first_maps(first, xs)
        for some in used.split(columns):
            start = _first_layer(first, mapped, coordinates[some])
            for j, b_j in rows:
                z = _onward(start(b_j), first, rest, coordinates[some], b_j)
                if scene.accuracy:
                    totals[1, j, some] += (z.argmax(1) == ys).sum(1)
                totals[0, j, some] += losses(z, ys)
            tick(len(some) * len(rows) * len(xs) / len(x))
    result = (totals / len(x)).cpu().numpy()
    return np.where(wanted, result, np.nan)


def _first_maps(layer: Layer, x: Tensor) -> list[Tensor]:
    """U, U_1 (and U_2) of a block of samples, each (out, m), times κ where the activation is logistic."""
    scale = layer.logistic[0] if layer.logistic else 1.0
    maps = [scale * (w @ x.T) for w in layer.weights]
    return [u + scale * c[:, None] for u, c in zip(maps, layer.biases, strict=True)] if layer.biases else maps


def _first_layer(layer: Layer, maps: list[Tensor], a: Tensor) -> Callable[[float], Tensor]:
    """A function of b that returns the first layer's activations at these a, shape (k, out, m)."""
    slopes = a * maps[1]
    one, limit = slopes.new_ones(()), _largest_exponent(slopes.dtype)
    separate = bool(layer.logistic) and bool(slopes.abs().amax() < limit)
    columns = slopes.exp() if separate else slopes

    def at(b: float) -> Tensor:
        row = maps[0] if len(maps) == 2 else torch.add(maps[0], maps[2], alpha=b)
        if separate and bool(row.abs().amax() < limit):
            return torch.addcmul(one, columns, row.exp()).reciprocal_()
        return _activated(torch.add(row, slopes), layer)

    return at


def _onward(h: Tensor, layer: Layer, rest: list[Layer], a: Tensor, b: float) -> Tensor:
    """The outputs (k, C, m) from the activations h of the first layer, which may still lack their α and β."""
    for following in rest:
        _, shift, factor = layer.logistic or (1.0, 0.0, 1.0)
        scale = following.logistic[0] if following.logistic else 1.0
        weight = _at(following.weights, a, b)
        offset = shift * weight.sum(2, keepdim=True)
        if following.biases:
            offset = offset + _at(tuple(c[:, None] for c in following.biases), a, b)
        h = torch.baddbmm(offset.mul_(scale), weight.mul_(scale * factor), h)
        layer = following
        h = _activated(h, layer)
    if layer.logistic:
        _, shift, factor = layer.logistic
        h = h.mul_(factor).add_(shift)
    return h


def _activated(h: Tensor, layer: Layer) -> Tensor:
    """The activation in place where it can be; for a logistic one 1 / (1 + e^h), h being κu already."""
    if layer.logistic:
        return h.exp_().add_(1).reciprocal_()  # e^h = inf gives 0, as it should
    if isinstance(layer.activation, nn.ReLU):
        return h.clamp_min_(0)
    return h if layer.activation is None else layer.activation(h)


def _at(parts: tuple[Tensor, ...], a: Tensor, b: float) -> Tensor:
    """W + a D_1 + b D_2 for each a, shape (k, out, in)."""
    row = parts[0] if len(parts) == 2 else torch.add(parts[0], parts[2], alpha=b)
    return torch.addcmul(row, a, parts[1])


def _moved(scene: Scene, names: dict[int, str], p: Tensor) -> tuple[Tensor, ...]:
    """The parameter at the origin and its directions; a frozen one does not move."""
    name = names[id(p)]
    if name in scene.origin:
        return tuple(tree[name] for tree in (scene.origin, *scene.directions))
    return (p.detach(), *(torch.zeros_like(p).detach() for _ in scene.directions))


def _chain(model: nn.Module) -> list[nn.Module] | None:
    """The modules of a (nested) Sequential in order; None for another model."""
    if type(model) is not nn.Sequential:
        return [model] if type(model) is nn.Linear else None
    if model._forward_hooks or model._forward_pre_hooks:
        return None
    modules: list[nn.Module] = []
    for m in model:
        inner = _chain(m) if type(m) is nn.Sequential else [m]
        if inner is None:
            return None
        modules += inner
    return modules


def _sizes(scene: Scene, layers: list[Layer], nx: int) -> tuple[int, int]:
    """Samples and columns at once: within the cache of a CPU, within the budget on an accelerator."""
    on_cpu = scene.device.type == "cpu"
    budget = min(CACHE_BYTES, scene.memory_bytes) if on_cpu else scene.memory_bytes // 4
    widest = max(layer.weights[0].shape[0] for layer in layers) * scene.weights[0].element_size()
    samples = max(1, min(budget // (nx * widest), len(scene.pair[0])))
    if on_cpu:
        samples = max(samples, min(64, budget // widest, len(scene.pair[0])), 1)
    return samples, max(1, min(nx, budget // (samples * widest)))


def _largest_exponent(dtype: torch.dtype) -> float:
    """Up to here e^u is a normal number, and accurate enough to be one factor of two."""
    return {torch.float32: 30.0, torch.float64: 300.0}.get(dtype, 5.0)
