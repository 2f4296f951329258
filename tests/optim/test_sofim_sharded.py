"""Two processes, each with half of every batch, walk the way of one: the norm is global under FSDP2 and DDP."""

import subprocess
import sys
from pathlib import Path

import pytest
import torch
from sharded_run import CASES, DTYPES, poison_of, step_given, summary, train

pytestmark = [
    pytest.mark.skipif(
        not (torch.distributed.is_available() and torch.distributed.is_gloo_available()),
        reason="this PyTorch has no gloo, which two processes on CPUs talk through",
    ),
    pytest.mark.skipif(torch.__version__.startswith("2.6."), reason="PyTorch 2.6 has no FSDP2 on a CPU"),
]


@pytest.fixture(scope="module")
def ends(tmp_path_factory):
    """What the two processes end with, in all cases."""
    folder = tmp_path_factory.mktemp("sharded")
    script = Path(__file__).with_name("sharded_run.py")
    command = [sys.executable, str(script)]
    processes = [
        subprocess.Popen(
            [*command, str(rank), str(folder / "store"), str(folder / "ends.pt")], stderr=subprocess.PIPE, text=True
        )
        for rank in (0, 1)
    ]
    try:
        errors = [process.communicate(timeout=240)[1] for process in processes]
    finally:
        for process in processes:
            process.kill()
    assert [process.returncode for process in processes] == [0, 0], "\n".join(errors)
    return torch.load(folder / "ends.pt")


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("kind", ["fsdp", "ddp"])
def test_two_processes_walk_the_way_of_one(ends, kind, dtype, case):
    tolerance = {"float64": 1e-12, "float32": 1e-6}[dtype]
    vector, record = summary(*train(DTYPES[dtype], CASES[case], poison=poison_of(case)))
    theirs, their_record = ends[kind, dtype, case]
    assert torch.isfinite(vector).all()
    assert (theirs - vector).abs().max() <= tolerance * vector.abs().max()
    assert their_record == pytest.approx(record, rel=1e3 * tolerance)


@pytest.mark.parametrize("placement", ["R", "S(0)", "S(1)"])
def test_only_what_is_cut_is_summed_over_the_processes(ends, placement):
    """A replica's norm counts once, however many hold it."""
    torch.testing.assert_close(ends["given", placement], step_given().detach(), rtol=1e-13, atol=1e-13)


def test_the_ways_differ_where_the_norm_does(ends):
    """A norm for each half alone would pass for none of the cases."""
    assert (ends["fsdp", "float64", "momentum"][0] - ends["fsdp", "float64", "each tensor"][0]).abs().max() > 1e-3
