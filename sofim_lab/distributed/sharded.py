"""SOFIM on parameters that FSDP2 spreads over processes, and the same steps in one process beside it."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from sofim_lab.distributed.launch import launch
from sofim_lab.optim import SOFIM
from sofim_lab.problems import Split, load_digits, mlp

Wrap = Callable[[nn.Sequential], nn.Sequential]


@dataclass(frozen=True)
class RankView:
    """What one process of a sharded run sees.

    Attributes:
        rank: Its number.
        points: The whole parameter vector, gathered after each step, the start included, shape (steps + 1, d), float64.
        moments: Its own part of m after each step, shape (steps, its share of d). The parts differ in length.
        places: Where its part stands in the whole vector, shape (its share of d,).
        reductions: How many numbers each sum over all processes had that the last `optimizer.step()` asked for.
    """

    rank: int
    points: Tensor
    moments: Tensor
    places: Tensor
    reductions: tuple[int, ...]


def sharded_run(
    processes: int = 2, *, steps: int = 10, batch_size: int = 60, seed: int = 0, timeout: float = 120.0, **options: Any
) -> tuple[RankView, ...]:
    """Train a small network on digits with FSDP2, each process with its part of the parameters and of every batch.

    `fully_shard` cuts every tensor along its first dimension; each process keeps one piece, its gradient and its part
    of SOFIM's m. The only new thing that SOFIM's step needs is ‖m‖² (and mᵀg): the sum of what the processes have.

    Args:
        processes: How many, 1 or more; they run on this machine's CPU.
        steps: Steps of SOFIM on the 64-16-10 network in float64.
        batch_size: Images a step, a multiple of `processes`.
        seed: Seed of the network.
        timeout: Seconds until they must be done.
        **options: Options of `SOFIM`.

    Returns:
        What each rank sees.

    Raises:
        ValueError: An argument is out of its range.
        RuntimeError: This PyTorch has no gloo or no FSDP2, or a process failed.
        TimeoutError: They took too long.

    References:
        Y. Zhao et al., 2023, "PyTorch FSDP", arXiv 2304.11277. S. Rajbhandari et al., 2019, "ZeRO", arXiv 1910.02054.
    """
    images = _images()
    _refuse(images, steps, batch_size)
    if processes < 1 or batch_size % processes:
        raise ValueError(f"batch_size={batch_size!r} must be a multiple of processes={processes!r}: equal parts of it")
    SOFIM(network(seed).parameters(), **options)  # refuses what it does not know, here rather than over there
    # The images are sent: to read them, every process would load scikit-learn, which takes seconds and 120 MB.
    work = (images, steps, batch_size, seed, options)
    return tuple(launch(_rank, processes, processes, *work, timeout=timeout))


def whole_run(*, steps: int = 10, batch_size: int = 60, seed: int = 0, **options: Any) -> RankView:
    """The same steps in this process alone, with all parameters and whole batches.

    Args:
        steps: As in `sharded_run`, like all others.
        batch_size: Images a step.
        seed: Seed of the network.
        **options: Options of `SOFIM`.

    Returns:
        What the one rank sees: everything.

    Raises:
        ValueError: An argument is out of its range.

    Example:
        >>> view = whole_run(steps=3, rho=0.5)
        >>> view.points.shape, view.moments.shape
        (torch.Size([4, 1210]), torch.Size([3, 1210]))
    """
    images = _images()
    _refuse(images, steps, batch_size)
    return _walk(0, lambda model: model, slice(None), images, steps, batch_size, seed, options)


def network(seed: int = 0) -> nn.Sequential:
    """The network of both runs: 64-16-10 in float64, on the CPU."""
    return mlp((64, 16, 10), seed=seed, device="cpu", dtype=torch.float64)


def _refuse(images: Split, steps: int, batch_size: int) -> None:
    """What no run can begin with."""
    if steps < 1:
        raise ValueError(f"steps={steps!r} must be 1 or more")
    if not 1 <= batch_size <= len(images):
        raise ValueError(f"batch_size={batch_size!r} must lie between 1 and the {len(images)} training images")


def _images() -> Split:
    """The training images in float64."""
    return load_digits("cpu", dtype=torch.float64).train


def _rank(
    rank: int, processes: int, images: Split, steps: int, batch_size: int, seed: int, options: dict[str, Any]
) -> RankView:
    """What one process does."""
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.fsdp import fully_shard

    mesh = init_device_mesh("cpu", (processes,))

    def shard(model: nn.Sequential) -> nn.Sequential:
        for part in (*model.children(), model):
            fully_shard(part, mesh=mesh)
        return model

    share = batch_size // processes
    return _walk(rank, shard, slice(rank * share, (rank + 1) * share), images, steps, batch_size, seed, options)


def _walk(
    rank: int,
    wrap: Wrap,
    rows: slice,
    images: Split,
    steps: int,
    batch_size: int,
    seed: int,
    options: dict[str, Any],
) -> RankView:
    """Some steps with this process's rows of each batch."""
    model = wrap(network(seed))
    optimizer = SOFIM(model.parameters(), **options)
    points, moments = [_whole(list(model.parameters()))], []
    reductions: tuple[int, ...] = ()
    for step in range(steps):
        first = step * batch_size % (len(images) - batch_size + 1)
        batch = slice(first, first + batch_size)
        optimizer.zero_grad()
        nn.functional.cross_entropy(model(images.x[batch][rows]), images.y[batch][rows]).backward()
        with _Reductions() as seen:
            optimizer.step()
        reductions = tuple(seen.sizes)
        points.append(_whole(list(model.parameters())))
        moments.append(torch.cat([_own(optimizer.state[p]["moment"]).flatten() for p in model.parameters()]))
    return RankView(rank, torch.stack(points), torch.stack(moments), _places(list(model.parameters())), reductions)


def _own(x: Tensor) -> Tensor:
    """The piece of a tensor that this process holds."""
    return (x.to_local() if hasattr(x, "to_local") else x).detach().clone()


def _whole(parameters: list[Tensor]) -> Tensor:
    """All parameters as one vector, gathered from all processes."""
    return torch.cat([(p.full_tensor() if hasattr(p, "full_tensor") else p).detach().reshape(-1) for p in parameters])


def _places(parameters: list[Tensor]) -> Tensor:
    """Where this process's pieces stand in the whole vector, by cutting up numbers as the parameters are cut."""
    found, first = [], 0
    for p in parameters:
        numbers = torch.arange(first, first + p.numel()).view(p.shape)
        if hasattr(p, "device_mesh"):
            from torch.distributed.tensor import distribute_tensor

            spread: Any = p
            numbers = distribute_tensor(numbers, spread.device_mesh, spread.placements).to_local()
        found.append(numbers.flatten())
        first += p.numel()
    return torch.cat(found)


class _Reductions:
    """While it is entered: the sizes of the tensors that `all_reduce` is asked to sum."""

    def __enter__(self) -> "_Reductions":
        self.sizes: list[int] = []
        self._original: Any = getattr(torch.distributed, "all_reduce", None)
        if self._original is not None:
            torch.distributed.all_reduce = self._counted
        return self

    def __exit__(self, *_: object) -> None:
        if self._original is not None:
            torch.distributed.all_reduce = self._original

    def _counted(self, tensor: Tensor, *args: Any, **options: Any) -> Any:
        self.sizes.append(tensor.numel())
        return self._original(tensor, *args, **options)
