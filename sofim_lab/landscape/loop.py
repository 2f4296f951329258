"""One point after the other: the plain way, for any module, any loss and any data."""

from collections.abc import Callable, Iterable

import numpy as np
import torch
from torch import Tensor

from sofim_lab.landscape.scene import Scene

Tick = Callable[[float], None]  # so many points more are done
Move = Callable[[float, float], None]  # to w + a D_1 + b D_2
NAME = "loop"


def evaluate(scene: Scene, a: np.ndarray, b: np.ndarray, wanted: np.ndarray, tick: Tick) -> np.ndarray:
    """Loss and accuracy at the wanted points (a_i, b_j), shape (2, ny, nx), float64; the rest is nan.

    L(w + a_i D_1 + b_j D_2) is the mean over the batches, weighted by their sizes. A batch is loaded once and
    evaluated at all points, except where batch-norm statistics, which need all batches, are computed anew.
    """
    places = np.argwhere(wanted)
    totals = torch.zeros(len(places), 2, dtype=torch.float32 if scene.device.type == "mps" else torch.float64)
    totals = totals.to(scene.device)
    move = mover(scene)
    points = [(k, float(a[i]), float(b[j])) for k, (j, i) in enumerate(places)]
    if scene.recomputes:
        for point in points:
            move(*point[1:])
            recompute_statistics(scene)
            _visit(scene, move, [point], totals, tick)
    else:
        _visit(scene, move, points, totals, tick)
    result = np.full((2, *wanted.shape), np.nan)
    result[:, wanted] = totals.T.double().cpu().numpy()
    return result


def _visit(scene: Scene, move: Move, points: list[tuple[int, float, float]], totals: Tensor, tick: Tick) -> None:
    """Add up the weighted means of all batches at these points."""
    sizes = 0
    for x, y in scene.batches():
        for k, a, b in points:
            move(a, b)
            totals[k] += len(y) * scene.judge(scene.forward(x), y)
            tick(1)
        sizes += len(y)
    for k, _, _ in points:
        totals[k] /= sizes


def mover(scene: Scene, names: Iterable[str] | None = None) -> Move:
    """A function that sets the copy's weights to w + a D_1 + b D_2 in place; the sum w + b D_2 is kept along a row."""
    chosen = list(scene.origin) if names is None else list(names)
    targets = [target for name, target in zip(scene.origin, scene.weights, strict=True) if name in set(chosen)]
    start = [scene.origin[name] for name in chosen]
    moves = [[tree[name] for name in chosen] for tree in scene.directions]
    row: dict[float, list[Tensor]] = {}
    if not chosen:
        return lambda a, b: None

    def move(a: float, b: float) -> None:
        if b not in row:
            row.clear()
            row[b] = start if len(moves) == 1 else list(torch._foreach_add(start, moves[1], alpha=b))
        torch._foreach_copy_(targets, row[b])
        torch._foreach_add_(targets, moves[0], alpha=a)

    return move


def recompute_statistics(scene: Scene) -> None:
    """Batch-norm statistics of the data at the copy's present weights: the mean over the batches of theirs."""
    layers = scene.norm_layers
    for layer in layers:
        layer.reset_running_stats()
        layer.momentum = None  # a plain average over the batches
        layer.train()
    for x, _ in scene.batches():
        scene.forward(x)
    for layer in layers:
        layer.eval()
