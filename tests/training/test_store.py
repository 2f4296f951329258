"""The file of finished runs."""

import json
import subprocess
import sys
from unittest.mock import Mock

import pytest
from filelock import FileLock

from sofim_lab.training.store import read_runs, writing

RUNS = [{"run": "a", "status": "ok", "error": "ü"}, {"run": "b", "status": "failed", "error": 'a "quote"\n'}]
HOLD = """
import sys, time
from pathlib import Path
from sofim_lab.training.store import writing
with writing(Path(sys.argv[1])) as add:
    add({"run": "held"})
    print("holding", flush=True)
    time.sleep(60)
"""


@pytest.fixture
def path(tmp_path):
    return tmp_path / "new folder" / "runs.jsonl"


def fill(path, runs=RUNS):
    with writing(path) as add:
        for run in runs:
            add(run)


def test_what_was_written_is_read(path):
    assert read_runs(path) == {}
    fill(path)
    fill(path, [{"run": "c"}])
    assert list(read_runs(path).values()) == [*RUNS, {"run": "c"}]


def test_a_run_is_in_the_file_as_soon_as_it_was_added(path):
    with writing(path) as add:
        add(RUNS[0])
        assert list(read_runs(path)) == ["a"]


def test_a_line_torn_anywhere_is_dropped(path):
    fill(path)
    whole = path.read_bytes()
    first = whole.index(b"\n") + 1
    for size in range(first, len(whole)):
        path.write_bytes(whole[:size])
        assert list(read_runs(path)) == ["a"]
        assert path.stat().st_size == size, "reading changed the file"
    for size in range(first):
        path.write_bytes(whole[:size])
        assert read_runs(path) == {}


def test_the_next_writer_starts_on_a_line_of_its_own(path):
    fill(path)
    whole = path.read_bytes()
    path.write_bytes(whole[:-7])
    fill(path, [RUNS[1]])
    assert path.read_bytes() == whole


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("epoch,loss\n1,0.5\n", 1),
        ("{}", 1),
        ('{"other": 1}\n', 1),
        ("[1]\n", 1),
        ('{"run": "a"}\n{"run": \n{"run": "c"}\n', 2),
        ('{"run": "a"}\nnot this', 2),
    ],
)
def test_another_file_is_refused_and_left_alone(path, text, line):
    path.parent.mkdir()
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ValueError, match=rf"runs.jsonl, line {line}: no finished run of a sweep; repair or delete"):
        read_runs(path)
    with pytest.raises(ValueError, match="no finished run"), writing(path):
        pass
    assert path.read_text(encoding="utf-8") == text


def test_a_folder_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"is a folder: name a file in it, e\.g\..*runs\.jsonl"):
        read_runs(tmp_path)


def test_numbers_that_json_does_not_have_are_no_silent_text(path):
    with pytest.raises(ValueError, match="not JSON compliant"):
        fill(path, [{"run": "a", "loss": float("nan")}])
    assert read_runs(path) == {}


def test_there_is_one_writer_at_a_time(path):
    with (
        writing(path) as add,
        pytest.raises(RuntimeError, match=r"another sweep is writing to .*runs\.jsonl"),
        writing(path),
    ):
        add(RUNS[0])  # not reached
    fill(path)  # free again


def test_a_drive_without_locks_is_refused_in_words(path, monkeypatch):
    monkeypatch.setattr(FileLock, "acquire", Mock(side_effect=NotImplementedError("no flock here")))
    with pytest.raises(RuntimeError, match=r"runs\.jsonl lies on a drive without locks: keep"), writing(path):
        pass  # not reached
    assert not path.exists()


def test_a_writer_that_was_killed_holds_nothing(path):
    other = subprocess.Popen([sys.executable, "-c", HOLD, str(path)], stdout=subprocess.PIPE, text=True)
    try:
        assert other.stdout.readline().strip() == "holding"
        with pytest.raises(RuntimeError, match="another sweep is writing"):
            fill(path)
    finally:
        other.kill()
        other.communicate()
    fill(path)
    assert list(read_runs(path)) == ["held", "a", "b"]


def test_lines_are_json(path):
    fill(path)
    assert [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()] == RUNS
