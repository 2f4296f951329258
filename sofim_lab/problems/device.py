"""Which device to compute on."""

import torch

DEVICES = ("auto", "cpu", "cuda", "mps")


def resolve_device(name: str | torch.device = "auto") -> torch.device:
    """The device a name stands for on this machine.

    `auto` is CUDA where there is a CUDA device, else the CPU. Apple's MPS has no float64, which the lessons need for
    their oracles, so it is taken only when it is asked for by name.

    Args:
        name: `auto`, `cpu`, `cuda` (also `cuda:1`), `mps`, or a `torch.device`.

    Returns:
        A device that exists here.

    Raises:
        ValueError: The name is unknown, or this machine has no such device.

    Example:
        >>> resolve_device("cpu")
        device(type='cpu')
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    kind = str(name).partition(":")[0]
    if kind not in DEVICES or kind == "auto":
        raise ValueError(f"device={str(name)!r} is unknown: choose one of {', '.join(DEVICES)}")
    if kind == "cuda" and not torch.cuda.is_available():
        built = "this PyTorch is a CPU-only build" if torch.version.cuda is None else "no GPU was found"
        raise ValueError(f"device={str(name)!r}, but {built}: use device='cpu' or device='auto'")
    if kind == "mps" and not torch.backends.mps.is_available():
        raise ValueError("device='mps', but Apple's Metal backend is not available here: use device='cpu' or 'auto'")
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise ValueError(f"device={str(name)!r} is not a device: {str(error).splitlines()[0]}") from None
    if kind == "cuda" and device.index is not None and device.index >= torch.cuda.device_count():
        raise ValueError(f"device={str(name)!r}, but there are only {torch.cuda.device_count()} CUDA devices here")
    return device
