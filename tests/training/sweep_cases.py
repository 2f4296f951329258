"""A small sweep that every way of running it has to agree on."""

import pandas as pd

from sofim_lab.training.configurations import Configuration
from sofim_lab.training.sweep import sweep

# The second one draws random numbers, the third fails, the fourth diverges.
CONFIGURATIONS = [
    Configuration("SOFIM", {"lr": 0.7, "rho": 0.3}),
    Configuration("NystromSGD", {"rank": 3}),
    Configuration("SGD", {"lr": -1.0}),
    Configuration("SGD", {"lr": 1.0, "weight_decay": 1e20}),
]


def run(configurations=CONFIGURATIONS, **options):
    """Softmax regression on the digits, a few steps an epoch."""
    known = {"model": "logreg", "data": "digits", "seeds": (0, 3), "epochs": 3, "batch_size": 300, "progress": False}
    return sweep(configurations, **known | options)


def assert_same(one, other):
    """Equal to the last bit, but for the seconds."""
    tables = [(some.frame.drop(columns="seconds"), some.steps) for some in (one, other)]
    for mine, theirs in zip(*tables, strict=True):
        pd.testing.assert_frame_equal(mine, theirs, check_exact=True)
