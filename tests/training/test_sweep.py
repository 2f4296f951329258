"""Sweeps: one table, wherever and whenever its runs are computed."""

import json
import os
import pickle
import signal
import subprocess
import sys
from concurrent.futures.process import BrokenProcessPool
from types import ModuleType

import joblib
import numpy as np
import pandas as pd
import pytest
import torch
from sweep_cases import CONFIGURATIONS, assert_same, run
from tqdm.auto import tqdm

from sofim_lab.optim import registry
from sofim_lab.problems import build_model, load_dataset, streams
from sofim_lab.training import sweep as sweep_function
from sofim_lab.training import train
from sofim_lab.training.configurations import Configuration
from sofim_lab.training.store import writing
from sofim_lab.training.sweep_result import Sweep
from sofim_lab.training.task import QUANTILES, run_task

GOOD, BAD, WILD = CONFIGURATIONS[:2], CONFIGURATIONS[2], CONFIGURATIONS[3]


@pytest.fixture(scope="module")
def alone():
    """The table of one process, run after run."""
    return run()


def test_a_run_is_the_one_that_train_does():
    result = run(GOOD, seeds=(3,), stream="sorted_by_class", evaluate_on=("train", "test"), dtype=torch.float64)
    data = load_dataset("digits", "cpu", torch.float64)
    for one in GOOD:
        model = build_model("logreg", data, seed=3)
        direct = train(
            model,
            data,
            registry.make(one.optimizer, model.parameters(), **one.settings),
            epochs=3,
            batch_size=300,
            seed=3,
            stream=streams.get("sorted_by_class"),
            evaluate_on=("train", "test"),
            progress=False,
        )
        mine = result.frame[result.frame.configuration == one.key].reset_index(drop=True)
        theirs = direct.to_frame()
        same = ["epoch", "train_loss", "test_loss", "val_loss", "test_accuracy", "gradient_evaluations"]
        pd.testing.assert_frame_equal(mine[same], theirs[same], check_exact=True)
        lengths = result.steps[result.steps.configuration == one.key].iloc[0]
        steps = torch.tensor([step.step_length for step in direct.steps], dtype=torch.float64)
        assert lengths["steps"] == len(steps) == 12
        assert (lengths[0.0], lengths[1.0]) == (float(steps.min()), float(steps.max()))
        assert {one_run["max_step_length"] for one_run in result.runs if one_run["configuration"] == one.key} == {
            float(steps.max())
        }
        assert lengths[0.5] == pytest.approx(float(steps.quantile(0.5)), rel=1e-12)


def test_the_table_says_of_each_row_what_it_is(alone):
    frame = alone.frame
    assert list(frame.columns[:9]) == [
        "configuration", "optimizer", "settings", "model", "data", "stream", "batch_size", "seed", "epoch",
    ]  # fmt: skip
    assert list(frame.columns[-2:]) == ["status", "error"]
    order = frame.drop_duplicates(["configuration", "seed"])[["configuration", "seed"]]
    assert list(order.itertuples(index=False, name=None)) == [(c.key, seed) for c in CONFIGURATIONS for seed in (0, 3)]
    assert json.loads(frame.settings[0]) == {"lr": 0.7, "rho": 0.3}
    assert set(frame.model) == {"logreg"}
    assert set(frame.data) == {"digits"}
    assert set(frame.stream) == {"shuffled"}
    assert set(frame.batch_size) == {300}
    assert list(frame.epoch[:4]) == [0, 1, 2, 3]
    assert list(alone.steps.columns[8:]) == ["steps", *QUANTILES, "status", "error"]
    assert len(alone) == len(alone.steps) == 8


def test_failing_and_diverging_runs_are_rows_among_the_others(alone):
    frame = alone.frame.set_index("configuration")
    for one in GOOD:
        assert set(frame.status[one.key]) == {"ok"}
        assert set(frame.error[one.key]) == {""}
        assert frame.train_loss[one.key].notna().all()
    failed, wild = frame.loc[BAD.key], frame.loc[WILD.key]
    assert list(failed.status) == ["failed", "failed"]
    assert list(failed.epoch) == [0, 0]
    assert failed.train_loss.isna().all()
    assert set(failed.error) == {"ValueError: Invalid learning rate: -1.0"}
    assert set(wild.status) == {"diverged"}
    assert wild.error.str.fullmatch(r"not finite at step \d+").all()


@pytest.mark.parametrize("kind", [RuntimeError, ZeroDivisionError, MemoryError])
def test_whatever_an_optimizer_raises_is_a_row(optimizer, kind):
    def raising(params, lr):
        raise kind("on purpose")

    result = run([optimizer("raising", raising), GOOD[0]], seeds=(0,))
    assert [(one["status"], one["error"]) for one in result.runs] == [
        ("failed", f"{kind.__name__}: on purpose"),
        ("ok", ""),
    ]


@pytest.mark.parametrize(
    ("backend", "n_jobs"),
    [("loky", 2), ("threading", 2), ("multiprocessing", 2), ("multiprocessing", 1), ("sequential", 1)],
)
def test_the_table_is_the_same_however_many_work_on_it(alone, backend, n_jobs):
    with joblib.parallel_config(backend=backend, n_jobs=n_jobs):
        assert_same(run(), alone)


def test_n_jobs_is_enough(alone):
    assert_same(run(n_jobs=2), alone)


def test_a_run_has_one_thread_and_gives_the_others_back(optimizer):
    seen = []

    def watching(params, lr):
        seen.append(torch.get_num_threads())
        return torch.optim.SGD(params, lr)

    before = torch.get_num_threads()
    torch.set_num_threads(3)
    try:
        run([optimizer("watching", watching)])
        assert (seen, torch.get_num_threads()) == ([1, 1], 3)
    finally:
        torch.set_num_threads(before)


def test_an_optimizer_of_ones_own_travels_to_the_workers(optimizer):
    mine = optimizer("of my own", lambda params, lr: torch.optim.SGD(params, lr))
    assert_same(run([mine], n_jobs=2), run([mine]))
    assert set(run([mine], n_jobs=2).frame.status) == {"ok"}


def test_a_sweep_leaves_the_random_numbers_alone():
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    run(GOOD)
    assert torch.equal(torch.rand(3), expected)


def test_the_second_call_computes_nothing(alone, tmp_path, monkeypatch):
    store = tmp_path / "runs.jsonl"
    assert_same(run(store=store), alone)
    before = store.read_bytes()
    monkeypatch.setattr("sofim_lab.training.task.train", lambda *_, **__: pytest.fail("a run was computed again"))
    again = run(store=store)
    assert_same(again, alone)
    assert list(again.frame.seconds.dropna()) == list(run(store=str(store)).frame.seconds.dropna())
    assert store.read_bytes() == before


def test_only_what_is_missing_is_computed(alone, tmp_path):
    store = tmp_path / "runs.jsonl"
    run(GOOD[1:], seeds=(3,), store=store)
    seconds = Sweep.read(store).frame.seconds.max()
    assert len(Sweep.read(store)) == 1
    result = run(store=store)
    assert_same(result, alone)
    assert seconds in set(result.frame.seconds)
    assert len(Sweep.read(store)) == 8


@pytest.mark.parametrize(
    "change",
    [
        {"epochs": 2},
        {"batch_size": 299},
        {"model": "mlp"},
        {"data": "digits-noisy"},
        {"stream": "sorted_by_class"},
        {"dtype": torch.float64},
        {"evaluate_on": ("val",)},
        {"device": "cpu:0"},
    ],
    ids=lambda change: next(iter(change)),
)
def test_runs_of_other_settings_stand_beside_each_other(tmp_path, change):
    store, one = tmp_path / "runs.jsonl", GOOD[:1]
    first = run(one, seeds=(0,), store=store)
    run(one, seeds=(0,), store=store, **change)
    assert len(Sweep.read(store)) == 2
    assert_same(run(one, seeds=(0,), store=store), first)


def test_a_torn_line_is_computed_again(alone, tmp_path):
    store = tmp_path / "runs.jsonl"
    run(store=store)
    store.write_bytes(store.read_bytes()[:-20])
    assert_same(run(store=store), alone)
    assert len(Sweep.read(store)) == 8


def test_pandas_reads_the_store(alone, tmp_path):
    store = tmp_path / "runs.jsonl"
    run(store=store)
    lines = pd.read_json(store, lines=True, precise_float=True)
    assert len(lines) == 8
    history = lines[(lines.configuration == GOOD[0].key) & (lines.seed == 3)].history.iloc[0]
    rows = alone.frame[(alone.frame.configuration == GOOD[0].key) & (alone.frame.seed == 3)]
    assert history["train_loss"] == list(rows.train_loss)


def test_a_store_that_pandas_has_written_anew_is_read(alone, tmp_path):
    store = tmp_path / "runs.jsonl"
    run(store=store)
    table = pd.read_json(store, lines=True, precise_float=True)
    table.to_json(store, orient="records", lines=True, double_precision=15)
    result = run(store=store)
    for mine, theirs in ((result.frame, alone.frame), (result.steps, alone.steps)):
        pd.testing.assert_frame_equal(mine.drop(columns="seconds", errors="ignore"),
                                      theirs.drop(columns="seconds", errors="ignore"), rtol=1e-14)  # fmt: skip


@pytest.mark.parametrize(
    "change",
    [
        lambda one: one | {"seed": 1},
        lambda one: one | {"seed": 3.0},
        lambda one: one | {"settings": one["settings"] | {"lr": 0.3}},
        lambda one: one | {"optimizer": "SGD momentum"},
        lambda one: one | {"epochs": 4},
        lambda one: one | {"together": 2},
        lambda one: one | {"configuration": "0123456789ab"},
        lambda one: {key: value for key, value in one.items() if key != "dtype"},
        lambda one: {key: value for key, value in one.items() if key != "software"},
    ],
    ids=["seed", "float", "setting", "optimizer", "epochs", "together", "configuration", "no dtype", "no software"],
)
def test_a_line_that_was_changed_by_hand_is_not_taken_for_a_run(tmp_path, change):
    store = tmp_path / "runs.jsonl"
    one = run(GOOD[:1], seeds=(3,), store=store, epochs=1).runs[0]
    store.write_text(json.dumps(change(one)) + "\n")
    with pytest.raises(ValueError, match=rf"runs\.jsonl: the line of run {one['run']} has been changed, .*: delete"):
        run(GOOD[:1], seeds=(3,), store=store, epochs=1)


def test_a_store_of_another_version_is_refused(tmp_path):
    store = tmp_path / "runs.jsonl"
    run(GOOD, store=store)
    store.write_text(store.read_text().replace('"torch": "', '"torch": "0.'))
    before = store.read_bytes()
    with pytest.raises(ValueError, match=r"runs\.jsonl holds runs of sofim_lab .*torch 0\..* this is .*another store"):
        run(store=store)
    assert store.read_bytes() == before


def test_two_sweeps_do_not_write_to_one_store(tmp_path):
    store = tmp_path / "runs.jsonl"
    with writing(store), pytest.raises(RuntimeError, match="another sweep is writing"):
        run(store=store)


def test_a_store_that_has_everything_is_read_while_another_sweep_writes(alone, tmp_path):
    store = tmp_path / "runs.jsonl"
    run(store=store)
    with writing(store):
        assert_same(run(store=store), alone)


def test_what_another_sweep_finished_meanwhile_is_not_computed(alone, tmp_path, monkeypatch):
    store, seen = tmp_path / "runs.jsonl", [{}]  # at the first look it is still empty
    run(store=store)
    module = sys.modules["sofim_lab.training.sweep"]
    read = module.read_runs
    monkeypatch.setattr(module, "read_runs", lambda path: seen.pop() if seen else read(path))
    monkeypatch.setattr("sofim_lab.training.task.train", lambda *_, **__: pytest.fail("a run was computed again"))
    assert_same(run(store=store), alone)
    assert seen == []


def test_an_interrupt_keeps_what_is_finished(optimizer, tmp_path):
    store, calls = tmp_path / "runs.jsonl", []

    def interrupted(params, lr):
        calls.append(lr)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return torch.optim.SGD(params, lr)

    one = [optimizer("interrupted", interrupted)]
    with pytest.raises(KeyboardInterrupt):
        run(one, seeds=(0, 1, 2), store=store)
    assert len(Sweep.read(store)) == 1
    assert len(run(one, seeds=(0, 1, 2), store=store)) == 3
    assert len(calls) == 4


def test_a_constructor_that_draws_depends_on_its_seed_alone(optimizer, alone):
    def drawing(params, lr):
        return torch.optim.SGD(params, lr * float(torch.rand(())))

    mine = optimizer("drawing", drawing)
    first = run([mine, *GOOD]).frame.drop(columns="seconds")
    assert first.iloc[8:].reset_index(drop=True).equals(alone.frame.drop(columns="seconds").iloc[:16])
    last = run([*GOOD, mine]).frame.drop(columns="seconds")
    pd.testing.assert_frame_equal(last.iloc[16:].reset_index(drop=True), first.iloc[:8], check_exact=True)
    many = run([mine], together=True).frame
    assert many.train_loss.tolist() == pytest.approx(first.train_loss[:8].tolist(), rel=1e-4)


def test_what_can_be_gone_through_once_is_gone_through_once():
    given = {"seeds": (seed for seed in (0, 3)), "evaluate_on": (part for part in ("train", "val"))}
    assert_same(run(iter(GOOD), **given), run(GOOD))


def test_numbers_of_numpy_and_pytorch_are_numbers(tmp_path):
    store = tmp_path / "runs.jsonl"
    first = run(GOOD[:1], store=store)
    before = store.read_bytes()
    for seeds in (np.array([0, 3]), torch.tensor([0, 3])):
        assert_same(run(GOOD[:1], store=store, seeds=seeds, epochs=np.int64(3), batch_size=np.int16(300)), first)
    assert store.read_bytes() == before


@pytest.mark.skipif(os.name == "nt", reason="signals of POSIX")
@pytest.mark.parametrize(
    "real", [pytest.param(False, id="pretended"), pytest.param(True, id="killed", marks=pytest.mark.slow)]
)
def test_a_worker_that_dies_is_named_and_costs_what_was_not_finished(alone, optimizer, tmp_path, monkeypatch, real):
    def deadly(params, lr):
        if real:
            os.kill(os.getpid(), signal.SIGKILL)
        raise BrokenProcessPool

    def broken(task, entry):
        if task.configuration.optimizer == "deadly":
            raise BrokenProcessPool
        return run_task(task, entry)

    store, few = tmp_path / "runs.jsonl", [*GOOD, optimizer("deadly", deadly), WILD]
    if not real:
        monkeypatch.setattr("sofim_lab.training.portion.run_task", broken)
    with pytest.raises(RuntimeError, match=r'a worker process died, .* probably of .*deadly {"lr": 0\.1}, seed 0'):
        run(few, store=store, n_jobs=2 if real else 1)
    assert len(Sweep.read(store)) >= 3  # the other worker may have been in the fourth
    assert_same(run(store=store), alone)


def test_the_same_run_is_not_done_twice():
    assert len(run(GOOD[:1] * 2, seeds=(0, 0))) == 1


def test_a_bar_counts_the_runs_but_not_in_a_report(tmp_path, monkeypatch, capsys):
    store = tmp_path / "runs.jsonl"
    monkeypatch.setenv("SOFIM_LAB_REPORT", "1")
    run(GOOD[:1], store=store, progress=None)
    assert capsys.readouterr().err == ""
    monkeypatch.delenv("SOFIM_LAB_REPORT")
    run(GOOD, store=store, progress=None)
    assert "2/4" in capsys.readouterr().err  # those of the first call are done


def test_the_bar_moves_with_every_run(monkeypatch):
    counts = []

    class Bar(tqdm):
        def update(self, n=1):
            super().update(n)
            counts.append((self.n, self.total))

    monkeypatch.setattr(sys.modules["sofim_lab.training.sweep"], "tqdm", Bar)
    run(GOOD, progress=True)
    assert counts == [(1, 4), (2, 4), (3, 4), (4, 4)]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"configurations": []}, r"configurations=\[\] must be a list"),
        ({"configurations": GOOD[0]}, "configurations=.* must be a list"),
        ({"seeds": ()}, r"seeds=\(\) must hold at least one seed"),
        ({"seeds": 3}, "seeds=3 must hold at least one seed"),
        ({"seeds": "12"}, "seeds='12' must hold at least one seed"),
        ({"seeds": (0.5,)}, r"seed=0\.5 must be a whole number"),
        ({"seeds": (0, 2**64)}, r"seed=18446744073709551616 must lie between -2\*\*63 and 2\*\*64 - 1"),
        ({"seeds": (-(2**63) - 1,)}, "seed=-9223372036854775809 must lie between"),
        ({"configurations": ["SGD"]}, r"configurations hold 'SGD': each must be a Configuration\('SGD'"),
        ({"configurations": [GOOD]}, "configurations hold .*: each must be a Configuration"),
        ({"epochs": 1.5}, r"epochs=1\.5 must be a whole number"),
        ({"batch_size": "64"}, "batch_size='64' must be a whole number"),
        ({"data": object()}, "data, of type object, must be a name, e.g. 'digits': names travel to workers"),
        ({"model": torch.nn.Linear}, "model, of type type, must be a name, e.g. 'mlp'"),
        ({"stream": streams.shuffled}, "stream, of type Stream, must be a name, e.g. 'shuffled'"),
        ({"evaluate_on": None}, "evaluate_on=None must name at least one"),
        ({"epochs": -1}, "epochs=-1 must be 0 or more"),
        ({"batch_size": 0}, "batch_size=0 must be 1 or more"),
        ({"model": "mpl"}, "no model is called 'mpl'"),
        ({"data": "digit"}, "no data set is called 'digit'"),
        ({"stream": "sorted"}, "no stream is called 'sorted'"),
        ({"evaluate_on": ("training",)}, "evaluate_on=.* must name at least one of train, val, test"),
        ({"evaluate_on": "train"}, "evaluate_on='train' must name"),
        ({"dtype": torch.int64}, "dtype=int64 is not supported: choose float32 or float64"),
        ({"device": "tpu"}, "device='tpu' is unknown"),
    ],
)
def test_what_no_run_could_be_done_with_is_refused_before_the_first(tmp_path, change, message):
    store = tmp_path / "runs.jsonl"
    with pytest.raises(ValueError, match=message):
        run(**{"store": store} | change)
    assert not store.exists()


def test_an_optimizer_that_is_not_installed_is_said_at_once(optimizer):
    missing = optimizer("missing", "no_such_package:Optimizer")
    with pytest.raises(ModuleNotFoundError, match="no_such_package"):
        run([*GOOD, missing])


def test_a_sweep_that_is_not_there_is_no_empty_one(tmp_path):
    with pytest.raises(FileNotFoundError, match="does not exist: pass it to a sweep first"):
        Sweep.read(tmp_path / "none.jsonl")


def test_a_result_can_be_pickled(alone):
    assert_same(pickle.loads(pickle.dumps(alone)), alone)


def test_drawing_and_storing_cost_no_import():
    code = "import sys, sofim_lab.training; sys.exit(any(m in sys.modules for m in ('scipy.stats', 'sklearn', 'dask')))"
    assert subprocess.run([sys.executable, "-c", code], env=os.environ, check=False).returncode == 0


def test_it_is_part_of_the_package():
    assert sweep_function.__module__ == "sofim_lab.training.sweep"


@pytest.mark.parametrize("n_jobs", [1, 2])
def test_runs_together_are_those_alone_up_to_rounding(alone, tmp_path, n_jobs):
    store = tmp_path / "runs.jsonl"
    many = run(store=store, together=True, n_jobs=n_jobs)
    exact = ["configuration", "seed", "epoch", "status", "error", "gradient_evaluations"]
    assert many.frame[exact].equals(alone.frame[exact])
    for column in ("train_loss", "val_loss"):
        mine, theirs = (torch.tensor(one.frame[column].to_numpy()) for one in (many, alone))
        torch.testing.assert_close(mine, theirs, rtol=1e-5, atol=1e-5, equal_nan=True)
    assert_same(run(store=store, together=True), many)
    assert_same(run(store=store), alone)  # these are runs of their own
    assert len(Sweep.read(store)) == 16


def test_runs_together_all_come_back_from_an_engine_that_returns_lists():
    with joblib.parallel_config(backend="multiprocessing", n_jobs=1):
        found = run(GOOD, together=True)
    assert [one["together"] for one in found.runs] == [2, 2, 1, 1]


def test_it_says_how_many_were_computed_at_once():
    configurations = [*GOOD, WILD, Configuration("SGD momentum")]
    sizes = {one["configuration"]: one["together"] for one in run(configurations, together=True).runs}
    assert list(sizes.values()) == [6, 1, 6, 6]
    assert "together" not in run(GOOD[:1]).runs[0]


def test_no_device_that_is_another_one_elsewhere():
    with pytest.raises(ValueError, match=r"device='auto' .* name it"):
        run(device="auto")


def test_a_module_of_the_users_may_be_called_as_dasks(monkeypatch):
    monkeypatch.setitem(sys.modules, "distributed", ModuleType("distributed"))
    assert len(run(GOOD, n_jobs=2).runs) == 4
