import json
import os
import re

import pytest
import torch
from small_lessons import write_lesson

from sofim_lab.lessons.errors import LessonError
from sofim_lab.lessons.outcome import METRIC_MIME, Outcome
from sofim_lab.lessons.running.runner import run_lessons
from sofim_lab.lessons.typed import typed

RECORD = """
from IPython.display import display
def record(name, value):
    payload = {"name": name, "value": value, "unit": "", "better": None, "compare": True}
    display({"METRIC": payload, "text/plain": name}, raw=True)
""".replace("METRIC", METRIC_MIME)

WIDGET = """
import ipywidgets
class Explorer(ipywidgets.HTML):
    def _repr_mimebundle_(self, **kwargs):
        return super()._repr_mimebundle_(**kwargs) | {"text/html": "<img alt='first picture'>"}
Explorer(value="live")
"""

LEAVES_A_PROCESS = """
import os, subprocess, sys
print(json.dumps([os.environ["SOFIM_LAB_REPORT"], os.environ["OMP_NUM_THREADS"], os.getcwd(), RHO, SEED, DEVICE]))
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(300)"], start_new_session=True)
print(child.pid)
"""


@pytest.fixture(scope="module")
def passed(tmp_path_factory):
    """One lesson that does a bit of everything, in a folder with difficult names."""
    folder = tmp_path_factory.mktemp("a") / "mit Leerzeichen {x} ö日"
    cells = (RECORD, "record('x', 1.5)\nrecord('y', 'inf')", WIDGET, "import json" + LEAVES_A_PROCESS)
    lesson = write_lesson(folder / "notebooks", "01_a", *cells)
    heard = []
    (outcome,) = run_lessons(
        [lesson],
        output=folder / "out" / "new",
        device="cpu",
        parameters={"RHO": 2},
        threads=1,
        on_finished=heard.append,
    )
    assert heard == [outcome]
    return lesson, outcome


def outputs(outcome):
    """The outputs of each code cell of an executed notebook."""
    notebook = json.loads(outcome.notebook.read_text(encoding="utf-8"))
    return [cell["outputs"] for cell in notebook["cells"] if cell["cell_type"] == "code"]


def test_a_lesson_that_passes_says_everything_about_its_run(passed):
    lesson, outcome = passed
    assert (outcome.status, outcome.failure) == ("passed", None)
    assert [(m.name, m.value) for m in outcome.metrics] == [("x", 1.5), ("y", float("inf"))]
    assert outcome.parameters == {"DEVICE": "cpu", "PROFILE": "quick", "SEED": 0, "RHO": 2.0, "SOLUTIONS": False}
    assert (outcome.device, outcome.profile, outcome.default_parameters) == ("cpu", "quick", False)
    assert 0 < outcome.seconds < 60
    assert 20 < outcome.peak_memory_mb < 500
    assert outcome.notebook == outcome.notebook.parent / f"{lesson.id}.ipynb"
    assert typed(Outcome, json.loads(json.dumps(outcome.to_json(), allow_nan=False))) == outcome


def test_the_kernel_gets_parameters_environment_and_the_notebooks_folder(passed):
    lesson, outcome = passed
    printed = json.loads("".join(outputs(outcome)[-1][0]["text"]).splitlines()[0])
    assert printed == ["1", "1", str(lesson.path.parent), 2.0, 0, "cpu"]


def test_what_a_lesson_leaves_behind_is_ended(passed):
    pid = int("".join(outputs(passed[1])[-1][0]["text"]).splitlines()[1])
    with pytest.raises(ProcessLookupError):
        alive(pid)


def alive(pid):
    """Raise if there is no such process, or only a zombie of it."""
    os.kill(pid, 0)
    with open(f"/proc/{pid}/stat", encoding="utf-8") as stat:
        if stat.read().rpartition(")")[2].split()[0] == "Z":
            raise ProcessLookupError


def test_the_executed_file_keeps_a_widgets_picture_and_no_widget_state(passed):
    _, outcome = passed
    widget = outputs(outcome)[4][0]["data"]
    assert "first picture" in "".join(widget["text/html"])
    text = outcome.notebook.read_text(encoding="utf-8")
    metadata = json.loads(text)["metadata"]
    assert "widgets" not in metadata
    assert metadata["papermill"]["input_path"] == metadata["papermill"]["output_path"] == "01_a.ipynb"


def test_nothing_but_the_notebook_and_the_lock_is_left_in_the_output_folder(passed):
    _, outcome = passed
    assert sorted(path.name for path in outcome.notebook.parent.iterdir()) == [".lock", "01_a.ipynb"]


def test_parallel_lessons_record_what_they_record_alone(make_lesson, tmp_path, monkeypatch, capsys):
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    told = 'import os\nrecord("threads", int(os.environ.get("OMP_NUM_THREADS", 0)))'
    lessons = [
        make_lesson("01_slow", RECORD, "import time; time.sleep(1); record('a', 1)", told),
        make_lesson("02_fast", RECORD, "record('b', SEED)"),
    ]
    alone = run_lessons(lessons, output=tmp_path / "alone", device="cpu")
    together = run_lessons(lessons, output=tmp_path / "together", device="cpu", jobs=2)
    assert [outcome.lesson for outcome in together] == ["01_slow", "02_fast"]
    records = [[(m.name, m.value) for outcome in run for m in outcome.metrics] for run in (alone, together)]
    assert records == [[("a", 1), ("threads", 0), ("b", 0)], [("a", 1), ("threads", 1), ("b", 0)]]
    lines = [re.sub(r"[\d.]+ (s|MB)", r"# \1", line) for line in capsys.readouterr().err.splitlines()]
    assert sorted(lines) == ["✓ 01_slow: passed, # s, # MB"] * 2 + ["✓ 02_fast: passed, # s, # MB"] * 2


def test_real_records_and_a_broken_formula(make_lesson, tmp_path):
    lesson = make_lesson(
        "01_a",
        "from sofim_lab.lessons import metric, verify\nmetric('loss', 0.5, unit='nat', better='lower')",
        "verify('01.right', 2 + 2, 4)",
        "# F = m m' + rho I\n\nverify('01.wrong', 2 + 2,\n       5, what='sum')",
        "metric('never', 1)",
    )
    (outcome,) = run_lessons([lesson], output=tmp_path / "out", device="cpu", progress=False)
    assert outcome.status == "failed"
    assert [(m.name, m.value, m.unit, m.better) for m in outcome.metrics] == [("loss", 0.5, "nat", "lower")]
    assert [(v.id, v.passed, v.residual) for v in outcome.verifications] == [
        ("01.right", True, 0),
        ("01.wrong", False, 1),
    ]
    failure = outcome.failure
    assert (failure.kind, failure.cell, failure.cell_id) == ("formula", 5, "code-3")
    assert (failure.line, failure.source) == (3, "verify('01.wrong', 2 + 2,")
    assert failure.message == ("VerificationError: formula '01.wrong' does not hold: residual 1 > tolerance 5e-10")
    shown = outputs(outcome)
    assert "does not hold" in "".join(shown[4][0]["data"]["text/html"])


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"device": "gpu"}, "device='gpu' is unknown: choose one of auto, cpu, cuda, mps"),
        ({"profile": "quik"}, "unknown profile 'quik': did you mean 'quick'? Known: quick, full"),
        ({"parameters": {"SED": 1}}, "01_a: unknown parameter 'SED': did you mean 'SEED'? Known: SEED, RHO"),
        ({"parameters": {"SEED": "one"}}, "parameter SEED='one' is of type str, but its default 0 is of type int"),
        ({"jobs": 0}, "jobs=0 must be a whole number ≥ 1"),
        ({"threads": 1.5}, "threads=1.5 must be a whole number ≥ 1"),
        ({"cell_timeout": -1}, "cell_timeout=-1 must be a number of seconds > 0"),
        ({"lesson_timeout": "1"}, "lesson_timeout='1' must be a number of seconds > 0"),
    ],
)
def test_a_request_that_cannot_be_carried_out_writes_nothing(make_lesson, tmp_path, options, words):
    with pytest.raises(LessonError, match=re.escape(words)):
        run_lessons([make_lesson("01_a")], output=tmp_path / "out", **{"device": "cpu"} | options)
    assert not (tmp_path / "out").exists()


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has CUDA")
def test_cuda_without_cuda_is_refused_before_anything_is_written(make_lesson, tmp_path):
    with pytest.raises(LessonError, match=r"device='cuda', but .*: use device='cpu' or device='auto'"):
        run_lessons([make_lesson("01_a", devices=("cpu", "cuda"))], output=tmp_path / "out", device="cuda")
    assert not (tmp_path / "out").exists()


def test_a_device_that_a_lesson_does_not_know(make_lesson, tmp_path):
    with pytest.raises(LessonError, match="01_a does not run on cpu: choose cuda"):
        run_lessons([make_lesson("01_a", devices=("cuda",))], output=tmp_path / "out", device="cpu")


def test_a_lesson_named_twice_and_none_at_all(make_lesson, tmp_path):
    lesson = make_lesson("01_a")
    with pytest.raises(LessonError, match="a lesson is named twice"):
        run_lessons([lesson, lesson], output=tmp_path / "out", device="cpu")
    with pytest.raises(LessonError, match="no lessons to run"):
        run_lessons([], output=tmp_path / "out", device="cpu")


@pytest.mark.parametrize("below", ["", "deeper"])
def test_an_output_folder_that_cannot_be_written(make_lesson, tmp_path, below):
    (tmp_path / "out").write_text("a file in the folder's place", encoding="utf-8")
    lesson = make_lesson("01_a", "raise SystemExit('this must not run')")
    with pytest.raises(LessonError, match=r"cannot write to the output folder .*out.*; choose another with --output"):
        run_lessons([lesson], output=tmp_path / "out" / below, device="cpu")


def test_explorers_share_the_bytes_for_their_frames_and_none_draws_unasked(make_lesson, tmp_path, monkeypatch):
    monkeypatch.setenv("SOFIM_LAB_FRAMES", "9")  # of no run of ours
    lesson = make_lesson("01_a", "import os; print(os.environ['SOFIM_LAB_FRAMES'] or 'none')", "2", "3")
    notebook = json.loads(lesson.path.read_text(encoding="utf-8"))
    for cell in notebook["cells"][-2:]:
        cell["metadata"]["tags"] = ["play"]
    lesson.path.write_text(json.dumps(notebook), encoding="utf-8")
    for frames, said in ((0, "none\n"), (1000, "500\n")):
        (outcome,) = run_lessons([lesson], output=tmp_path / "out", device="cpu", frames=frames)
        assert outputs(outcome)[2][0]["text"] in (said, [said])
