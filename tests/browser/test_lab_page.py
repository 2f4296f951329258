"""A widget in a real browser: moved by key, it changes its picture; and what goes wrong there is reported."""

import re
from textwrap import dedent

import nbformat
import pytest
from lab_server import wait_for
from playwright.sync_api import expect

pytestmark = pytest.mark.browser

WIDGET = """
    import base64, io
    import ipywidgets
    from matplotlib.figure import Figure

    slider = ipywidgets.FloatSlider(value=1.0, min=0.5, max=2.0, step=0.25, description="curvature")
    picture = ipywidgets.HTML()

    def draw(change=None):
        figure = Figure(figsize=(4, 2.5))
        figure.subplots().plot([x / 10 for x in range(-10, 11)], [slider.value * (x / 10) ** 2 for x in range(-10, 11)])
        png = io.BytesIO()
        figure.savefig(png, format="png")
        data = base64.b64encode(png.getvalue()).decode()
        picture.value = f'<img alt="parabola of curvature {slider.value:.2f}" src="data:image/png;base64,{data}">'

    slider.observe(draw, names="value")
    draw()
    ipywidgets.VBox([slider, picture])
"""


@pytest.fixture
def write(tmp_path):
    """Write cells of code, after one of text, into a notebook."""

    def write(*sources):
        notebook = nbformat.v4.new_notebook(metadata={"kernelspec": {"name": "python3", "display_name": "Python 3"}})
        notebook.cells = [nbformat.v4.new_markdown_cell("# A parabola")]
        notebook.cells += [nbformat.v4.new_code_cell(dedent(source).strip()) for source in sources]
        nbformat.write(notebook, tmp_path / "parabola.ipynb")
        return tmp_path / "parabola.ipynb"

    return write


def test_a_moved_slider_changes_the_picture(lab, write, tmp_path):
    notebook = write(WIDGET, "6 * 7")
    as_written = notebook.read_bytes()
    lab.open(notebook)
    lab.run_all()
    assert lab.outputs()[2][0]["data"]["text/plain"] == "42"
    expect(lab.picture()).to_have_attribute("alt", "parabola of curvature 1.00")
    before = lab.picture().get_attribute("src")

    assert lab.move_slider("curvature", steps=2) == "1.50"

    expect(lab.picture()).to_have_attribute("alt", "parabola of curvature 1.50")
    expect(lab.picture()).not_to_have_attribute("src", before)
    assert lab.errors() == []
    assert lab.screenshot(tmp_path / "moved.png").stat().st_size > 10_000
    assert lab.move_slider(0, steps=-1) == "1.25"
    expect(lab.picture()).to_have_attribute("alt", re.compile("1.25"))
    assert notebook.read_bytes() == as_written


def test_a_callback_that_raises_is_reported(lab, write):
    raising = WIDGET + "\n    slider.observe(lambda change: 1 / 0, names='value')"
    lab.open(write(raising.replace("ipywidgets.VBox([slider, picture])", "display(slider)")))
    lab.run_all()
    assert lab.errors() == []
    lab.move_slider("curvature", steps=1)
    lab.page.wait_for_function("() => window.callbackErrors.length > 0")
    assert lab.errors() == ["callback: ZeroDivisionError: division by zero"]


def test_a_slider_far_below_is_found_and_does_not_pass_for_moved_at_its_end(lab, write):
    """Without our setting JupyterLab leaves out of the page what is far below."""
    last = "import ipywidgets; ipywidgets.IntSlider(max=3, description='last')"
    lab.open(write("1", *["'one line'\n" * 30] * 9, last))
    lab.run_all()
    assert lab.page.locator(".jp-CodeCell .jp-InputArea").count() == 11
    assert lab.move_slider("last", steps=3) == "3"
    with pytest.raises(AssertionError, match="did not move from 3"):
        lab.move_slider("last", steps=1)


def test_a_cell_that_raises_is_reported(lab, write):
    """What comes after it may run or not: a request that reaches the kernel late is not dropped by it."""
    lab.open(write("1 + 1", "raise ValueError('no such thing')", "print('perhaps')"))
    lab.run_all()
    assert lab.errors() == ["cell 2: ValueError: no such thing"]


def test_the_network_is_not_asked(lab, write):
    fetch = "from IPython.display import HTML; HTML('{}')"
    badge, script = (
        '<img alt="badge" src="https://example.org/a.svg">',
        '<script src="https://example.org/a.js"></script>',
    )
    lab.open(write(fetch.format(badge), fetch.format(script), "raise ValueError('not reached')"))
    lab.run_all(until=lab.cell_ids()[1])
    assert lab.picture().evaluate("image => image.decode().then(() => image.naturalWidth)") == 1
    assert lab.errors() == []
    lab.run_all(until=lab.cell_ids()[2])
    (error,) = wait_for(lab.errors, 20, "the script's failure")
    assert "https://example.org/a.js" in error
