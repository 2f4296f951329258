"""The ground: data sets and models, on a device."""

from sofim_lab.problems.device import DEVICES, resolve_device
from sofim_lab.problems.digits import CLASSES, Digits, Split, load_digits
from sofim_lab.problems.models import mlp

__all__ = ["CLASSES", "DEVICES", "Digits", "Split", "load_digits", "mlp", "resolve_device"]
