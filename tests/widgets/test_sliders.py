import pytest

from sofim_lab.widgets.sliders import log_slider, slider


@pytest.mark.parametrize(
    ("control", "between", "rounded", "moved"),
    [
        (slider("β", 0.9, 0.0, 1.0, 0.1), 0.123, 0.1, 0.2),
        (slider("β", 0.9, 0.0, 1.0, 0.1), 0.25, 0.3, 0.4),  # half a step
        (log_slider("ρ", 1.0, -3, 2, 0.1), 0.05, 10**-1.3, 10**-1.2),
        (log_slider("κ", 5.0, 0, 3, 0.05), 5.0, 10**0.7000000000000001, 10**0.65),
        (log_slider("ρ", 1.0, -3, 2, 0.1), 10**-0.3, 10**-0.30000000000000004, 10**-0.4),
    ],
)
def test_a_value_between_two_steps_outlives_the_browsers_rounding_and_not_a_move(control, between, rounded, moved):
    control.value = between
    seen = []
    control.observe(lambda change: seen.append(change.new), names="value")
    control.set_state({"value": rounded})
    assert control.value == between
    assert seen == []
    control.set_state({"value": moved})
    assert control.value == moved
    control.set_state({"value": rounded})
    assert control.value == rounded


def test_other_reports_are_taken():
    control = slider("β", 0.9, 0.0, 1.0, 0.1)
    control.set_state({"value": 0.9, "disabled": True})
    assert control.disabled
    control.set_state({"value": 0.123})  # from a browser that does not round
    assert control.value == 0.123


def test_a_late_slider_reports_when_it_is_let_go():
    assert log_slider("ρ", 1.0, -3, 2).continuous_update
    assert not log_slider("ρ", 1.0, -3, 2, late=True).continuous_update
    assert not slider("β", 0.5, 0, 1, 0.1, late=True).continuous_update
