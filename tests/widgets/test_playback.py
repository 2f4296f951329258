import ipywidgets as W
from every_control import parts
from traitlets import Bool, Int

from sofim_lab.widgets import (
    bernoulli_pair_explorer,
    gaussian_pair_explorer,
    quadratic_explorer,
    reparametrisation_explorer,
    spectrum_explorer,
    surface_explorer,
)
from sofim_lab.widgets.playback import Playback
from sofim_lab.widgets.values import positions


class OldClock(W.BoundedIntText):
    """The clock of ipywidgets 7, which Colab has: its trait is private."""

    interval = Int()
    _playing = Bool()


def test_the_clock_moves_the_control_through_all_its_values():
    control = W.FloatLogSlider(value=0.01, min=-2, max=1, step=0.5)
    playback, seen = Playback(control), []
    control.observe(lambda change: seen.append(change.new), names="value")
    assert (playback.clock.min, playback.clock.max, playback.clock.value) == (0, 6, 0)
    for place in range(1, 7):
        playback.clock.value = place
    assert tuple(seen) == positions(control)[1:]


def test_the_clock_follows_the_control_and_leaves_a_value_between_two_steps_alone():
    control = W.FloatSlider(value=0.5, min=0, max=1, step=0.1)
    playback = Playback(control)
    control.value = 0.23
    assert playback.clock.value == 2
    assert control.value == 0.23


def test_step_and_back_stop_at_the_ends_and_stop_the_clock():
    control = W.SelectionSlider(options=["a", "b", "c"], value="b", description="which")
    playback = Playback(control)
    playback.play.value = True
    assert playback.clock.playing
    playback.step.click()
    assert control.value == "c"
    assert not playback.play.value
    playback.step.click()
    assert control.value == "c"
    for _ in range(3):
        playback.back.click()
    assert control.value == "a"


def test_the_clock_of_an_older_release_is_driven_too(monkeypatch):
    monkeypatch.setattr(W, "Play", OldClock)
    playback = Playback(W.IntSlider(value=1, max=3))
    playback.play.value = True
    assert playback.clock._playing
    playback.move(1)
    assert not playback.clock._playing
    assert playback.control.value == 2


def test_the_buttons_say_what_they_move():
    playback = Playback(W.IntSlider(description="steps"))
    buttons = parts(playback, W.Button | W.ToggleButton)
    assert [button.description for button in buttons] == ["Back", "Play", "Step"]
    assert all("steps" in button.tooltip for button in buttons)
    assert playback.clock.layout.display == "none"


def test_playing_a_descent_shows_its_beginning():
    explorer = quadratic_explorer()
    whole = explorer.result.path
    explorer.set(steps=7)
    assert explorer.result.path.tolist() == whole[:8].tolist()
    assert "Drawn: 7 of its steps" in explorer.picture.alt
    surface = surface_explorer()
    surface.set(steps=0)
    assert "Drawn: the first 0 steps, after which pure Newton is at (1.20, 0.96)." in surface.picture.alt
    surface.set(method="gradient descent", steps=2)
    assert "and gradient descent is at (" in surface.picture.alt
    surface.set(steps=20)
    assert "Drawn" not in surface.picture.alt


def test_playing_a_fit_shows_its_first_steps_and_keeps_its_gap():
    explorer = reparametrisation_explorer()
    gaps = explorer.result.gaps
    assert "Drawn" not in explorer.picture.alt
    explorer.set(time=1.25)
    assert explorer.result.shown == 2
    assert explorer.result.gaps == gaps
    assert "Drawn: the first 2 of these steps." in explorer.picture.alt


def test_what_is_played_moves_the_picture():
    for make in (gaussian_pair_explorer, bernoulli_pair_explorer, spectrum_explorer):
        explorer = make()
        before = explorer.picture.alt
        explorer.playback.back.click()
        assert explorer.picture.alt != before
