"""The ground: data sets and models, on a device."""

from sofim_lab.problems.device import DEVICES, resolve_device
from sofim_lab.problems.digits import CLASSES, Digits, Split, load_digits
from sofim_lab.problems.models import mlp
from sofim_lab.problems.surfaces import SURFACES, Surface, quadratic

__all__ = [
    "CLASSES",
    "DEVICES",
    "SURFACES",
    "Digits",
    "Split",
    "Surface",
    "load_digits",
    "mlp",
    "quadratic",
    "resolve_device",
]
