"""Training one model, and racing several optimizers on it."""

from sofim_lab.training.bound import step_bound
from sofim_lab.training.closures import LossFunction, make_closure
from sofim_lab.training.race import OptimizerFactory, race
from sofim_lab.training.result import EpochRecord, RaceResult, StepRecord, TrainingResult
from sofim_lab.training.train import train

__all__ = [
    "EpochRecord",
    "LossFunction",
    "OptimizerFactory",
    "RaceResult",
    "StepRecord",
    "TrainingResult",
    "make_closure",
    "race",
    "step_bound",
    "train",
]
