"""The API reference: the public names of every room and no other, readable, and complete without the network."""

import importlib
import importlib.util
import inspect
import pkgutil
import re

import pytest
from bs4 import BeautifulSoup
from doc_pages import ROOT

import sofim_lab

pytestmark = pytest.mark.unmeasured  # it reads our code and runs none of it


@pytest.fixture(scope="module")
def builder():
    spec = importlib.util.spec_from_file_location("build_api", ROOT / "docs" / "build_api.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def pages(builder, tmp_path_factory):
    """The pages by module."""
    folder = tmp_path_factory.mktemp("api")
    builder.build(folder)
    made = {
        path.relative_to(folder).with_suffix("").as_posix().replace("/", "."): path for path in folder.rglob("*.html")
    }
    return {name: BeautifulSoup(path.read_text(encoding="utf-8"), "html.parser") for name, path in made.items()}


def documented(page):
    """The names at the top level of a page."""
    return {section["id"] for section in page.select("section[id]") if "." not in section["id"]}


def public(name):
    return {one for one in importlib.import_module(name).__all__ if not one.startswith("_")}


def test_every_room_has_its_page(builder, pages):
    rooms = {one.name for one in pkgutil.iter_modules(sofim_lab.__path__) if one.ispkg} - {"cli"}
    assert set(builder.ROOMS) == rooms
    assert set(pages) == {"index", "sofim_lab", *(f"sofim_lab.{room}" for room in rooms)}
    for page in (page for name, page in pages.items() if name != "index"):
        assert {link.text for link in page.select("nav a")} >= rooms


def test_a_page_shows_the_public_names_and_no_other(pages):
    for name, page in pages.items():
        if name != "index":
            assert {one for one in documented(page) if not one.startswith("_")} == public(name), name


def test_every_function_and_class_is_described(pages):
    for name, page in ((name, page) for name, page in pages.items() if name != "index"):
        sections = {section["id"]: section for section in page.find_all("section", id=True)}
        for public_name in public(name):
            what = getattr(importlib.import_module(name), public_name)
            if inspect.isclass(what) or inspect.isfunction(what):
                assert public_name in sections, f"{name}.{public_name}"
                said = sections[public_name].find(class_="docstring")
                assert said is not None, f"{name}.{public_name}"
                assert re.sub(r"[`*]", "", inspect.getdoc(what).split()[0]) in said.get_text(), f"{name}.{public_name}"


def test_sections_of_docstrings_are_lists_and_not_running_text(pages):
    text = "\n".join(one.get_text() for page in pages.values() for one in page.select(".docstring"))
    assert re.findall(r"^ *(?:Args|Returns|Raises):.*$", text, re.M) == re.findall(
        r"^ *(?:Returns|Raises):$", text, re.M
    )
    items = {item.get_text() for item in pages["sofim_lab.optim"].select("#SOFIM li strong")}
    assert {"lr:", "rho:", "ValueError:"} <= items


def test_formulas_keep_their_signs(pages):
    """Underscores and asterisks of a formula are no emphasis."""
    assert [one.get_text() for page in pages.values() for one in page.select(".docstring em")] == []
    assert "F_t = m_t m_tᵀ + ρI" in pages["sofim_lab.optim"].select_one("#SOFIM .docstring pre").get_text()


def test_nothing_is_fetched_and_nothing_tells_of_this_machine(pages):
    for name, page in pages.items():
        loaded = [tag.get("src") or tag.get("href") for tag in page.select("[src], link[href]")]
        assert [one for one in loaded if not one.startswith("data:") and ":" in one] == [], name
        assert re.findall(r"@import|url\((?!\"?data:)", str(page.style)) == []
        assert str(ROOT) not in str(page), name
