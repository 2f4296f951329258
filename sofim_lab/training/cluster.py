"""Portions of a sweep on a Dask cluster: all that can be done, also where one of them kills its workers."""

import sys
from collections.abc import Generator, Sequence
from typing import Any

from sofim_lab.optim.entry import Entry
from sofim_lab.training.portion import run_portion
from sofim_lab.training.store import Run
from sofim_lab.training.task import Task


def client_of(backend: Any) -> Any | None:
    """The `distributed.Client` behind an engine of joblib; None if it is another engine."""
    client, distributed = getattr(backend, "client", None), sys.modules.get("distributed")
    kind = getattr(distributed, "Client", None)  # a module of the user's may have the name, too
    return client if kind is not None and isinstance(client, kind) else None


def runs_on(
    client: Any, work: Sequence[tuple[list[Task], list[Entry]]], **options: Any
) -> Generator[list[Run], None, None]:
    """Submit all portions, and yield the runs of each as it ends.

    Not through joblib: up to 1.6 it waits for ever for a task that Dask has given up, because a worker has died of it
    more often than `distributed.scheduler.allowed-failures` says. Whatever else dies, Dask does again on its own.

    Args:
        client: Of the cluster.
        work: Tasks with their optimizers, as for `run_portion`.
        **options: Of `client.submit`, such as `workers` or `resources`.

    Yields:
        What `run_portion` returns.

    Raises:
        RuntimeError: When all others have ended: Dask has given up some; the message names them.
    """
    from distributed import KilledWorker, as_completed

    begun = {client.submit(run_portion, *some, pure=False, **options): some[0] for some in work}
    lost: list[Task] = []
    try:
        for future in as_completed(list(begun)):
            try:
                yield future.result()
            except KilledWorker:
                lost += begun[future]
    finally:
        client.cancel(list(begun))
    if lost:
        named = "; ".join(task.text for task in lost)
        raise RuntimeError(
            f"Dask has given up {len(lost)} runs, of which workers died (out of memory?), or beside which they did: "
            f"{named}. All others are kept if there is a store: call again with larger workers, or without these"
        )
