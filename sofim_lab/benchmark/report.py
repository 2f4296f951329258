"""The results as Markdown and CSV files."""

import math
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from sofim_lab.benchmark import tables
from sofim_lab.benchmark.claims import Verdict, judge_all
from sofim_lab.benchmark.intervals import Interval
from sofim_lab.benchmark.results import Benchmark


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
    folder.mkdir(parents=True, exist_ok=True)
    judged = judge_all(found, data, costs)
    frames = {
        "verdicts": tables.verdicts(judged),
        "epochs": tables.times(found),
        "passes": tables.times(found, "gradient_evaluations"),
        "ratios": tables.ratios(found),
        "ratios_in_passes": tables.ratios(found, "gradient_evaluations"),
        "selected": tables.selected(found),
        "last_epoch": tables.finals(found),
        "learning_rates": tables.scans(found),
        "ablations": tables.cuts(found),
    }
    for name, frame in frames.items():
        if len(frame):
            frame.to_csv(folder / f"{name}.csv", index=False)
    page = folder / "report.md"
    page.write_text(markdown(frames, costs, heading), encoding="utf-8")
    return page, judged


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
    medians = costs.groupby(["task", "optimizer"], sort=False)[["seconds", "state_bytes"]].median()
    rows = []
    for (task, name), row in medians.iterrows():
        base = medians["seconds"].get((task, "SGD momentum"), math.nan)
        cost = {"ms an epoch": 1e3 * row["seconds"], "× SGD momentum": row["seconds"] / base}
        rows.append({"task": task, "optimizer": name, **cost, "kB of state": row["state_bytes"] / 1e3})
    return pd.DataFrame(rows)


def _verdicts(frame: pd.DataFrame) -> str:
    """A line a claim and data set; those that were not run in one line a claim."""
    rows = []
    for (claim, source), own in frame.groupby(["claim", "source"], sort=False):
        missing = own[own["reason"] != ""]
        for row in own[own["reason"] == ""].itertuples():
            ratio = str(Interval(row.ratio, row.low, row.high))
            counts = " / ".join(
                str(int(own.loc[row.Index, f"{kind} alone"])) for kind in ("supported", "not supported", "undecided")
            )
            rows.append((claim, source, row.data, f"**{row.status}**", ratio, counts))
        for reason, names in missing.groupby("reason", sort=False)["data"]:
            rows.append((claim, source, ", ".join(names), f"undecided: {reason}", "", ""))
    columns = ["claim", "from", "data", "verdict", "ratio [95 %]", "cells alone: yes / no / open"]
    return table(pd.DataFrame(rows, columns=columns))


def _times(frame: pd.DataFrame, censored: str = "never") -> str:
    """A row an optimizer, a column a measure; `censored` stands for a time that was not reached, {} for the epochs."""
    cells = []
    for row in frame.itertuples():
        ends = (
            f"{x:.3g}" if math.isfinite(x) else censored.format(row.epochs) for x in (row.median, row.low, row.high)
        )
        cells.append("{} [{}, {}]".format(*ends))
    return _wide(frame.assign(cell=cells), "optimizer")


def _ratios(frame: pd.DataFrame) -> str:
    """A row a rival, a column a task and measure."""
    cells = [str(Interval(*ends)) for ends in frame[["ratio", "low", "high"]].itertuples(index=False)]
    return _wide(frame.assign(cell=cells), "rival")


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
    cells = {
        title: [
            str(Interval(*ends)) for ends in frame[[title, f"{title}, low", f"{title}, high"]].itertuples(index=False)
        ]
        for title in titles
    }
    ends = {"training loss at the end": frame["train_loss"], "lost": frame["lost"]}
    return table(pd.DataFrame({"change": frame["change"], **cells, **ends}))


def _cell(value: object) -> str:
    """A number in three digits, a text as it is."""
    if isinstance(value, float):
        return "" if math.isnan(value) else "∞" if math.isinf(value) else f"{value:.3g}"
    return str(value).replace("|", "\\|")
