"""`sofim-lab bench`: run the benchmark's protocol, or what is left of it, and write its tables and figures."""

import argparse
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pandas as pd

from sofim_lab import plots
from sofim_lab.benchmark import PROTOCOLS, Benchmark, Protocol, Verdict, measure_costs, read, read_costs, run, run_pilot
from sofim_lab.benchmark.report import cost_table, table, write_report, write_table
from sofim_lab.cli.options import BENCH
from sofim_lab.files import write_atomically
from sofim_lab.lessons.errors import LessonError
from sofim_lab.lessons.reporting.environment import describe_environment
from sofim_lab.problems import DATASETS, resolve_device
from sofim_lab.training.configurations import digest

SHOWN = ("SOFIM", "SGD momentum", "Adam", "constant-rate mean", "clipped mean")  # a race with all is a tangle


def command(arguments: argparse.Namespace) -> int:
    """Run, judge, write; with `--pilot` or `--costs` measure those alone, with `--report` only write."""
    protocol = PROTOCOLS[arguments.profile]
    part = _part(protocol, arguments.tasks)
    folder = arguments.output or BENCH / protocol.name  # the tables of one do not replace those of another
    store = arguments.store or folder / f"{protocol.name}.jsonl"
    how = {"n_jobs": arguments.jobs, "progress": None if arguments.progress else False}
    how["keep_other_code"] = arguments.keep_other_code
    if arguments.device == "auto":  # others stay a name: a report needs no device, its store may be of another machine
        arguments.device = resolve_device().type
    only = arguments.costs or arguments.report
    if only and arguments.tasks:
        raise LessonError("--tasks says what to run, and --costs and --report run nothing: leave it out")
    if only and not store.exists():
        raise LessonError(f"{store} does not exist: run `{_call(arguments)}` first")
    folder.mkdir(parents=True, exist_ok=True)  # where nothing can be written, that is said before hours of work
    try:
        if arguments.pilot:
            targets = run_pilot(part, store.with_name(f"{store.stem}-pilot.jsonl"), device=arguments.device, **how)
            print(table(targets.reset_index(names="task")))
            return 0
        there = {"device": arguments.device}
        if arguments.costs:
            resolve_device(arguments.device)  # or its error, before the store is asked for runs that nobody can add
        if not only:
            run(part, store, **there, **how)
        found = read(protocol, store, **there)
        if arguments.costs:
            return _costs(found, folder, arguments)
    except (ValueError, ImportError, RuntimeError, FileNotFoundError) as error:
        raise LessonError(str(error)) from error
    except KeyboardInterrupt:
        if not only:
            kept = f"{store.parent} keeps the runs that are finished: the same command goes on from there"
            print(f"\n{kept}", file=sys.stderr)
        raise
    try:
        costs = read_costs(folder / "costs.csv")
    except ValueError as error:
        raise LessonError(f"{error}: `{_call(arguments)} --costs`") from error
    return _write(found, folder, costs)


def _part(protocol: Protocol, titles: Sequence[str] | None) -> Protocol:
    """The protocol with some of its tasks alone."""
    if titles is None:
        return protocol
    known = {task.title: task for task in protocol.tasks}
    if unknown := [title for title in titles if title not in known]:
        there = ", ".join(f'"{title}"' for title in known)
        raise LessonError(f"--tasks {unknown[0]!r} is none of profile {protocol.name}: there are {there}")
    tasks = tuple(known[title] for title in dict.fromkeys(titles))
    return replace(protocol, tasks=tasks, studied=protocol.studied if protocol.studied in tasks else None)


def _costs(found: Benchmark, folder: Path, arguments: argparse.Namespace) -> int:
    """Time the optimizers in turns on each data set and model, and keep the table."""
    plain = [one for one in found.finals.values() if not one.task.shifted]  # the order of the samples costs nothing
    if not plain:
        what = f"no task with shuffled batches is complete in the store on {arguments.device}"
        raise LessonError(f"{what}: run `{_call(arguments)}` first")
    how = {"rounds": arguments.rounds, "device": arguments.device}
    costs = pd.concat([measure_costs(one.task, one.chosen, **how) for one in plain])
    write_table(costs, folder / "costs.csv")
    print(table(cost_table(costs)))
    print(f"\nKept in {folder / 'costs.csv'}: `{_call(arguments)} --report` judges the claims with them")
    return 0


def _call(arguments: argparse.Namespace) -> str:
    """The command that runs the benchmark which is asked for, with the same files and device."""
    words = ["sofim-lab bench --profile", arguments.profile]
    device = None if arguments.device == "cpu" else arguments.device
    for option, value in (("--device", device), ("--store", arguments.store), ("--output", arguments.output)):
        if value is not None:
            words += [option, f'"{value}"' if " " in str(value) else str(value)]
    return " ".join(words)


def _write(found: Benchmark, folder: Path, costs: pd.DataFrame | None) -> int:
    """Tables, figures, and the verdicts on the terminal."""
    heading = _heading(found)
    page, judged = write_report(found, folder, tuple(DATASETS), costs, heading)
    _figures(found, judged, folder)
    for verdict in judged:
        if verdict.ratio is not None:
            print(verdict)
    print(f"Report: {page}")
    return 0


def _heading(found: Benchmark) -> str:
    """Where, when and with what the tables were made, and how much of the protocol they hold."""
    known = describe_environment(Path(__file__).parent)
    names = ("sofim-lab", "torch", "numpy")
    versions = ", ".join(f"{name} {known.packages[name]}" for name in names if name in known.packages)
    commit = f", commit {known.commit}" if known.commit else ""
    return (
        f"Protocol `{found.protocol.name}`, {len(found.finals)} of {len(found.protocol.tasks)} tasks complete. "
        f"Runs of {_codes(found)}. "
        f"{known.processor}, {known.cores} cores, {known.platform}; Python {known.python}, {versions}; "
        f"tables made {known.date[:10]}{commit}."
    )


def _codes(found: Benchmark) -> str:
    """Which source code made the runs that the tables are of; more than one is worth a warning."""
    runs = [run for final in found.finals.values() for run in final.sweep.runs]
    names = sorted({digest(run["code"]) if "code" in run else "unknown" for run in runs})
    if len(names) > 1:
        return f"{len(names)} source codes ({', '.join(names)}): a difference may be one between these"
    return f"source code {names[0]}" if names else "no task"


def _figures(found: Benchmark, judged: list[Verdict], folder: Path) -> None:
    """Races and times of each task, verdicts, learning rates: a PNG each."""
    drawn = {}
    for final in found.finals.values():
        name = "-".join((final.task.data, final.task.model, final.task.stream))
        drawn[f"race-{name}"] = plots.plot_race(final.race(SHOWN), band="confidence")
        drawn[f"times-{name}"] = plots.plot_times(final)
    if any(one.ratio is not None for one in judged):
        drawn["verdicts"] = plots.plot_verdicts(judged)
    if found.scans:
        drawn["learning-rates"] = plots.plot_sensitivity(found.scan_race(), "train_loss")
    for name, ax in drawn.items():
        write_atomically(folder / f"{name}.png", plots.picture(ax, name).png)
