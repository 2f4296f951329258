"""The one line that moves a sweep to a cluster."""

import os

import joblib
import pytest
import torch
from sweep_cases import CONFIGURATIONS, assert_same, run

from sofim_lab.optim import registry
from sofim_lab.optim.entry import Entry
from sofim_lab.training.configurations import Configuration
from sofim_lab.training.sweep_result import Sweep

distributed = pytest.importorskip("distributed", reason='Dask comes with "sofim-lab[cluster]"')
dask = pytest.importorskip("dask")


@pytest.mark.parametrize(
    "processes",  # workers that are processes are below, too, where one of them dies
    [pytest.param(False, id="threads"), pytest.param(True, id="processes", marks=pytest.mark.slow)],
)
def test_a_dask_cluster_gives_the_same_table(tmp_path, processes):
    here, store = run(), tmp_path / "runs.jsonl"
    run(seeds=(3,), store=store)
    options = {"n_workers": 2, "threads_per_worker": 1 if processes else 2, "processes": processes}
    with (
        distributed.LocalCluster(**options, dashboard_address=None) as cluster,
        distributed.Client(cluster) as client,
        joblib.parallel_config(backend="dask"),
    ):
        there = run(store=store)
        tasks = sum(len(log) for log in client.run(lambda dask_worker: [*dask_worker.state.stimulus_log]).values())
    assert_same(there, here)
    assert tasks > 0, "nothing was computed on the cluster"
    assert len(Sweep.read(store)) == 8


@pytest.fixture
def deadly(tmp_path):
    """Registers an optimizer that kills its worker: each time, or the first time only."""
    mark = str(tmp_path / "has died")

    def register(once):
        def build(params, lr):
            if not (once and os.path.exists(mark)):
                open(mark, "w").close()
                os._exit(3)
            return torch.optim.SGD(params, lr)

        registry.register(Entry("deadly", build))
        return Configuration("deadly", {"lr": 0.1})

    yield register
    registry.unregister("deadly")


@pytest.fixture(scope="module")
def cluster():
    """Two workers, each a process that is started again when it dies; the second death is one too many for a run."""
    options = {"n_workers": 2, "threads_per_worker": 1, "dashboard_address": None}
    patience = dask.config.set({"distributed.scheduler.allowed-failures": 1})
    with patience, distributed.LocalCluster(**options) as cluster, distributed.Client(cluster):
        yield


def test_what_a_dead_worker_was_doing_is_done_again(cluster, deadly, tmp_path):
    few = [*CONFIGURATIONS, deadly(once=True)]
    with joblib.parallel_config(backend="dask"):
        there = run(few)
    assert (tmp_path / "has died").exists()
    assert_same(there, run(few))


def test_a_run_that_kills_every_worker_is_named_after_all_others_are_done(cluster, deadly, tmp_path):
    store, bad, one = tmp_path / "runs.jsonl", deadly(once=False), {"seeds": (3,)}  # each run of it kills two workers
    with (
        joblib.parallel_config(backend="dask"),
        pytest.raises(RuntimeError, match=r'Dask has given up \d+ runs, .*deadly {"lr": 0\.1}, seed 3') as error,
    ):
        run([bad, *CONFIGURATIONS], store=store, **one)
    lost = str(error.value).count("seed ")
    assert lost < 5
    assert len(Sweep.read(store)) == 5 - lost
    assert "deadly" not in set(Sweep.read(store).frame.optimizer)
    assert_same(run(store=store, **one), run(**one))  # again, without it: only what is missing is computed
