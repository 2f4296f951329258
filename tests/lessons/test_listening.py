"""What Python writes to stderr for an error that nothing waits for, told from what only looks like it."""

import pytest

from sofim_lab.lessons.running.listening import background_errors

REPORT = """Exception ignored in: <function Loader.__del__ at 0x7f58b77de5c0>
Traceback (most recent call last):
  File "{}", line 3, in __del__
ValueError: closed
"""


@pytest.mark.parametrize(
    ("file", "heard"),
    [("/tmp/ipykernel_23871/480535918.py", True), (r"C:\Temp\ipykernel_1/480535918.py", True),
     ("/home/ada/sofim_lab/sofim_lab/training/train.py", True),
     ("/home/ada/sofim_lab/.venv/lib/python3.12/site-packages/torch/utils/data/dataloader.py", False),
     ("/home/ada/sofim_lab/venv/lib/python3.12/site-packages/torch/utils/data/dataloader.py", False)],
)  # fmt: skip
def test_a_finalizer_of_a_library_is_its_own_affair(file, heard):
    found = [message for message, _ in background_errors(REPORT.format(file))]
    assert found == ["Exception ignored in: <function Loader.__del__>: ValueError: closed"] * heard


def test_words_that_only_look_like_a_report_are_left_alone():
    assert list(background_errors("Exception in thread of thought\nwas never awaited\nException ignored here\n")) == []
