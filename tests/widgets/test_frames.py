"""Pictures drawn beforehand: which positions, how many, and what they say."""

import io
import json
import math

import ipywidgets as W
import pytest
from bs4 import BeautifulSoup
from PIL import Image

from sofim_lab.plots import new_axes, picture
from sofim_lab.plots.picture import before_each_picture
from sofim_lab.widgets import (
    Explorer,
    Goal,
    bernoulli_pair_explorer,
    derivation_explorer,
    drawn_labels_explorer,
    four_matrices_explorer,
    gaussian_pair_explorer,
    one_step_explorer,
    quadratic_explorer,
    reparametrisation_explorer,
    sofim_digits_explorer,
    sofim_path_explorer,
    spectrum_explorer,
    surface_explorer,
)
from sofim_lab.widgets.frames import frames_html
from sofim_lab.widgets.frames.plan import choose_plan
from sofim_lab.widgets.frames.positions import positions
from sofim_lab.widgets.frames.scales import Scales
from sofim_lab.widgets.frames.wish import FRAMES, SCAFFOLD

PLENTY = 10_000_000


def explorer(fail=lambda x, kind: False, goal=None, **controls):
    """x², drawn as a bar, and how often it was computed."""
    calls = []

    def compute(x, kind="up", **rest):
        calls.append((x, kind, *rest.values()))
        if fail(x, kind):
            raise ArithmeticError("x < 0 & forbidden")
        return x * x if kind == "up" else -x * x

    def render(result):
        (ax,) = new_axes(width=2, height=2)
        ax.bar([0], [result])
        return picture(ax, f"The result is {result} & no more.")

    controls = {
        "x": W.IntSlider(value=2, min=0, max=9, description="x < 10"),
        "kind": W.Dropdown(options=["up", "down"]),
        **controls,
    }
    return Explorer(controls, compute, render, goal=goal), calls


def few():
    """Four values of x instead of ten: fewer pictures, where their number is not the point."""
    return W.IntSlider(value=2, min=0, max=3, description="x < 10")


CONTROLS = {
    "float": W.FloatSlider(value=0.3, min=-1, max=1, step=0.1),
    "log": W.FloatLogSlider(value=10**0.5, min=-3, max=2, step=0.1),
    "whole": W.IntSlider(value=60, min=1, max=60),
    "typed": W.BoundedIntText(value=0, min=0, max=99),
    "choice": W.SelectionSlider(options=list(range(13)), value=5),
    "few": W.SelectionSlider(options=[("none", 0.0), ("half", 0.5)], value=0.5),
    "menu": W.Dropdown(options=list("abcdefghij"), value="d"),
    "tick": W.Checkbox(value=True),
    "free": W.FloatText(value=3.5),
}


@pytest.mark.parametrize("most", [3, 5, 8])
@pytest.mark.parametrize("name", CONTROLS)
def test_both_ends_and_the_start_are_among_the_positions(name, most):
    control = CONTROLS[name]
    found = positions(name, control, control.value, most)
    assert found.values[found.start] == control.value
    assert len(found.texts) == len(found.values) == len(set(found.values))
    if name == "free":
        assert found.values == (3.5,)
        return
    if name == "menu":
        assert found.values == tuple("abcdefghij")
        return
    ends = {"log": (1e-3, 100.0), "choice": (0, 12), "few": (0.0, 0.5), "tick": (False, True)}
    first, last = ends.get(name) or (control.min, control.max)
    assert found.values[0] == first
    assert found.values[-1] == last
    assert list(found.values) == sorted(found.values)
    assert len(found.values) <= most


def test_positions_are_even_on_the_sliders_own_scale_and_steps():
    log = W.FloatLogSlider(value=1, min=-4, max=4, step=0.5)
    assert positions("x", log, 1.0, 5).values == (1e-4, 1e-2, 1.0, 1e2, 1e4)
    stepped = W.FloatSlider(value=0, min=0, max=1, step=0.25)
    assert positions("x", stepped, 0.0, 4).values == (0.0, 0.25, 0.75, 1.0)
    assert positions("x", stepped, 0.0, 3, also=(0.9,)).values == (0.0, 0.9, 1.0)
    assert positions("x", log, 1.0, 3).texts == ("10⁻⁴", "1", "10⁴")


def test_controls_are_combined_where_there_is_room_and_else_move_alone():
    controls = {name: W.FloatSlider(value=0.5, min=0, max=1, step=0.01) for name in "abc"}
    start = dict.fromkeys("abc", 0.5)
    whole = choose_plan(controls, start, {}, 125)
    assert whole.together == 3
    assert len(whole.places) == 125
    pair = choose_plan(controls, start, {}, 60)
    assert pair.together == 2
    assert 40 < len(pair.places) <= 60
    single = choose_plan(controls, start, {}, 10)
    assert single.together == 0
    assert len(single.places) <= 10
    for plan in (whole, pair, single):
        assert plan.places[0] == plan.start
        for i, control in enumerate(plan.controls):  # both ends of each, with the others at their start
            for end in (0, len(control.values) - 1):
                assert (*plan.start[:i], end, *plan.start[i + 1 :]) in plan.places


def test_places_by_the_billion_are_not_made_to_be_counted():
    controls = {name: W.FloatSlider(value=0.5, min=0, max=1, step=0.01) for name in "abcdefghijkl"}
    assert choose_plan(controls, dict.fromkeys(controls, 0.5), {}, 40).together == 0


def test_the_example_can_be_reached_by_moving_one_control_after_the_other():
    controls = {name: W.FloatSlider(value=0.5, min=0, max=1, step=0.01) for name in "abc"}
    plan = choose_plan(controls, dict.fromkeys("abc", 0.5), {"a": 0.13, "c": 0.77}, 10)
    names = {tuple(plan.values(place).values()) for place in plan.places}
    assert {(0.5, 0.5, 0.5), (0.13, 0.5, 0.5), (0.5, 0.5, 0.77), (0.13, 0.5, 0.77)} <= names


def test_frames_show_what_the_explorer_would_show_and_move_nothing():
    moved, _ = explorer(goal=Goal("make it 81", lambda result: result == 81))
    moved.set(x=4)
    frames = moved.frames(PLENTY)
    assert moved.state == {"x": 4, "kind": "up"}
    assert len(frames.frames) == 20
    for place, frame in frames.frames.items():
        moved.set(**frames.plan.values(place))
        assert frame.words == moved.picture.alt
        assert frame.reached == (moved.result == 81)
        with Image.open(io.BytesIO(frames.images[frame.image])) as image:
            assert image.size == (200, 200)
    assert frames.plan.values(frames.plan.start) == {"x": 2, "kind": "up"}


def test_equal_pictures_are_kept_once():
    still, _ = explorer(x=few(), more=W.Dropdown(options=[1, 2, 3]))
    frames = still.frames(PLENTY)
    assert len(frames.frames) == 3 * 2 * 4
    assert len(frames.images) == 7  # ±0 is one


def test_the_budget_is_kept():
    rich, _ = explorer()
    everything = rich.frames(PLENTY)
    for share in (0.9, 0.5, 0.35):
        most = int(share * everything.bytes)
        frames = rich.frames(most)
        assert frames.bytes <= most
        assert len(frames.frames) > 4


def test_the_budget_is_kept_where_the_ends_are_the_smallest_pictures():
    def render(result):
        (ax,) = new_axes(width=2, height=2)
        if result not in (0, 4, 81):  # neither the ends nor the start
            ax.imshow([[math.sin(7 * i * j + result) for i in range(40)] for j in range(40)])
        return picture(ax, "noise or nothing")

    growing, _ = explorer()
    growing._render = render
    frames = growing.frames(60_000)
    assert 4 < len(frames.frames) < 20
    assert frames.bytes <= 60_000


def test_the_states_of_all_plans_that_are_tried_are_computed_once():
    counted, calls = explorer()
    del calls[:]
    counted.frames(40_000)
    assert len(calls) == len(set(calls))


def test_a_state_that_fails_is_a_frame_that_says_so():
    broken, _ = explorer(fail=lambda x, kind: x == 3 and kind == "down", x=few())
    frames = broken.frames(PLENTY)
    bad = [(frames.plan.values(place), frame) for place, frame in frames.frames.items() if frame.image is None]
    assert frames.failed == 1
    assert bad[0][0] == {"x": 3, "kind": "down"}
    assert bad[0][1].words == "ArithmeticError: x < 0 & forbidden"
    assert not bad[0][1].reached


def test_the_page_holds_controls_words_and_frames_and_is_escaped():
    aim = Goal("make it 81 </script><b>", lambda result: result == 81)
    shown, _ = explorer(goal=aim)
    frames = shown.frames(PLENTY)
    html = frames_html(frames, shown.picture, aim.text)
    assert len(html.encode()) <= frames.bytes + SCAFFOLD
    soup = BeautifulSoup(html, "html.parser")
    box = soup.find(class_="sofim-frames")
    assert box["data-frames"] == "20"
    assert box["data-failed"] == "0"
    assert len(soup("script")) == 2
    assert [label.span.text for label in soup("label")] == ["x < 10", "kind"]
    slider, menu = soup.find("input"), soup.find("select")
    assert (slider["type"], slider["max"], slider["value"]) == ("range", "9", "2")
    assert [option.text for option in menu("option")] == ["up", "down"]
    assert soup.find("fieldset").has_attr("hidden")  # without JavaScript there is nothing to move
    assert soup.img["alt"] == "The result is 4 & no more."
    assert soup.img["src"].startswith("data:image/webp;base64,")
    assert soup.find(class_="sofim-goal").text == f"Goal: {aim.text}"
    data = json.loads(soup.find("script", type="application/json").string)
    assert data["frames"]["9,0"][1:] == ["The result is 81 & no more.", 1]
    assert data["start"] == [2, 0]


def test_words_cannot_end_the_script_that_holds_them():
    def render(result):
        (ax,) = new_axes(width=2, height=2)
        return picture(ax, f"</script><b>{result}")

    shown, _ = explorer()
    shown._render = render
    soup = BeautifulSoup(frames_html(shown.frames(PLENTY), shown.picture), "html.parser")
    data = json.loads(soup.find("script", type="application/json").string)
    assert data["frames"]["9,0"][1] == "</script><b>81"
    assert soup.find("b") is None


def test_the_control_that_plays_live_has_buttons_on_the_page(monkeypatch):
    def player(play):
        shown = Explorer(made.controls, made._compute, made._render, play=play)
        return BeautifulSoup(shown._repr_mimebundle_()["text/html"], "html.parser").find(role="group")

    made, _ = explorer(x=few(), still=W.Dropdown(options=[1.0]))
    monkeypatch.setenv(FRAMES, "100000")
    assert player(None) is None
    assert player("still") is None  # it stands in one place
    group = player("kind")
    assert (group["data-plays"], group["aria-label"]) == ("1", "move kind")
    assert player("x")["aria-label"] == "move x < 10"
    assert [(button["data-does"], button.text) for button in group("button")] == [
        ("back", "Back"), ("play", "Play"), ("step", "Step")
    ]  # fmt: skip
    assert group.find_parent("fieldset").has_attr("hidden")


def test_frames_are_drawn_only_when_asked_for(monkeypatch):
    shown, calls = explorer(x=few())
    del calls[:]
    assert "sofim-frames" not in shown._repr_mimebundle_()["text/html"]
    assert calls == []
    monkeypatch.setenv(FRAMES, "100000")
    html = shown._repr_mimebundle_()["text/html"]
    assert "sofim-frames" in html
    assert len(html.encode()) <= 100_000


GOALS = {
    "derivation": derivation_explorer,
    "spectrum": spectrum_explorer,
    "one step": one_step_explorer,
    "quadratic": quadratic_explorer,
    "surface": surface_explorer,
    "gaussian": gaussian_pair_explorer,
    "bernoulli": bernoulli_pair_explorer,
    "reparametrisation": reparametrisation_explorer,
    "matrices": four_matrices_explorer,
    "draws": drawn_labels_explorer,
    "path": sofim_path_explorer,
    "digits": sofim_digits_explorer,
}


@pytest.mark.parametrize("make", GOALS.values(), ids=GOALS)
def test_the_example_of_every_goal_reaches_it(make):
    shown = make()
    assert not shown.reached
    shown.set(**shown._goal.example)
    assert shown.reached


def limits_of(draw, values):
    """The limits of the vertical axis in each picture, before and after sharing."""
    scales, own, shared = Scales(), [], []
    for see in (scales.measure, lambda figure: own.append(figure.axes[0].get_ylim()), scales.apply):
        for value in values:
            with before_each_picture(see):
                picture(draw(value), "a picture")
    for value in values:
        ax = draw(value)
        scales.apply(ax.figure)
        shared.append(ax.get_ylim())
    return own, shared


def line(value, log=False):
    (ax,) = new_axes()
    ax.plot([0, 1], [1, value])
    if log:
        ax.set_yscale("log")
    return ax


def test_an_axis_is_shared_and_loses_nothing():
    own, shared = limits_of(line, [2.0, 2.5, 3.0])
    assert len(set(own)) == 3
    assert set(shared) == {own[-1]}


def test_an_axis_that_would_press_others_into_a_corner_is_not_shared():
    own, shared = limits_of(line, [2.0, 2.5, 1e9])
    assert own == shared


def test_a_logarithmic_axis_is_shared_by_decades():
    own, shared = limits_of(lambda value: line(value, log=True), [1e3, 1e4, 1e5])
    assert len(set(own)) == 3
    assert len({tuple(round(math.log10(end), 6) for end in one) for one in shared}) == 1
    assert all(one[0] <= mine[0] * (1 + 1e-9) and one[1] >= mine[1] * (1 - 1e-9) for one in shared for mine in own)


def test_maps_keep_their_window():
    def colours(value):
        (ax,) = new_axes()
        ax.pcolormesh([0, 1], [0, value], [[1.0]])
        return ax

    own, shared = limits_of(colours, [1.0, 1.5])
    assert own == shared


def test_pictures_of_an_explorer_share_their_axes_and_only_while_frames_are_drawn():
    seen = []
    shown, _ = explorer(x=few())
    original = shown._render

    def render(result):
        (ax,) = new_axes(width=2, height=2)
        ax.bar([0], [50 + result / 10])
        drawn = picture(ax, "a bar")
        seen.append(ax.get_ylim())
        return drawn

    shown._render = render
    shown.frames(PLENTY)
    assert seen[-1] == seen[-2] == seen[-3]
    shown._render = original
    shown.set(x=3)
    assert shown.picture.alt == "The result is 9 & no more."
