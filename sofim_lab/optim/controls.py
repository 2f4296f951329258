"""The controls of a comparison: SOFIM's averaged gradient, with another rule for the length of the step.

What SOFIM gains over these, its second-order part gains; what it does not, they give as well.
"""

from collections.abc import Mapping
from typing import Any

from sofim_lab.optim.entry import Entry, LogUniform

BETAS = (0.8, 0.9, 0.95, 0.99)
# Ranges for losses of order one on inputs of order one. SOFIM's natural rate is ρ: η and ρ have the same range.
SOFIM_GRID: Mapping[str, LogUniform | tuple[Any, ...]] = {
    "lr": LogUniform(0.01, 10.0),
    "rho": LogUniform(0.01, 10.0),
    "beta": BETAS,
}

_KIN = "sofim_lab.optim.kin:AlongMoment"

CONTROLS = (
    # ρ = 1 makes the rate η/ρ equal lr.
    Entry(
        "constant-rate mean",
        _KIN,
        options={"rule": "constant rate", "rho": 1.0},
        defaults={"lr": 1.0, "beta": 0.9},
        grid={"lr": LogUniform(0.01, 10.0), "beta": BETAS},
    ),
    Entry(
        "clipped mean",
        _KIN,
        options={"rule": "clipped"},
        defaults={"lr": 1.0, "rho": 0.5, "beta": 0.9},
        grid=SOFIM_GRID,
    ),
    # ρ = ¼ makes the length η/(2√ρ) equal lr.
    Entry(
        "normalised mean",
        _KIN,
        options={"rule": "normalised", "rho": 0.25},
        defaults={"lr": 0.1, "beta": 0.9},
        grid={"lr": LogUniform(1e-3, 1.0), "beta": BETAS},
    ),
    Entry(
        "SOFIM without moment",
        "sofim_lab.optim.sofim:SOFIM",
        options={"beta": 0.0},
        defaults={"lr": 0.3, "rho": 0.5},
        grid={"lr": LogUniform(0.01, 10.0), "rho": LogUniform(0.01, 10.0)},
    ),
    Entry(
        "SOFIM as one scalar",
        _KIN,
        options={"rule": "SOFIM"},
        defaults={"lr": 1.0, "rho": 0.5, "beta": 0.9},
        grid=SOFIM_GRID,
    ),
)
