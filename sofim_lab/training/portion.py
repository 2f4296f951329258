"""Several runs of a sweep, in one pass where they allow it."""

from collections.abc import Sequence
from functools import partial

from sofim_lab.optim import registry
from sofim_lab.optim.entry import Entry
from sofim_lab.problems import build_model, streams
from sofim_lab.training.result import TrainingResult
from sofim_lab.training.store import Run
from sofim_lab.training.task import Task, alone_on_one_thread, load, outcome, run_task
from sofim_lab.training.train_many import train_many

_MOST = 32  # runs in one pass; more gain nothing, and a killed sweep loses them all


def portions(tasks: Sequence[Task], workers: int) -> list[list[Task]]:
    """The tasks in portions for one worker each: alone, or those that stack as evenly over the workers as they go."""
    stacking = [task for task in tasks if task.stacks]
    size = max(1, min(_MOST, -(-len(stacking) // workers)))
    return [stacking[k : k + size] for k in range(0, len(stacking), size)] + [[t] for t in tasks if not t.stacks]


def run_portion(tasks: Sequence[Task], entries: Sequence[Entry]) -> list[Run]:
    """Do runs of one setting in one process, several in one pass and a single one as `run_task` does.

    Where one of several raises, each half is tried by itself, so that it does not spoil the others.

    Args:
        tasks: What to run, all of one setting.
        entries: The optimizer of each.

    Returns:
        The line of each; where that was asked for, `together` says in how many at once it was computed.
    """
    if len(tasks) == 1:
        return [run_task(tasks[0], entries[0]) | ({"together": 1} if tasks[0].together else {})]
    try:
        with alone_on_one_thread():
            results = _train_together(tasks, entries)
    except Exception:
        half = len(tasks) // 2
        return run_portion(tasks[:half], entries[:half]) + run_portion(tasks[half:], entries[half:])
    kept = zip(tasks, results, strict=True)
    return [task.describe() | {"together": len(tasks)} | outcome(result) for task, result in kept]


def _train_together(tasks: Sequence[Task], entries: Sequence[Entry]) -> tuple[TrainingResult, ...]:
    """The results of tasks of one setting."""
    for entry in entries:
        registry.register(entry, replacing=True)
    setting = tasks[0].setting
    data = load(setting.data, setting.device, setting.dtype)
    return train_many(
        lambda seed: build_model(setting.model, data, seed=seed),
        data,
        [(partial(registry.make, t.configuration.optimizer, **t.configuration.settings), t.seed) for t in tasks],
        epochs=setting.epochs,
        batch_size=setting.batch_size,
        stream=streams.get(setting.stream),
        evaluate_on=setting.evaluate_on,
        progress=False,
    )
