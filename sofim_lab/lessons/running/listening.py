"""What the kernel sends while a lesson runs, heard in the worker before nbclient does.

Two things would pass unseen otherwise. An error in a thread, a task, a finalizer or a child process stops no cell:
Python writes it to stderr and goes on, and what is written after its cell has ended, or after the last one, reaches no
cell at all. And a cell that prints without end fills the memory of whoever collects it.
"""

import re
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

from sofim_lab.lessons.running.findings import error_message, error_traceback

PRINTED = 1_000_000  # characters that a cell may print
SHOWN = 20_000_000  # characters of pictures, tables and pages that a cell may show
_KEPT = 100_000  # characters of stderr that are searched, the last ones of a cell

# How Python begins its report of an error that nothing in the foreground waits for.
_BACKGROUND = re.compile(
    r"^(?:Exception in (?:thread|callback) .+|(?:Task|Future) exception was never retrieved|Process .+:"
    r"|Exception ignored .+|--- Logging error ---|.*\bRuntimeWarning: coroutine '.+' was never awaited)$",
    re.MULTILINE,
)
_IGNORED = "Exception ignored"  # in a finalizer; those of libraries are their own affair
_OURS = re.compile(r'File ".*(?:ipykernel_\d+[/\\]\w+|sofim_lab(?:[/\\]\w+)+)\.py"')
_NOT_AWAITED = "RuntimeWarning: "
_ADDRESS = re.compile(r" at 0x[0-9A-Fa-f]+")  # another in each run
_TRACEBACK = "Traceback (most recent call last):"
_ERROR = re.compile(r"^(?![ \t])(?!Traceback )[A-Za-z_][\w.]*(?:: .*)?$", re.MULTILINE)


def background_errors(words: str) -> Iterator[tuple[str, str]]:
    r"""Errors that Python reported on stderr because nothing waited for them.

    Args:
        words: What was written to stderr.

    Yields:
        A sentence and the report with its traceback, for each.

    Example:
        >>> report = "Exception in thread T:\nTraceback (most recent call last):\n  File ...\nValueError: no"
        >>> [message for message, _ in background_errors("before\n" + report + "\n")]
        ['Exception in thread T: ValueError: no']
    """
    starts = [found.start() for found in _BACKGROUND.finditer(words)]
    for start, end in pairwise([*starts, len(words)]):
        report = words[start:end].rstrip()
        head, traceback, rest = report.partition(_TRACEBACK)
        title = _ADDRESS.sub("", head.splitlines()[0].rstrip(":"))
        if _NOT_AWAITED in title:
            yield title.partition(_NOT_AWAITED)[2], report
        elif traceback and (_OURS.search(rest) or not title.startswith(_IGNORED)):  # else it is only somebody's words
            named = _ERROR.search(rest)
            yield f"{title}: {named[0]}" if named else title, report


class Listener:
    """Hears every message of the kernel; cuts what is too long, and keeps what `findings` gives.

    The number of the cell that runs is set in `cell`, the findings of a cell are taken when it has ended. After the
    last one `ending` is set: what is heard then belongs to none.
    """

    def __init__(self) -> None:
        self.cell = 0
        self.ending = False
        self.raised: list[dict[str, str]] = []
        self.printed: dict[int, int] = {}
        self.shown: dict[int, int] = {}
        self.flooded: set[int] = set()
        self.words = ""

    def hear(self, message: dict[str, Any]) -> None:
        """Shorten a message in place where its cell has said too much already."""
        content = message.get("content", {})
        if message.get("msg_type") == "stream":
            if content.get("name") == "stderr":
                self.words = (self.words + content["text"])[-_KEPT:]
            content["text"] = self._within(content["text"], self.printed, PRINTED)
        elif message.get("msg_type") == "error" and self.ending:
            self.raised.append({"message": error_message(content), "traceback": error_traceback(content)})
        elif message.get("msg_type") in ("display_data", "execute_result", "update_display_data"):
            for mime, value in content.get("data", {}).items():
                if isinstance(value, str):  # records of ours are objects
                    content["data"][mime] = self._within(value, self.shown, SHOWN, whole=True)

    def findings(self) -> list[dict[str, str]]:
        """What is wrong with the cell that has just ended, as kind, message and traceback; each is given once."""
        words, self.words = self.words, ""
        raised, self.raised = self.raised, []
        raised += [{"message": message, "traceback": report} for message, report in background_errors(words)]
        when = "after the last cell" if self.ending else "unseen by the cell"
        found = [{"kind": "background", **error, "message": f"{when}: {error['message']}"} for error in raised]
        if self.cell in self.flooded:
            self.flooded.remove(self.cell)
            limits = f"{PRINTED / 1e6:g} MB of text and {SHOWN / 1e6:g} MB of pictures and pages"
            found.append({"kind": "flood", "message": f"a cell may print {limits}; the rest is cut", "traceback": ""})
        return found

    def _within(self, text: str, spent: dict[int, int], limit: int, *, whole: bool = False) -> str:
        """The part of a text that this cell may still say; a thing that makes no sense in parts is left out whole."""
        room = limit - spent.get(self.cell, 0)
        spent[self.cell] = spent.get(self.cell, 0) + len(text)
        if len(text) <= room:
            return text
        note = "" if self.cell in self.flooded else f"\n[cut: more than {limit / 1e6:g} MB]\n"
        self.flooded.add(self.cell)
        return note if whole else text[: max(room, 0)] + note
