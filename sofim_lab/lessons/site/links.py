"""Links of the site: between lessons, to places that do not exist yet, and whether all of them lead somewhere."""

import re
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import unquote, urlsplit

from sofim_lab.lessons.site.reading import Reading

PLACEHOLDER = "/OWNER/"  # the account of the repository, until a fork has put in its own
_LINK = re.compile(r'<a\b([^>]*?)\bhref="([^"]*)"([^>]*)>(.*?)</a>', re.DOTALL)
_IMAGE_WORDS = re.compile(r"\s*<span>[^<]*</span>\s*")  # what a badge has become
_EMPTY = re.compile(r"<p>\s*(?:<br ?/?>)?\s*</p>")
_ELSEWHERE = (".ipynb", ".md", ".py", ".yml")  # files of the repository that the site does not hold
_OTHER_HOST = re.compile(r"(?:https?:)?//", re.IGNORECASE)


def mend_links(html: str, lessons: Mapping[str, str]) -> str:
    """Links of an executed lesson as the site needs them.

    A link to another lesson's notebook leads to its page. One to a lesson that is not on the site, to another file of
    the repository, or to the account `OWNER` that nobody has replaced, leads nowhere: its words stay. Of a badge with
    such a link nothing stays.

    Args:
        html: The lesson's page.
        lessons: Name of each notebook on the site, such as `05_sherman_morrison.ipynb`, to its page.

    Returns:
        The page with other links.
    """

    def mended(link: re.Match[str]) -> str:
        before, address, after, words = link.groups()
        file, hash_sign, anchor = address.partition("#")
        if file in lessons and " download" not in after:
            return f'<a{before}href="{lessons[file]}{hash_sign}{anchor}"{after}>{words}</a>'
        if PLACEHOLDER in address:
            return "" if _IMAGE_WORDS.fullmatch(words) else words
        if file.endswith(_ELSEWHERE) and not urlsplit(address).scheme and " download" not in after:
            return words
        return link[0]

    return _EMPTY.sub("", _LINK.sub(mended, html))


def check_links(pages: Mapping[str, Reading], folder: Path) -> tuple[str, ...]:
    """What is wrong with the addresses on the pages, a sentence each.

    Args:
        pages: Name of each page to what is on it.
        folder: Where the pages lie.

    Returns:
        Links to pages, files or sections that are not there, and whatever would be loaded from another host.
    """
    problems = []
    for name, page in pages.items():
        foreign = [source for source in page.sources if _OTHER_HOST.match(source)]
        problems += [f"{name}: loads {source} from another host" for source in foreign]
        local = [source for source in page.sources if source not in foreign]
        for address in dict.fromkeys([*page.links, *local]):
            parts = urlsplit(address)
            if parts.scheme or parts.netloc:
                continue
            target = unquote(parts.path) or name
            if not (folder / target).is_file():
                problems.append(f"{name}: the link {address} leads to no file")
            elif parts.fragment and target in pages and not _finds(parts.fragment, pages[target]):
                problems.append(f"{name}: the link {address} leads to no section")
    return tuple(problems)


def _finds(fragment: str, page: Reading) -> bool:
    """Whether a browser finds a section: by the fragment as it is written, then decoded."""
    return fragment in page.anchors or unquote(fragment) in page.anchors
