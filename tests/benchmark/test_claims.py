"""Verdicts on made-up runs: what is known, what is not, and what was never run."""

import math

import pandas as pd
import pytest
from made_up import TASK, bench, final

from sofim_lab.benchmark import CLAIMS, DIGITS, Claim, Interval, Task, decide, judge, judge_all
from sofim_lab.problems import DATASETS

RIVAL = Claim("fewer epochs", "Adam")


def verdict(ours, theirs, claim=RIVAL, **more):
    return judge(claim, "digits", bench(final({"SOFIM": ours, "Adam": theirs}, **more)))


def test_faster_on_every_seed_is_supported():
    found = verdict([2, 3, 4, 3, 2], [4, 6, 8, 6, 4])
    assert found.status == "supported"
    assert found.ratio.estimate == pytest.approx(0.5)
    assert found.cells == (3, 3, 0, 0)
    assert "supported; ratio 0.5 [0.5, 0.5] of 3 cells (3 supported, 0 not supported" in str(found)


def test_slower_and_equal_are_not_supported():
    assert verdict([4, 6, 8], [2, 3, 4]).status == "not supported"
    assert verdict([4, 6, 8], [4, 6, 8]).status == "not supported"


def test_a_mixture_is_undecided():
    assert verdict([2, 9, 3, 8, 5], [5, 2, 8, 4, 6]).status == "undecided"


def test_runs_that_never_arrive_count():
    assert verdict([math.inf] * 5, [3, 4, 5, 6, 7]).status == "not supported"
    assert verdict([3, 4, 5, 6, 7], [math.inf] * 5).status == "supported"
    assert verdict([math.inf] * 5, [math.inf] * 5).status == "undecided"
    most = verdict([3, 3, math.inf, math.inf, math.inf], [4, 5, 6, 7, 8])
    assert most.status == "undecided"
    assert most.ratio.high == math.inf


def test_one_seed_decides_nothing():
    found = verdict([2], [4])
    assert found.status == "undecided"
    assert "ratio 0.5 [0, ∞] of 3 cells (0 supported, 0 not supported, 3 undecided" in str(found)


def test_a_target_that_holds_at_the_start_is_reached_with_the_first_epoch():
    at_once, lost_again = [0.01] * 11, [0.01, 1.0, *[0.01] * 9]
    found = verdict([at_once] * 3, [at_once] * 3)
    assert (found.status, str(found.ratio)) == ("not supported", "1 [1, 1]")
    assert str(verdict([at_once] * 3, [lost_again] * 3).ratio) == "0.5 [0.5, 0.5]"


def test_passes_may_turn_the_verdict_round():
    times = {"SOFIM": [5, 6, 7], "Adam": [4, 5, 6]}
    passes = {"SOFIM": 1.0, "Adam": 12.0}
    found = bench(final(times, passes=passes))
    assert judge(RIVAL, "digits", found).status == "not supported"
    assert judge(Claim("fewer passes", "Adam", "gradient_evaluations"), "digits", found).status == "supported"


def test_streams_are_judged_apart():
    shifted = Task("digits", "mlp", "dirichlet", epochs=10, targets=TASK.targets)
    found = bench(
        final({"SOFIM": [2, 2, 2], "Adam": [4, 4, 4]}), final({"SOFIM": [4, 4, 4], "Adam": [2, 2, 2]}, shifted)
    )
    assert judge(RIVAL, "digits", found).status == "supported"
    assert judge(Claim("under shift", "Adam", shifted=True), "digits", found).status == "not supported"


def test_what_was_not_run_is_undecided_and_says_so():
    found = bench(final({"SOFIM": [2, 2], "Adam": [3, 3]}))
    for claim, data in ((RIVAL, "mnist"), (Claim("", "L-BFGS"), "digits"), (Claim("", "Adam", shifted=True), "digits")):
        missing = judge(claim, data, found)
        assert (missing.status, missing.reason, missing.ratio) == ("undecided", "not run", None)
    assert str(judge(RIVAL, "mnist", found)) == "mnist: fewer epochs: undecided: not run"
    every = judge_all(found, tuple(DATASETS))
    assert len(every) == len(CLAIMS) * len(DATASETS)
    assert {one.status for one in every if one.data != "digits"} == {"undecided"}


def test_seconds_are_epochs_times_the_seconds_of_an_epoch():
    found = bench(final({"SOFIM": [4, 4, 4], "Adam": [5, 5, 5]}))
    slow = Claim("", "Adam", "seconds")
    assert judge(slow, "digits", found).reason == "costs not measured"
    rows = [(TASK.title, name, k, s, 8) for k in (1, 2, 3) for name, s in (("SOFIM", 0.3), ("Adam", 0.2))]
    costs = pd.DataFrame(rows, columns=["task", "optimizer", "round", "seconds", "state_bytes"])
    assert judge(slow, "digits", found, costs).ratio.estimate == pytest.approx(4 * 0.3 / (5 * 0.2))
    for of_one in (costs[costs["optimizer"] == "SOFIM"], costs[costs["optimizer"] == "Adam"]):
        assert judge(slow, "digits", found, of_one).reason == "costs not measured"
    step = judge(Claim("", "Adam", "seconds an epoch", threshold=1.1), "digits", found, costs)
    assert (step.status, step.cells) == ("not supported", (1, 0, 1, 0))
    state = judge(Claim("", "Adam", "bytes of state", threshold=1.1), "digits", found, costs)
    assert (state.status, state.ratio.estimate) == ("supported", 1.0)


@pytest.mark.parametrize(
    ("ours", "theirs", "ratio", "status"),
    [(8, 0, math.inf, "not supported"), (0, 8, 0.0, "supported"), (0, 0, 1.0, "supported")],
)
def test_an_optimizer_may_keep_nothing_at_all(ours, theirs, ratio, status):
    found = bench(final({"SOFIM": [4, 4, 4], "Adam": [5, 5, 5]}))
    rows = [(TASK.title, name, 1, 0.1, state) for name, state in (("SOFIM", ours), ("Adam", theirs))]
    costs = pd.DataFrame(rows, columns=["task", "optimizer", "round", "seconds", "state_bytes"])
    state = judge(Claim("", "Adam", "bytes of state", threshold=1.1), "digits", found, costs)
    assert (state.status, state.ratio) == (status, Interval(ratio, ratio, ratio))
    one_round = judge(Claim("", "Adam", "seconds an epoch", threshold=1.1), "digits", found, costs)
    assert (one_round.status, one_round.ratio.low, one_round.ratio.high) == ("undecided", 0, math.inf)


@pytest.mark.parametrize(
    ("low", "high", "status"),
    [(0.5, 0.99, "supported"), (0.5, 1.0, "undecided"), (1.0, 1.0, "not supported"), (1.0, math.inf, "not supported"),
     (0.0, math.inf, "undecided")],
)  # fmt: skip
def test_the_rule(low, high, status):
    assert decide(Interval(1.0, low, high)) == status


def test_every_claim_is_about_what_the_protocol_runs():
    for claim in CLAIMS:
        assert claim.rival in DIGITS.optimizers
    assert {claim.rival for claim in CLAIMS if claim.source == "paper" and not claim.shifted} == {
        "SGD momentum", "L-BFGS", "AdaHessian", "NystromSGD"
    }  # fmt: skip
