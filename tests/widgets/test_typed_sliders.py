import ipywidgets as W

from sofim_lab.widgets.typed import TypedSlider


def typed(slider):
    said = []
    return TypedSlider(slider, said.append), said


def test_the_box_shows_where_the_slider_stands():
    row, said = typed(W.FloatLogSlider(value=0.5, min=-3, max=2, description="ρ"))
    assert row.box.value == "0.5"
    row.slider.value = 10**-0.3
    assert row.box.value == "0.5012"
    assert "ρ: type a number from 0.001 to 100" in row.box.tooltip
    assert set(said) == {""}


def test_a_typed_text_stays_as_it_was_typed():
    row, said = typed(W.FloatSlider(value=0.5, min=0, max=1, description="β"))
    row.box.value = "0.123456"
    assert row.slider.value == 0.123456
    assert row.box.value == "0.123456"
    row.slider.value = 0.7
    assert row.box.value == "0.7"
    assert set(said) == {""}


def test_a_text_out_of_range_moves_nothing_and_is_answered():
    row, said = typed(W.SelectionSlider(options=[1, 3, 5], value=3, description="hidden units"))
    row.box.value = "4"
    assert row.slider.value == 3
    assert row.box.value == "3"
    assert said == ["hidden units: '4' is not among the choices: type one of 1, 3, 5. It stays at 3."]
    row.box.value = "5"
    assert row.slider.value == 5
    assert said[-1] == ""


def test_a_slider_that_reports_late_shows_its_own_number_while_it_is_dragged():
    assert not typed(W.FloatSlider())[0].slider.readout
    assert typed(W.FloatSlider(continuous_update=False))[0].slider.readout
