"""Many points of a slice in one pass: `torch.func.vmap` over `functional_call`.

It saves the cost of starting each operation, not arithmetic, so it pays where that cost dominates: a batch of few
samples, or an accelerator.
"""

import warnings

import numpy as np
import torch
from torch import nn
from torch.func import functional_call, vmap

from sofim_lab.landscape.loop import Tick
from sofim_lab.landscape.scene import Scene, convolves_on_cpu

FEW_SAMPLES = 128
AT_ONCE = 256
_RECURRENT = (nn.RNNBase,)  # vmap has no rule for them


def applies(scene: Scene) -> bool:
    """Whether vmap can evaluate this copy: it is tried with two points."""
    if scene.tensors is None or scene.recomputes or any(isinstance(m, _RECURRENT) for m in scene.twin.modules()):
        return False
    x, y = scene.pair
    try:
        with torch.no_grad(), warnings.catch_warnings():
            warnings.simplefilter("error")  # it warns of operations that it does one point after the other
            _judge(scene, torch.tensor([0.0, 1.0]), 0.0, x[:2], y[:2])
    except Exception:  # no rule for an operation, a branch on a value: there are many ways to be beyond vmap
        return False
    return True


def pays(scene: Scene) -> bool:
    """Whether starting the operations is what a point costs: measured on CPUs, taken as given on accelerators."""
    few = len(scene.pair[0]) <= FEW_SAMPLES and not convolves_on_cpu(scene.twin, scene.device)
    return scene.device.type != "cpu" or few


def evaluate(scene: Scene, a: np.ndarray, b: np.ndarray, wanted: np.ndarray, tick: Tick) -> np.ndarray:
    """Loss and accuracy at the wanted points (a_i, b_j), shape (2, ny, nx), float64."""
    x, y = scene.pair
    size = sum(w.numel() * w.element_size() for w in scene.weights)
    at_once = max(1, min(AT_ONCE, scene.memory_bytes // (size + max(1, scene.sample_bytes) * len(x))))
    result = np.full((2, *wanted.shape), np.nan)
    for j in np.flatnonzero(wanted.any(1)):
        columns = np.flatnonzero(wanted[j])
        for start in range(0, len(columns), at_once):
            some = columns[start : start + at_once]
            found = _judge(scene, torch.from_numpy(a[some]), float(b[j]), x, y)
            result[:, j, some] = found.T.double().cpu().numpy()
            tick(len(some))
    return result


def _judge(scene: Scene, a: torch.Tensor, b: float, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    """Loss and accuracy at the points (a_i, b), shape (k, 2)."""
    stack = {}
    for name, w in scene.origin.items():
        moves = [tree[name] for tree in scene.directions]
        row = w if len(moves) == 1 else torch.add(w, moves[1], alpha=b)
        stack[name] = row + a.to(w).reshape(-1, *(1,) * w.dim()) * moves[0]

    def at(weights: dict[str, torch.Tensor]) -> torch.Tensor:
        return scene.judge(functional_call(scene.twin, weights, (x,)), y)

    return vmap(at)(stack)
