"""What was measured, as tables of numbers: each a frame, for a page, a file or a figure."""

import json
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pandas as pd

from sofim_lab.benchmark.claims import Verdict
from sofim_lab.benchmark.intervals import Interval, median_interval, paired_ratio
from sofim_lab.benchmark.protocol import MEASURES
from sofim_lab.benchmark.results import Benchmark, runs_of
from sofim_lab.benchmark.targets import time_to_target
from sofim_lab.training import Sweep


def verdicts(judged: Sequence[Verdict]) -> pd.DataFrame:
    """A row a verdict: claim, who says so, data set, status, ratio with its ends, and the cells by themselves."""
    rows = []
    for one in judged:
        ratio = one.ratio or Interval(np.nan, np.nan, np.nan)
        counts = dict(
            zip(("cells", "supported alone", "not supported alone", "undecided alone"), one.cells, strict=True)
        )
        row = {"claim": one.claim.text, "source": one.claim.source, "data": one.data, "status": one.status}
        ends = {"ratio": ratio.estimate, "low": ratio.low, "high": ratio.high}
        rows.append({**row, **ends, **counts, "reason": one.reason})
    return pd.DataFrame(rows)


def times(found: Benchmark, unit: str = "epoch") -> pd.DataFrame:
    """A row a task, measure and optimizer: target, median time with its interval, and how many runs were censored."""
    rows = []
    for final in found.finals.values():
        for measure, title in MEASURES.items():
            for name, values in final.times(measure, unit).items():
                interval = median_interval(values)
                row = {"task": final.task.title, "measure": title, "target": final.task.targets[measure]}
                ends = {"median": interval.estimate, "low": interval.low, "high": interval.high}
                missed = {"censored": int(np.isinf(values).sum()), "seeds": len(values), "epochs": final.task.epochs}
                rows.append({**row, "optimizer": name, **ends, **missed})
    return pd.DataFrame(rows)


def seconds(found: Benchmark, costs: pd.DataFrame | None) -> pd.DataFrame:
    """The rows of `times` in seconds: epochs times the median seconds of one, where these were measured.

    Args:
        found: What was measured.
        costs: Of `measure_costs`; the stream of batches makes no difference to them.
    """
    if costs is None or not found.finals:
        return pd.DataFrame()
    each = costs.groupby(["task", "optimizer"])["seconds"].median()
    plain = {title: replace(one.task, stream="shuffled").title for title, one in found.finals.items()}
    frame = times(found)
    places = pd.MultiIndex.from_arrays([frame["task"].map(plain), frame["optimizer"]])
    frame[["median", "low", "high"]] = frame[["median", "low", "high"]].mul(each.reindex(places).to_numpy(), axis=0)
    return frame.dropna(subset="median", ignore_index=True)


def ratios(found: Benchmark, unit: str = "epoch") -> pd.DataFrame:
    """A row a task, measure and rival: SOFIM's median over the rival's, with its interval; the cells of the claims."""
    rows = []
    for final in found.finals.values():
        for measure, title in MEASURES.items():
            own = final.times(measure, unit)
            for name, values in own.items():
                if name != "SOFIM":
                    ratio = paired_ratio(own["SOFIM"], values)
                    row = {"task": final.task.title, "measure": title, "rival": name}
                    rows.append({**row, "ratio": ratio.estimate, "low": ratio.low, "high": ratio.high})
    return pd.DataFrame(rows)


def selected(found: Benchmark) -> pd.DataFrame:
    """A row a task and optimizer: the settings that tuning chose, and how the tuning went."""
    rows = []
    for final in found.finals.values():
        for name, ranked in final.ranked.items():
            best = ranked.iloc[0]
            row = {"task": final.task.title, "optimizer": name}
            row["settings"] = json.dumps(dict(final.chosen[name].settings), sort_keys=True)
            tried = {"tried": len(ranked), "reached by": int((ranked["missed"] == 0).sum())}
            rows.append({**row, "missed": int(best["missed"]), "validation loss": best["best"], **tried})
    return pd.DataFrame(rows)


def finals(found: Benchmark) -> pd.DataFrame:
    """A row a task and optimizer: medians over the seeds after the last epoch, and how many runs diverged or failed."""
    rows = []
    for final in found.finals.values():
        for name, one in final.chosen.items():
            rows.append({"task": final.task.title, "optimizer": name, **last_epoch(runs_of(final.sweep, one))})
    return pd.DataFrame(rows)


def scans(found: Benchmark) -> pd.DataFrame:
    """A row an optimizer and factor of its learning rate: medians after the last epoch."""
    return pd.DataFrame(
        [
            {"optimizer": name, "factor": factor, "lr": sweep.runs[0]["settings"]["lr"], **last_epoch(sweep)}
            for name, by_factor in found.scans.items()
            for factor, sweep in by_factor.items()
        ]
    )


def usable_rates(found: Benchmark) -> pd.DataFrame:
    """How far an optimizer's learning rate may be off, a row an optimizer.

    Usable is a multiple of the selected rate after which the training loss at the end is at most twice the optimizer's
    best; spoilt, a larger rate after which it is no lower than before the first step, or at which no run ends well.

    Args:
        found: A benchmark with scans.

    Returns:
        Columns `optimizer`; `usable`, how many of the `tried` multiples are; `lowest` and `highest` of these; and
        `spoilt_from`, the smallest of the spoilt ones, nan where there is none.
    """
    rows = []
    for name, by_factor in found.scans.items():
        ends = {factor: last_epoch(sweep)["train_loss"] for factor, sweep in by_factor.items()}
        usable = [factor for factor, loss in ends.items() if loss <= 2 * min(ends.values()) < np.inf]
        # Runs that all failed have no start either: nan, to which nothing compares.
        spoilt = [f for f, loss in ends.items() if f > 1 and not loss < _start(by_factor[f])]
        row = {"optimizer": name, "usable": len(usable), "tried": len(ends)}
        span = {"lowest": min(usable, default=np.nan), "highest": max(usable, default=np.nan)}
        rows.append({**row, **span, "spoilt_from": min(spoilt, default=np.nan)})
    return pd.DataFrame(rows)


def cuts(found: Benchmark) -> pd.DataFrame:
    """A row a change to SOFIM: ratio of epochs to the training loss, changed over unchanged, and the last epoch."""
    task = found.protocol.studied
    if task is None:
        return pd.DataFrame()
    rows = []
    for change, sweep in found.cuts.items():
        row: dict[str, object] = {"change": change}
        for measure, title in MEASURES.items():
            changed = _times(sweep, measure, task.targets[measure])
            ratio = paired_ratio(changed, _times(found.cuts["as selected"], measure, task.targets[measure]))
            row |= {title: ratio.estimate, f"{title}, low": ratio.low, f"{title}, high": ratio.high}
        rows.append({**row, **last_epoch(sweep)})
    return pd.DataFrame(rows)


def last_epoch(sweep: Sweep) -> dict[str, float]:
    """Medians of the measures after the last epoch, a run that did not get there counted as worse than every other."""
    frame = sweep.frame
    ends = frame.loc[frame.groupby(["configuration", "seed"])["epoch"].idxmax()]
    row: dict[str, float] = {}
    for measure in MEASURES:
        worst = 0.0 if measure.endswith("accuracy") else np.inf
        row[measure] = float(ends[measure].where(ends["status"] == "ok", worst).fillna(worst).median())
    return row | {"lost": int((ends["status"] != "ok").sum()), "runs": len(ends)}


def _start(sweep: Sweep) -> float:
    """Median of the training loss before the first step."""
    frame = sweep.frame
    return float(frame.loc[frame["epoch"] == 0, "train_loss"].median())


def _times(sweep: Sweep, measure: str, target: float) -> np.ndarray:
    """Epochs to a target, by seed."""
    return time_to_target(sweep.frame, measure, target).sort_index().to_numpy()
