"""The protocol from tuning to ablations on real runs: complete, repeatable, and read back as it was run."""

import dataclasses
import json
from unittest.mock import Mock

import numpy as np
import pandas as pd
import pytest
import torch

from sofim_lab.benchmark import DIGITS, MEASURES, MNIST, PROTOCOLS, TINY, Task, measure_costs, read, read_costs, run
from sofim_lab.benchmark.protocol import Protocol
from sofim_lab.benchmark.stages import SCALAR, ablated, judged, scanned, tuned
from sofim_lab.problems import DATASETS, MODELS
from sofim_lab.problems.streams import get
from sofim_lab.training.task import key_of

TITLE = TINY.tasks[0].title


def lines(store):
    """The runs of a store without their clocks, by name."""
    runs = {}
    for line in store.read_text().splitlines():
        one = json.loads(line)
        one.get("history", {}).pop("seconds", None)
        runs[one["run"]] = one
    return runs


def test_every_stage_is_there(tiny):
    found, _ = tiny
    final = found.finals[TITLE]
    assert list(final.chosen) == ["SOFIM", "SGD momentum", "SOFIM without moment", SCALAR]
    assert {len(times) for times in final.times("train_loss").values()} == {3}
    assert {len(table) for table in final.ranked.values()} == {TINY.configurations}
    assert list(found.scans["SOFIM"]) == [0.5, 1.0]
    assert list(found.cuts) == list(ablated(final.chosen))
    assert all(len(sweep) == 1 for sweep in found.cuts.values())


def test_the_same_protocol_gives_the_same_bits(tiny, tmp_path):
    _, store = tiny
    again = tmp_path / "again.jsonl"
    run(dataclasses.replace(TINY, studied=None, scanned=()), again, progress=False)
    first, second = lines(store), lines(again)
    assert second
    assert {key: first[key] for key in second} == second


def test_in_one_pass_the_numbers_are_the_same_up_to_rounding(tiny):
    alone, together = tiny[0].finals[TITLE], run(TINY, together=True, progress=False).finals[TITLE]
    assert {one.get("together") for one in together.sweep.runs} == {len(together.sweep.runs)}
    assert together.chosen == alone.chosen
    for name, curves in alone.curves("train_loss").items():
        seen = 2 if name == "SOFIM without moment" else 3  # at a rate that it cannot hold, it magnifies the rounding
        np.testing.assert_allclose(together.curves("train_loss")[name][:, :seen], curves[:, :seen], rtol=1e-4)


def test_what_was_run_is_read_back(tiny):
    found, store = tiny
    back = read(TINY, store)
    for measure in MEASURES:
        for name, times in found.finals[TITLE].times(measure).items():
            np.testing.assert_array_equal(back.finals[TITLE].times(measure)[name], times)
    assert list(back.cuts) == list(found.cuts)


def test_a_task_that_is_not_complete_counts_as_not_run(tiny, tmp_path):
    _, store = tiny
    few = tmp_path / "few.jsonl"
    few.write_text("".join(store.read_text().splitlines(keepends=True)[:7]))
    assert read(TINY, few).finals == {}
    without = tmp_path / "without.jsonl"
    kept = [line for line in store.read_text().splitlines(keepends=True) if "bias_correction" not in line]
    without.write_text("".join(kept))
    part = read(TINY, without)
    assert list(part.finals) == [TITLE]
    assert part.cuts == {}


def test_other_epochs_in_the_same_store_are_other_runs(tiny):
    _, store = tiny
    task = dataclasses.replace(TINY.tasks[0], epochs=1)
    assert read(dataclasses.replace(TINY, tasks=(task,), studied=task), store).finals == {}


@pytest.mark.parametrize("other", [{"dtype": "float64"}, {"together": 4}, {"device": "cuda"}])
def test_runs_that_were_computed_otherwise_are_other_runs(tiny, tmp_path, other):
    """The last line of a place would win."""
    found, store = tiny
    more = [json.loads(line) | other for line in store.read_text(encoding="utf-8").splitlines()]
    for line in more:
        line["run"] = key_of(line)
        line["history"]["train_loss"] = [0.0 for _ in line["history"]["train_loss"]]
    both = tmp_path / "both.jsonl"
    extra = "".join(json.dumps(line) + "\n" for line in more)
    both.write_text(store.read_text(encoding="utf-8") + extra, encoding="utf-8")
    again = read(TINY, both).finals[TITLE].times("train_loss")
    for name, times in found.finals[TITLE].times("train_loss").items():
        assert (again[name] == times).all()


def test_sofim_as_one_scalar_is_sofim(tiny):
    """The control that has to coincide: no matrix in it, the same runs up to the rounding of float32."""
    frame = tiny[0].finals[TITLE].sweep.frame
    chosen = tiny[0].finals[TITLE].chosen
    ours, scalar = (frame[frame["configuration"] == chosen[name].key] for name in ("SOFIM", SCALAR))
    for measure in ("train_loss", "test_loss", "val_loss"):
        np.testing.assert_allclose(ours[measure], scalar[measure], rtol=1e-4)
    assert ours["train_accuracy"].tolist() == pytest.approx(scalar["train_accuracy"].tolist(), abs=2e-3)


def test_tuning_never_sees_the_test_images(tiny):
    _, store = tiny
    seen = [json.loads(line) for line in store.read_text().splitlines()]
    tuning = [one for one in seen if one["seed"] in TINY.tuning_seeds]
    assert len(tuning) == TINY.configurations * len(TINY.optimizers)
    assert all("test" not in one["evaluate_on"] for one in tuning)
    assert all(one["seed"] in TINY.final_seeds + TINY.tuning_seeds for one in seen)


def test_a_race_has_the_names_of_the_tables(tiny):
    race = tiny[0].finals[TITLE].race(("SOFIM", SCALAR, "Adam"))
    assert race.names == ("SOFIM", SCALAR)
    assert len(race["SOFIM"]) == 3
    assert race["SOFIM"][0].final.test_accuracy > 0.5
    assert len(tiny[0].scan_race()) == 2


def test_costs_are_measured_in_turns(tiny):
    final = tiny[0].finals[TITLE]
    costs = measure_costs(final.task, final.chosen, rounds=2)
    assert costs.groupby("optimizer")["round"].apply(list).tolist() == [[1, 2]] * 4
    assert (costs["seconds"] > 0).all()
    state = costs.drop_duplicates("optimizer").set_index("optimizer")["state_bytes"]
    parameters = 64 * 64 + 64 + 64 * 64 + 64 + 64 * 10 + 10
    assert state["SGD momentum"] == 4 * parameters
    assert 4 * parameters <= state["SOFIM"] <= 4 * parameters + 64
    with pytest.raises(ValueError, match="rounds=0 must be 1 or more"):
        measure_costs(final.task, final.chosen, rounds=0)


def test_costs_wait_for_whatever_accelerator_it_is(tiny, monkeypatch):
    """One that has not done yet what it was told would look quick; here the CPU stands for it."""
    waited = Mock()
    monkeypatch.setattr(torch, "get_device_module", lambda device: {"cpu": waited}[device.type])
    final = tiny[0].finals[TITLE]
    measure_costs(final.task, {"SOFIM": final.chosen["SOFIM"]}, rounds=2)
    assert waited.synchronize.call_count == 3


def test_costs_are_measured_on_one_thread_like_the_runs(tiny, monkeypatch):
    """With as many threads as cores a step of a tiny network takes as long as the threads need to meet."""
    seen, before = [], torch.get_num_threads()
    monkeypatch.setattr(torch, "get_device_module", lambda device: seen.append(torch.get_num_threads()) or Mock())
    final = tiny[0].finals[TITLE]
    torch.set_num_threads(2)
    try:
        measure_costs(final.task, {"SOFIM": final.chosen["SOFIM"]}, rounds=1)
        assert (set(seen), torch.get_num_threads()) == ({1}, 2)
    finally:
        torch.set_num_threads(before)


def test_costs_may_be_named_by_a_text(tmp_path):
    costs = pd.DataFrame([("a", "SOFIM", 1, 0.1, 8)], columns=["task", "optimizer", "round", "seconds", "state_bytes"])
    costs.to_csv(tmp_path / "costs.csv", index=False)
    assert read_costs(str(tmp_path / "costs.csv")).equals(costs)
    assert read_costs(str(tmp_path / "none.csv")) is None


@pytest.mark.parametrize("protocol", PROTOCOLS.values(), ids=lambda one: one.name)
def test_a_protocol_asks_for_what_there_is(protocol):
    for task in protocol.tasks:
        assert task.data in DATASETS
        assert task.model in MODELS
        assert get(task.stream).name == task.stream
        assert task.targets
    every = tuned(protocol)
    assert len(every) == protocol.configurations * len(protocol.optimizers)
    by_name = pd.Series([one.optimizer for one in every]).value_counts()
    assert set(by_name) == {protocol.configurations}  # the same budget for everyone
    assert len({one.key for one in every}) == len(every)
    selected = {name: next(one for one in every if one.optimizer == name) for name in protocol.optimizers}
    assert len(judged(selected)) == len(protocol.optimizers) + 1
    rates = [one.settings["lr"] for own in scanned(protocol, selected).values() for one in own.values()]
    assert all(rate > 0 for rate in rates)


def test_the_full_protocol_has_the_seeds_and_controls_that_were_asked_for():
    assert len(DIGITS.final_seeds) >= 5
    assert {"constant-rate mean", "clipped mean", "normalised mean", "Adam", "SOFIM without moment"} <= set(
        DIGITS.optimizers
    )
    assert {task.stream for task in DIGITS.tasks} == {"shuffled", "sorted_by_class", "dirichlet"}


def test_mnist_is_judged_by_the_same_optimizers_with_the_same_budget():
    assert tuned(MNIST) == [one for one in tuned(DIGITS) if one.optimizer != "L-BFGS"]
    assert len(MNIST.final_seeds) >= 5
    assert {task.data for task in MNIST.tasks} == {"mnist"}


def test_bad_protocols_are_refused():
    few = {"tasks": TINY.tasks, "optimizers": ("SOFIM",), "configurations": 1}
    with pytest.raises(ValueError, match=r"seeds \[1\] tune and judge at once"):
        Protocol("x", **few, tuning_seeds=(1,), final_seeds=(0, 1))
    with pytest.raises(ValueError, match="needs tasks, optimizers, tuning_seeds and final_seeds"):
        Protocol("x", **few, tuning_seeds=(), final_seeds=(0,))
    with pytest.raises(ValueError, match="no optimizer is called 'Sophia'"):
        Protocol("x", **(few | {"optimizers": ("Sophia",)}), tuning_seeds=(1,), final_seeds=(0,))
    with pytest.raises(ValueError, match="has no 'SOFIM'"):
        Protocol("x", **(few | {"optimizers": ("SGD",)}), tuning_seeds=(1,), final_seeds=(0,))
    with pytest.raises(ValueError, match=r"scanned=\['Adam'\] are not tuned"):
        Protocol("x", **few, tuning_seeds=(1,), final_seeds=(0,), scanned=("Adam",))
    with pytest.raises(ValueError, match="studied='mnist, mlp' must be one of the tasks"):
        Protocol("x", **few, tuning_seeds=(1,), final_seeds=(0,), studied=Task("mnist", "mlp"))
    with pytest.raises(ValueError, match="targets of digits, mlp lack test_accuracy, test_loss, val_loss"):
        Task("digits", "mlp", targets={"train_loss": 0.1})


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"epochs": 0}, "epochs=0 must be 1 or more"),
        ({"batch_size": 0}, "batch_size=0 must be 1 or more"),
        ({"batch_size": 6.5}, "batch_size=6.5 must be a whole number"),
        ({"data": "digit"}, "data='digit' is unknown: choose one of digits, "),
        ({"model": "MLP"}, "model='MLP' is unknown: choose one of logreg, mlp"),
        ({"stream": "sorted"}, "no stream is called 'sorted': there are shuffled, "),
        (
            {"targets": dict(TINY.tasks[0].targets) | {"test_loss": float("nan")}},
            "targets of digits, mlp hold test_loss=nan",
        ),
    ],
)
def test_bad_tasks_are_refused(wrong, said):
    with pytest.raises(ValueError, match=said):
        Task(**({"data": "digits", "model": "mlp"} | wrong))


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"tuning_seeds": (800, 800)}, "tuning_seeds hold 800 twice"),
        ({"final_seeds": (0, 1, 0)}, "final_seeds hold 0 twice: each must be another, leave one out"),
        ({"scan_seeds": (3, 3)}, "scan_seeds hold 3 twice"),
        ({"final_seeds": (0.5,)}, "seed=0.5 must be a whole number"),
        ({"tasks": (*TINY.tasks, dataclasses.replace(TINY.tasks[0], epochs=3))}, "tasks hold 'digits, mlp' twice"),
        ({"optimizers": ("SOFIM", "SOFIM")}, "optimizers hold 'SOFIM' twice"),
        ({"factors": (0.5, 1.0, 0.5)}, "factors hold 0.5 twice"),
        ({"factors": (1.0, 0.0)}, "factors hold 0.0: a learning rate can be multiplied by numbers above 0"),
        ({"factors": (float("inf"),)}, "factors hold inf: a learning rate"),
        ({"configurations": 0}, "configurations=0 must be 1 or more"),
        ({"configurations": 1.5}, "configurations=1.5 must be a whole number"),
        ({"scan_seeds": ()}, r"scan_seeds=\(\) leave nothing to study 'digits, mlp' on: give some, or studied=None"),
    ],
)
def test_protocols_that_would_end_late_or_count_twice_are_refused(wrong, said):
    with pytest.raises(ValueError, match=said):
        dataclasses.replace(TINY, **wrong)


def test_tasks_without_targets_are_for_the_pilot_alone(tmp_path):
    bare = Protocol("bare", (Task("digits", "mlp", epochs=1),), ("SOFIM",), 1, (8,), (0, 1))
    store = tmp_path / "bare.jsonl"
    said = r"tasks of protocol 'bare' without targets: digits, mlp. Measure them with run_pilot, and give them as Task"
    with pytest.raises(ValueError, match=said):
        run(bare, store, progress=False)
    assert not store.exists()
    with pytest.raises(ValueError, match=said):
        read(bare, store)


@pytest.mark.parametrize("name", ["device", "dtype", "evaluate_on"])
def test_a_line_that_does_not_say_how_it_was_computed_is_named(tiny, tmp_path, name):
    lines = [json.loads(line) for line in tiny[1].read_text(encoding="utf-8").splitlines()]
    del lines[2][name]
    store = tmp_path / "less.jsonl"
    store.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    with pytest.raises(
        ValueError, match=f"less.jsonl: the line of run {lines[2]['run']} does not say its {name}: delete"
    ):
        read(TINY, store)


@pytest.mark.parametrize(
    "change", [{"settings": {"lr": 1.5}}, {"seed": 7}, {"epochs": 3}, {"configuration": "0123456789ab"}]
)
def test_a_line_that_says_it_of_another_run_is_named(tiny, tmp_path, change):
    lines = [json.loads(line) for line in tiny[1].read_text(encoding="utf-8").splitlines()]
    lines[1] |= change
    store = tmp_path / "changed.jsonl"
    store.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    with pytest.raises(ValueError, match=f"changed.jsonl: the line of run {lines[1]['run']} has been changed"):
        read(TINY, store)
