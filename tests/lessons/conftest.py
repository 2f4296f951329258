"""Fixtures for the tests of running and judging lessons."""

from collections.abc import Callable
from pathlib import Path

import pytest
from small_lessons import write_lesson

from sofim_lab.lessons.manifest import Lesson


@pytest.fixture
def make_lesson(tmp_path: Path) -> Callable[..., Lesson]:
    """`make_lesson(id, *cells, **limits)` writes into `tmp_path / "notebooks"`."""
    return lambda lesson_id, *cells, **limits: write_lesson(tmp_path / "notebooks", lesson_id, *cells, **limits)
