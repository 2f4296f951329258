"""The results as Markdown and CSV files."""

import math
from collections.abc import Hashable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from sofim_lab.benchmark import tables
from sofim_lab.benchmark.claims import Verdict, judge_all
from sofim_lab.benchmark.intervals import Interval
from sofim_lab.benchmark.results import Benchmark
from sofim_lab.files import write_atomically


def write_report(
    found: Benchmark, folder: Path, data: Sequence[str], costs: pd.DataFrame | None = None, heading: str = ""
) -> tuple[Path, list[Verdict]]:
    """Write `report.md` and a CSV file for each table.

    Args:
        found: What was measured.
        folder: It is made where there is none.
        data: Names of the data sets on which the claims are judged, run or not.
        costs: Of `measure_costs`.
        heading: What stands above the tables: machine, versions, command.

    Returns:
        The page, and the verdicts.
    """
    judged = judge_all(found, data, costs)
    frames = {
        "verdicts": tables.verdicts(judged),
        "epochs": tables.times(found),
        "passes": tables.times(found, "gradient_evaluations"),
        "seconds": tables.seconds(found, costs),
        "ratios": tables.ratios(found),
        "ratios_in_passes": tables.ratios(found, "gradient_evaluations"),
        "selected": tables.selected(found),
        "last_epoch": tables.finals(found),
        "learning_rates": tables.scans(found),
        "ablations": tables.cuts(found),
    }
    for name, frame in frames.items():
        if len(frame):
            write_table(frame, folder / f"{name}.csv")
    page = folder / "report.md"
    write_atomically(page, markdown(frames, costs, heading))
    return page, judged


def write_table(frame: pd.DataFrame, path: Path) -> None:
    """A CSV file, whole or not at all, in a folder that is made where there is none."""
    write_atomically(path, frame.to_csv(index=False))


def markdown(frames: dict[str, pd.DataFrame], costs: pd.DataFrame | None = None, heading: str = "") -> str:
    """The tables for people, in the order in which one wants to read them.

    Args:
        frames: As `write_report` makes them.
        costs: Of `measure_costs`.
        heading: What stands above.

    Returns:
        Markdown that ends with a line end.
    """
    parts = [heading.strip(), "### Verdicts", _verdicts(frames["verdicts"])]
    if len(frames["epochs"]):
        parts += ["### Epochs to target", "Median over the seeds [95 % interval].", _times(frames["epochs"], "> {}")]
        parts += [
            "### Passes to target",
            "Gradient evaluations in passes over the training images.",
            _times(frames["passes"]),
        ]
        if len(frames["seconds"]):
            how = "Epochs times the median seconds of one, measured by themselves; the intervals take these as exact."
            parts += ["### Seconds to target", how, _times(frames["seconds"])]
        parts += ["### Ratios of epochs", "SOFIM's median over the rival's, paired by seed.", _ratios(frames["ratios"])]
        parts += ["### Selected settings", table(frames["selected"])]
        parts += ["### After the last epoch", table(frames["last_epoch"])]
    if costs is not None:
        parts += ["### Costs of an epoch", table(cost_table(costs))]
    if len(frames["learning_rates"]):
        parts += ["### Learning rates", table(_last(frames["learning_rates"], "train_loss"))]
    if len(frames["ablations"]):
        parts += ["### One change to SOFIM", "Epochs, changed over unchanged.", _ablations(frames["ablations"])]
    return "\n\n".join(part for part in parts if part) + "\n"


def table(frame: pd.DataFrame) -> str:
    """A frame in GitHub-flavoured Markdown, numbers in three digits.

    Example:
        >>> print(table(pd.DataFrame({"a": [1, 2], "b": [0.12345, float("inf")]})))
        | a | b |
        |---|---|
        | 1 | 0.123 |
        | 2 | ∞ |
    """
    lines = ["| " + " | ".join(map(str, frame.columns)) + " |", "|" + "---|" * len(frame.columns)]
    rows = frame.itertuples(index=False)
    return "\n".join(lines + ["| " + " | ".join(map(_cell, row)) + " |" for row in rows])


def cost_table(costs: pd.DataFrame) -> pd.DataFrame:
    """A row a task and optimizer: median milliseconds of an epoch, as a multiple of SGD momentum's, and its state."""
    medians = costs.groupby(["task", "optimizer"], sort=False)[["seconds", "state_bytes"]].median().reset_index()
    base = medians[medians["optimizer"] == "SGD momentum"].set_index("task")["seconds"]
    return pd.DataFrame(
        {
            "task": medians["task"],
            "optimizer": medians["optimizer"],
            "ms an epoch": 1e3 * medians["seconds"],
            "× SGD momentum": medians["seconds"] / medians["task"].map(base),
            "kB of state": medians["state_bytes"] / 1e3,
        }
    )


def _verdicts(frame: pd.DataFrame) -> str:
    """A line a claim and data set; those that were not run in one line a claim."""
    rows = []
    for _, own in frame.groupby(["claim", "source"], sort=False):
        claim, source = own["claim"].iloc[0], own["source"].iloc[0]
        for row in own[own["reason"] == ""].to_dict("records"):
            counts = " / ".join(str(row[f"{kind} alone"]) for kind in ("supported", "not supported", "undecided"))
            rows.append((claim, source, row["data"], f"**{row['status']}**", _interval(row, "ratio"), counts))
        for reason, names in own[own["reason"] != ""].groupby("reason", sort=False)["data"]:
            rows.append((claim, source, ", ".join(names), f"undecided: {reason}", "", ""))
    columns = ["claim", "from", "data", "verdict", "ratio [95 %]", "cells alone: yes / no / open"]
    return table(pd.DataFrame(rows, columns=columns))


def _interval(row: Mapping[Hashable, Any], title: str, low: str = "low", high: str = "high") -> str:
    """A ratio and its ends in a row of a table."""
    return str(Interval(row[title], row[low], row[high]))


def _times(frame: pd.DataFrame, censored: str = "never") -> str:
    """A row an optimizer, a column a measure; `censored` stands for a time that was not reached, {} for the epochs."""
    cells = []
    for row in frame.to_dict("records"):
        ends = [row[name] for name in ("median", "low", "high")]
        middle, low, high = (f"{x:.3g}" if math.isfinite(x) else censored.format(row["epochs"]) for x in ends)
        cells.append(f"{middle} [{low}, {high}]")
    return _wide(frame.assign(cell=cells), "optimizer")


def _ratios(frame: pd.DataFrame) -> str:
    """A row a rival, a column a task and measure."""
    return _wide(frame.assign(cell=[_interval(row, "ratio") for row in frame.to_dict("records")]), "rival")


def _wide(frame: pd.DataFrame, rows: str) -> str:
    """A table a task: a row a name, a column a measure with its target where there is one."""
    parts = []
    for task, own in frame.groupby("task", sort=False):
        titles = own["measure"] + (own["target"].map(" {:g}".format) if "target" in own else "")
        grid = own.assign(title=titles).pivot(index=rows, columns="title", values="cell")
        grid = grid.loc[own[rows].unique(), titles.unique()].reset_index()
        parts.append(f"*{task}*\n\n{table(grid)}")
    return "\n\n".join(parts)


def _last(frame: pd.DataFrame, measure: str) -> pd.DataFrame:
    """A row an optimizer, a column a factor of the learning rate."""
    grid = frame.pivot(index="optimizer", columns="factor", values=measure)
    return (
        grid.loc[frame["optimizer"].unique()]
        .reset_index()
        .rename(columns=lambda name: name if name == "optimizer" else f"× {name:g}")
    )


def _ablations(frame: pd.DataFrame) -> str:
    """A row a change, ratios with their ends."""
    titles = [name.removesuffix(", low") for name in frame.columns if name.endswith(", low")]
    rows = frame.to_dict("records")
    cells = {title: [_interval(row, title, f"{title}, low", f"{title}, high") for row in rows] for title in titles}
    ends = {"training loss at the end": frame["train_loss"], "lost": frame["lost"]}
    return table(pd.DataFrame({"change": frame["change"], **cells, **ends}))


def _cell(value: object) -> str:
    """A number in three digits, a text as it is."""
    if isinstance(value, float):
        return "" if math.isnan(value) else "∞" if math.isinf(value) else f"{value:.3g}"
    return str(value).replace("|", "\\|")
