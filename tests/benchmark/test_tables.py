"""Tables of the benchmark on made-up runs."""

import dataclasses
import math

import pandas as pd
import pytest
from made_up import TASK, bench, final, run_of

from sofim_lab.benchmark import tables
from sofim_lab.benchmark.report import write_report
from sofim_lab.training import Configuration, Sweep


def scan(name, last):
    """Runs that start at a loss of 2 and end at the given ones, by the factor of the rate."""
    return {
        factor: Sweep((run_of(Configuration(name, {"lr": factor}), 0, [2.0, end]),)) for factor, end in last.items()
    }


def test_usable_rates_are_those_near_the_best_and_spoilt_ones_gain_nothing():
    found = dataclasses.replace(
        bench(final({"SOFIM": [1], "Adam": [1]})),
        scans={
            "SOFIM": scan("SOFIM", {0.25: 2.5, 0.5: 0.2, 1.0: 0.1, 2.0: 0.15, 4.0: 2.0, 8.0: 3.0}),
            "Adam": scan("Adam", {0.5: 0.4, 1.0: 0.1, 2.0: 0.3}),
        },
    )
    sofim, adam = tables.usable_rates(found).to_dict("records")
    spans = {"usable": 3, "tried": 6, "lowest": 0.5, "highest": 2.0, "spoilt_from": 4.0}
    assert sofim == {"optimizer": "SOFIM", **spans}  # 0.25 ends above the start, too, but not as it is too large
    assert adam == {
        "optimizer": "Adam",
        "usable": 1,
        "tried": 3,
        "lowest": 1.0,
        "highest": 1.0,
        "spoilt_from": pytest.approx(math.nan, nan_ok=True),
    }


def test_rates_at_which_every_run_is_lost_are_not_usable():
    lost = {**run_of(Configuration("SOFIM", {"lr": 2.0}), 0, [2.0, 0.1]), "status": "diverged"}
    found = dataclasses.replace(bench(final({"SOFIM": [1], "Adam": [1]})), scans={"SOFIM": {2.0: Sweep((lost,))}})
    (row,) = tables.usable_rates(found).to_dict("records")
    assert row["usable"] == 0
    assert math.isnan(row["lowest"])
    assert row["spoilt_from"] == 2.0


def test_rates_at_which_every_run_fails_are_spoilt():
    """A run that failed has one row without numbers: no start to compare with."""
    failed = {**run_of(Configuration("SOFIM", {"lr": 4.0}), 0, [None]), "status": "failed"}
    found = dataclasses.replace(
        bench(final({"SOFIM": [1], "Adam": [1]})),
        scans={
            "SOFIM": {**scan("SOFIM", {1.0: 0.1, 2.0: 0.15}), 4.0: Sweep((failed,))},
            "Adam": {4.0: Sweep((failed,))},
        },
    )
    sofim, adam = tables.usable_rates(found).to_dict("records")
    assert (sofim["usable"], sofim["highest"], sofim["spoilt_from"]) == (2, 2.0, 4.0)
    assert (adam["usable"], adam["spoilt_from"]) == (0, 4.0)


def test_no_scans_no_rates():
    assert tables.usable_rates(bench(final({"SOFIM": [1], "Adam": [1]}))).empty


SHIFTED = dataclasses.replace(TASK, stream="dirichlet")
COSTS = pd.DataFrame(
    [("digits, mlp", "SOFIM", number, seconds, 8) for number, seconds in enumerate((0.5, 0.25, 9.0))]
    + [("digits, mlp", "Adam", 0, 2.0, 16)],
    columns=["task", "optimizer", "round", "seconds", "state_bytes"],
)


def test_seconds_to_a_target_are_epochs_times_the_median_seconds_of_one():
    """On a shifted stream an epoch costs what it costs on the shuffled one."""
    found = bench(
        final({"SOFIM": [2, 4, math.inf], "Adam": [math.inf, math.inf, 3], "SGD": [1, 1, 1]}),
        final({"SOFIM": [6, 6, 6]}, SHIFTED),
    )
    frame = tables.seconds(found, COSTS)
    loss = frame[frame["measure"] == "training loss"].set_index(["task", "optimizer"])
    assert loss["median"].to_dict() == {
        ("digits, mlp", "SOFIM"): 2.0,
        ("digits, mlp", "Adam"): math.inf,  # SGD was not timed
        ("digits, mlp, dirichlet", "SOFIM"): 3.0,
    }
    assert loss.loc[("digits, mlp", "SOFIM"), ["low", "high"]].tolist() == [1.0, math.inf]
    assert loss.loc[("digits, mlp", "Adam"), "censored"] == 2
    assert tables.seconds(dataclasses.replace(found, finals={}), COSTS).empty


def test_the_report_has_seconds_where_costs_were_measured(tmp_path):
    found = bench(final({"SOFIM": [2, 2, 2], "Adam": [3, 3, 3]}))
    page, _ = write_report(found, tmp_path, ["digits"])
    assert "Seconds to target" not in page.read_text()
    page, _ = write_report(found, tmp_path, ["digits"], COSTS)
    assert "### Seconds to target" in page.read_text()
    assert len(pd.read_csv(tmp_path / "seconds.csv")) == 6
