"""The report of a run: a page to read, and the same for machines."""

from collections.abc import Sequence
from pathlib import Path

from sofim_lab.files import write_atomically
from sofim_lab.lessons.judging.verdict import Verdict
from sofim_lab.lessons.reporting.index_page import report_html
from sofim_lab.lessons.reporting.junit import junit_xml
from sofim_lab.lessons.reporting.runfile import Run, save_run
from sofim_lab.lessons.reporting.summary import summary_markdown


def write_report(run: Run, verdicts: Sequence[Verdict], folder: Path, trends: str = "") -> Path:
    """Write `run.json`, `index.html`, `junit.xml` and `summary.md`, each whole or not at all.

    Args:
        run: what was found.
        verdicts: the same lessons, judged.
        folder: the report's folder, made where it does not exist.
        trends: the name of the trend page in it, if there is one.

    Returns:
        The path of `index.html`.

    Raises:
        OSError: the folder cannot be made or written.
    """
    save_run(run, folder)
    write_atomically(folder / "junit.xml", junit_xml(verdicts, run.environment))
    summary = summary_markdown(verdicts, run.environment, interrupted=run.interrupted)
    write_atomically(folder / "summary.md", summary)
    page = folder / "index.html"
    write_atomically(page, report_html(run, verdicts, folder, trends))
    return page
