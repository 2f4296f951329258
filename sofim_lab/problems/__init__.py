"""The ground: data sets and models on a device, losses of two parameters, distributions."""

from sofim_lab.problems.dataset import Dataset, Split
from sofim_lab.problems.datasets import DATASETS, DatasetEntry, load_dataset
from sofim_lab.problems.device import DEVICES, resolve_device
from sofim_lab.problems.digits import load_digits
from sofim_lab.problems.models import MODELS, ModelEntry, build_model, mlp
from sofim_lab.problems.streams import Stream
from sofim_lab.problems.surfaces import SURFACES, Surface, quadratic

__all__ = [
    "DATASETS",
    "DEVICES",
    "MODELS",
    "SURFACES",
    "Dataset",
    "DatasetEntry",
    "ModelEntry",
    "Split",
    "Stream",
    "Surface",
    "build_model",
    "load_dataset",
    "load_digits",
    "mlp",
    "quadratic",
    "resolve_device",
]
