"""What a step costs: seconds of an epoch, measured by themselves, and bytes of state."""

import random
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas as pd
import torch
from torch import nn
from torch.optim import Optimizer

from sofim_lab.benchmark.protocol import Task
from sofim_lab.optim import registry
from sofim_lab.problems import build_model, load_dataset
from sofim_lab.training import Configuration
from sofim_lab.training.closures import make_closure
from sofim_lab.training.task import alone_on_one_thread

_COLUMNS = ("task", "optimizer", "round", "seconds", "state_bytes")


def measure_costs(
    task: Task, chosen: Mapping[str, Configuration], *, rounds: int = 9, device: str = "cpu"
) -> pd.DataFrame:
    """Time an epoch of training with each optimizer, in turns, on one thread, without evaluations and records.

    In a round every optimizer trains one epoch, in a random order, so that a busy moment strikes all alike; a first
    round that allocates does not count. Let the machine do nothing else meanwhile.

    Args:
        task: The problem.
        chosen: A configuration by name.
        rounds: Epochs timed of each, 1 or more.
        device: Where to compute.

    Returns:
        Columns `task`, `optimizer`, `round`, `seconds`, `state_bytes`: a row a name and round.

    Raises:
        ValueError: rounds is less than 1, or the device does not exist here.
        ImportError: An optimizer comes from a package that is not installed.
        ConnectionError: The data set has to be downloaded, and that is not possible.
        OSError: Its cache cannot be written.
    """
    if rounds < 1:
        raise ValueError(f"rounds={rounds} must be 1 or more")
    data = load_dataset(task.data, device)
    batches = [(data.train.x[i], data.train.y[i]) for i in _order(len(data.train), task.batch_size, data.device)]
    racers: dict[str, tuple[nn.Module, Optimizer]] = {}
    for name, one in chosen.items():
        model = build_model(task.model, data, seed=0, device=data.device)
        racers[name] = model, registry.make(one.optimizer, model.parameters(), **one.settings)
    turns, rows = random.Random(0), []
    with alone_on_one_thread():  # as in a sweep
        for number in range(rounds + 1):
            for name in turns.sample(list(racers), len(racers)):
                model, optimizer = racers[name]
                seconds = _epoch(model, optimizer, batches)
                if number > 0:
                    rows.append((task.title, name, number, seconds, state_bytes(optimizer)))
    table = pd.DataFrame(rows, columns=_COLUMNS)
    return table.sort_values("optimizer", key=lambda names: names.map(list(racers).index), kind="stable")


def state_bytes(optimizer: Optimizer) -> int:
    """Bytes of all tensors that an optimizer keeps between two steps, nested ones included.

    Example:
        >>> w = nn.Parameter(torch.ones(100))
        >>> w.grad = torch.ones(100)
        >>> optimizer = torch.optim.SGD([w], lr=0.1, momentum=0.9)
        >>> optimizer.step()
        >>> state_bytes(optimizer)
        400
    """
    seen: dict[tuple[int, int], int] = {}

    def visit(value: object) -> None:
        if isinstance(value, torch.Tensor):
            seen[value.data_ptr(), value.numel()] = value.numel() * value.element_size()
        elif isinstance(value, Mapping):
            for inner in value.values():
                visit(inner)
        elif isinstance(value, list | tuple):
            for inner in value:
                visit(inner)

    visit(dict(optimizer.state))
    return sum(seen.values())


def read_costs(path: str | Path) -> pd.DataFrame | None:
    """A table that `measure_costs` made and `to_csv` wrote.

    Args:
        path: The file.

    Returns:
        The table; None where there is no file.

    Raises:
        ValueError: The file holds something else.
        OSError: It cannot be read.
    """
    if not Path(path).exists():
        return None
    try:
        costs = pd.read_csv(path)
        costs[list(_COLUMNS)].astype({"seconds": float, "state_bytes": float})
    except (ValueError, KeyError) as error:  # those of pandas, and texts of other encodings, are among them
        raise ValueError(f"{path} is no table of costs: delete it, and measure them anew") from error
    return costs


def _order(samples: int, size: int, device: torch.device) -> Sequence[torch.Tensor]:
    """The samples once, shuffled, in batches."""
    return torch.randperm(samples, generator=torch.Generator().manual_seed(0)).to(device).split(size)


def _epoch(model: nn.Module, optimizer: Optimizer, batches: Sequence[tuple[torch.Tensor, torch.Tensor]]) -> float:
    """Seconds of an epoch."""
    start = time.perf_counter()
    for x, y in batches:
        optimizer.step(make_closure(model, optimizer, nn.functional.cross_entropy, x, y))
    torch.get_device_module(x.device).synchronize()  # an accelerator may not have done yet what it was told
    return time.perf_counter() - start
