"""What a page tells its reader to type exists: commands and their options, modules, files."""

import argparse
import importlib
import importlib.util
import re
import shlex

import pytest
from doc_pages import PAGES, ROOT, Page

from sofim_lab.cli.main import _parser

COMMANDS = next(a for a in _parser()._actions if isinstance(a, argparse._SubParsersAction)).choices
PATH = re.compile(r"(docs|notebooks|tests|benchmarks|binder|sofim_lab)/[\w./*-]*|[\w-]+\.(md|yml|toml|cff|txt)")
MADE = {"summary.md"}  # by a run


def dev_commands():
    """The names that dev.py answers to, and the options before them, from its help."""
    spec = importlib.util.spec_from_file_location("dev_for_its_help", ROOT / "dev.py")
    dev = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(dev)
    return re.findall(r"^([\w-]+)  +", dev.__doc__, re.M)


def words_of(line):
    """The words of a command line up to a comment, a pipe or a second command."""
    words = shlex.split(line, comments=True)
    return words[: next((n for n, word in enumerate(words) if word in ("|", "&&", ";", ">")), len(words))]


def wrong_options(command, words):
    """Options that a command of sofim-lab does not have; `lab` hands those on that are not its own."""
    known = COMMANDS[command]._option_string_actions
    options = [word.partition("=")[0] for word in words if re.match(r"--?[a-z]", word)]
    return [f"sofim-lab {command} has no {one}" for one in options if one not in known and command != "lab"]


def faults(page):
    """What a page names and nobody has."""
    for line in page.code:
        called = re.search(r"(?:^|[\s(])(sofim-lab|dev\.py) (?!@)(.+)", line)
        if called and not re.search(r"pip install", line):
            words = words_of(called[2])
            if called[1] == "sofim-lab":
                if words[:1] == ["--version"]:
                    continue
                if words[:1] and words[0] not in COMMANDS:
                    yield f"there is no sofim-lab {words[0]}"
                elif words[:1]:
                    yield from wrong_options(words[0], words[1:])
            else:
                known = dev_commands()
                words = [word for word in words if word not in known or not word.startswith("-")]
                if words[:1] and words[0] not in known:
                    yield f"there is no dev.py {words[0]}"
                elif words[:1] == ["run"]:
                    yield from wrong_options("run", words[1:])
        elif re.fullmatch(r"sofim_lab(\.\w+)+", line):
            yield from unknown_name(line)
        elif PATH.fullmatch(line) and line not in MADE and not is_there(line.rstrip("/")):
            if f"\n`{line}`\n\n```" in page.text:  # the page goes on to say what is to be written there
                continue
            yield f"there is no file {line}"


def is_there(name):
    """A file or a pattern of files, at its place; a bare name also one folder down."""
    return any(ROOT.glob(name)) or ("/" not in name and any(ROOT.glob(f"*/{name}")))


def unknown_name(dotted):
    """A module, or something in one."""
    module, _, name = dotted.rpartition(".")
    try:
        importlib.import_module(dotted)
    except ModuleNotFoundError:
        if not hasattr(importlib.import_module(module), name):
            yield f"there is no {dotted}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_what_is_named_exists(page):
    assert list(faults(page)) == []


def test_commands_are_found():
    """Without this, a pattern that finds nothing would pass."""
    named = {word for page in PAGES for line in page.code for word in re.findall(r"sofim-lab ([\w-]+)", line)}
    assert set(COMMANDS) <= named, f"no page tells of sofim-lab {set(COMMANDS) - named}"


@pytest.mark.parametrize(
    ("code", "fault"),
    [
        ("sofim-lab dance", "no sofim-lab dance"),
        ("sofim-lab run 05 --solution  # that", "sofim-lab run has no --solution"),
        ("python3 dev.py --cpu build", "no dev.py build"),
        ("python3 dev.py --gpu", "no dev.py --gpu"),
        ("python3 dev.py run --fast", "sofim-lab run has no --fast"),
        ("sofim_lab.optim.Sofim", "no sofim_lab.optim.Sofim"),
        ("docs/nothing.md", "no file docs/nothing.md"),
    ],
)
def test_what_nobody_has_is_named(code, fault):
    (found,) = faults(Page(ROOT / "page.md", f"See `{code}`."))
    assert fault in found
    assert list(faults(Page(ROOT / "page.md", f"```\n{code}\n```\n")))


def test_what_there_is_passes():
    good = ["sofim-lab run 05 -p SEED=1 --jobs 2", "python3 dev.py --cpu test --all -k x", "sofim_lab.optim.registry"]
    good += ["sofim-lab lab --no-browser", "sofim-lab --version", "tests/docs/", "sofim-lab list | sort --reverse"]
    assert [fault for code in good for fault in faults(Page(ROOT / "page.md", f"`{code}`"))] == []
