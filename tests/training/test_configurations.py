"""Drawing what to tune."""

import math
import subprocess
import sys

import pytest

from sofim_lab.optim import registry
from sofim_lab.optim.entry import Entry, LogUniform
from sofim_lab.training.configurations import Configuration, draw


@pytest.mark.parametrize("name", registry.names())
def test_the_first_is_the_default_and_all_lie_in_the_grid(name):
    entry = registry.get(name)
    drawn = draw(name, 9, seed=1)
    assert drawn[0] == Configuration(name, dict(entry.defaults))
    assert len({one.key for one in drawn[1:]}) == 8
    for one in drawn[1:]:
        assert one.settings.keys() == entry.defaults.keys() | entry.grid.keys()
        for option, value in one.settings.items():
            grid = entry.grid.get(option, (entry.defaults.get(option),))
            assert grid.low <= value <= grid.high if isinstance(grid, LogUniform) else value in grid
            assert type(value) in (int, float)


def test_points_fill_a_range_evenly_in_the_logarithm():
    rates = [math.log(one.settings["lr"]) for one in draw("SGD", 65)[1:]]
    low, high = math.log(0.01), math.log(3.0)
    shares = sorted((rate - low) / (high - low) for rate in rates)
    furthest = max(abs(share - (k + 0.5) / 64) for k, share in enumerate(shares))
    assert furthest < 0.03  # independent draws miss by 0.1


def test_every_choice_is_drawn():
    assert {one.settings["k"] for one in draw("LowRankFisher", 13)[1:]} == {1, 4, 16}


def test_a_larger_budget_begins_with_the_smaller_one():
    assert draw("Adam", 12, seed=5)[:4] == draw("Adam", 4, seed=5)
    assert draw("Adam", 4, seed=5)[1:] != draw("Adam", 4, seed=6)[1:]


def test_relatives_are_tuned_at_the_same_points():
    mine, theirs = draw("SOFIM", 5)[1:], draw("SOFIM gradient", 5)[1:]
    assert [one.settings for one in mine] == [one.settings for one in theirs]


def test_numbers_are_as_short_as_a_table_shows_them():
    assert all(float(f"{one.settings['rho']:.4g}") == one.settings["rho"] for one in draw("SOFIM", 9))


def test_a_number_rounded_beyond_its_range_stays_in_it():
    registry.register(Entry("narrow", "torch.optim:SGD", grid={"lr": LogUniform(0.123451, 0.123452)}))
    try:
        assert all(0.123451 <= one.settings["lr"] <= 0.123452 for one in draw("narrow", 4)[1:])
    finally:
        registry.unregister("narrow")


def test_a_key_stands_for_optimizer_and_settings():
    key = Configuration("SGD", {"lr": 0.1, "momentum": 0.9}).key
    assert Configuration("SGD", {"momentum": 0.9, "lr": 0.1}).key == key
    assert Configuration("SGD momentum", {"lr": 0.1, "momentum": 0.9}).key != key
    assert Configuration("SGD", {"lr": 0.2, "momentum": 0.9}).key != key
    assert len({Configuration("SGD", {"lr": 0.1}), Configuration("SGD", {"lr": 0.1})}) == 1


@pytest.mark.parametrize("other", [1.0, True, [1], "1"])
def test_what_is_written_differently_is_another_configuration(other):
    one, two = Configuration("SGD", {"lr": 1}), Configuration("SGD", {"lr": other})
    assert one != two
    assert one.key != two.key
    assert len({one, two}) == 2


def test_what_is_written_alike_is_the_same_configuration():
    one, two = Configuration("Adam", {"betas": (0.9, 0.99)}), Configuration("Adam", {"betas": [0.9, 0.99]})
    assert one == two
    assert one.key == two.key
    assert one != one.key


def test_keys_are_those_of_the_stores_that_there_are():
    assert Configuration("SGD", {"lr": 1}).key == "9c92024df3b8"
    assert Configuration("SGD", {"lr": 1.0}).key == "f834775d78fe"


def test_a_key_is_the_same_in_another_process():
    code = "from sofim_lab.training.configurations import draw; print(draw('SOFIM', 3, seed=2)[2].key)"
    other = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert other.stdout.strip() == draw("SOFIM", 3, seed=2)[2].key


def test_what_cannot_be_drawn_is_refused():
    with pytest.raises(ValueError, match="n=0 must be 1 or more"):
        draw("SOFIM", 0)
    with pytest.raises(ValueError, match="no optimizer is called 'Sofin'"):
        draw("Sofin", 2)
    registry.register(Entry("plain", "torch.optim:SGD", defaults={"lr": 0.1}))
    try:
        assert len(draw("plain", 1)) == 1
        with pytest.raises(ValueError, match="plain has no grid to draw from: register it with grid="):
            draw("plain", 2)
    finally:
        registry.unregister("plain")


def test_one_dictionary_filled_in_a_loop_makes_many_configurations():
    settings, few = {"betas": [0.0, 0.9]}, []
    for beta in (0.5, 0.6):
        settings["betas"][0] = beta
        few.append(Configuration("Adam", settings))
    assert [one.settings["betas"] for one in few] == [[0.5, 0.9], [0.6, 0.9]]
    assert len({one.key for one in few}) == 2


@pytest.mark.parametrize("settings", [None, ["lr", 0.1], {1: 0.1}])
def test_settings_that_are_no_names_with_values_are_refused(settings):
    with pytest.raises(ValueError, match=r"settings=.* of SGD must map names to values: \{'lr': 0\.1\}"):
        Configuration("SGD", settings)


@pytest.mark.parametrize("value", [math.nan, math.inf, object()])
def test_a_setting_that_no_file_can_hold_is_refused(value):
    with pytest.raises(ValueError, match=r"settings=.* of SGD must be plain finite numbers"):
        Configuration("SGD", {"lr": value})
