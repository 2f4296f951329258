"""The examples of the pages in docs/ and the README's run as they are printed."""

import doctest
import io
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FENCE = re.compile(r"^```.*$", re.M)
PYTHON = re.compile(r"^```python\n(.*?)^```$", re.M | re.S)
FLAGS = doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS | doctest.FAIL_FAST
PAGES = [page for page in sorted((ROOT / "docs").glob("*.md")) if PYTHON.search(page.read_text(encoding="utf-8"))]


def run(text, name):
    """The examples of a page, one namespace for all; (failures, examples, report). A fence would read as output."""
    report = io.StringIO()
    examples = doctest.DocTestParser().get_doctest(FENCE.sub("", text), {}, name, name, 0)
    failed, attempted = doctest.DocTestRunner(optionflags=FLAGS, verbose=False).run(examples, out=report.write)
    return failed, attempted, report.getvalue()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_a_page_says_what_its_examples_print(page):
    text = page.read_text(encoding="utf-8")
    silent = [block for block in PYTHON.findall(text) if not block.startswith(">>> ")]
    assert not silent, f"a block that no doctest reads: {silent[0]}"
    failed, attempted, report = run(text, page.name)
    assert attempted, "the page has no example"
    assert not failed, report


def test_examples_are_found():
    assert "from_sgd_and_adam.md" in [page.name for page in PAGES]


def test_the_readme_example_runs(capsys):
    blocks = PYTHON.findall((ROOT / "README.md").read_text(encoding="utf-8"))
    assert blocks, "the README has no example"
    for block in blocks:
        exec(compile(block, "README.md", "exec"), {"__name__": "readme"})
    assert "SOFIM" in capsys.readouterr().out


def test_a_wrong_statement_is_found():
    failed, attempted, report = run("```python\n>>> 1 + 1\n3\n```\n", "wrong.md")
    assert (failed, attempted) == (1, 1)
    assert "Expected" in report


def test_a_fence_is_no_output():
    assert run("```python\n>>> 1 + 1\n2\n```\ntext\n", "right.md")[:2] == (0, 1)
