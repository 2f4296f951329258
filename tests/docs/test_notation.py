"""The page of symbols agrees with the lessons, and the tables of the page for teachers with the manifest."""

import re

import pytest
from doc_pages import PAGES, ROOT, read_page

from sofim_lab.lessons.manifest import load_manifest

PAGE = read_page(ROOT / "docs" / "notation.md").text
ROWS = re.findall(r"^\| \$(.+?)\$ \| (.+) \| ([\d, ]+) \|$", PAGE, re.M)
LESSONS = {page.path.stem[:2]: page.text for page in PAGES if page.path.suffix == ".ipynb"}


def formulas(text):
    """All that stands between dollars, in one string."""
    return " ".join(one or two for one, two in re.findall(r"\$\$(.*?)\$\$|\$([^$]+)\$", text, re.S))


def used(symbol, text):
    """Whether a formula uses the symbol, as itself and not as a part of another one."""
    begin, end = r"(?<![A-Za-z\\{])" if symbol[0].isalpha() else "", r"(?![A-Za-z])" if symbol[-1].isalpha() else ""
    return re.search(begin + re.escape(symbol) + end, formulas(text).replace("\\,", "")) is not None


@pytest.mark.parametrize(("symbol", "lessons"), [(symbol, lessons) for symbol, _, lessons in ROWS])
def test_a_symbol_is_used_where_the_page_says(symbol, lessons):
    assert [lesson for lesson in lessons.split(", ") if not used(symbol, LESSONS[lesson])] == []


def test_the_table_is_read():
    assert len(ROWS) == PAGE.count("\n| $") > 30
    assert not used("Q", "only in $QR$ and not alone")


def test_every_parameter_of_sofim_has_its_symbol():
    for name in ("lr", "beta", "rho", "direction"):
        assert [symbol for symbol, meaning, _ in ROWS if meaning.endswith(f"`{name}`")], name


def test_every_lesson_named_exists():
    named = set(re.findall(r"\((\d\d)[,)]|, (\d\d)\)", PAGE))
    assert {a or b for a, b in named} <= set(LESSONS)


def test_terms_are_in_alphabetical_order():
    terms = [term.lower() for term in re.findall(r"^\* \*\*(.+?)\.\*\*", PAGE, re.M)]
    assert terms == sorted(terms)
    assert len(terms) > 15


def test_the_proposals_for_teachers_take_as_long_as_they_say():
    minutes = {lesson.id[:2]: lesson.minutes for lesson in load_manifest(ROOT / "notebooks")}
    page = read_page(ROOT / "docs" / "teaching.md").text
    rows = re.findall(r"^\| ([\d, ]+) \| (\d+) \| ", page, re.M)
    assert len(rows) > 3
    for lessons, total in rows:
        assert sum(minutes[lesson] for lesson in lessons.split(", ")) == int(total), lessons
