"""What a benchmark leaves behind: tasks after tuning, and the studies of one of them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from sofim_lab.benchmark.protocol import Protocol, Task
from sofim_lab.benchmark.races import as_race
from sofim_lab.benchmark.targets import time_to_target
from sofim_lab.training import Configuration, RaceResult, Sweep


@dataclass(frozen=True, eq=False)
class Final:
    """A task after tuning.

    Attributes:
        task: The problem.
        chosen: The configuration by name in tables; optimizers, and SOFIM as one scalar.
        sweep: Its runs on the final seeds.
        ranked: Of each optimizer the table of `ranking`.
    """

    task: Task
    chosen: Mapping[str, Configuration]
    sweep: Sweep
    ranked: Mapping[str, pd.DataFrame] = field(default_factory=dict)

    def times(self, measure: str, unit: str = "epoch") -> dict[str, NDArray[np.float64]]:
        """Times to the target of a measure: one a seed, infinite where censored, by the name of the optimizer."""
        found = time_to_target(self.sweep.frame, measure, self.task.targets[measure], unit)
        return {name: found[one.key].sort_index().to_numpy() for name, one in self.chosen.items()}

    def curves(self, measure: str) -> dict[str, NDArray[np.float64]]:
        """A measure after each epoch, shape (seeds, epochs + 1), by the name of the optimizer; nan after divergence."""
        frame = self.sweep.frame
        grids = {
            key: own.pivot(index="seed", columns="epoch", values=measure) for key, own in frame.groupby("configuration")
        }
        every = range(self.task.epochs + 1)
        return {name: grids[one.key].reindex(columns=every).to_numpy() for name, one in self.chosen.items()}

    def race(self, names: Sequence[str] | None = None) -> RaceResult:
        """Its runs as those of a race, for the figures of races; without single steps.

        Args:
            names: Some of the optimizers, those that were not run left out; all by default.
        """
        wanted = {self.chosen[name].key: name for name in (names or self.chosen) if name in self.chosen}
        return as_race(
            [(wanted[run["configuration"]], run) for run in self.sweep.runs if run["configuration"] in wanted]
        )


@dataclass(frozen=True, eq=False)
class Benchmark:
    """What was measured of a protocol.

    Attributes:
        protocol: What was asked for.
        finals: The tasks that were run to the end, by title.
        scans: Runs with multiples of the selected learning rate, by optimizer and factor; empty if not run.
        cuts: Runs of SOFIM with one change, by the change; empty if not run.
    """

    protocol: Protocol
    finals: Mapping[str, Final]
    scans: Mapping[str, Mapping[float, Sweep]] = field(default_factory=dict)
    cuts: Mapping[str, Sweep] = field(default_factory=dict)

    def on(self, data: str, *, shifted: bool = False) -> list[Final]:
        """The tasks on a data set, with shuffled batches or with shifted ones."""
        return [one for one in self.finals.values() if one.task.data == data and one.task.shifted == shifted]

    def scan_race(self) -> RaceResult:
        """The runs with multiples of the learning rate, for `plot_sensitivity`."""
        return as_race(
            [(name, run) for name, own in self.scans.items() for sweep in own.values() for run in sweep.runs]
        )


def runs_of(sweep: Sweep, one: Configuration) -> Sweep:
    """The runs of one configuration."""
    return Sweep(tuple(run for run in sweep.runs if run["configuration"] == one.key))
