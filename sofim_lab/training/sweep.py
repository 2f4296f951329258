"""Many runs, optimizers × settings × seeds, in several processes or on a cluster, to be continued at any time."""

from collections.abc import Generator, Iterable, Mapping, Sequence
from concurrent.futures.process import BrokenProcessPool
from contextlib import closing, nullcontext
from pathlib import Path

import torch
from joblib import Parallel, delayed, effective_n_jobs
from joblib.parallel import get_active_backend
from tqdm.auto import tqdm

from sofim_lab.optim import registry
from sofim_lab.training.cluster import client_of, runs_on
from sofim_lab.training.configurations import Configuration
from sofim_lab.training.portion import portions, run_portion
from sofim_lab.training.progress import show_progress
from sofim_lab.training.provenance import SOFTWARE, difference, own_sources
from sofim_lab.training.refusals import parts_of, seeds_of, whole_number
from sofim_lab.training.store import Run, read_runs, writing
from sofim_lab.training.sweep_result import Sweep
from sofim_lab.training.task import Setting, Task, refuse_changed


def sweep(
    configurations: Iterable[Configuration],
    *,
    model: str,
    data: str,
    seeds: Iterable[int] = (0,),
    epochs: int = 10,
    batch_size: int = 64,
    stream: str = "shuffled",
    device: str = "cpu",
    dtype: torch.dtype = torch.float32,
    store: str | Path | None = None,
    keep_other_code: bool = False,
    evaluate_on: Sequence[str] = ("train", "val"),
    n_jobs: int | None = None,
    together: bool = False,
    progress: bool | None = None,
) -> Sweep:
    """Train one model with every configuration from every seed.

    Runs go through joblib: in this process by default, in `n_jobs` others, or wherever `joblib.parallel_config` says,
    e.g. on a Dask cluster. A run uses one thread, and its numbers depend on its configuration and seed alone, not on
    where, when or beside what it is done. A run that raises or diverges is kept and says so.

    Args:
        configurations: What to run, e.g. `draw("SOFIM", 16) + draw("Adam", 16)`.
        model: A name of `sofim_lab.problems.MODELS`.
        data: A name of `sofim_lab.problems.DATASETS`.
        seeds: A run of every configuration for each: of the starting weights and of the order of the batches.
        epochs: Passes over the training data.
        batch_size: Samples a step.
        stream: A name of `sofim_lab.problems.streams`.
        device: Where each run computes, as the machine that does it names it; not `auto`, which a store could not tell
            from another machine's.
        dtype: Floating type of data and parameters.
        store: A file of JSON lines to which each run is added as it ends, and where finished runs are looked up:
            the same call continues a sweep that was interrupted, and runs with other settings are left alone there.
            `pandas.read_json(store, lines=True, precise_float=True)` reads it, a row a run.
        keep_other_code: Take the finished runs of a store also where other source code of sofim_lab or of an optimizer
            made them, or where they do not say which; otherwise such a store is refused. Each line says in `code`
            what made it.
        evaluate_on: Splits to evaluate after each epoch, of `train`, `val`, `test`.
        n_jobs: Processes, −1 for as many as cores; None leaves it to `joblib.parallel_config`, else 1.
        together: Compute up to 32 runs in one pass where model and optimizers allow it, see `train_many`: for small
            models about twice as fast. The numbers agree with the others' up to rounding only, so
            such runs are runs of their own in a store, and `seconds` is a run's share.
        progress: Show a bar; None shows it except while a lesson's report is written.

    Returns:
        `Sweep`.

    Raises:
        ValueError: A name is unknown, a number is out of its range, nothing is to be run, or the store holds runs of
            another version of sofim_lab or PyTorch, or of other source code.
        RuntimeError: Another sweep is writing to the store, a worker has other versions or source code, or a worker
            died. On Dask all other runs are done and kept before; a process of joblib's ends the sweep, and the same
            call continues it.
        ImportError: An optimizer comes from a package that is not installed.
        ConnectionError: The data have to be downloaded, and that is not possible.
        OSError: The store, or the cache of the data, cannot be read or written.

    Example:
        >>> from sofim_lab.training.configurations import draw
        >>> few = draw("SOFIM", 2) + draw("SGD momentum", 2)
        >>> result = sweep(few, model="mlp", data="digits", seeds=(0, 1), epochs=1, progress=False)
        >>> best = result.frame.query("epoch == 1").groupby("optimizer").val_accuracy.max()
        >>> bool((best > 0.5).all())
        True
    """
    few, seeds = _listed(configurations), seeds_of(seeds)
    if str(device) == "auto":
        raise ValueError("device='auto' is another one on each machine: name it, e.g. device=str(resolve_device())")
    _refuse_things(model=(model, "mlp"), data=(data, "digits"), stream=(stream, "shuffled"))
    kind = str(dtype).removeprefix("torch.")
    batch_size, epochs = whole_number("batch_size", batch_size), whole_number("epochs", epochs)
    setting = Setting(model, data, stream, batch_size, epochs, str(device), kind, parts_of(evaluate_on))
    tasks = {task.key: task for task in (Task(one, seed, setting, together) for one in few for seed in seeds)}
    path = None if store is None else Path(store)
    own = own_sources(registry.get(name) for name in {one.optimizer for one in few})
    known = {} if path is None else _of_this_code(path, own, keep_other_code)
    if tasks.keys() <= known.keys():
        return Sweep(tuple(known[key] for key in tasks))
    setting.check()
    for name in {one.optimizer for one in few}:
        _ = registry.get(name).constructor  # what is not installed is said now, and not once a run
    with nullcontext() if path is None else writing(path) as keep:
        if path is not None:
            known = _of_this_code(path, own, keep_other_code)  # again, now that nobody else writes
        missing = [task for key, task in tasks.items() if key not in known]
        with _bar(len(tasks), len(missing), progress) as bar, closing(_finished(missing, n_jobs)) as finished:
            for run in finished:
                run = _of_a_worker(run, own)
                if keep is not None:
                    keep(run)
                known[run["run"]] = run
                bar.update()
    return Sweep(tuple(known[key] for key in tasks))


def _listed(configurations: Iterable[Configuration]) -> tuple[Configuration, ...]:
    """The configurations, at least one and nothing else."""
    listed = tuple(configurations) if isinstance(configurations, Iterable) else ()
    if not listed:
        raise ValueError(f"configurations={configurations!r} must be a list, e.g. draw('SOFIM', 8)")
    for one in listed:
        if not isinstance(one, Configuration):
            raise ValueError(f"configurations hold {one!r}: each must be a Configuration('SGD', {{'lr': 0.1}})")
    return listed


def _refuse_things(**found: tuple[object, str]) -> None:
    """What is not a name does not travel to other processes, nor into a file."""
    for argument, (value, example) in found.items():
        if not isinstance(value, str):
            kind = type(value).__name__
            raise ValueError(f"{argument}, of type {kind}, must be a name, e.g. {example!r}: names travel to workers")


def _bar(runs: int, missing: int, progress: bool | None) -> tqdm:
    """A bar over all runs, on which those that were there already are done."""
    done = runs - missing
    hidden = not show_progress(progress)
    return tqdm(desc="sweep", total=runs, initial=done, unit="run", disable=hidden, leave=False)


def _finished(tasks: list[Task], n_jobs: int | None) -> Generator[Run, None, None]:
    """The runs as they end, one task at a time to each worker."""
    workers, backend = effective_n_jobs(n_jobs), get_active_backend()[0]
    work = [(some, [registry.get(task.configuration.optimizer) for task in some]) for some in portions(tasks, workers)]
    if (client := client_of(backend)) is not None:
        with closing(runs_on(client, work, **backend.submit_kwargs)) as ended:
            for runs in ended:
                yield from runs
        return
    calls = [delayed(run_portion)(*some) for some in work]
    if backend.supports_return_generator:
        begun = {task.key: task for task in tasks}  # more or less: they are handed out in their order
        try:
            with closing(Parallel(n_jobs, batch_size=1, return_as="generator_unordered")(calls)) as ended:
                for runs in ended:
                    for run in runs:
                        begun.pop(run["run"], None)
                    yield from runs
        except BrokenProcessPool as error:
            named = "; ".join(task.text for task in list(begun.values())[:workers])
            raise RuntimeError(
                f"a worker process died, out of memory or killed, probably of {named}. What was finished before is "
                "kept if there is a store: call again with fewer processes, or without these"
            ) from error
        return
    # Engines like Ray and multiprocessing return a list only: as many runs as there are workers, then the next ones.
    with Parallel(n_jobs, batch_size=1) as parallel:
        for start in range(0, len(calls), workers):
            for runs in parallel(calls[start : start + workers]):
                yield from runs


def _of_this_code(path: Path, own: Mapping[str, str | None], keep_others: bool) -> dict[str, Run]:
    """The runs of a store, unless others made them: numbers of two codes in one table would pass for a difference."""
    runs = read_runs(path)
    for run in runs.values():
        if "software" in run and run["software"] != SOFTWARE:
            raise ValueError(f"{path} holds runs of {_versions(run)}: use another store, or delete this one")
        refuse_changed(path, run)
        if not keep_others and (other := difference(run, own)):
            raise ValueError(
                f"{path} holds runs {other}: delete it, use another store, or keep its runs beside new ones with "
                "keep_other_code=True, in `sofim-lab bench` with --keep-other-code"
            )
    return runs


def _of_a_worker(run: Run, own: Mapping[str, str | None]) -> Run:
    """The run with all that is known of its code, unless the worker has another than this process."""
    if run["software"] != SOFTWARE:
        raise RuntimeError(f"a worker has {_versions(run)}: install the same on all, and call again")
    mine = own[run["optimizer"]]  # which travelled there with the run
    run = run if mine is None else run | {"optimizer_code": mine}
    if other := difference(run, own):
        raise RuntimeError(f"a worker sent runs {other}: give all machines the same, restart Python, and call again")
    return run


def _versions(run: Run) -> str:
    """Those of a run, and those here."""
    theirs, ours = (", ".join(f"{k} {v}" for k, v in some.items()) for some in (run["software"], SOFTWARE))
    return f"{theirs}, this is {ours}"
