"""Running the protocol, or reading what was run: both give one `Benchmark`."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from sofim_lab.benchmark.protocol import Protocol, Task
from sofim_lab.benchmark.results import Benchmark, Final, runs_of
from sofim_lab.benchmark.selection import ranking
from sofim_lab.benchmark.stages import ablated, judged, scanned, tuned
from sofim_lab.training import Configuration, Sweep, sweep
from sofim_lab.training.task import Setting, refuse_changed

_TUNING, _FINAL = ("train", "val"), ("train", "val", "test")
_Source = Callable[[Sequence[Configuration], Task, Sequence[int], Sequence[str]], Sweep]


class NotRun(LookupError):
    """A store lacks runs that were asked for."""


def run(
    protocol: Protocol,
    store: str | Path | None = None,
    *,
    device: str = "cpu",
    n_jobs: int | None = None,
    together: bool = False,
    keep_other_code: bool = False,
    progress: bool | None = None,
) -> Benchmark:
    """Run what a store does not hold yet: task by task, first the tuning, then the final runs; at last the studies.

    Args:
        protocol: What to run.
        store: See `sofim_lab.training.sweep`; the same call continues what was interrupted.
        device: Where each run computes.
        n_jobs: Processes; see there.
        together: Compute many runs in one pass, which is quicker; see there. The numbers are the same up to rounding,
            which an unstable configuration magnifies; the runs are others in a store.
        keep_other_code: See there.
        progress: Show bars.

    Returns:
        `Benchmark` with every task.

    Raises:
        ValueError: A task has no targets, the device does not exist, or `sofim_lab.training.sweep` refuses the store.
        ImportError: An optimizer comes from a package that is not installed.
        RuntimeError: Another sweep is writing to the store, or a worker died; see there.
        ConnectionError: A data set has to be downloaded, and that is not possible.
        OSError: The store cannot be written.

    Example:
        >>> from sofim_lab.benchmark import TINY
        >>> run(TINY, progress=False).finals["digits, mlp"].times("train_loss")["SOFIM"].shape
        (3,)
    """
    _refuse_without_targets(protocol)

    def source(few: Sequence[Configuration], task: Task, seeds: Sequence[int], splits: Sequence[str]) -> Sweep:
        how: dict[str, Any] = {"store": store, "device": device, "n_jobs": n_jobs, "progress": progress}
        how |= {"together": together, "keep_other_code": keep_other_code}
        return sweep(few, **task.setting, seeds=seeds, evaluate_on=splits, **how)

    finals = {task.title: _final(protocol, task, source) for task in protocol.tasks}
    return Benchmark(protocol, finals, *_studies(protocol, finals, source))


def read(protocol: Protocol, store: str | Path, *, device: str = "cpu", together: bool = False) -> Benchmark:
    """What a store holds of a protocol, also while `run` adds to it; a task that is not complete counts as not run.

    Args:
        protocol: What was asked for.
        store: The file.
        device: Where the runs were computed.
        together: Whether they were computed many in one pass. As those of another dtype than float32, the others are
            other runs.

    Returns:
        `Benchmark` with the tasks that are complete.

    Raises:
        FileNotFoundError: There is none.
        ValueError: A task has no targets, the file is not a store, or a line does not say how its run was computed, or
            says it of another run.
    """
    _refuse_without_targets(protocol)
    kind = (device, "float32", together)
    runs = Sweep.read(store).runs
    for one in runs:
        if lacking := [name for name in Setting.__dataclass_fields__ if name not in one]:
            raise ValueError(
                f"{store}: the line of run {one['run']} does not say its {', '.join(lacking)}: "
                "delete that line, or use another store"
            )
        refuse_changed(store, one)
    known = {_place(one): one for one in runs if _kind(one) == kind}

    def source(few: Sequence[Configuration], task: Task, seeds: Sequence[int], splits: Sequence[str]) -> Sweep:
        where = (task.model, task.data, task.stream, task.batch_size, task.epochs, tuple(splits))
        wanted = [(one.key, seed, *where) for one in few for seed in seeds]
        if any(place not in known for place in wanted):
            raise NotRun(f"{store} has no complete runs of {task.title}")
        return Sweep(tuple(known[place] for place in wanted))

    finals = {}
    for task in protocol.tasks:
        try:
            finals[task.title] = _final(protocol, task, source)
        except NotRun:
            continue
    try:
        return Benchmark(protocol, finals, *_studies(protocol, finals, source))
    except NotRun:
        return Benchmark(protocol, finals)


def _refuse_without_targets(protocol: Protocol) -> None:
    """Only the pilot runs tasks without targets."""
    if bare := [task.title for task in protocol.tasks if not task.targets]:
        raise ValueError(
            f"tasks of protocol {protocol.name!r} without targets: {'; '.join(bare)}. Measure them with run_pilot, and "
            "give them as Task(..., targets=...)"
        )


def _kind(run: Mapping[str, Any]) -> tuple[str, str, bool]:
    """How a run was computed."""
    return run["device"], run["dtype"], bool(run.get("together"))


def _place(run: Mapping[str, Any]) -> tuple[object, ...]:
    """What tells a run from the others of a store."""
    names = ("configuration", "seed", "model", "data", "stream", "batch_size", "epochs")
    return (*(run[name] for name in names), tuple(run["evaluate_on"]))


def _final(protocol: Protocol, task: Task, source: _Source) -> Final:
    """Tune on a task, then run what was selected."""
    few = tuned(protocol)
    frame = source(few, task, protocol.tuning_seeds, _TUNING).frame
    goal = task.targets["val_loss"]
    ranked = {name: ranking(frame[frame["optimizer"] == name], goal) for name in protocol.optimizers}
    by_key = {one.key: one for one in few}
    chosen = judged({name: by_key[table.index[0]] for name, table in ranked.items()})
    return Final(task, chosen, source(list(chosen.values()), task, protocol.final_seeds, _FINAL), ranked)


def _studies(
    protocol: Protocol, finals: Mapping[str, Final], source: _Source
) -> tuple[dict[str, dict[float, Sweep]], dict[str, Sweep]]:
    """Sensitivity and ablations on the task that is studied."""
    task = protocol.studied
    if task is None or task.title not in finals:
        return {}, {}
    chosen = finals[task.title].chosen
    scans = scanned(protocol, chosen)
    few = [one for by_factor in scans.values() for one in by_factor.values()]
    tried = source(few, task, protocol.scan_seeds, _FINAL) if few else Sweep(())
    cuts = ablated(chosen)
    cut = source(list(cuts.values()), task, protocol.scan_seeds, _FINAL)
    return (
        {name: {factor: runs_of(tried, one) for factor, one in own.items()} for name, own in scans.items()},
        {change: runs_of(cut, one) for change, one in cuts.items()},
    )
