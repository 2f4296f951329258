"""The command line: what there is to ask for. What a command does has a module of its own, imported when needed."""

import argparse
import importlib
import os
import sys
from pathlib import Path
from typing import Any

from sofim_lab.cli import options


def main(argv: list[str] | None = None) -> int:
    """Run one command.

    Args:
        argv: the arguments after the program's name; those of the process if None.

    Returns:
        0 if all went well; 1 if a lesson, formula, metric or check failed; 2 if the request cannot be carried out;
        130 after Ctrl-C.

    Example:
        >>> main(["--version"])
        sofim-lab 0...
        0
    """
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):  # an ASCII terminal shows \u03c1 for ρ rather than a traceback
            stream.reconfigure(errors="backslashreplace")
    parser, status = _parser(), None
    try:
        arguments, rest = parser.parse_known_args(argv)
        if rest and arguments.command != "lab":
            parser.error(f"unrecognized arguments: {' '.join(rest)}")
    except SystemExit as stop:
        return stop.code if isinstance(stop.code, int) else 2
    arguments.rest = rest
    try:
        status = importlib.import_module(f"sofim_lab.cli.{arguments.module}").command(arguments)
        if sys.stdout is not None:
            sys.stdout.flush()
        return status
    except KeyboardInterrupt:
        print("\nsofim-lab: interrupted", file=sys.stderr)
        return 130
    except BrokenPipeError:  # `sofim-lab list | head` has read enough
        sys.stdout = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115 - lives until the interpreter ends
        if status is None:  # never green without a verdict
            status = 0 if arguments.command == "list" else 1
        return status
    except Exception as error:
        reason = _reason(error)
        if reason is None:
            raise
        from sofim_lab.cli.table import plain  # not above: `--version` needs no PyTorch

        print(f"sofim-lab: {plain(reason)}", file=sys.stderr)
        return 2


def _reason(error: Exception) -> str | None:
    """Why a request cannot be carried out, in a sentence; None for an error of ours, which deserves its traceback."""
    from sofim_lab.cli.extras import INSTALL
    from sofim_lab.lessons.errors import LessonError

    if isinstance(error, LessonError):
        return str(error)
    if isinstance(error, ModuleNotFoundError) and not (error.name or "").startswith("sofim_lab"):
        return f"the package {error.name!r} is missing: {INSTALL}"
    if isinstance(error, UnicodeEncodeError):
        return f"{error.object[max(0, error.start - 20) : error.end]!r}: half a character, no file can hold it"
    if isinstance(error, OSError):
        name = error.filename2 or error.filename  # of a failed rename the goal, not the temporary file
        return f"{name}: {error.strerror}" if name else str(error)
    return None


def _parser() -> argparse.ArgumentParser:
    """All commands and options."""
    from sofim_lab import __version__

    parser = argparse.ArgumentParser("sofim-lab", description="Lessons on second-order optimization, run and judged.")
    parser.add_argument("--version", action="version", version=f"sofim-lab {__version__}")
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument(
        "--notebooks", type=Path, metavar="DIR", help="folder of lessons.yml (default: the nearest upward)"
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    def add(name: str, module: str, text: str, **more: Any) -> argparse.ArgumentParser:
        command = commands.add_parser(name, parents=[common], help=text, description=text, **more)
        command.set_defaults(module=module)
        return command

    listing = add("list", "listing", "Show the lessons and the questions they answer.")
    listing.add_argument(
        "--readme", action="store_true", help="write README.md, the map of the course, beside lessons.yml"
    )
    _add_run(add("run", "run", "Execute lessons, judge them against their baselines, write a report."))
    compare = add("compare", "compare", "Judge an earlier run against the baselines, or two runs against each other.")
    compare.add_argument(
        "runs", nargs="*", type=Path, metavar="RUN", help=f"a report's folder, or two (default: {options.OUTPUT})"
    )
    compare.set_defaults(default=options.OUTPUT)
    _add_grade(add("grade", "grade", "Run learners' notebooks apart and say which exercises they solve."))
    student = add("student-edition", "student", "Write the lessons without their solutions into a folder.")
    student.add_argument("folder", type=Path, metavar="DIR", help="new, or an earlier student edition")
    clean = add("clean", "clean", "Strip notebooks of outputs, counts and what a program left in them, for git.")
    clean.add_argument("files", nargs="+", type=Path, metavar="FILE", help="an .ipynb, changed in place")
    _add_site(add("site", "site", "Execute lessons and make a website of them that needs no kernel and no network."))
    _add_bench(add("bench", "bench", "Run the benchmark of the optimizers, or what is left of it; write its tables."))
    add("lab", "lab", "Open JupyterLab on the lessons; other options go to JupyterLab.")
    doctor = add("doctor", "doctor", "Say what is installed, which devices there are, and what would not work.")
    doctor.add_argument("--output", type=Path, default=options.OUTPUT, metavar="DIR", help="folder to try writing to")
    return parser


def _add_grade(parser: argparse.ArgumentParser) -> None:
    """The options of `grade`."""
    add = parser.add_argument
    add("files", nargs="+", type=Path, metavar="FILE", help="a learner's .ipynb; it is not changed")
    add("--json", action="store_true", help="print JSON instead of text")
    add("--device", choices=("auto", "cpu", "cuda", "mps"), default="cpu", help="default: cpu")
    add("--time-limit", type=options.seconds, default=600, metavar="SECONDS", help="for a notebook; default: 600")
    add("--cell-timeout", type=options.seconds, default=120, metavar="SECONDS", help="for a cell; default: 120")
    add("--memory-limit", type=options.count, default=2048, metavar="MB", help="for a notebook; default: 2048")
    add("--network", action="store_true", help="leave the network to the notebooks; taken from them where Linux can")
    add("--no-progress", dest="progress", action="store_false", help="no progress bar")


def _add_site(parser: argparse.ArgumentParser) -> None:
    """The options of `site`."""
    add = parser.add_argument
    _add_what(parser)
    add("--output", type=Path, default=options.SITE, metavar="DIR", help=f"the site; default: {options.SITE}")
    add("--no-progress", dest="progress", action="store_false", help="no progress bar")


def _add_bench(parser: argparse.ArgumentParser) -> None:
    """The options of `bench`."""
    add = parser.add_argument
    takes = "quick takes minutes, full and mnist an hour or two of two cores"
    add("--profile", choices=("quick", "full", "mnist", "tiny"), default="quick", help=f"{takes}; default: quick")
    add("--device", choices=("auto", "cpu", "cuda", "mps"), default="cpu", help="default: cpu")
    add(
        "--tasks",
        nargs="+",
        metavar="TITLE",
        help="run these alone, e.g. 'digits, mlp'; the tables are of the whole store",
    )
    add("--jobs", type=options.count, default=1, metavar="N", help="processes; default: 1")
    add("--store", type=Path, metavar="FILE", help="finished runs, a line each; default: PROFILE.jsonl in the output")
    add("--keep-other-code", action="store_true", help="go on with a store of other source code, which is refused else")
    add("--output", "--out", type=Path, metavar="DIR", help=f"default: {options.BENCH / 'PROFILE'}")
    what = parser.add_mutually_exclusive_group()
    what.add_argument(
        "--pilot", action="store_true", help="only measure the targets, with SGD momentum, and print them"
    )
    what.add_argument("--costs", action="store_true", help="only time an epoch of each optimizer; let nothing else run")
    what.add_argument("--report", action="store_true", help="only write the tables of what the store holds")
    add("--rounds", type=options.count, default=9, metavar="N", help="epochs timed of each with --costs; default: 9")
    add("--no-progress", dest="progress", action="store_false", help="no progress bars")


def _add_what(parser: argparse.ArgumentParser) -> None:
    """Which lessons are run, and how: the options that `run` and `site` share."""
    add = parser.add_argument
    add("lessons", nargs="*", metavar="LESSON", help="id, number or slug; all lessons if none is named")
    add("--device", choices=("auto", "cpu", "cuda", "mps"), default="auto", help="default: auto")
    add("--profile", choices=("quick", "full"), default="quick", help="how much to compute; default: quick")
    add("--jobs", type=options.count, default=1, metavar="N", help="lessons at the same time; default: 1")


def _add_run(parser: argparse.ArgumentParser) -> None:
    """The options of `run`."""
    add = parser.add_argument
    _add_what(parser)
    add(
        "-p",
        dest="parameters",
        type=options.parameter,
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="set a notebook parameter, e.g. -p SEED=3; may be repeated",
    )
    add("--solutions", action="store_true", help="run the exercises' solutions, too")
    add("--output", type=Path, default=options.OUTPUT, metavar="DIR", help=f"the report; default: {options.OUTPUT}")
    add("--history", type=Path, metavar="FILE", help="append this run, and draw all runs in it on a trend page")
    add("--update-baselines", action="store_true", help="measure values and tolerances anew, and write them")
    add("--spread", type=options.count, default=3, metavar="S", help="seeds for --update-baselines; default: 3")
    add("--cell-timeout", type=options.seconds, metavar="SECONDS", help="instead of the manifest's")
    add("--lesson-timeout", type=options.seconds, metavar="SECONDS", help="instead of the manifest's")
    add("--no-progress", dest="progress", action="store_false", help="no progress bar")
