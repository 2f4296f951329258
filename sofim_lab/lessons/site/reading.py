"""What is on a page: its sections, their words, its links."""

import re
from dataclasses import dataclass

from bs4 import BeautifulSoup, Tag

_HEADINGS = ("h1", "h2", "h3")
_BLOCKS = ("p", "li", "summary", "td", "th")
# A picture's data and scripts are nine tenths of a page and nothing to be read.
_DATA = re.compile(r'data:[a-z]+/[a-z+.-]+;base64,[^"\')\s]*')
_ELEMENTS = re.compile(r"<(script|style)\b.*?</\1>", re.DOTALL)
_DISPLAY = re.compile(r"\$\$.*?\$\$", re.DOTALL)


@dataclass(frozen=True)
class Section:
    """A heading and the paragraphs below it.

    Attributes:
        id: Its anchor.
        title: Its words.
        level: 1 to 3.
        paragraphs: The text up to the next heading; formulas in lines of their own are left out, others are in TeX.
    """

    id: str
    title: str
    level: int
    paragraphs: tuple[str, ...]


@dataclass(frozen=True)
class Reading:
    """A page as a reader and a link checker see it.

    Attributes:
        sections: In order, without those that have no words of their own.
        anchors: Every id on the page.
        links: Addresses of its links.
        sources: Addresses of everything that is loaded with it: pictures, scripts, styles.
    """

    sections: tuple[Section, ...]
    anchors: frozenset[str]
    links: tuple[str, ...]
    sources: tuple[str, ...]


def read_page(html: str) -> Reading:
    """Read a page.

    Args:
        html: A whole document.

    Returns:
        What is on it.
    """
    sources = re.findall(r'<script\b[^>]*\bsrc="([^"]*)"', html)
    soup = BeautifulSoup(_ELEMENTS.sub("", _DATA.sub("data:", html)), "html.parser")
    keys = ("src", "srcset", "poster", "data")
    sources += [str(element[key]) for key in keys for element in soup.select(f"[{key}]")]
    sources += [str(link["href"]) for link in soup.find_all("link", href=True)]
    return Reading(
        _sections(soup),
        frozenset(str(element["id"]) for element in soup.find_all(id=True)),
        tuple(str(link["href"]) for link in soup.find_all("a", href=True)),
        tuple(source for source in sources if not source.startswith("data:")),
    )


def _sections(soup: BeautifulSoup) -> tuple[Section, ...]:
    """Headings with an anchor inside the text cells, and what follows each."""
    found: list[tuple[str, str, int, list[str]]] = []
    for cell in soup.select(".jp-RenderedMarkdown"):
        for element in cell.find_all([*_HEADINGS, *_BLOCKS]):
            if element.name in _HEADINGS:
                if element.get("id"):
                    found.append((str(element["id"]), _words(element), int(element.name[1]), []))
            elif found and not element.find(list(_BLOCKS)) and (text := _words(element)):
                found[-1][3].append(text)
    return tuple(Section(key, title, level, tuple(texts)) for key, title, level, texts in found)


def _words(element: Tag) -> str:
    """The text of an element in one line, without the sign that links to a heading."""
    text = _DISPLAY.sub("…", element.get_text())
    return " ".join(text.removesuffix("¶").split())
