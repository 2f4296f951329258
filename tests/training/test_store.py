"""The file of finished runs."""

import json
import os
import subprocess
import sys
from pathlib import Path
from unittest.mock import Mock

import pytest
from filelock import FileLock

from sofim_lab.training import store
from sofim_lab.training.store import read_runs, writing

HEAD = dict.fromkeys(store._HEAD, 0)


def line(key, **other):
    """The line of a run; the store asks for its head only."""
    return {"run": key, **HEAD, **other}


RUNS = [line("a", error="ü"), line("b", status="failed", error='a "quote"\n')]
HOLD = """
import json, sys, time
from pathlib import Path
from sofim_lab.training.store import writing
with writing(Path(sys.argv[1])) as add:
    add(json.loads(sys.argv[2]))
    print("holding", flush=True)
    time.sleep(60)
"""


@pytest.fixture
def path(tmp_path):
    return tmp_path / "new folder" / "in another" / "runs.jsonl"


def fill(path, runs=RUNS):
    with writing(path) as add:
        for run in runs:
            add(run)


def test_what_was_written_is_read(path):
    assert read_runs(path) == {}
    fill(path)
    fill(path, [line("c")])
    assert list(read_runs(path).values()) == [*RUNS, line("c")]


def test_a_run_is_in_the_file_as_soon_as_it_was_added(path):
    with writing(path) as add:
        add(RUNS[0])
        assert list(read_runs(path)) == ["a"]


def test_a_line_torn_anywhere_is_dropped(path):
    fill(path)
    whole = path.read_bytes()
    first = whole.index(b"\n") + 1
    for size in {*range(first, len(whole), 3), len(whole) - 1}:
        path.write_bytes(whole[:size])
        assert list(read_runs(path)) == (["a"] if size < len(whole) - 1 else ["a", "b"])  # lacks its end of line alone
        assert path.stat().st_size == size, "reading changed the file"
    for size in range(0, first - 1, 3):
        path.write_bytes(whole[:size])
        assert read_runs(path) == {}


def test_the_next_writer_starts_on_a_line_of_its_own(path):
    fill(path)
    whole = path.read_bytes()
    path.write_bytes(whole[:-7])
    fill(path, [RUNS[1]])
    assert path.read_bytes() == whole


A = json.dumps(line("a"))


def by_windows(text):
    return b"\xef\xbb\xbf" + text.replace(b"\n", b"\r\n")


def in_another_order(text):
    lines = [dict(reversed(json.loads(one).items())) for one in text.splitlines()]
    return b"".join(json.dumps(one).encode() + b"\n" for one in lines)


@pytest.mark.parametrize("change", [by_windows, in_another_order, bytes.rstrip, lambda text: text + text])
def test_what_editors_do_to_a_file_changes_nothing(path, change):
    fill(path)
    path.write_bytes(change(path.read_bytes()))
    fill(path, [line("c")])
    assert list(read_runs(path).values()) == [*RUNS, line("c")]


@pytest.mark.skipif(os.name == "nt", reason="a limit of POSIX")
def test_a_full_disk_is_named_and_costs_what_was_not_finished(path):
    import resource

    size, (soft, hard) = len(json.dumps(RUNS[0])) + 20, resource.getrlimit(resource.RLIMIT_FSIZE)
    with writing(path) as add:
        add(RUNS[0])
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
        try:
            with pytest.raises(OSError, match="finished before is kept, make room and call again: ") as error:
                add(RUNS[1])
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert error.value.filename == str(path)
    assert path.stat().st_size == size
    assert list(read_runs(path)) == ["a"]
    fill(path, RUNS[1:])
    assert list(read_runs(path).values()) == RUNS


@pytest.mark.skipif(os.name == "nt", reason="devices of POSIX")
def test_what_is_no_file_is_not_read_for_ever():
    with pytest.raises(ValueError, match=r"store='/dev/zero' is a device or a pipe: name a file"):
        read_runs(Path("/dev/zero"))


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("epoch,loss\n1,0.5\n", 1),
        ("{}", 1),
        ('{"other": 1}\n', 1),
        ("[1]\n", 1),
        (f'{A}\n{{"run": \n{A}\n', 2),
        (f"{A}\nnot this", 2),
        (f"{A}\n\n{A}\n", 2),
        (A.replace('"seed"', '"Seed"'), 1),
        (A.replace('"a"', "1", 1), 1),
    ],
)
def test_another_file_is_refused_and_left_alone(path, text, line):
    path.parent.mkdir(parents=True)
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
        fill(path, [line("a", loss=float("nan"))])
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
    other = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(path), json.dumps(line("held"))], stdout=subprocess.PIPE, text=True
    )
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
