"""How much memory a matrix takes, how much is free, and how many samples fit into a share of it."""

import os
from pathlib import Path

import torch

CHUNK_BYTES = 2**27  # 128 MiB: large enough for fast products, small beside the 1–2 GB of a small machine
KEEP_BYTES = 2**28  # 256 MiB: the graphs of a small convolutional network on 6,000 small images
MAX_D = 5000
_CONTAINER = Path("/sys/fs/cgroup")


def dense_bytes(d: int, dtype: torch.dtype) -> int:
    """Peak bytes of forming and decomposing a d×d matrix: 12 d² in float32 and narrower, 27 d² in float64.

    Args:
        d: Number of parameters.
        dtype: Type of the matrix.

    Returns:
        The bytes, measured: a float32 matrix takes 4 d², its eigenvectors and the work space the rest.

    Example:
        >>> dense_bytes(5000, torch.float32)
        300000000
    """
    return (27 if dtype == torch.float64 else 12) * d * d


def check_dense_size(
    d: int, dtype: torch.dtype, device: torch.device, *, max_d: int | None = MAX_D, instead: str
) -> None:
    """Raise, before anything is allocated, where a d×d matrix is too large to work with.

    Args:
        d: Number of parameters.
        dtype: Type of the matrix.
        device: Where it would live.
        max_d: The largest d that is allowed; None leaves the memory as the only bound.
        instead: The matrix-free alternative to name.

    Raises:
        ValueError: d > max_d.
        MemoryError: The work would take more than is free on the device, where that is known.

    Example:
        >>> check_dense_size(100, torch.float32, torch.device("cpu"), instead="fisher_operator")
    """
    needed, free = dense_bytes(d, dtype), free_memory(device)
    size = (
        f"a dense matrix of d = {d:,} parameters needs about {_readable(needed)} ({needed // d**2} d² bytes in {dtype})"
    )
    remedy = f"use {instead} (products only), or pass params= to take fewer parameters"
    if max_d is not None and d > max_d:
        raise ValueError(f"{size}; d is above max_d={max_d:,}: {remedy}, or raise max_d")
    if free is not None and needed > free:
        raise MemoryError(f"{size}, and only {_readable(free)} are free on {device}: {remedy}")


def free_memory(device: torch.device) -> int | None:
    """Bytes that can be allocated on a device; None where the system does not tell.

    Args:
        device: A CPU (Linux, containers included, and other systems with SC_AVPHYS_PAGES) or a CUDA device.

    Returns:
        The bytes, or None.

    Example:
        >>> free = free_memory(torch.device("cpu"))
        >>> free is None or free > 0
        True
    """
    if device.type == "cuda":
        cached = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
        return torch.cuda.mem_get_info(device)[0] + cached
    if device.type != "cpu":
        return None
    return min((free for free in (_free_on_machine(), _free_in_container()) if free is not None), default=None)


def samples_per_chunk(bytes_per_sample: int, chunk_bytes: int) -> int:
    """How many samples fit into chunk_bytes, at least one.

    Args:
        bytes_per_sample: What one sample takes, >= 0.
        chunk_bytes: The budget, >= 1.

    Raises:
        ValueError: chunk_bytes is below 1.

    Example:
        >>> samples_per_chunk(1000, 4500), samples_per_chunk(1000, 1)
        (4, 1)
    """
    if chunk_bytes < 1:
        raise ValueError(f"chunk_bytes must be at least 1, got {chunk_bytes!r}: the default is {CHUNK_BYTES}")
    return max(1, int(chunk_bytes) // max(1, bytes_per_sample))


def _free_on_machine() -> int | None:
    """Linux' estimate of what can be allocated without swapping; elsewhere the free pages, if they are told."""
    try:
        for line in Path("/proc/meminfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("MemAvailable:"):
                return 1024 * int(line.split()[1])
    except OSError:
        pass
    try:
        return os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, ValueError, OSError):  # Windows has no sysconf, macOS not this name
        return None


def _free_in_container() -> int | None:
    """What the control group leaves of its limit (version 2, then 1); None without a limit."""
    for limit, used in (
        ("memory.max", "memory.current"),
        ("memory/memory.limit_in_bytes", "memory/memory.usage_in_bytes"),
    ):
        try:
            return max(0, int((_CONTAINER / limit).read_text()) - int((_CONTAINER / used).read_text()))
        except (OSError, ValueError):  # no such file, or the word "max"
            continue
    return None


def _readable(count: int) -> str:
    """Bytes in MB or GB."""
    return f"{count / 1e9:.1f} GB" if count >= 1e9 else f"{count / 1e6:.1f} MB"
