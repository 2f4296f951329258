"""The circumstances of a run."""

import platform
import subprocess

from sofim_lab.lessons.reporting.environment import Environment, describe_environment, installed_version
from sofim_lab.lessons.typed import typed


def git(folder, *arguments):
    options = ["-c", "user.name=n", "-c", "user.email=e@example.org", "-c", "commit.gpgsign=false"]
    subprocess.run(["git", "-C", str(folder), *options, *arguments], check=True, capture_output=True)


def test_commit_and_whether_files_differ_from_it(tmp_path):
    git(tmp_path, "init")
    assert describe_environment(tmp_path).commit == ""
    (tmp_path / "a").write_text("1", encoding="utf-8")
    git(tmp_path, "add", "a")
    git(tmp_path, "commit", "-m", "first")
    clean = describe_environment(tmp_path).commit
    assert len(clean) >= 7
    (tmp_path / "a").write_text("2", encoding="utf-8")
    assert describe_environment(tmp_path).commit == clean + "+"


def test_without_git(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert describe_environment(tmp_path).commit == ""


def test_survives_json(tmp_path):
    here = describe_environment(tmp_path)
    assert here.python == platform.python_version()
    assert typed(Environment, here.to_json()) == here
    assert installed_version("no-such-package-anywhere") == ""
