"""Processes: what they return comes back, what fails or hangs is named, and none is left."""

import os
import time

import psutil
import pytest
import torch

from sofim_lab.distributed import launch, sharded_run, why_unavailable
from sofim_lab.distributed.launch import sum_of_ranks

needs_gloo = pytest.mark.skipif(why_unavailable() is not None, reason="this PyTorch has no gloo")


def children():
    """The living processes that this one has started, but for joblib's and the tracker of shared resources."""
    found = psutil.Process().children(recursive=True)
    alive = [" ".join(p.cmdline()) for p in found if p.status() != psutil.STATUS_ZOMBIE]
    return [command for command in alive if "resource_tracker" not in command and "loky" not in command]


def fail_on_one(rank):
    if rank == 1:
        raise ArithmeticError("one has had enough")
    return sum_of_ranks(rank)  # waits for the other


def vanish(rank):
    os._exit(7)


def sleep(rank):
    time.sleep(600)


@needs_gloo
@pytest.mark.parametrize(
    ("function", "error", "named"),
    [
        (fail_on_one, RuntimeError, "one has had enough"),
        (vanish, RuntimeError, "exit code 7"),
        (sleep, TimeoutError, "timeout=5"),
    ],
)
def test_a_failure_is_named_and_leaves_no_process(function, error, named):
    with pytest.raises(error, match=named):
        launch(function, 2, timeout=5.0 if function is sleep else 60.0)
    assert children() == []


@needs_gloo
def test_what_they_return_comes_back_in_order():
    assert launch(scaled, 3, torch.ones(2)) == [("0", 0.0), ("1", 2.0), ("2", 4.0)]
    assert children() == []


class SlowToMeet:
    """Loading it makes the meeting of a process take a second longer, if the process is asked to be slow."""

    def __init__(self, slow):
        self.slow = slow

    def __setstate__(self, state):
        meet = torch.distributed.init_process_group

        def meet_slowly(*args, rank, **options):
            meet(*args, rank=rank, **options)
            if rank == state["slow"]:
                time.sleep(1.0)
            os.environ["MET_AT"] = str(time.time())

        torch.distributed.init_process_group = meet_slowly


def when_it_began(rank, _):
    return float(os.environ["MET_AT"]), time.time()


@needs_gloo
def test_none_begins_before_the_slowest_has_met_the_others():
    """One that was done and gone by then closed its connections on the slowest, which failed for it."""
    met, began = zip(*launch(when_it_began, 3, SlowToMeet(slow=0)), strict=True)
    assert min(began) >= max(met)


def scaled(rank, x):
    return str(rank), float((rank * x).sum())


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"processes": 0}, "processes=0"),
        ({"processes": 2.0}, r"processes=2\.0"),
        ({"timeout": 0.0}, r"timeout=0\.0"),
        ({"timeout": float("inf")}, "timeout=inf"),
        ({"function": lambda rank: rank}, "<lambda> is made inside a function"),
    ],
)
def test_what_is_out_of_range_is_named(options, named):
    with pytest.raises(ValueError, match=named):
        launch(**{"function": scaled, "processes": 2, **options})


def test_a_function_of_a_notebook_is_refused():
    def cell(rank):
        return rank

    cell.__module__ = "__main__"
    with pytest.raises(ValueError, match="cell stands in a notebook"):
        launch(cell, 2)


@pytest.mark.parametrize("missing", ["is_available", "is_gloo_available"])
def test_without_gloo_one_sentence_says_what_is_missing(monkeypatch, missing):
    monkeypatch.setattr(torch.distributed, missing, lambda: False)
    with pytest.raises(RuntimeError, match=r"this PyTorch was built without .*: install a build that has it"):
        sharded_run(2)
