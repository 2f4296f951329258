"""The end of a run on the terminal: a line a lesson, and what failed."""

import re
from collections.abc import Sequence

from sofim_lab.lessons.colours import CODE
from sofim_lab.lessons.judging.verdict import Verdict
from sofim_lab.lessons.reporting.summary import headline

# A terminal obeys control characters; what a notebook brings must not.
CONTROL = re.compile(CODE + r"|[\x00-\x08\x0b-\x1f\x7f]")


def terminal_table(verdicts: Sequence[Verdict], *, interrupted: bool = False) -> str:
    """Lesson, status and seconds, below each what failed and where, and the verdict at the end.

    Args:
        verdicts: the judged lessons.
        interrupted: whether the run was stopped before its end.
    """
    names = [plain(verdict.run.outcome.lesson) for verdict in verdicts]
    rows = [("Lesson", "Status"), *zip(names, (verdict.word for verdict in verdicts), strict=True)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = [f"{'Lesson':<{widths[0]}}  {'Status':<{widths[1]}}  Seconds"]
    for lesson, verdict in zip(names, verdicts, strict=True):
        lines.append(f"{lesson:<{widths[0]}}  {verdict.word:<{widths[1]}}  {verdict.run.outcome.seconds:7.1f}")
        lines += [_indented(text) for text in verdict.failures]
        lines += [_indented(f"warning: {text}") for text in verdict.warnings]
    return "\n".join([*lines, headline(verdicts, interrupted=interrupted).capitalize()])


def plain(text: str) -> str:
    """A text that a terminal only shows."""
    return CONTROL.sub("", text)


def _indented(text: str) -> str:
    """A text below its lesson."""
    return "    " + plain(text).replace("\n", "\n      ")
