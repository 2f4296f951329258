"""dev.py: what it installs and when, what it refuses, and that a command's exit status is its own."""

import ast
import importlib.util
import os
import re
import shutil
import signal
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

FILE = Path(__file__).resolve().parents[1] / "dev.py"


class Machine:
    """dev.py in a folder of its own, where calls of venv and pip are written down instead of made."""

    def __init__(self, root, monkeypatch):
        spec = importlib.util.spec_from_file_location("dev_under_test", FILE)
        self.dev = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(self.dev)
        self.root, self.calls, self.started = root, [], []
        self.venv_status = self.pip_status = self.exit_status = 0
        for name in ("pyproject.toml", "constraints.txt"):
            (root / name).write_text("as it was", encoding="utf-8")
        monkeypatch.setattr(self.dev, "ROOT", root)
        monkeypatch.setattr(self.dev, "VENV", root / ".venv")
        monkeypatch.setattr(self.dev, "STAMP", root / ".venv" / "set-up-done")
        monkeypatch.setattr(self.dev.subprocess, "call", self.install)
        monkeypatch.setattr(self.dev, "call", self.start)

    def install(self, command):
        """Stands for subprocess.call."""
        self.calls.append(command)
        if command[1:3] == ["-m", "venv"] and self.venv_status == 0:
            self.python.parent.mkdir(parents=True, exist_ok=True)
            self.python.touch()
        return self.venv_status if command[1:3] == ["-m", "venv"] else self.pip_status

    def start(self, command):
        """Stands for dev.call."""
        self.started.append(command)
        return self.exit_status

    @property
    def python(self):
        return Path(self.dev.tool("python"))

    @property
    def installed(self):
        """What was done since the last look: "venv" and "pip", in order."""
        names, self.calls = [command[2] for command in self.calls], []
        return names


@pytest.fixture
def machine(tmp_path, monkeypatch):
    return Machine(tmp_path, monkeypatch)


def test_first_call_installs_and_the_second_does_not(machine):
    assert machine.dev.main(["lab"]) == 0
    assert machine.installed == ["venv", "pip"]
    assert machine.dev.main(["test"]) == 0
    assert machine.installed == []
    assert len(machine.started) == 2


def test_the_packages_go_into_the_environment_under_the_constraints(machine):
    machine.dev.main(["run"])
    pip = machine.calls[-1]
    assert pip[0] == str(machine.python)
    assert pip[pip.index("-c") + 1] == str(machine.root / "constraints.txt")
    assert pip[pip.index("-e") + 1].startswith(f"{machine.root}[notebooks,test")
    assert not any("://" in part for part in pip)


@pytest.mark.parametrize("name", ["pyproject.toml", "constraints.txt"])
def test_changed_pins_install_again_into_the_same_environment(machine, name):
    machine.dev.main(["run"])
    kept = machine.root / ".venv" / "kept"
    kept.touch()
    machine.calls.clear()
    (machine.root / name).write_text("changed", encoding="utf-8")
    machine.dev.main(["run"])
    assert machine.installed == ["venv", "pip"]
    assert kept.exists()
    machine.dev.main(["run"])
    assert machine.installed == []


def test_interrupted_set_up_starts_over(machine):
    half = machine.root / ".venv" / "half-installed"
    half.parent.mkdir()
    half.touch()
    machine.dev.main(["run"])
    assert machine.installed == ["venv", "pip"]
    assert not half.exists()


def test_environment_without_its_python_is_made_again(machine):
    machine.dev.main(["run"])
    left = machine.root / ".venv" / "left"
    left.touch()
    machine.python.unlink()
    machine.calls.clear()
    machine.dev.main(["run"])
    assert machine.installed == ["venv", "pip"]
    assert not left.exists()


@pytest.mark.parametrize("what", ["Python", "folder"])
def test_environment_of_another_python_or_place_is_made_again(machine, monkeypatch, tmp_path_factory, what):
    """venv leaves an old bin/python as it is, and installed programs name the folder they were installed in."""
    machine.dev.main(["run"])
    (machine.root / ".venv" / "old").touch()
    if what == "Python":
        monkeypatch.setattr(machine.dev.sys, "version", "3.99.0 (another build)")
    else:
        moved = tmp_path_factory.mktemp("moved") / "clone"
        shutil.copytree(machine.root, moved)
        machine = Machine(moved, monkeypatch)
    machine.calls.clear()
    machine.dev.main(["run"])
    assert machine.installed == ["venv", "pip"]
    assert not (machine.root / ".venv" / "old").exists()


@pytest.mark.parametrize(
    ("failing", "words", "done"),
    [("venv_status", "could not create .venv", ["venv"]), ("pip_status", "packages failed", ["venv", "pip"])],
)
def test_failed_set_up_says_so_and_is_repaired_by_the_next_call(machine, failing, words, done):
    setattr(machine, failing, 1)
    with pytest.raises(SystemExit, match=words):
        machine.dev.main(["run"])
    assert machine.installed == done
    assert machine.started == []
    assert not machine.dev.STAMP.exists()
    setattr(machine, failing, 0)
    assert machine.dev.main(["run"]) == 0
    assert machine.installed == ["venv", "pip"]


def test_failed_reinstallation_does_not_count_as_done(machine):
    machine.dev.main(["run"])
    (machine.root / "constraints.txt").write_text("changed", encoding="utf-8")
    machine.pip_status = 1
    with pytest.raises(SystemExit):
        machine.dev.main(["run"])
    (machine.root / "constraints.txt").write_text("as it was", encoding="utf-8")
    machine.pip_status = 0
    machine.calls.clear()
    machine.dev.main(["run"])
    assert machine.installed == ["venv", "pip"]


@pytest.fixture
def real_pins(machine):
    """A machine with this project's own pyproject.toml and constraints.txt."""
    for name in ("pyproject.toml", "constraints.txt"):
        shutil.copy(FILE.parent / name, machine.root / name)
    return machine


def test_oldest_installs_the_floor_of_each_dependency(real_pins):
    assert real_pins.dev.main(["--cpu", "--oldest", "test"]) == 0
    pip = real_pins.calls[-1]
    floors = Path(pip[pip.index("-c") + 1]).read_text(encoding="utf-8").splitlines()
    assert {"torch==2.6", "jupyterlab==4.3", "pytest==8.0", "pytorch-optimizer==4.0"} <= set(floors)
    assert all(re.fullmatch(r"[a-z0-9-]+==[\d.]+", floor) for floor in floors)
    pinned = (real_pins.root / "constraints.txt").read_text(encoding="utf-8").count("==")
    assert len(floors) == pinned


def test_newest_takes_no_pins(real_pins):
    assert real_pins.dev.main(["--newest", "test"]) == 0
    assert "-c" not in real_pins.calls[-1]
    assert "--upgrade" in real_pins.calls[-1]


@pytest.mark.parametrize("option", ["--oldest", "--newest"])
def test_other_versions_are_installed_again(real_pins, option):
    real_pins.dev.main(["test"])
    assert real_pins.installed == ["venv", "pip"]
    real_pins.dev.main([option, "test"])
    assert real_pins.installed == ["venv", "pip"]
    real_pins.dev.main([option, "test"])
    assert real_pins.installed == []


def test_oldest_and_newest_at_once_are_refused(machine):
    with pytest.raises(SystemExit, match="exclude each other"):
        machine.dev.main(["--oldest", "--newest", "test"])
    assert machine.calls == []


def test_cpu_adds_the_index_of_the_small_build(machine):
    assert machine.dev.main(["--cpu", "run", "05"]) == 0
    pip = machine.calls[-1]
    assert pip[pip.index("--extra-index-url") + 1] == "https://download.pytorch.org/whl/cpu"
    assert machine.started == [[machine.dev.tool("sofim-lab"), "run", "05"]]


@pytest.mark.parametrize(
    ("argv", "tail"),
    [
        (["run", "--jobs", "2"], ["run", "--jobs", "2"]),
        (["lab"], ["lab"]),
        (["test", "-k", "sofim"], ["-m", "pytest", "-m", "not slow", "-k", "sofim"]),
        (["test", "--all", "tests/docs"], ["-m", "pytest", "--hypothesis-profile=search", "tests/docs"]),
    ],
)
def test_options_reach_the_command(machine, argv, tail):
    machine.dev.main(argv)
    (command,) = machine.started
    assert command[1:] == tail


@pytest.mark.parametrize(
    ("argv", "choice"), [(["test"], ["-m", "not slow"]), (["test", "--all"], ["--hypothesis-profile=search"])]
)
def test_the_whole_suite_uses_all_processors_and_counts_lines(machine, argv, choice):
    machine.dev.main(argv)
    (command,) = machine.started
    assert command[1:] == ["-m", "pytest", *choice, *machine.dev.WHOLE_SUITE]
    assert {"-n", "--cov"} <= set(machine.dev.WHOLE_SUITE)


@pytest.mark.parametrize(
    ("statuses", "status", "summary"),
    [
        ([0, 3, 0, 0, 4, 0, 0], 3, "lint: FAILED: ruff format, codespell"),
        ([0] * 7, 0, "lint: all 7 passed"),
    ],
)
def test_lint_checks_everything_and_says_at_its_end_which_parts_failed(machine, capsys, statuses, status, summary):
    left = iter(statuses)
    machine.dev.call = lambda command: machine.started.append(command) or next(left)
    assert machine.dev.main(["lint"]) == status
    programs = [Path(command[0]).stem for command in machine.started]
    assert programs == ["python", "python", "mypy", "lint-imports", "codespell", "check-jsonschema", "zizmor"]
    assert capsys.readouterr().out.splitlines()[-1] == summary


@pytest.mark.parametrize(("argv", "status"), [([], 2), (["tset"], 2), (["--cpu"], 2), (["--help"], 0), (["-h"], 0)])
def test_usage_is_printed_and_nothing_is_installed(machine, capsys, argv, status):
    assert machine.dev.main(argv) == status
    printed = capsys.readouterr()
    assert all(
        name in printed.out + printed.err for name in ("run", "test", "lab", "lint", "--cpu", "--oldest", "--newest")
    )
    assert (machine.calls, machine.started) == ([], [])


def test_old_python_is_refused_in_words(machine, monkeypatch):
    old = SimpleNamespace(version_info=(3, 10, 13), version="3.10.13 (main)", executable="python3.10", exit=sys.exit)
    monkeypatch.setattr(machine.dev, "sys", old)
    with pytest.raises(SystemExit, match=r"Python 3\.11 or newer is needed, this is 3\.10\.13 \(python3\.10\)"):
        machine.dev.main(["run"])
    assert machine.calls == []


def test_an_old_python_gets_as_far_as_that_message():
    """Python 3.8 would stop at the first `list[str]`, were annotations evaluated."""
    first, second, *_ = ast.parse(FILE.read_text(encoding="utf-8"), feature_version=(3, 7)).body
    assert isinstance(first, ast.Expr)
    assert ast.unparse(second) == "from __future__ import annotations"


@pytest.fixture
def real_call():
    """dev.call as it is; it changes what SIGTERM does in this process, which is undone."""
    before = signal.getsignal(signal.SIGTERM)
    spec = importlib.util.spec_from_file_location("dev_under_test", FILE)
    dev = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(dev)
    yield dev.call
    signal.signal(signal.SIGTERM, before)


@pytest.mark.parametrize("status", [0, 1, 7])
def test_exit_status_of_the_command_is_passed_on(real_call, status):
    assert real_call([sys.executable, "-c", f"raise SystemExit({status})"]) == status


@pytest.mark.skipif(os.name == "nt", reason="Windows has no SIGTERM that a program could catch")
def test_a_termination_reaches_the_command(real_call):
    code = (
        "import os, signal, sys, time\n"
        "signal.signal(signal.SIGTERM, lambda *_: sys.exit(5))\n"
        "os.kill(os.getppid(), signal.SIGTERM)\n"
        "time.sleep(60)\n"
    )
    assert real_call([sys.executable, "-c", code]) == 5
