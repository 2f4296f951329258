"""Equations on a lesson's page, set by the MathJax beside it in a real browser without network."""

import re
import shutil
import subprocess

import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_output
from synthetic import write_notebook

from sofim_lab.lessons.reporting.lesson_page import write_page

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
# A resolver that knows no host: whatever the page wanted from the network would be missing here.
OPTIONS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync"]
OPTIONS += ["--disable-background-networking", "--disable-component-update", "--virtual-time-budget=10000"]
OPTIONS += ["--host-resolver-rules=MAP * ~NOTFOUND", "--dump-dom"]
ALIGNED = r"""$$\begin{aligned} F^{-1}\boldsymbol{m} &= \frac{\boldsymbol{m}}{\rho} - c\,\boldsymbol{m} \\
&= \frac{\boldsymbol{m}}{\rho + \|\boldsymbol{m}\|^2} \end{aligned} \tag{1}$$"""

ERROR = re.compile(r'<g[^>]*data-mml-node="merror"')

pytestmark = [pytest.mark.browser, pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed")]


def rendered(tmp_path, *cells):
    page = write_page(write_notebook(tmp_path / "lesson.ipynb", *cells), tmp_path / "lesson.html").path
    profile = f"--user-data-dir={tmp_path / 'profile'}"
    command = [CHROMIUM, *OPTIONS, profile, page.as_uri()]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=True).stdout


def test_equations_are_set_and_code_is_left_alone(tmp_path):
    box = new_output("display_data", {"text/html": r"<div>holds for $\rho > 0$</div>"})
    printed = new_output("stream", text="costs $5 and $6")
    dom = rendered(
        tmp_path, new_markdown_cell(f"Inline $m^\\top v$.\n\n{ALIGNED}"), new_code_cell("f()", outputs=[box, printed])
    )
    assert dom.count("<mjx-container") == 3
    assert not ERROR.search(dom)
    assert "costs $5 and $6" in dom


def test_a_formula_cannot_run_scripts(tmp_path):
    dom = rendered(tmp_path, new_markdown_cell(r"$\href{javascript:alert(1)}{x}$ and $\require{html}\style{a}{b}$"))
    assert 'href="javascript' not in dom
