import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sofim_lab.plots.scale import PALE, number, scale_of

FINITE = st.floats(-1e12, 1e12, allow_nan=False)


def test_a_loss_that_spans_decades_gets_round_logarithmic_levels():
    scale = scale_of(np.array([1e-4, 1.0, 1e3]))
    assert scale.log
    assert (scale.levels[0], scale.levels[-1]) == (1e-4, 1e3)
    assert 10 <= len(scale.levels) <= 30
    assert scale.heights(np.array([1e-9, 1e-4, 100.0, np.nan])) == pytest.approx([-4, -4, 2, np.nan], nan_ok=True)
    places, labels = scale.ticks()
    assert labels == ["10⁻⁴", "10⁻²", "10⁰", "10²"]
    assert places == pytest.approx([1e-4, 1e-2, 1, 100])


def test_round_off_clips_nothing():
    scale = scale_of(np.array([0.3, 3.3]))  # 3 · 0.1 is a little more than 0.3
    assert scale.log
    assert (scale.below, scale.above) == (0, 0)


def test_a_narrow_range_stays_linear():
    scale = scale_of(np.array([0.31, 2.3]))
    assert not scale.log
    assert np.allclose(np.diff(scale.levels), 0.2)


@given(st.lists(FINITE, min_size=1, max_size=20), st.sampled_from([None, False]))
def test_levels_rise_and_tell_what_lies_outside(values, log):
    values = np.array(values)
    scale = scale_of(values, log=log)
    assert (np.diff(scale.levels) > 0).all()
    assert scale.below == (values < scale.levels[0]).sum()
    assert scale.above == (values > scale.levels[-1]).sum()
    assert np.isfinite(scale.heights(values)).all()
    places, labels = scale.ticks()
    assert len(places) == len(labels) >= 1
    assert places == sorted(places)
    assert scale.levels[0] <= places[0] <= places[-1] <= scale.levels[-1]


def test_what_explodes_is_cut_six_decades_from_the_median_and_said():
    scale = scale_of(np.array([1e-30, 1.0, 1.0, 1e30]))
    assert (scale.levels[0], scale.levels[-1], scale.below, scale.above) == (1e-6, 1e6, 1, 1)
    labels = scale.ticks()[1]
    assert labels[0].startswith("≤")
    assert labels[-1].startswith("≥")


def test_a_zero_among_positive_values_is_below_a_logarithmic_scale():
    scale = scale_of(np.array([0.0, 1e-3, 5.0]))
    assert scale.log
    assert scale.below == 1


def test_an_end_that_is_asked_for_is_kept():
    scale = scale_of(np.array([1e-4, 1.0, 1e3]), clip=(None, 70.0))
    assert scale.levels[-1] == 70.0
    assert scale.above == 1
    assert scale.clip(np.array([1e3, np.nan])).tolist() == [70.0, None]


def test_one_value_has_a_band_around_it():
    assert scale_of(np.array([2.0, 2.0])).levels.tolist() == [1.9, 2.1]
    assert scale_of(np.zeros(3)).levels.tolist() == [-0.5, 0.5]


@pytest.mark.parametrize(
    ("values", "options", "message"),
    [
        ([math.nan, math.inf], {}, "none of the 2 values is finite"),
        ([-1.0, 0.0], {"log": True}, "log=True needs positive values, and the highest is 0: choose log=False"),
        ([1.0, 2.0], {"clip": (3.0, 2.0)}, r"clip=\(3.0, 2.0\) must name a low and a higher value: .* from 1 to 2"),
        ([1.0, 99.0], {"clip": (0.0, 2.0)}, "both positive"),
        ([1.0, 2.0], {"clip": (math.nan, 2.0)}, "must name a low and a higher value"),
    ],
)
def test_bad_input(values, options, message):
    with pytest.raises(ValueError, match=message):
        scale_of(np.array(values), **options)


def test_the_map_is_told_by_lightness_alone():
    red, green, blue, _ = PALE(np.linspace(0, 1, 64)).T
    assert (np.diff(0.2126 * red + 0.7152 * green + 0.0722 * blue) > 0).all()


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0"),
        (-0.25, "−0.25"),
        (1234, "1234"),
        (1e5, "10⁵"),
        (3.2e-5, "3.2 × 10⁻⁵"),
        (-1e-7, "−10⁻⁷"),
        (math.inf, "inf"),
    ],
)
def test_numbers_are_plain_text(value, text):
    assert number(value) == text
