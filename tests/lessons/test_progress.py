import io
import sys
from pathlib import Path

import pytest

from sofim_lab.lessons.outcome import Outcome
from sofim_lab.lessons.running.progress import Progress

OUTCOME = Outcome("02_b", "B", "timeout", "cpu", "quick", {}, 2.04, Path("02_b.ipynb"), peak_memory_mb=300.4)


@pytest.mark.parametrize("terminal", [True, False])
def test_a_bar_over_all_cells_on_a_terminal_and_a_line_for_each_lesson(monkeypatch, terminal):
    stream = io.StringIO()
    stream.isatty = lambda: terminal
    monkeypatch.setattr(sys, "stderr", stream)
    progress = Progress({"01_a": 6, "02_b": 4}, shown=True)
    progress.bar.mininterval = 0
    progress.reach("01_a", None)
    progress.reach("01_a", 4)
    progress.reach("01_a", 4)
    progress.finish(OUTCOME)
    assert progress.bar.n == (3 + 4 if terminal else 0)  # three cells are behind 01_a, all four behind 02_b
    progress.close()
    assert "✗ 02_b: timeout, 2.0 s, 300 MB\n" in stream.getvalue()
    assert ("of 10" in stream.getvalue()) == terminal


def test_nothing_is_shown_unless_wanted(capsys):
    progress = Progress({"02_b": 4}, shown=False)
    progress.reach("02_b", 3)
    progress.finish(OUTCOME)
    progress.close()
    assert capsys.readouterr() == ("", "")
