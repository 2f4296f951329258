"""Which runs go in one pass, and that it is the setting's stream and parts that they get."""

import os
import time
from unittest.mock import Mock

import pytest
import torch
from sweep_cases import run

from sofim_lab.optim import registry
from sofim_lab.training import portion
from sofim_lab.training.configurations import Configuration
from sofim_lab.training.portion import portions
from sofim_lab.training.sweep_result import Sweep
from sofim_lab.training.task import Setting, Task

SETTING = Setting("logreg", "digits", "shuffled", 300, 1, "cpu", "float32", ("val",))


def tasks(name, n, together=True):
    return [Task(Configuration(name), seed, SETTING, together) for seed in range(n)]


@pytest.mark.parametrize(
    ("n", "workers", "sizes"), [(70, 1, [32, 32, 6]), (10, 4, [3, 3, 3, 1]), (2, 4, [1, 1]), (0, 2, [])]
)
def test_at_most_32_and_as_many_for_each_worker(n, workers, sizes):
    alone = tasks("L-BFGS", 2) + tasks("Newton", 1)  # evaluates again, wants another closure
    some = portions(alone + tasks("SGD", n), workers)
    assert [len(portion) for portion in some] == [*sizes, 1, 1, 1]
    assert sorted(task.key for portion in some for task in portion) == sorted(t.key for t in alone + tasks("SGD", n))
    assert portions(tasks("SGD", 3, together=False), workers) == [[task] for task in tasks("SGD", 3, together=False)]


def test_halves_keep_each_run_beside_its_own_optimizer(monkeypatch):
    pairs, names = [], ["SGD", "SOFIM", "Adam", "SGD momentum", "EMA momentum"]
    monkeypatch.setattr(portion, "_train_together", Mock(side_effect=ValueError))
    monkeypatch.setattr(
        portion, "run_task", lambda t, entry: pairs.append((t.configuration.optimizer, entry.name)) or {}
    )
    portion.run_portion([tasks(name, 1)[0] for name in names], [registry.get(name) for name in names])
    assert pairs == list(zip(names, names, strict=True))


def test_together_they_have_the_stream_and_the_parts_of_the_setting():
    options = {"stream": "sorted_by_class", "evaluate_on": ("test",)}
    few = [Configuration("SGD"), Configuration("SOFIM")]
    many, alone = run(few, together=True, **options).frame, run(few, **options).frame
    assert many.train_loss.isna().all()
    assert many.test_loss.to_numpy() == pytest.approx(alone.test_loss.to_numpy(), rel=1e-4)


def test_each_run_of_a_portion_has_its_own_optimizer_in_another_process(optimizer):
    few = [optimizer(f"mine {k}", lambda params, lr: torch.optim.SGD(params, lr)) for k in range(3)]
    found = run(few, together=True, n_jobs=2)
    assert {one["together"] for one in found.runs} == {3}
    assert set(found.frame.error) == {""}


def test_a_slow_run_holds_back_no_other(optimizer, tmp_path):
    mark = str(tmp_path / "the quick one was built")

    def quick(params, lr):
        open(mark, "w").close()
        return torch.optim.SGD(params, lr)

    def slow(params, lr):
        for _ in range(600):
            if os.path.exists(mark):
                time.sleep(1)  # the quick one ends meanwhile
                return torch.optim.SGD(params, lr)
            time.sleep(0.1)
        raise TimeoutError("nobody works beside this one")

    few, store = [optimizer("slow", slow), optimizer("quick", quick)], tmp_path / "runs.jsonl"
    assert set(run(few, seeds=(0,), n_jobs=2, store=store).frame.status) == {"ok"}
    assert [one["optimizer"] for one in Sweep.read(store).runs] == ["quick", "slow"]


def test_a_numbered_device_is_none_that_is_unknown():
    Setting("logreg", "digits", "shuffled", 300, 1, "cuda:1", "float32", ("val",)).check()
