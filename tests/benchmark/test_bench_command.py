"""`sofim-lab bench` on the tiny protocol: continues a store, writes tables and figures, names what is wrong."""

import json
import shutil
from dataclasses import replace
from unittest.mock import Mock

import pandas as pd
import pytest
import torch

from sofim_lab.benchmark import PROTOCOLS, TINY, Protocol, Task
from sofim_lab.cli.main import main
from sofim_lab.problems import DATASETS
from sofim_lab.training.task import key_of


@pytest.fixture
def folder(tiny, tmp_path):
    shutil.copy(tiny[1], tmp_path / "tiny.jsonl")
    return tmp_path


def test_it_writes_tables_and_figures_and_runs_nothing_twice(folder, capsys):
    store = folder / "tiny.jsonl"
    before = store.read_bytes()
    assert main(["bench", "--profile", "tiny", "--out", str(folder), "--no-progress"]) == 0
    assert store.read_bytes() == before
    shown = capsys.readouterr().out
    assert "digits: fewer epochs to the targets than SGD with momentum: " in shown
    page = (folder / "report.md").read_text(encoding="utf-8")
    for part in ("### Verdicts", "### Epochs to target", "undecided: not run", "### One change to SOFIM", "> 2"):
        assert part in page
    verdicts = pd.read_csv(folder / "verdicts.csv")
    assert set(verdicts["data"]) == set(DATASETS)
    assert set(verdicts["status"]) <= {"supported", "not supported", "undecided"}
    pictures = {path.name for path in folder.glob("*.png")}
    assert pictures == {"race-digits-mlp-shuffled.png", "times-digits-mlp-shuffled.png", "verdicts.png",
                        "learning-rates.png"}  # fmt: skip


def test_some_tasks_are_run_and_the_tables_are_of_all_that_is_there(folder, capsys, monkeypatch):
    other = replace(TINY.tasks[0], model="logreg", epochs=1)
    monkeypatch.setitem(PROTOCOLS, "tiny", replace(TINY, tasks=(other, *TINY.tasks)))
    at = ["bench", "--profile", "tiny", "--out", str(folder), "--no-progress"]
    before = (folder / "tiny.jsonl").read_bytes()
    assert main([*at, "--tasks", "digits, mlp"]) == 0
    assert (folder / "tiny.jsonl").read_bytes() == before
    assert "1 of 2 tasks complete" in (folder / "report.md").read_text(encoding="utf-8")
    assert main([*at, "--tasks", "digits, logreg", "digits, logreg"]) == 0
    page = (folder / "report.md").read_text(encoding="utf-8")
    assert "2 of 2 tasks complete" in page
    assert "### One change to SOFIM" in page  # it was there
    capsys.readouterr()
    assert main([*at, "--tasks", "digits"]) == 2
    said = '--tasks \'digits\' is none of profile tiny: there are "digits, logreg", "digits, mlp"'
    assert said in capsys.readouterr().err
    for option in ("--costs", "--report"):
        assert main([*at, "--tasks", "digits, mlp", option]) == 2
        assert "--tasks says what to run, and --costs and --report run nothing: leave it out" in capsys.readouterr().err


def test_the_pilot_takes_some_tasks_too(tmp_path, monkeypatch):
    other = replace(TINY.tasks[0], model="logreg")
    monkeypatch.setitem(PROTOCOLS, "tiny", replace(TINY, tasks=(other, *TINY.tasks)))
    pilot = Mock(return_value=pd.DataFrame({"rate": [0.1]}, index=["digits, logreg"]))
    monkeypatch.setattr("sofim_lab.cli.bench.run_pilot", pilot)
    assert main(["bench", "--profile", "tiny", "--out", str(tmp_path), "--pilot", "--tasks", "digits, logreg"]) == 0
    asked = pilot.call_args.args[0]
    assert (asked.tasks, asked.studied) == ((other,), None)


def test_each_profile_has_its_own_folder(folder, monkeypatch):
    monkeypatch.chdir(folder)
    own = folder / "build" / "bench" / "tiny"
    own.mkdir(parents=True)
    (folder / "tiny.jsonl").rename(own / "tiny.jsonl")
    assert main(["bench", "--profile", "tiny", "--report"]) == 0
    assert (own / "report.md").exists()


@pytest.mark.parametrize(("there", "runs_found"), [("cpu", True), ("cuda", False)])
def test_auto_is_the_device_that_is_there(folder, monkeypatch, capsys, there, runs_found):
    """The store's runs are of a CPU."""
    monkeypatch.setattr("sofim_lab.cli.bench.resolve_device", lambda: torch.device(there))
    main(["bench", "--profile", "tiny", "--out", str(folder), "--device", "auto", "--report"])
    assert ("digits: fewer epochs" in capsys.readouterr().out) == runs_found


def test_a_store_that_lost_its_end_is_continued(folder):
    store = folder / "tiny.jsonl"
    whole = store.read_text().splitlines(keepends=True)
    store.write_text("".join(whole[:-3]) + whole[-3][:50])
    assert main(["bench", "--profile", "tiny", "--out", str(folder), "--no-progress"]) == 0
    assert len(store.read_text().splitlines()) == len(whole)


def test_costs_are_kept_and_used_by_the_report(folder, capsys):
    at = ["bench", "--profile", "tiny", "--out", str(folder)]
    assert main([*at, "--costs", "--rounds", "1"]) == 0
    shown = capsys.readouterr().out
    assert "× SGD momentum" in shown
    assert f"`sofim-lab bench --profile tiny --output {folder} --report` judges the claims with them" in shown
    assert main([*at, "--report"]) == 0
    shown = capsys.readouterr().out
    assert "digits: no more state than SGD with momentum: supported; ratio 1 [1, 1] of 1 cell " in shown
    assert "### Costs of an epoch" in (folder / "report.md").read_text(encoding="utf-8")


def test_a_report_of_a_part_says_what_is_missing(folder, capsys):
    store = folder / "tiny.jsonl"
    store.write_text("".join(store.read_text().splitlines(keepends=True)[:4]))
    assert main(["bench", "--profile", "tiny", "--out", str(folder), "--report"]) == 0
    assert "0 of 1 tasks complete" in (folder / "report.md").read_text(encoding="utf-8")
    assert main(["bench", "--profile", "tiny", "--out", str(folder), "--costs"]) == 2
    said = (
        "no task with shuffled batches is complete in the store on cpu: run `sofim-lab bench --profile tiny --output "
    )
    assert said in capsys.readouterr().err


def test_costs_of_shifted_tasks_alone_are_refused_in_words(folder, capsys, monkeypatch):
    shifted = replace(TINY.tasks[0], stream="dirichlet")
    monkeypatch.setitem(PROTOCOLS, "tiny", replace(TINY, tasks=(shifted, *TINY.tasks), studied=None, scanned=()))
    store = folder / "tiny.jsonl"
    lines = [json.loads(line) | {"stream": "dirichlet"} for line in store.read_text().splitlines()]
    store.write_text("".join(json.dumps(line | {"run": key_of(line)}) + "\n" for line in lines))
    assert main(["bench", "--profile", "tiny", "--store", str(store), "--out", str(folder), "--costs"]) == 2
    assert "no task with shuffled batches is complete in the store" in capsys.readouterr().err


@pytest.mark.parametrize("there", ["cpu", "mps"])
def test_costs_on_a_device_that_is_not_here_are_refused_in_words(folder, capsys, monkeypatch, there):
    """The store of another machine may hold its runs."""
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    store = folder / "tiny.jsonl"
    store.write_text(store.read_text().replace('"device": "cpu"', f'"device": "{there}"'))
    assert main(["bench", "--profile", "tiny", "--out", str(folder), "--device", "mps", "--costs"]) == 2
    assert "device='mps', but Apple's Metal backend is not available here" in capsys.readouterr().err
    assert not (folder / "costs.csv").exists()


def test_no_store_is_an_error_in_a_sentence(tmp_path, capsys):
    assert main(["bench", "--profile", "tiny", "--out", str(tmp_path), "--report"]) == 2
    assert f"tiny.jsonl does not exist: run `sofim-lab bench --profile tiny --output {tmp_path}` first" in (
        capsys.readouterr().err
    )


def test_the_command_that_helps_has_the_same_files_and_device(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    at = ["bench", "--profile", "tiny", "--costs"]
    assert main(at) == 2
    assert "run `sofim-lab bench --profile tiny` first" in capsys.readouterr().err
    assert main([*at, "--store", "my runs.jsonl", "--out", "here", "--device", "cuda"]) == 2
    said = 'run `sofim-lab bench --profile tiny --device cuda --store "my runs.jsonl" --output here` first'
    assert said in capsys.readouterr().err


@pytest.mark.parametrize(
    "content", [b"", b"a,b\n1,2\n", b"task,optimizer,round,seconds,state_bytes\na,b,1,much,2\n", b"\xff"]
)
def test_costs_that_are_none_are_named(folder, capsys, content):
    (folder / "costs.csv").write_bytes(content)
    assert main(["bench", "--profile", "tiny", "--out", str(folder), "--report"]) == 2
    assert (
        "costs.csv is no table of costs: delete it, and measure them anew: "
        f"`sofim-lab bench --profile tiny --output {folder} --costs`"
    ) in capsys.readouterr().err


def test_an_interrupt_says_how_it_goes_on(folder, capsys, monkeypatch):
    monkeypatch.setattr("sofim_lab.cli.bench.run", Mock(side_effect=KeyboardInterrupt))
    assert main(["bench", "--profile", "tiny", "--out", str(folder)]) == 130
    said = capsys.readouterr().err
    assert f"{folder} keeps the runs that are finished: the same command goes on from there" in said


def test_costs_that_are_interrupted_promise_nothing(folder, capsys, monkeypatch):
    monkeypatch.setattr("sofim_lab.cli.bench.measure_costs", Mock(side_effect=KeyboardInterrupt))
    assert main(["bench", "--profile", "tiny", "--out", str(folder), "--costs"]) == 130
    assert "keeps the runs" not in capsys.readouterr().err


def test_an_output_that_cannot_be_written_is_named_before_anything_is_run(folder, capsys, monkeypatch):
    monkeypatch.setattr("sofim_lab.cli.bench.run", lambda *_, **__: pytest.fail("something was run"))
    store = folder / "tiny.jsonl"
    assert main(["bench", "--profile", "tiny", "--store", str(store), "--out", str(store / "here")]) == 2
    assert f"{store / 'here'}: Not a directory" in capsys.readouterr().err


def test_the_pilot_computes_where_it_is_told(tmp_path, monkeypatch):
    pilot = Mock(return_value=pd.DataFrame({"rate": [0.1]}, index=["digits, mlp"]))
    monkeypatch.setattr("sofim_lab.cli.bench.run_pilot", pilot)
    assert main(["bench", "--profile", "tiny", "--out", str(tmp_path), "--pilot", "--device", "mps"]) == 0
    assert pilot.call_args.kwargs["device"] == "mps"


def test_the_pilot_prints_targets_or_says_why_not(tmp_path, capsys, monkeypatch):
    at = ["bench", "--profile", "tiny", "--out", str(tmp_path), "--pilot", "--no-progress"]
    assert main(at) == 2  # one epoch is too little
    assert "the pilot learns nothing on digits, mlp at rates (0.1, 0.03" in capsys.readouterr().err
    longer = Protocol("tiny", (Task("digits", "mlp", epochs=8),), ("SOFIM",), 1, (8,), (0,))
    monkeypatch.setitem(PROTOCOLS, "tiny", longer)
    assert main(at) == 0
    shown = capsys.readouterr().out
    assert "| task | rate | train_loss | test_loss | test_accuracy | val_loss |" in shown
    assert "| digits, mlp | 0.1 | 0." in shown


def test_a_store_of_other_source_code_is_refused_unless_it_is_to_be_kept(folder, capsys):
    store = folder / "tiny.jsonl"
    store.write_text(store.read_text().replace('"optim": "', '"optim": "0'))
    at = ["bench", "--profile", "tiny", "--out", str(folder), "--no-progress"]
    assert main(at) == 2
    assert "holds runs made by other source code (of sofim_lab.optim): delete it" in capsys.readouterr().err
    lines = store.read_text().splitlines(keepends=True)
    store.write_text("".join(lines[:-2]))
    assert main([*at, "--keep-other-code"]) == 0
    assert store.read_text().splitlines(keepends=True)[:-2] == lines[:-2]
    assert len(store.read_text().splitlines()) == len(lines)
    assert "Runs of source code " in (folder / "report.md").read_text(encoding="utf-8")
    store.write_text(store.read_text().replace('"optim": "0', '"optim": "', 12))
    assert main([*at, "--report"]) == 0
    assert "Runs of 2 source codes (" in (folder / "report.md").read_text(encoding="utf-8")
