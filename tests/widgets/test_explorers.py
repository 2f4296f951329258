import asyncio
import gc
import html
import math

import ipywidgets as W
import pytest
from every_control import parts, silent_controls

from sofim_lab.plots import new_axes, picture
from sofim_lab.widgets import (
    Explorer,
    Goal,
    derivation_explorer,
    one_step_explorer,
    race_explorer,
    spectrum_explorer,
)
from sofim_lab.widgets.one_step import one_step_state
from sofim_lab.widgets.sherman_morrison import derivation_state, spectrum_state


def squares(goal=None, fail_at=None, **more):
    """An explorer of x², and the list of the states it computed."""
    seen = []

    def compute(x, sign):
        seen.append((x, sign))
        if x == fail_at:
            raise ArithmeticError("x < 0 & forbidden")
        return sign * x * x

    def render(result):
        (ax,) = new_axes(width=2, height=2)
        return picture(ax, f"The result is {result}.")

    controls = {"x": W.IntSlider(value=2, min=0, max=9, description="x"), "sign": W.Dropdown(options=[1, -1])}
    return Explorer(controls, compute, render, goal=goal, **more), seen


def shown(explorer):
    return " ".join(child.value for child in parts(explorer, W.HTML))


def test_moving_a_control_draws_once():
    explorer, seen = squares()
    explorer.controls["x"].value = 3
    assert seen == [(2, 1), (3, 1)]
    assert explorer.result == 9
    assert 'alt="The result is 9."' in shown(explorer)


def test_setting_several_controls_draws_once():
    explorer, seen = squares()
    explorer.set(x=4, sign=-1)
    assert seen[1:] == [(4, -1)]
    assert explorer.result == -16
    with pytest.raises(ValueError, match="there is no control 'y': this explorer has x, sign"):
        explorer.set(y=1)
    with pytest.raises(ValueError, match=r"x=-1 must lie in \[0, 9\]"):
        explorer.set(sign=1, x=-1)
    assert explorer.state == {"x": 4, "sign": -1}


def test_an_error_is_shown_and_raised_and_the_next_state_recovers():
    explorer, _ = squares(fail_at=5)
    with pytest.raises(ArithmeticError):
        explorer.controls["x"].value = 5
    assert 'role="alert"' in shown(explorer)
    assert "ArithmeticError: x &lt; 0 &amp; forbidden" in shown(explorer)
    assert explorer.result is None
    explorer.controls["x"].value = 6
    assert 'role="alert"' not in shown(explorer)
    assert "The result is 36." in shown(explorer)


def test_a_goal_stays_reached_until_the_reset():
    explorer, _ = squares(Goal("make it 49", lambda result: result == 49))
    assert "○ open" in shown(explorer)
    explorer.set(x=7)
    explorer.set(x=1)
    assert explorer.reached
    assert "✓ reached" in shown(explorer)
    explorer.reset()
    assert not explorer.reached
    assert explorer.state == {"x": 2, "sign": 1}
    assert "○ open" in shown(explorer)


def test_the_reset_button_resets():
    explorer, _ = squares()
    explorer.set(x=7)
    next(button for button in parts(explorer, W.Button) if button.description == "Reset").click()
    assert explorer.state["x"] == 2


def test_a_page_without_a_kernel_keeps_the_first_picture():
    explorer, _ = squares()
    explorer.set(x=9)
    bundle = explorer._repr_mimebundle_()
    assert "application/vnd.jupyter.widget-view+json" in bundle
    assert 'alt="The result is 4."' in bundle["text/html"]
    assert "data:image/png;base64," in bundle["text/html"]


def test_a_typed_value_moves_the_picture_and_one_out_of_range_is_refused_in_words():
    explorer, seen = squares()
    box = parts(explorer, W.Text)[0]
    box.value = "7"
    assert "The result is 49." in shown(explorer)
    box.value = "12"
    assert "x: 12 is out of range: type a whole number from 0 to 9. It stays at 7." in shown(explorer)
    assert box.value == "7"
    assert "The result is 49." in shown(explorer)
    assert seen == [(2, 1), (7, 1)]
    explorer.set(x=3)
    assert "out of range" not in shown(explorer)


def previewed(fail=False):
    """An explorer with a preview, and the pictures that were shown, in order."""

    def preview(x, sign):
        if fail:
            raise ArithmeticError("no preview")
        return round(x * x, -1)

    explorer, seen = squares(Goal("make it 40", lambda result: result == 40), preview=preview)
    pictures = []
    for view in parts(explorer, W.HTML):
        view.observe(lambda change: pictures.append(change.new), names="value")
    return explorer, seen, pictures


def test_a_preview_is_shown_first_and_says_that_it_is_one():
    explorer, seen, pictures = previewed()
    assert seen == [(2, 1)]
    explorer.set(x=6)
    coarse, fine = pictures
    assert coarse.count("Preview, the whole follows. The result is 40.") == 2  # alternative text and caption
    assert "The result is 36." in fine
    assert explorer.result == 36
    assert explorer.picture.alt == "The result is 36."
    assert not explorer.reached  # 40 was the preview's


def test_an_error_of_the_preview_is_shown_and_raised():
    explorer, _, _ = previewed(fail=True)
    with pytest.raises(ArithmeticError, match="no preview"):
        explorer.set(x=6)
    assert "ArithmeticError: no preview" in shown(explorer)
    assert explorer.result is None


def test_after_a_picture_a_kernel_makes_the_next_axes_beforehand(monkeypatch):
    made = []
    monkeypatch.setattr("sofim_lab.widgets.explorer.lay_ready", lambda: made.append(1))
    explorer, _ = squares()

    async def press():
        explorer.set(x=3)
        assert not made  # the picture goes out first
        await asyncio.sleep(0.1)

    asyncio.run(press())
    assert made
    explorer.set(x=4)  # without a kernel there is no loop, and nothing to do


def test_the_caption_is_the_alternative_text():
    for make in (spectrum_explorer, derivation_explorer):
        explorer = make()
        assert shown(explorer).count(html.escape(explorer.picture.alt, quote=True)) == 2


def test_the_libraries_are_left_out_of_garbage_collection():
    squares()
    assert gc.get_freeze_count() > 50_000


def test_only_a_control_can_be_played():
    with pytest.raises(ValueError, match="there is no control 'y': this explorer has x, sign"):
        squares(play="y")


def test_an_error_stops_the_clock():
    explorer, _ = squares(fail_at=5, play="x")
    explorer.playback.clock.playing = True
    explorer.playback.clock.value = 4
    assert explorer.playback.play.value
    with pytest.raises(ArithmeticError):
        explorer.playback.clock.value = 5
    assert not explorer.playback.clock.playing
    assert not explorer.playback.play.value


def test_the_reset_stops_the_clock():
    explorer, _ = squares(play="x")
    explorer.playback.play.value = True
    explorer.playback.clock.value = 4
    explorer.reset()
    assert not explorer.playback.clock.playing
    assert explorer.playback.clock.value == explorer.state["x"] == 2


LIGHT = {"derivation": derivation_explorer, "one step": one_step_explorer, "spectrum": spectrum_explorer}


@pytest.mark.parametrize("make", LIGHT.values(), ids=LIGHT)
def test_both_ends_of_every_control(make):
    assert silent_controls(make()) == []


def test_the_derivation_goal_can_be_reached_and_is_open_at_first():
    explorer = derivation_explorer()
    assert not explorer.reached
    explorer.set(rho=1e-8)
    assert explorer.reached
    explorer.reset()
    explorer.set(rho=1e-8, dtype="float64")
    assert not explorer.reached


def test_the_spectrum_goal_is_the_root_of_rho():
    explorer = spectrum_explorer()
    assert not explorer.reached
    explorer.set(rho=0.01, norm=0.1)
    assert explorer.reached
    assert "100 % of the longest possible" in explorer.picture.alt


def test_half_of_the_step_of_momentum_is_where_the_squared_norm_is_rho():
    explorer = one_step_explorer()
    assert not explorer.reached
    explorer.set(rho=0.01, norm=0.099)
    assert not explorer.reached
    explorer.set(norm=0.101)
    assert explorer.reached
    assert "With ρ = 0.01 and ‖m‖ = 0.1 SOFIM's step has the length 5" in explorer.picture.alt


def test_the_two_lengths_of_one_step():
    state = one_step_state(rho=0.5, norm=2.0)
    assert state.sofim == pytest.approx(2.0 / 4.5)
    assert state.constant == pytest.approx(4.0)
    assert state.share == pytest.approx(0.5 / 4.5)


def test_states_are_pure_functions_of_their_arguments():
    assert derivation_state(0.1, 8, "float32") == derivation_state(0.1, 8, "float32")
    state = spectrum_state(rho=0.5, norm=2.0)
    assert float(state.eigenvalues[-1]) == pytest.approx(4.5)
    assert state.condition_number == pytest.approx(9.0)
    assert state.step_length == pytest.approx(2.0 / 4.5)
    assert state.bound == pytest.approx(1 / (2 * math.sqrt(0.5)))


def test_the_race_trains_sofim_alone_and_can_be_won():
    explorer = race_explorer(epochs=2, device="cpu")
    first = explorer.result
    assert first.names == ("SOFIM", "SGD, momentum 0.9", "Adam")
    assert not explorer.reached
    explorer.set(lr=2.0)
    assert explorer.result["Adam"][0] == first["Adam"][0]
    assert explorer.result["SOFIM"][0] != first["SOFIM"][0]
    assert explorer.reached


def test_the_race_shows_its_first_epoch_first():
    explorer, words = race_explorer(epochs=3, device="cpu"), []
    explorer.children[-2].observe(lambda change: words.append(change.new), names="value")
    explorer.set(rho=2.0)
    assert ["over 1 epoch." in one for one in words] == [True, False]
    assert "over 3 epochs" in words[-1]
