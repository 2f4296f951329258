"""Training one model, racing and sweeping several optimizers on it, and descents on losses that can be drawn."""

from sofim_lab.training.basins import Basins, basins, pure_newton
from sofim_lab.training.bound import step_bound
from sofim_lab.training.closures import LossFunction, make_closure
from sofim_lab.training.configurations import Configuration, draw
from sofim_lab.training.descend import Descent, descend, descend_on
from sofim_lab.training.race import OptimizerFactory, Watch, race
from sofim_lab.training.result import EpochRecord, RaceResult, StepRecord, TrainingResult
from sofim_lab.training.sweep import sweep
from sofim_lab.training.sweep_result import Sweep
from sofim_lab.training.train import Callback, train
from sofim_lab.training.train_many import train_many

__all__ = [
    "Basins",
    "Callback",
    "Configuration",
    "Descent",
    "EpochRecord",
    "LossFunction",
    "OptimizerFactory",
    "RaceResult",
    "StepRecord",
    "Sweep",
    "TrainingResult",
    "Watch",
    "basins",
    "descend",
    "descend_on",
    "draw",
    "make_closure",
    "pure_newton",
    "race",
    "step_bound",
    "sweep",
    "train",
    "train_many",
]
