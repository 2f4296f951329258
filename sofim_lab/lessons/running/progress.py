"""What a run shows in the terminal: a bar over the cells of all lessons, or a line for each finished one."""

import sys
import time
from contextlib import suppress

from tqdm import tqdm

from sofim_lab.lessons.outcome import Outcome

MARKS = {"passed": "✓", "failed": "✗", "timeout": "✗", "interrupted": "…"}


class Progress:
    """A bar on a terminal, lines elsewhere, nothing if not `shown`; all of it on stderr."""

    def __init__(self, cells: dict[str, int], shown: bool) -> None:
        self.cells = cells
        self.reached = dict.fromkeys(cells, 0)
        self.drawn = 0.0
        self.shown = shown = shown and sys.stderr is not None
        terminal = shown and sys.stderr.isatty()
        # No rate and no time left: one cell trains a network, the next prints a line.
        layout = "{desc}{percentage:3.0f}%|{bar}| cell {n_fmt} of {total_fmt} [{elapsed}]"
        options = {"bar_format": layout, "dynamic_ncols": True, "leave": False}
        self.bar = tqdm(total=sum(cells.values()), file=sys.stderr, disable=not terminal, **options)

    def reach(self, lesson: str, cell: int | None) -> None:
        """`lesson` is in its cell number `cell`."""
        done = max(self.reached[lesson], (cell or 1) - 1)
        if done != self.reached[lesson]:
            self.bar.set_description(lesson, refresh=False)
            self.bar.update(done - self.reached[lesson])
            self.reached[lesson] = done
        elif time.monotonic() - self.drawn > 1:  # in a long cell, the clock at least goes on
            self.drawn = time.monotonic()
            self.bar.refresh()

    def finish(self, outcome: Outcome) -> None:
        """A lesson ended."""
        self.bar.update(self.cells[outcome.lesson] - self.reached[outcome.lesson])
        self.reached[outcome.lesson] = self.cells[outcome.lesson]
        if self.shown:
            memory = f", {outcome.peak_memory_mb:.0f} MB" if outcome.peak_memory_mb else ""
            line = f"{MARKS[outcome.status]} {outcome.lesson}: {outcome.status}, {outcome.seconds:.1f} s{memory}"
            with suppress(OSError):  # whoever read stderr is gone: no reason to stop the lessons
                self.bar.write(line, file=sys.stderr)

    def close(self) -> None:
        """Leave the terminal as it was."""
        self.bar.close()
