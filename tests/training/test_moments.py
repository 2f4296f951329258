import torch
from torch.nn.utils import parameters_to_vector

from sofim_lab.optim import SOFIM
from sofim_lab.problems import load_digits, mlp
from sofim_lab.training import train
from sofim_lab.training.moments import MomentRecorder


def recorded(steps, epochs=1):
    digits = load_digits("cpu", dtype=torch.float64)
    model = mlp((64, 10), device="cpu", dtype=torch.float64)
    start = parameters_to_vector(model.parameters()).detach()
    optimizer = SOFIM(model.parameters(), lr=0.3, rho=0.5, beta=0.9)
    recorder = MomentRecorder(model, optimizer, steps)
    train(model, digits, optimizer, epochs=epochs, progress=False, callback=recorder.record)
    return start, model, recorder.checkpoints


def test_the_first_moment_explains_the_first_step():
    start, _, (first,) = recorded([1])
    moved = start - first.weights
    torch.testing.assert_close(moved, 0.3 * first.moment / (0.5 + first.moment @ first.moment))


def test_two_neighbours_explain_the_second_step():
    _, _, (first, second) = recorded([1, 2])
    moved = first.weights - second.weights
    torch.testing.assert_close(moved, 0.3 * second.moment / (0.5 + second.moment @ second.moment))


def test_only_the_chosen_steps_are_kept_and_they_do_not_change_later():
    _, model, checkpoints = recorded([3, 19, 1000])
    assert [checkpoint.step for checkpoint in checkpoints] == [3, 19]
    torch.testing.assert_close(checkpoints[-1].weights, parameters_to_vector(model.parameters()).detach())
    assert not torch.equal(checkpoints[0].weights, checkpoints[1].weights)
    assert not torch.equal(checkpoints[0].moment, checkpoints[1].moment)
