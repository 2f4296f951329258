"""What is to be evaluated: a model, a loss, data, a point and directions, checked together before any work."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any, TypeGuard

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from sofim_lab.curvature.memory import CHUNK_BYTES, samples_per_chunk
from sofim_lab.landscape.directions import Directions
from sofim_lab.landscape.tree import Tree, check_alike, norm, trainable
from sofim_lab.landscape.working_copy import overwrite_activations, working_copy

LossFunction = Callable[[Tensor, Tensor], Tensor]
Data = tuple[Tensor, Tensor] | Iterable[tuple[Tensor, Tensor]]
BATCH_NORMS = ("eval", "recompute")
CACHE_BYTES = 6 * 2**20  # of all layers' outputs for a block: measured best with a small CNN, 150 samples


@dataclass(frozen=True)
class Scene:
    """Checked input. `twin` is a copy of the model; weights, origin and directions are its tensors in one order."""

    twin: nn.Module
    weights: tuple[Tensor, ...]
    loss_fn: LossFunction
    data: Data
    origin: Tree
    directions: tuple[Tree, ...]
    accuracy: bool
    batch_norm: str
    memory_bytes: int
    sample_bytes: int = 0  # what all layers put out for one sample
    block: int = 0  # samples that go through the model at once; 0: all
    cache_block: int = 0  # the same, and for convolutions on a CPU no more than its cache holds
    constants: Tree = field(default_factory=dict)  # frozen parameters and buffers, which no point moves

    @property
    def device(self) -> torch.device:
        """Where the model is."""
        return self.weights[0].device

    @property
    def tensors(self) -> tuple[Tensor, Tensor] | None:
        """The data where they are a pair of tensors, None where they are a loader."""
        return self.data if _is_pair(self.data) else None

    @property
    def pair(self) -> tuple[Tensor, Tensor]:
        """The data of a method that takes tensors only."""
        assert self.tensors is not None, "a loader is for the plain loop"
        return self.tensors

    @property
    def norm_layers(self) -> list[_BatchNorm]:
        """Batch-norm layers with running statistics."""
        return [m for m in self.twin.modules() if isinstance(m, _BatchNorm) and m.running_mean is not None]

    @property
    def recomputes(self) -> bool:
        """Whether statistics are computed anew at every point."""
        return self.batch_norm == "recompute" and bool(self.norm_layers)

    def batches(self) -> Iterator[tuple[Tensor, Tensor]]:
        """The data once: a pair of tensors as one batch, the batches of a loader on the model's device."""
        if self.tensors is not None:
            yield self.tensors
            return
        for x, y in self.data:
            yield x.to(self.device), y.to(self.device)

    def forward(self, x: Tensor) -> Tensor:
        """The outputs of the copy, in blocks that keep to the memory budget."""
        if not self.block or len(x) <= self.block:
            return self.twin(x)
        return torch.cat([self.twin(part) for part in x.split(self.block)])

    def judge(self, outputs: Tensor, y: Tensor) -> Tensor:
        """Loss and accuracy (nan where it is not asked for) of a batch, shape (2,), float64."""
        loss = self.loss_fn(outputs, y)
        if not isinstance(loss, Tensor) or loss.numel() != 1:
            got = f"the shape {tuple(loss.shape)}" if isinstance(loss, Tensor) else type(loss).__name__
            raise ValueError(f"loss_fn must return one number, the mean over the samples, got {got}: average it")
        wide = torch.float32 if loss.device.type == "mps" else torch.float64
        loss = loss.detach().reshape(()).to(wide)
        right = share_right(outputs, y) if self.accuracy else torch.full_like(loss, torch.nan)
        return torch.stack([loss, right.to(loss)])


def share_right(outputs: Tensor, y: Tensor) -> Tensor:
    """The fraction of samples whose largest output, along dimension 1, is that of the label."""
    if outputs.dim() < 2 or y.is_floating_point() or y.shape != outputs.shape[:1] + outputs.shape[2:]:
        shapes = f"outputs {tuple(outputs.shape)} and {y.dtype} targets {tuple(y.shape)}"
        raise ValueError(
            f"accuracy=True needs outputs (n, C) and whole-numbered labels (n,), got {shapes}: leave it out"
        )
    right = outputs.argmax(1) == y
    return right.sum() / torch.tensor(right.numel(), dtype=torch.float32 if y.device.type == "mps" else torch.float64)


def build_scene(
    model: nn.Module,
    loss_fn: LossFunction,
    data: Data,
    directions: Directions,
    *,
    origin: Tree | None,
    accuracy: bool,
    batch_norm: str,
    memory_bytes: int,
) -> Scene:
    """Check everything, copy the model, and find how many samples may go through it at once."""
    here = trainable(model)
    first = next(iter(here.values()))
    if batch_norm not in BATCH_NORMS:
        raise ValueError(f"batch_norm={batch_norm!r} is unknown: choose 'eval' or 'recompute'")
    _check_loss(loss_fn)
    _check_data(data, first.device)
    if memory_bytes < 1:
        raise ValueError(f"memory_bytes={memory_bytes!r} must be at least 1: the default is {CHUNK_BYTES}")
    start = {name: p.detach() for name, p in here.items()} if origin is None else origin
    check_alike("origin", start, here, "model")
    for label, tree in zip(directions.labels, directions.trees, strict=True):
        check_alike(f"the direction {label!r}", tree, here, "model")
        if not 0 < (length := norm(tree)) < float("inf"):
            raise ValueError(f"the direction {label!r} has the length {length}: it must be finite and not zero")
    twin = working_copy(model).eval()
    if convolves_on_cpu(twin, first.device):
        twin.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # torch has no hint; 1.6 times as fast
    own = dict(twin.named_parameters())
    weights = tuple(own[name].data for name in here)
    point, *moves = (
        {name: torch.empty_like(w).copy_(tree[name].detach()) for name, w in zip(here, weights, strict=True)}
        for tree in (start, *directions.trees)
    )
    still = {name: t for name, t in (*own.items(), *twin.named_buffers()) if name not in here}
    scene = Scene(twin, weights, loss_fn, data, point, tuple(moves), accuracy, batch_norm, int(memory_bytes))
    return _measured(replace(scene, constants={name: t.detach().clone() for name, t in still.items()}))


def convolves_on_cpu(model: nn.Module, device: torch.device) -> bool:
    """Whether memory layout and blocks that fit the cache pay: they do for convolutions, products are better large."""
    return device.type == "cpu" and any(isinstance(m, nn.Conv2d) for m in model.modules())


def _is_pair(data: Any) -> TypeGuard[tuple[Tensor, Tensor]]:
    """Whether the data are a pair of tensors."""
    return isinstance(data, tuple | list) and len(data) == 2 and all(isinstance(part, Tensor) for part in data)


def _check_loss(loss_fn: Any) -> None:
    """Raise unless it can be called and is, as far as it says, a mean."""
    if not callable(loss_fn):
        raise TypeError(f"loss_fn must be a module or function of (outputs, y), got {type(loss_fn).__name__}")
    if (reduction := getattr(loss_fn, "reduction", "mean")) != "mean":
        raise ValueError(
            f"loss_fn has reduction={reduction!r}: a landscape shows the mean over the samples, use 'mean'"
        )


def _check_data(data: Any, device: torch.device) -> None:
    """Raise unless data are a pair (x, y) of tensors on the model's device or can be iterated again and again."""
    if _is_pair(data):
        x, y = data
        if len(x) != len(y) or len(x) == 0:
            raise ValueError(f"data has {len(x)} inputs and {len(y)} targets: they must be as many, and at least one")
        for name, tensor in (("x", x), ("y", y)):
            if tensor.device != device:
                raise ValueError(
                    f"data: {name} is on {tensor.device}, the model on {device}: use {name}.to('{device}')"
                )
    elif not isinstance(data, Iterable) or isinstance(data, Tensor | str | dict):
        raise TypeError(
            f"data must be a pair (x, y) of tensors or a DataLoader of such pairs, got {type(data).__name__}"
        )
    elif hasattr(data, "__next__"):  # a generator or another iterator
        raise TypeError(f"data is a {type(data).__name__}, which can be read only once: pass the DataLoader itself")


@torch.no_grad()
def _measured(scene: Scene) -> Scene:
    """The scene with the samples at once, so that what all layers put out for them stays within the budget."""
    if scene.tensors is None or any(isinstance(m, _BatchNorm) and m.running_mean is None for m in scene.twin.modules()):
        return scene  # the loader has chosen the size; layers without running statistics mix the samples
    x, _ = scene.pair
    overwrite_activations(scene.twin, x[:1])
    sizes: list[int] = []
    hooks = [m.register_forward_hook(lambda _m, _x, out: sizes.append(_bytes(out))) for m in scene.twin.modules()]
    try:
        scene.twin(x[:1])
    finally:
        for hook in hooks:
            hook.remove()
    each = x[:1].nbytes + sum(sizes)
    block = min(len(x), samples_per_chunk(each, scene.memory_bytes))
    cached = max(32, samples_per_chunk(each, CACHE_BYTES)) if convolves_on_cpu(scene.twin, scene.device) else block
    return replace(scene, sample_bytes=each, block=block, cache_block=min(block, cached))


def _bytes(out: Any) -> int:
    """Bytes of the tensors that a module returns."""
    if isinstance(out, Tensor):
        return out.nbytes
    return sum(map(_bytes, out)) if isinstance(out, tuple | list) else 0
