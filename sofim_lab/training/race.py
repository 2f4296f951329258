"""Several optimizers from one start, on the same batches."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial

from torch import nn
from torch.optim import Optimizer
from tqdm.auto import tqdm

from sofim_lab.optim import registry
from sofim_lab.problems import Dataset, Stream, streams
from sofim_lab.problems.seeding import seeded
from sofim_lab.training.closures import LossFunction
from sofim_lab.training.progress import show_progress
from sofim_lab.training.refusals import refuse_known, seeds_of
from sofim_lab.training.result import RaceResult
from sofim_lab.training.train import Callback, train

OptimizerFactory = Callable[[Iterable[nn.Parameter]], Optimizer]
Watch = Callable[[str, int, nn.Module], Callback | None]


def race(
    model: Callable[[int], nn.Module],
    data: Dataset,
    optimizers: Mapping[str, OptimizerFactory] | Sequence[str],
    *,
    epochs: int = 10,
    batch_size: int = 64,
    seeds: Iterable[int] = (0,),
    loss_fn: LossFunction = nn.functional.cross_entropy,
    watch: Watch | None = None,
    progress: bool | None = None,
    stream: str | Stream = "shuffled",
    evaluate_on: Sequence[str] = ("train", "val"),
) -> RaceResult:
    """Train one model with each optimizer: for a seed all start from the same weights and see the same batches.

    Args:
        model: Makes the model of a seed, e.g. `lambda seed: mlp(seed=seed)`.
        data: See `train`.
        optimizers: Name to constructor, e.g. `{"SOFIM": lambda p: SOFIM(p, rho=0.5)}`; constructors get the
            parameters alone. Or names of `sofim_lab.optim.registry`, which run at their defaults.
        epochs: Passes over the training samples.
        batch_size: Samples a step.
        seeds: One run of every optimizer for each.
        loss_fn: Mean loss of logits and labels.
        watch: Is called with name, seed and model before each run, and returns that run's `callback` (see `train`) or
            None; e.g. `sofim_lab.landscape.RacePaths()`.
        progress: Show a bar over the runs; None shows it except while a lesson's report is written.
        stream: How batches are drawn, see `train`.
        evaluate_on: What is evaluated, see `train`.

    Returns:
        `RaceResult`, one run for each (optimizer, seed). A run that diverged is in it and says so.

    Raises:
        ValueError: No optimizer or no seed, a name that the registry does not know, or what `train` refuses.
        ImportError: An optimizer of that name comes from a package that is not installed.

    Example:
        >>> import torch
        >>> from sofim_lab import SOFIM
        >>> from sofim_lab.problems import load_digits, mlp
        >>> field = {"SOFIM": SOFIM, "SGD": lambda p: torch.optim.SGD(p, lr=0.1)}
        >>> make = lambda seed: mlp((64, 10), seed=seed, device="cpu")
        >>> result = race(make, load_digits("cpu"), field, epochs=1, progress=False)
        >>> result.names
        ('SOFIM', 'SGD')
        >>> race(make, load_digits("cpu"), ["SOFIM", "Newton"], epochs=1, batch_size=1197, progress=False).names
        ('SOFIM', 'Newton')
    """
    if not optimizers:
        raise ValueError(f"optimizers={optimizers!r} is empty: name at least one, e.g. {{'SOFIM': SOFIM}} or ['SOFIM']")
    if isinstance(optimizers, str):
        raise ValueError(f"optimizers={optimizers!r} must be a list of names, e.g. [{optimizers!r}]")
    seeds, stream = seeds_of(seeds), streams.get(stream)
    if isinstance(model, nn.Module):
        raise ValueError("model must make a model from a seed, not be one: e.g. lambda seed: mlp(seed=seed)")
    if not isinstance(optimizers, Mapping):
        optimizers = {name: _by_name(name) for name in optimizers}
    for name, make in optimizers.items():
        if not callable(make):
            raise ValueError(f"optimizers[{name!r}]={make!r} must be a constructor, e.g. lambda p: SOFIM(p, rho=0.5)")
    field = [(name, make, seed) for name, make in optimizers.items() for seed in seeds]
    runs, before = [], list[nn.Module]()
    for name, make, seed in tqdm(field, desc="race", unit="run", disable=not show_progress(progress), leave=False):
        start = model(seed)
        refuse_known(start, before)
        before = [start]
        callback = None if watch is None else watch(name, seed, start)
        with seeded(seed, data.device):  # a constructor may draw, too
            optimizer = make(start.parameters())
        runs.append(
            train(
                start,
                data,
                optimizer,
                epochs=epochs,
                batch_size=batch_size,
                seed=seed,
                loss_fn=loss_fn,
                name=name,
                callback=callback,
                progress=False,  # one bar, over the runs
                stream=stream,
                evaluate_on=evaluate_on,
            )
        )
    return RaceResult(tuple(runs))


def _by_name(name: str) -> OptimizerFactory:
    """The constructor of a registered optimizer; an unknown or missing one is refused now, not in mid-race."""
    _ = registry.get(name).constructor
    return partial(registry.make, name)
