"""The workflows of a repository on GitHub, as far as they can be checked without GitHub."""

import importlib.util
import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml

import sofim_lab

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / ".github" / "workflows"
TEXTS = {path.stem: path.read_text(encoding="utf-8") for path in sorted(FOLDER.glob("*.yml"))}
WORKFLOWS = {name: yaml.load(text, yaml.BaseLoader) for name, text in TEXTS.items()}  # `on` stays a word
JOBS = [(name, job) for name, workflow in WORKFLOWS.items() for job in workflow["jobs"]]

needs_bash = pytest.mark.skipif(
    sys.platform == "win32" or shutil.which("bash") is None, reason="bash, in which the workflows' scripts are written"
)


def script(workflow, job, step):
    """The shell script of a named step."""
    (found,) = [s["run"] for s in WORKFLOWS[workflow]["jobs"][job]["steps"] if s.get("name") == step]
    return found


def lint(folder):
    """The two linters, called as dev.py calls them, on a folder with .github in it, when they have ended."""
    spec = importlib.util.spec_from_file_location("dev_of_the_workflows", ROOT / "dev.py")
    dev = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(dev)
    dev.ROOT, dev.VENV = folder, Path(sys.prefix)
    linters = [c for c in dev.commands("lint", []) if Path(c[0]).stem in ("check-jsonschema", "zizmor")]
    if not all(Path(command[0]).exists() for command in linters):
        pytest.skip("the linters of the workflows are not installed in this environment")
    return [subprocess.run(command, cwd=folder, capture_output=True, text=True) for command in linters]


def test_the_linters_find_nothing():
    assert [linter.returncode for linter in lint(ROOT)] == [0, 0]


def test_the_linters_can_fail(tmp_path):
    """All at once, each in a copy of its own: a linter takes a second to start."""
    changes = {
        "unchanged": ("jobs:", "jobs:"),
        "unknown_key": ("timeout-minutes", "timeout-minute"),
        "no_pin": ("@3d3c42e5aac5ba805825da76410c181273ba90b1 # v7.0.1", "@v7"),
        "credentials": ("persist-credentials: false", "fetch-depth: 1"),
        "injection": ("dev.py --cpu lint", "dev.py ${{ github.head_ref }} lint"),
    }
    folder = tmp_path / ".github" / "workflows"
    folder.mkdir(parents=True)
    for name, (before, after) in changes.items():
        assert before in TEXTS["tests"]
        (folder / f"{name}.yml").write_text(TEXTS["tests"].replace(before, after), encoding="utf-8")
    failed = [linter.stdout + linter.stderr for linter in lint(tmp_path) if linter.returncode]
    assert {name for name in changes if f"{name}.yml" in "".join(failed)} == set(changes) - {"unchanged"}


def test_actions_are_pinned_by_commit_with_the_version_beside_it_and_alike_everywhere():
    uses = [line for text in TEXTS.values() for line in text.splitlines() if re.match(r"\s*(- )?uses:", line)]
    pinned = [
        re.search(r"uses: ([\w./-]+)@([0-9a-f]{40}) # (v\d+\.\d+\.\d+)$", line) for line in uses if "./" not in line
    ]
    assert all(pinned), [line for line in uses if "./" not in line and not re.search("@[0-9a-f]{40} # v", line)]
    assert len({match[1] for match in pinned}) == len({match.groups() for match in pinned})


@pytest.mark.parametrize("name", WORKFLOWS)
def test_a_workflow_grants_nothing_by_itself_and_does_not_run_twice_at_once(name):
    assert WORKFLOWS[name]["permissions"] == {}
    assert WORKFLOWS[name]["concurrency"]["group"]


@pytest.mark.parametrize(("name", "job"), JOBS)
def test_a_job_names_its_permissions_and_ends(name, job):
    content = WORKFLOWS[name]["jobs"][job]
    assert content["permissions"]
    assert "uses" in content or int(content["timeout-minutes"]) <= 90


@pytest.mark.parametrize("name", ["tests", "gpu"])
def test_what_a_push_or_pull_request_runs_may_only_read(name):
    assert {str(job["permissions"]) for job in WORKFLOWS[name]["jobs"].values()} == {"{'contents': 'read'}"}


def test_every_system_meets_the_oldest_and_the_pinned_versions():
    matrix = WORKFLOWS["tests"]["jobs"]["tests"]["strategy"]["matrix"]
    assert matrix["os"] == ["ubuntu-latest", "macos-latest", "windows-latest"]
    ends = {end["versions"]: (end["python"], end["option"]) for end in matrix["include"]}
    floor = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["requires-python"]
    assert ends["oldest"] == (floor.removeprefix(">="), "--oldest")
    assert set(matrix["versions"]) == set(ends) == {"oldest", "pinned"}


def test_without_a_gpu_nothing_passes():
    """No runner: skipped. A runner without CUDA: `run --device cuda` refuses, before tests that would only skip."""
    gpu = WORKFLOWS["gpu"]["jobs"]["cuda"]
    assert gpu["if"] == "${{ vars.GPU_RUNNER == 'true' }}"
    assert "self-hosted" in gpu["runs-on"]
    runs = [step["run"] for step in gpu["steps"] if "run" in step]
    assert runs[0] == "python dev.py run --device cuda"
    assert "if" not in next(step for step in gpu["steps"] if step.get("run") == runs[0])
    assert "pull_request" not in WORKFLOWS["gpu"]["on"]


def test_the_weekly_run_takes_no_pins_and_reports_each_job():
    jobs = WORKFLOWS["weekly"]["jobs"]
    runs = [step["run"] for step in jobs["newest"]["steps"] if "run" in step]
    assert runs
    assert all("--newest" in run for run in runs)
    assert sorted(jobs["issue"]["needs"]) == sorted(set(jobs) - {"issue"})


@pytest.fixture
def gh(tmp_path):
    """A `gh` that writes its arguments down and answers `issue list` with $OPEN."""
    calls = tmp_path / "calls"
    calls.touch()
    program = tmp_path / "gh"
    program.write_text(
        f'#!/bin/bash\nprintf "%s|" "$@" >> "{calls}"; echo >> "{calls}"\n[ "$2" = list ] && echo "$OPEN"\nexit 0\n'
    )
    program.chmod(0o755)

    def run(open_issue):
        environment = {**os.environ, "PATH": f"{tmp_path}{os.pathsep}{os.environ['PATH']}", "OPEN": open_issue}
        environment |= {"TITLE": "It failed", "BODY": "newest: failure; `$(rm x)`"}
        text = script("weekly", "issue", "open an issue, or add to the open one")
        subprocess.run(["bash", "-eo", "pipefail", "-c", text], env=environment, check=True)
        return [line.split("|")[:-1] for line in calls.read_text().splitlines()]

    return run


@needs_bash
def test_a_weekly_failure_opens_an_issue(gh):
    _, call = gh("")
    assert call == ["issue", "create", "--title", "It failed", "--body", "newest: failure; `$(rm x)`"]


@needs_bash
def test_the_next_weekly_failure_adds_to_the_open_issue(gh):
    _, call = gh("12")
    assert call == ["issue", "comment", "12", "--body", "newest: failure; `$(rm x)`"]


@needs_bash
@pytest.mark.parametrize(
    ("tag", "status"), [(f"v{sofim_lab.__version__}", 0), ("v99.0.0", 1), (sofim_lab.__version__, 1)]
)
def test_only_a_tag_that_is_the_version_is_released(tag, status):
    text = script("release", "build", "the tag is the version")
    done = subprocess.run(
        ["bash", "-eo", "pipefail", "-c", text],
        cwd=ROOT,
        env={**os.environ, "GITHUB_REF_NAME": tag},
        capture_output=True,
    )
    assert done.returncode == status


def test_a_release_waits_for_the_tests_and_keeps_no_password():
    jobs = WORKFLOWS["release"]["jobs"]
    assert jobs["publish"]["needs"] == ["tests", "build"]
    assert jobs["github"]["needs"] == "publish"
    assert jobs["publish"]["permissions"] == {"id-token": "write"}
    assert "secrets." not in "".join(TEXTS.values())
