"""Start some processes that talk through gloo, from a notebook too, and bring back what they return."""

import math
import os
import sys
import tempfile
import time
import traceback
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import torch

_PATIENCE = 0.1  # seconds between two looks at the processes


def launch(function: Callable[..., Any], processes: int, *args: Any, timeout: float = 120.0) -> list[Any]:
    """Run `function(rank, *args)` in so many processes of one gloo group, and return what each returns.

    The processes are spawned, not forked, so the function must stand in a module that they can import: a function
    written in a notebook's cell does not. They meet through a file, no port is opened. Whatever happens, none of them
    is alive when this returns.

    Args:
        function: A function of a module. In it `torch.distributed` is set up, one thread a process.
        processes: How many, 1 or more.
        *args: What it gets besides the rank; everything that pickle takes.
        timeout: Seconds until all must be done, the start included.

    Returns:
        What the ranks 0, 1, … returned; tensors, and what `torch.save` takes.

    Raises:
        ValueError: An argument is out of its range, or the function stands in a notebook, a script or another function.
        RuntimeError: This PyTorch has no gloo, or a process failed; its own error is in the message.
        TimeoutError: They took too long.

    Example:
        >>> why_unavailable() is not None or launch(sum_of_ranks, 2) == [1.0, 1.0]
        True
    """
    if isinstance(processes, float) or processes < 1:
        raise ValueError(f"processes={processes!r} must be a whole number of 1 or more")
    if not 0 < timeout < math.inf:
        raise ValueError(f"timeout={timeout!r} must be a positive number of seconds")
    if function.__module__ == "__main__":
        raise ValueError(
            f"{function.__name__} stands in a notebook or script: put it into a module that can be imported"
        )
    if "<" in function.__qualname__:  # <locals>, <lambda>
        raise ValueError(f"{function.__qualname__} is made inside a function: the processes import it from its module")
    if (missing := why_unavailable()) is not None:
        raise RuntimeError(missing)
    from torch.multiprocessing.spawn import ProcessException, start_processes

    with tempfile.TemporaryDirectory(
        ignore_cleanup_errors=True
    ) as folder:  # Windows may hold the store a moment longer
        context = start_processes(
            _enter,
            (function, processes, folder, timeout, args),
            processes,
            join=False,
            daemon=True,
            start_method="spawn",
        )
        try:
            end = time.monotonic() + timeout
            while not context.join(timeout=_PATIENCE):
                if time.monotonic() > end:
                    raise TimeoutError(f"{processes} processes were not done after timeout={timeout:g} seconds")
        except ProcessException as error:
            first = _first_error(folder) or str(error)
            raise RuntimeError(f"of {processes} processes one failed: {first.strip()}") from None
        finally:
            for process in context.processes:
                if process.is_alive():
                    process.kill()
                process.join()
        return [torch.load(_answer(folder, rank), weights_only=False) for rank in range(processes)]


def why_unavailable() -> str | None:
    """Why no processes can be started with this PyTorch, and what to do; None where they can."""
    remedy = "install a build that has it (the wheels for Linux and macOS do), or read the other sections"
    if not torch.distributed.is_available():
        return f"this PyTorch was built without torch.distributed: {remedy}"
    if not torch.distributed.is_gloo_available():
        return f"this PyTorch was built without gloo, through which processes on CPUs talk: {remedy}"
    return None


def sum_of_ranks(rank: int) -> float:
    """The smallest function there is to launch: the sum of all ranks, by one all-reduce."""
    total = torch.tensor(float(rank))
    torch.distributed.all_reduce(total)
    return total.item()


def _answer(folder: str, rank: int) -> Path:
    """Where a process leaves what it returns."""
    return Path(folder) / f"answer{rank}.pt"


def _first_error(folder: str) -> str | None:
    """What the process said that failed first: the others fail too, for want of it."""
    said = sorted(Path(folder).glob("error*"), key=lambda path: path.stat().st_mtime_ns)
    return said[0].read_text(encoding="utf-8") if said else None


def _enter(
    rank: int, function: Callable[..., Any], processes: int, folder: str, timeout: float, args: tuple[Any, ...]
) -> None:
    """What each process does."""
    torch.set_num_threads(1)
    store = torch.distributed.FileStore(str(Path(folder) / "store"), processes)
    torch.distributed.init_process_group(
        "gloo", store=store, rank=rank, world_size=processes, timeout=timedelta(seconds=timeout)
    )
    # gloo returns as soon as this process has its connections: one that leaves at once closes them on another that is
    # still making its own, and that one fails with "Connection closed by peer".
    torch.distributed.barrier()
    try:
        torch.save(function(rank, *args), _answer(folder, rank))
    except Exception:
        Path(folder, f"error{rank}").write_text(traceback.format_exc(), encoding="utf-8")  # before the others notice
        raise
    finally:
        torch.distributed.destroy_process_group()
    # The answer is written. Leaving Python in the usual way, the process now and then ran into gloo's own threads on a
    # busy machine and was aborted, which looked like a failure of the work.
    sys.stdout.flush(), sys.stderr.flush()
    os._exit(0)
