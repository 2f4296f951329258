"""Servers compared fairly: one grid of rates for each, chosen on one seed, reported on others."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from sofim_lab.federated.servers import Server
from sofim_lab.training import RaceResult, TrainingResult
from sofim_lab.training.refusals import seeds_of

Run = Callable[[str, Server, int], TrainingResult]


@dataclass(frozen=True)
class Comparison:
    """What `compare` found.

    Attributes:
        rates: The rate that each server got on the tuning seed.
        tuning: Final validation loss there of every server and rate; inf for a run that diverged
            or whose loss there is not finite.
        race: The runs at these rates, one for each server and reporting seed.
    """

    rates: dict[str, float]
    tuning: dict[tuple[str, float], float]
    race: RaceResult


def compare(
    servers: Mapping[str, Callable[[float], Server]],
    rates: Mapping[str, Sequence[float]],
    run: Run,
    *,
    tuning_seed: int,
    seeds: Sequence[int],
) -> Comparison:
    """Tune every server's rate on one seed, by the validation loss at the end; run each at its best on other seeds.

    Args:
        servers: Name to a function of the rate.
        rates: Name to the rates to try, equally many for each server.
        run: Trains one model with `(name, server, seed)`, from the same start for every server of a seed.
        tuning_seed: Where the rates are chosen.
        seeds: Where the results come from; without the tuning seed.

    Returns:
        Rates, tuning losses, and the race.

    Raises:
        ValueError: The budgets differ or are empty, there is no seed, or the tuning seed is among the others.

    Example:
        >>> from sofim_lab.federated import dirichlet_split, fed_avg, federate
        >>> from sofim_lab.problems import load_digits, mlp
        >>> digits = load_digits("cpu")
        >>> parts = dirichlet_split(digits.train.y, 5, 1.0)
        >>> def run(name, server, seed):
        ...     model = mlp((64, 10), seed=seed, device="cpu")
        ...     return federate(model, digits, server(model.parameters()), parts, rounds=5, name=name, progress=False)
        >>> compare({"FedAvg": fed_avg}, {"FedAvg": (0.1, 1.0)}, run, tuning_seed=0, seeds=(1,)).rates
        {'FedAvg': 1.0}
    """
    if servers.keys() != rates.keys() or len({len(tried) for tried in rates.values()}) != 1:
        budget = {name: len(tried) for name, tried in rates.items()}
        raise ValueError(f"rates={budget} must name every server, with equally many rates: one budget for all")
    if not all(len(tried) for tried in rates.values()):
        raise ValueError(f"rates={dict(rates)!r} must hold at least one rate for each server, e.g. (0.1, 1.0)")
    seeds = seeds_of(seeds)
    if tuning_seed in seeds:
        raise ValueError(
            f"seeds={tuple(seeds)!r} must hold other seeds than tuning_seed={tuning_seed!r}, where rates are chosen"
        )
    tuning = {}
    for name, make in servers.items():
        for rate in rates[name]:
            tried = run(name, make(rate), tuning_seed)
            loss = tried.final.val_loss
            tuning[name, rate] = math.inf if tried.diverged or not math.isfinite(loss) else loss  # a nan may win min()
    best = {name: min((tuning[name, rate], rate) for rate in rates[name])[1] for name in servers}
    runs = tuple(run(name, make(best[name]), seed) for name, make in servers.items() for seed in seeds)
    return Comparison(best, tuning, RaceResult(runs))


def rounds_to(run: TrainingResult, accuracy: float) -> int | None:
    """The first round after which the validation accuracy is at least so high; None if it never was (censored)."""
    return next((record.epoch for record in run.epochs if record.val_accuracy >= accuracy), None)
