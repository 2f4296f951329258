"""Every link of a page to another place in this repository leads somewhere; nothing is asked of the network."""

import re
from pathlib import Path
from urllib.parse import unquote

import pytest
from doc_pages import PAGES, ROOT, Page, read_page

LINK = re.compile(r"\]\(([^()\s]+(?:\([^()\s]*\)[^()\s]*)?)\)|(?:src|href)=\"([^\"]+)\"")
ONLINE = re.compile(r"https://(?:mybinder\.org|colab\.research\.google\.com)/.*/sofim_lab/.*(notebooks/\w+\.ipynb)$")
HEADING = re.compile(r"^#+ +(.+?) *#*$", re.M)


def anchors(page):
    """The names that its headings answer to: GitHub's for Markdown, JupyterLab's for a notebook."""
    titles = [
        re.sub(r"[*`]|\]\([^)]*\)|\[", "", title)
        for title in HEADING.findall(re.sub(r"```.*?```", "", page.text, flags=re.S))
    ]
    if page.path.suffix == ".ipynb":
        return {title.replace(" ", "-") for title in titles}
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


def exists(path):
    """Also in its upper and lower case, which some file systems would not mind."""
    return path.exists() and (path == ROOT or path.name in {one.name for one in path.parent.iterdir()})


def dead_links(page):
    """What is wrong with the links of a page that are not to the web."""
    for match in LINK.finditer(page.prose):
        target = unquote(match[1] or match[2])
        if re.match(r"(https?|mailto):", target):
            lesson = ONLINE.match(target)
            if lesson and not exists(ROOT / lesson[1]):
                yield f"{target}: there is no such file"
            continue
        name, _, anchor = target.partition("#")
        path = (page.path.parent / name).resolve() if name else page.path
        if path != page.path and not (path.is_relative_to(ROOT) and exists(path)):
            yield f"{target}: there is no such file"
        elif anchor and anchor not in anchors(page if path == page.path else read_page(path)):
            yield f"{target}: there is no such heading in {path.name}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page):
    assert list(dead_links(page)) == []


def test_links_are_found():
    """Without this, a pattern that finds nothing would pass."""
    assert len([match for page in PAGES for match in LINK.finditer(page.prose)]) > 50


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("[a](nowhere.md)", "no such file"),
        ("[a](readme.md)", "no such file"),
        ("![a](../README.md)", "no such file"),
        ('<img alt="" src="none.png">', "no such file"),
        (
            "[a](https://colab.research.google.com/github/OWNER/sofim_lab/blob/main/notebooks/99_a.ipynb)",
            "no such file",
        ),
        ("[a](https://mybinder.org/v2/gh/me/sofim_lab/HEAD?urlpath=lab/tree/notebooks/99_a.ipynb)", "no such file"),
        ("[a](README.md#nothing-of-it)", "no such heading"),
        ("# There\n\n[a](#here)", "no such heading"),
        ("[a](notebooks/00_start_here.ipynb#question)", "no such heading"),
    ],
)
def test_a_dead_link_is_named(text, fault):
    (found,) = dead_links(Page(ROOT / "page.md", text))
    assert fault in found


@pytest.mark.parametrize(
    "text",
    [
        "[a](README.md#license-and-citation)",
        "[a](notebooks/00_start_here.ipynb#Where-this-leads)",
        "## It's `here`, and there\n\n[a](#its-here-and-there)",
        "[a](https://example.org/nowhere)",
        "`[a](nowhere.md)` and $[a](b)$",
        "```\n[a](nowhere.md)\n```",
    ],
)
def test_a_good_link_is_none(text):
    assert list(dead_links(Page(Path(ROOT / "page.md"), text))) == []
