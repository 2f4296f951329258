import pytest
from every_control import silent_controls

from sofim_lab.federated import Privacy
from sofim_lab.widgets import clients_explorer, parts_explorer, private_explorer
from sofim_lab.widgets.federated import clients_state
from sofim_lab.widgets.private import first_rounds, private_state, render_private


@pytest.mark.unmeasured
@pytest.mark.parametrize("make", [parts_explorer, clients_explorer, private_explorer])
def test_both_ends_of_every_control(make):
    assert silent_controls(make()) == []


def test_the_goal_of_the_parts_wants_a_worker_that_errs():
    explorer = parts_explorer()
    assert not explorer.reached
    explorer.set(workers=1, rho=1e-4)
    assert not explorer.reached
    explorer.set(workers=8, rho=10.0)
    assert not explorer.reached
    explorer.set(workers=8, rho=1e-3)
    assert explorer.reached


def test_the_goal_of_the_clients_wants_accuracy_in_spite_of_them():
    explorer = clients_explorer()
    assert not explorer.reached
    explorer.set(participation=1.0, alpha=10.0)
    assert not explorer.reached  # that is too easy
    explorer.set(participation=0.5, alpha=0.1)
    assert explorer.reached


def test_the_goal_of_the_private_run_wants_accuracy_within_a_budget():
    explorer = private_explorer()
    assert not explorer.reached  # accurate, beyond the budget
    explorer.set(noise=150.0)
    assert not explorer.reached  # within the budget, not accurate
    explorer.set(noise=40.0)
    assert explorer.reached


def test_the_account_counts_every_round():
    state = private_state(noise=10.0, clip=0.5, rounds=10, direction="gradient")
    assert state.epsilon == Privacy(0.5, 10.0, 1e-4).epsilon(10)
    assert len(state.run.steps) == len(state.control.steps) == 10
    assert state.run.settings["direction"] == "gradient"
    assert state.control.name == "FedAvg"
    assert private_state(noise=10.0, clip=0.5, rounds=2, direction="momentum").control.name == "averaged momentum"


def test_both_servers_meet_the_same_clients():
    state = clients_state(alpha=0.1, participation=0.25, steps=2, server="FedAdam", rounds=2)
    assert state.run.settings["clients"] == state.control.settings["clients"] == len(state.counts) == 20
    assert int(state.counts.sum()) == 1197


def test_the_private_run_shows_its_first_rounds_at_once_and_says_so():
    settings = {"noise": 10.0, "clip": 0.5, "direction": "momentum"}
    first, whole = (render_private(make(rounds=10, **settings)).alt for make in (first_rounds, private_state))
    assert "the 3 rounds are" in first
    assert "the 10 rounds are" in whole
    assert first_rounds(rounds=2, **settings) == private_state(rounds=2, **settings)
