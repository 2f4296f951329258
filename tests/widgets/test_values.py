import ipywidgets as W
import pytest

from sofim_lab.widgets.values import hint, limits, nearest, positions, text_of, value_of

LOG = W.FloatLogSlider(value=0.5, min=-3, max=2, step=0.1)
LINEAR = W.FloatSlider(value=0.3, min=-1.0, max=1.0, step=0.1)
COUNT = W.IntSlider(value=4, min=1, max=60)
SHARE = W.SelectionSlider(options=[("0 %", 0.0), ("25 %", 0.25), ("50 %", 0.5)], value=0.0)
POWER = W.SelectionSlider(options=[2, 4, 8], value=2)


def test_positions_are_what_the_arrow_keys_stop_at():
    assert len(positions(LOG)) == 51
    assert positions(LOG)[0] == pytest.approx(0.001)
    assert positions(LOG)[-1] == pytest.approx(100.0)
    assert positions(LINEAR)[13] == 0.3
    assert positions(COUNT) == tuple(range(1, 61))
    assert positions(SHARE) == (0.0, 0.25, 0.5)
    assert positions(W.Dropdown(options=["a", "b"])) == ("a", "b")
    assert positions(W.BoundedIntText(min=0, max=3)) == (0, 1, 2, 3)
    assert positions(W.Checkbox()) == (False, True)
    assert positions(W.IntSlider(min=0, max=10, step=4)) == (0, 4, 8)
    with pytest.raises(TypeError, match="a Text has no list of values"):
        positions(W.Text())


def test_the_nearest_position_of_a_value_between_two():
    slider = W.FloatSlider(value=0.14, min=0, max=1, step=0.1)
    assert nearest(slider) == 1
    slider.value = 0.16
    assert nearest(slider) == 2
    assert nearest(W.SelectionSlider(options=["x", "y"], value="y")) == 1


@pytest.mark.parametrize(
    ("control", "text", "value"),
    [
        (LOG, "0.05", 0.05),
        (LOG, " 1e-3 ", 0.001),
        (LOG, "100", 100.0),
        (LINEAR, "−0.25", -0.25),
        (COUNT, "12", 12),
        (COUNT, "12.0", 12),
        (SHARE, "25%", 0.25),
        (SHARE, "0.5", 0.5),
        (POWER, "8", 8),
    ],
)
def test_a_typed_value(control, text, value):
    assert value_of(control, text) == pytest.approx(value)
    assert type(value_of(control, text)) is type(value)


@pytest.mark.parametrize(
    ("control", "text", "message"),
    [
        (LOG, "500", "500 is out of range: type a number from 0.001 to 100"),
        (LOG, "0", "0 is out of range: type a number from 0.001 to 100"),
        (LOG, "-1", "-1 is out of range"),
        (LINEAR, "1.01", "1.01 is out of range: type a number from -1 to 1"),
        (LOG, "", "'' is not a number: type a number from 0.001 to 100"),
        (LOG, "ten", "'ten' is not a number"),
        (LOG, "nan", "'nan' is not a number"),
        (LOG, "inf", "'inf' is not a number"),
        (COUNT, "2.5", "2.5 is not whole: type a whole number from 1 to 60"),
        (SHARE, "30 %", "'30 %' is not among the choices: type one of 0 %, 25 %, 50 %"),
    ],
)
def test_a_value_that_cannot_be_taken(control, text, message):
    with pytest.raises(ValueError, match=message):
        value_of(control, text)


def test_what_is_written_can_be_typed_in():
    for control in (LOG, LINEAR, COUNT, SHARE, POWER):
        for value in positions(control):
            control.value = value
            assert value_of(control, text_of(control)) == pytest.approx(value, rel=1e-3)
    assert hint(W.FloatLogSlider(min=-8, max=4)) == "a number from 1e-8 to 10000"


def test_no_position_lies_beyond_the_ends_of_a_slider():
    zoom = W.FloatLogSlider(value=1.0, min=-1.0, max=0.3, step=0.1)  # −1 + 13 · 0.1 is more than 0.3
    for control in (zoom, W.FloatSlider(value=0.0, min=-0.7, max=0.4, step=0.1)):
        found = positions(control)
        low, high = limits(control)
        assert low == found[0]
        assert found[-1] == high
