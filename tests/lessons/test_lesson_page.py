"""Lesson pages: they show everything without kernel and network."""

import re

import pytest
from bs4 import BeautifulSoup
from nbformat.v4 import new_code_cell, new_markdown_cell, new_output
from synthetic import write_notebook

from sofim_lab.lessons.reporting.lesson_page import PageError, write_page

WIDGET = "application/vnd.jupyter.widget-view+json"
FIGURE = '<figure><img alt="a falling line" src="data:image/png;base64,AAAA"></figure>'
PNG = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="


def show(*forms, **metadata):
    return new_code_cell("show()", metadata=metadata, outputs=[new_output("display_data", form) for form in forms])


def convert(tmp_path, *cells, **options):
    page = write_page(write_notebook(tmp_path / "a lesson ü.ipynb", *cells), tmp_path / "page.html", **options)
    return page, BeautifulSoup(page.path.read_text(encoding="utf-8"), "html.parser")


def test_nothing_is_fetched_from_the_network(tmp_path):
    badge = new_markdown_cell("[![Binder](https://mybinder.org/badge_logo.svg)](https://mybinder.org/v2/gh/x/y)")
    plot = show({WIDGET: {"model_id": "1"}, "text/html": FIGURE})
    page, soup = convert(tmp_path, badge, plot, new_markdown_cell("$x^2$"))
    addresses = [
        element[key] for key in ("src", "data", "srcset", "poster") for element in soup.find_all(attrs={key: True})
    ]
    addresses += [link["href"] for link in soup.find_all("link", href=True)]
    assert [a for a in addresses if re.match(r"(\w+:)?//", a)] == []
    assert soup.find("a", href="https://mybinder.org/v2/gh/x/y").text == "Binder"
    inline = " ".join(element.text for element in soup(["script", "style"]))
    assert not re.search(r"(import\s*\(?|@import|url\()\s*['\"]?(https?:)?//", inline)
    (mathjax,) = [script["src"] for script in soup("script", src=True)]
    assert (page.path.parent / mathjax).stat().st_size > 2e6
    assert (page.path.parent / mathjax).with_name("LICENSE").is_file()


def test_widget_shows_its_picture_and_records_their_box(tmp_path):
    metric = "application/vnd.sofim-lab.metric+json"
    widget = show({WIDGET: {"model_id": "1"}, "text/html": FIGURE, "text/plain": "VBox()"})
    record = show({metric: {"name": "loss"}, "text/html": "<div>metric loss</div>", "text/plain": "loss"})
    page, soup = convert(tmp_path, widget, record)
    assert soup.find("img", alt="a falling line")
    assert "metric loss" in soup.text
    assert "VBox" not in soup.text
    assert page.problems == ()


def test_scripts_among_outputs_are_left_out(tmp_path):
    both = {"application/javascript": "run()", "text/html": "<b>words</b>", "text/plain": "plain"}
    _, soup = convert(tmp_path, show(both))
    assert soup.find("b", string="words")
    assert not [script for script in soup("script") if "run()" in script.text]


def test_solutions_are_folded_and_hidden_code_too(tmp_path):
    code = new_code_cell("answer = 42", metadata={"tags": ["solution"], "jupyter": {"source_hidden": True}})
    text = new_markdown_cell("because", metadata={"tags": ["solution"]})
    already = new_markdown_cell("<details><summary>Answer</summary>yes</details>", metadata={"tags": ["solution"]})
    hidden = show({"text/html": FIGURE}, jupyter={"source_hidden": True})
    _, soup = convert(tmp_path, code, text, already, hidden)
    folded = soup.find_all("details")
    assert [part.summary.text for part in folded] == ["Solution", "Solution", "Answer", "Code"]
    assert "answer" in folded[0].text
    assert "because" in folded[1].text
    assert not any(part.has_attr("open") for part in folded)
    assert not folded[3].find("img")
    assert soup.find("img", alt="a falling line")


def test_stale_progress_bars_are_left_out(tmp_path):
    bar = {WIDGET: {"model_id": "1"}, "text/plain": "  0%|          | 0/100 [00:00<?, ?it/s]"}
    text = "\r  0%|   | 0/9 [00:00<?]\r 50%|## | 4/9 [00:01<?]\nkept 100%|\n"
    stream = new_code_cell("train()", outputs=[new_output("stream", name="stderr", text=text)])
    _, soup = convert(tmp_path, show(bar), stream)
    assert "0/100" not in soup.text
    assert "4/9" not in soup.text
    assert "kept 100%|" in soup.text


def test_pictures_without_words_and_widgets_without_pictures_are_reported_with_their_cell(tmp_path):
    injected = new_code_cell("SEED = 1", metadata={"tags": ["injected-parameters"]})
    fine = show({"text/html": FIGURE})
    dumb = show({"image/png": PNG, "text/plain": "Figure"})
    bare = show({WIDGET: {"model_id": "1"}, "text/plain": "IntSlider()"})
    page, _ = convert(tmp_path, injected, fine, dumb, bare)
    assert sorted(page.problems) == [
        f"cell 2 ({dumb.id}): a picture without alternative text",
        f"cell 3 ({bare.id}): a widget without a static picture",
    ]


def test_titles_and_printed_text_are_escaped(tmp_path):
    evil = "<script>alert(1)</script>"
    printed = new_code_cell("print()", outputs=[new_output("stream", text=evil)])
    _, soup = convert(tmp_path, printed, title=evil, index="index.html")
    assert not [script for script in soup("script") if "alert" in script.text]
    assert soup.title.text == evil
    assert soup.find("a", href="index.html")
    assert soup.find("meta", attrs={"name": "viewport"})


def test_what_is_no_html_stays_text_and_a_lessons_own_html_stays_html(tmp_path):
    """A lesson is trusted: its tables, figures and explorers are HTML. Those of others get no page (SECURITY.md)."""
    evil = "<script>alert(1)</script>"
    plain = new_output("execute_result", data={"text/plain": evil})
    error = new_output("error", ename=evil, evalue=evil, traceback=[evil])
    own = new_output("display_data", data={"text/html": "<b>bold</b><script>own()</script>", "text/plain": ""})
    _, soup = convert(tmp_path, *[new_code_cell(evil, outputs=[output]) for output in (plain, error, own)])
    assert not [script for script in soup("script") if "alert" in script.text]
    assert [script for script in soup("script") if script.text == "own()"]


def test_partial_notebook_is_shown_up_to_its_error(tmp_path):
    error = new_output("error", ename="ValueError", evalue="no", traceback=["\x1b[31mValueError\x1b[0m: no"])
    _, soup = convert(tmp_path, new_code_cell("1/0", outputs=[error]), new_code_cell("never()"))
    assert "ValueError: no" in soup.text
    assert "never" in soup.text


@pytest.mark.parametrize("content", ["", '{"cells": [', "[]", '{"nbformat": 99, "nbformat_minor": 0, "cells": []}'])
def test_a_broken_notebook_is_an_error_in_words(tmp_path, content):
    path = tmp_path / "broken.ipynb"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(PageError, match=r"broken\.ipynb: no readable notebook"):
        write_page(path, tmp_path / "page.html")
    assert not (tmp_path / "page.html").exists()
