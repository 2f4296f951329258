"""The one line that moves a sweep to a cluster."""

import joblib
import pytest
from sweep_cases import assert_same, run

from sofim_lab.training.sweep_result import Sweep

distributed = pytest.importorskip("distributed", reason='Dask comes with "sofim-lab[cluster]"')


@pytest.mark.parametrize("processes", [False, True], ids=["threads", "processes"])
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
