import pytest
import torch

from sofim_lab.lessons.checking import judge
from sofim_lab.lessons.exercises import find_exercise
from sofim_lab.optim import SOFIM


def sofim(start, gradients, lr, beta, rho):
    w, moment = start, torch.zeros_like(start)
    for t, g in enumerate(gradients, start=1):
        moment = beta * moment + (1 - beta) * g
        m = moment / (1 - beta**t)
        w = w - lr * m / (rho + m @ m)
    return w


def by_library(start, gradients, lr, beta, rho):
    w = torch.nn.Parameter(start.clone())
    optimizer = SOFIM([w], lr=lr, beta=beta, rho=rho)
    for g in gradients:
        w.grad = g.clone()
        optimizer.step()
    return w.detach()


def clipped(m, lr, rho):
    return lr / rho * m * min(1.0, rho**0.5 / (2 * torch.linalg.vector_norm(m)))


RIGHT = [("06.sofim", sofim), ("06.sofim", by_library), ("06.clipped", clipped)]


@pytest.mark.parametrize(("id", "answer"), RIGHT)
def test_a_right_answer_is_right(id, answer):
    assert judge(find_exercise(id), answer).solved


def test_a_change_in_place_and_a_matrix_are_refused():
    def in_place(start, gradients, lr, beta, rho):
        end = sofim(start, gradients, lr, beta, rho)
        return start.copy_(end)

    def dense(start, gradients, lr, beta, rho):
        w, moment = start, torch.zeros_like(start)
        for t, g in enumerate(gradients, start=1):
            moment = beta * moment + (1 - beta) * g
            m = moment / (1 - beta**t)
            fisher = torch.outer(m, m) + rho * torch.eye(len(m), dtype=m.dtype)
            w = w - lr * torch.linalg.solve(fisher, m)
        return w

    assert "in place" in judge(find_exercise("06.sofim"), in_place).message
    assert "do without the d×d matrix" in judge(find_exercise("06.sofim"), dense).message


def test_nothing_written_is_open():
    assert judge(find_exercise("06.sofim"), lambda *_: None).solved is None
