"""What a page tells its reader to type exists: commands and their options, modules, files."""

import argparse
import contextlib
import importlib
import importlib.util
import io
import re
import shlex
import tomllib

import pytest
from doc_pages import PAGES, ROOT, Page

from sofim_lab.cli.main import _parser

PARSER = _parser()
COMMANDS = next(a for a in PARSER._actions if isinstance(a, argparse._SubParsersAction)).choices
for command in COMMANDS.values():
    command.allow_abbrev = False  # a page writes an option in full
EXTRAS = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["optional-dependencies"]
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


def refused(words):
    """What sofim-lab's own parser says against a command line; a name alone is a mention, `lab` hands options on."""
    said = io.StringIO()
    try:
        with contextlib.redirect_stderr(said), contextlib.redirect_stdout(io.StringIO()):
            rest = [] if words in ([], *([name] for name in COMMANDS)) else PARSER.parse_known_args(words)[1]
    except SystemExit as stop:
        if stop.code:
            yield f"{shlex.join(['sofim-lab', *words])}: {said.getvalue().splitlines()[-1].partition('error: ')[2]}"
        return
    if rest and words[0] != "lab":
        yield f"sofim-lab {words[0]} has no {rest[0]}"


def refused_by_dev(words):
    """The same for dev.py, whose tests take paths."""
    known = dev_commands()
    words = [word for word in words if word not in known or not word.startswith("-")]
    if words[:1] and words[0] not in known:
        yield f"there is no dev.py {words[0]}"
    elif words[:1] == ["run"]:
        yield from refused(words)
    else:
        yield from (f"there is no file {word}" for word in words[1:] if PATH.fullmatch(word) and not is_there(word))


def refused_by_script(script, words):
    """A script of ours is there, and every option that it is given stands in it."""
    if not is_there(script):
        yield f"there is no file {script}"
    else:
        source = (ROOT / script).read_text(encoding="utf-8")
        yield from (f"{script} has no {word}" for word in words if word.startswith("--") and f'"{word}"' not in source)


def refused_by_pip(line):
    """The extras that pip is asked for are declared, and the constraints are a file."""
    for extra in (one for found in re.findall(r"(?:sofim-lab|\.)\[([\w,]+)\]", line) for one in found.split(",")):
        if extra not in EXTRAS:
            yield f"there is no extra {extra}"
    yield from (f"there is no file {name}" for name in re.findall(r"-c (\S+)", line) if not is_there(name))


def faults(page):
    """What a page names and nobody has."""
    for line in page.code:
        called = re.search(r"(?:^|[\s(])(sofim-lab|dev\.py) (?!@)(.+)", line)
        script = re.match(r"python3? ((?!dev\.py)\S+\.py)(.*)", line)
        if re.search(r"pip install", line):
            yield from refused_by_pip(line)
        elif called:
            yield from (refused if called[1] == "sofim-lab" else refused_by_dev)(words_of(called[2]))
        elif script:
            yield from refused_by_script(script[1], words_of(script[2]))
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
        ("sofim-lab dance", "invalid choice: 'dance'"),
        ("sofim-lab grade --json", "required: FILE"),
        ("sofim-lab run --profile slow", "invalid choice: 'slow'"),
        ("sofim-lab run --jobs none", "argument --jobs"),
        ("python3 dev.py test tests/nothing", "no file tests/nothing"),
        ("python benchmarks/nothing.py", "no file benchmarks/nothing.py"),
        ("python benchmarks/widgets.py --fast", "has no --fast"),
        ('pip install -e ".[notebooks,tests]"', "no extra tests"),
        ("pip install -c pins.txt torch", "no file pins.txt"),
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
    good += [
        "sofim-lab lab --no-browser",
        "sofim-lab grade",
        "python benchmarks/widgets.py --alone",
        "sofim-lab --version",
        "tests/docs/",
        "sofim-lab list | sort --reverse",
    ]
    assert [fault for code in good for fault in faults(Page(ROOT / "page.md", f"`{code}`"))] == []
