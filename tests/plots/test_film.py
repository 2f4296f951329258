"""The descent as a film: frames, clock, GIF and player."""

import io
import re

import numpy as np
import pytest
from bs4 import BeautifulSoup
from PIL import Image

from sofim_lab import plots
from sofim_lab.landscape.path import ProjectedPath
from sofim_lab.landscape.result import Slice
from sofim_lab.plots.animation import _until

AXIS = np.linspace(-1, 1, 11)
BOWL = Slice(AXIS, AXIS, AXIS**2 + AXIS[:, None] ** 2 + 0.1, labels=("random 1", "random 2"))
WAY = np.array([[0.8, 0.8], [0.4, 0.2], [0.0, 0.0]])
SLOW = ProjectedPath(WAY, np.zeros(3), 0.9, np.array([0, 50, 200]), "SOFIM")
QUICK = ProjectedPath(-WAY, np.zeros(3), 0.7, np.array([0, 5, 10]), "SGD")


@pytest.fixture(scope="module")
def film():
    return plots.animate_descent(BOWL, [SLOW, QUICK], frames=5, seconds=1.0)


def test_a_film_is_told_in_words(film):
    assert film.alt.startswith("Film of the descent, from step 0 to step 200. Loss over the plane of random 1")
    assert "SGD goes from (−0.8, −0.8) to (0, 0); the plane shows 70 % of it." in film.alt
    assert repr(film).startswith("Film of 5 frames: Film of the descent")


def test_the_gif_has_every_frame_and_a_white_page(film):
    with Image.open(io.BytesIO(film.gif)) as gif:
        assert gif.n_frames == 5
        assert gif.size == film.frames[0].size
        assert gif.info["duration"] == 200
        gif.seek(4)
        assert gif.info["duration"] == 1500
        assert gif.convert("RGB").getpixel((2, 2)) == (255, 255, 255)


def test_frames_differ_only_where_something_moves(film):
    first, second = (np.asarray(frame.convert("RGB")).astype(int) for frame in film.frames[:2])
    changed = np.abs(first - second).max(axis=-1) > 0
    assert changed.any()
    assert not changed[450:].any()  # the axis labels at the bottom stand still


def test_the_clock_is_the_number_of_steps():
    clock = np.array([0.0, 50.0, 200.0])
    assert _until(WAY, clock, 0.0).tolist() == [[0.8, 0.8], [0.8, 0.8]]
    assert _until(WAY, clock, 125.0) == pytest.approx(np.array([[0.8, 0.8], [0.4, 0.2], [0.2, 0.1]]))
    assert _until(WAY, clock, 999.0)[-1].tolist() == [0.0, 0.0]


def test_given_axes_keep_the_last_frame_and_their_canvas():
    left, right = plots.new_axes(2)
    canvas = left.figure.canvas
    plots.animate_descent(BOWL, {"SOFIM": SLOW}, right, frames=2)
    assert left.figure.canvas is canvas
    assert right.get_title() == "step 200"
    assert not any(line.get_animated() for line in right.lines)
    assert not left.lines


def test_a_head_that_leaves_waits_on_the_edge():
    (ax,) = plots.new_axes()
    away = ProjectedPath(2 * WAY[::-1] - 0.1, np.zeros(3), 0.9, np.array([0, 1, 2]), "Adam")  # ends at (1.5, 1.5)
    plots.animate_descent(BOWL, [away], ax, frames=2)
    heads = [line.get_xydata().tolist() for line in ax.lines if line.get_marker() == plots.MARKERS[2]]
    assert [[1.0, 1.0]] in heads


def test_a_notebook_shows_the_gif_with_its_words(film):
    page = BeautifulSoup(film._repr_html_(), "html.parser")
    assert page.img["alt"] == film.alt
    assert page.img["src"].startswith("data:image/gif;base64,")
    assert page.source["media"] == "(prefers-reduced-motion: reduce)"
    assert page.figcaption.text == film.alt


def test_the_player_needs_nothing_from_elsewhere(film, tmp_path):
    page = film.save(tmp_path / "descent.html").read_text(encoding="utf-8")
    figure = BeautifulSoup(page, "html.parser").figure
    shown = [image for image in figure.find_all("img") if not image.has_attr("hidden")]
    assert len(figure.find_all("img")) == 5
    assert [image["alt"] for image in shown] == [film.alt]
    assert figure.input["max"] == "4"
    assert figure.input["aria-label"]
    assert figure.button.text == "play"
    assert not re.search(r"https?://|<script|<link", page)


def test_a_film_is_saved_by_its_ending(film, tmp_path):
    assert film.save(tmp_path / "descent.gif").read_bytes().startswith(b"GIF89a")
    with pytest.raises(ValueError, match=r"descent.mp4' must end in .gif or .html"):
        film.save(tmp_path / "descent.mp4")


@pytest.mark.parametrize(
    ("paths", "options", "message"),
    [
        ({}, {}, "paths is empty"),
        ({"A": SLOW}, {"frames": 1}, "frames=1 must be 2 or more"),
        ({"A": SLOW}, {"seconds": 0}, "seconds=0 positive"),
    ],
)
def test_bad_input(paths, options, message):
    with pytest.raises(ValueError, match=message):
        plots.animate_descent(BOWL, paths, **options)
