import pytest
import torch

from sofim_lab.federated import clip_rows, noise_for
from sofim_lab.lessons.checking import judge
from sofim_lab.lessons.exercises import find_exercise
from sofim_lab.optim import SOFIM


def by_library(parts, lr, rho):
    w = torch.nn.Parameter(torch.zeros_like(parts))
    optimizer = SOFIM([w], lr=lr, rho=rho)
    w.grad = parts.clone()
    optimizer.step()
    return w.detach()


RIGHT = [
    ("09.parts", lambda parts, lr, rho: -lr * parts / (rho + parts.square().sum())),
    ("09.parts", by_library),
    ("09.clip", lambda rows, clip: clip_rows(rows, clip)[0].mean(dim=0)),
    ("09.noise", lambda epsilon, delta, rounds: noise_for(epsilon, delta, int(rounds))),
]


@pytest.mark.parametrize(("id", "answer"), RIGHT)
def test_a_right_answer_is_right(id, answer):
    assert judge(find_exercise(id), answer).solved


def test_the_whole_matrix_is_refused():
    def dense(parts, lr, rho):
        m = parts.flatten()
        fisher = torch.outer(m, m) + rho * torch.eye(len(m), dtype=m.dtype)
        return -lr * torch.linalg.solve(fisher, m).view_as(parts)

    assert "do without the d×d matrix" in judge(find_exercise("09.parts"), dense).message


def test_more_noise_than_needed_is_no_answer():
    assert judge(find_exercise("09.noise"), lambda *case: 1.01 * noise_for(*case[:2], int(case[2]))).solved is False


def test_a_gradient_of_zero_is_clipped_to_itself():
    def by_direction(rows, clip):
        norms = rows.norm(dim=1, keepdim=True)
        return (rows / norms * norms.clamp(max=clip)).mean(dim=0)

    verdict = judge(find_exercise("09.clip"), by_direction)
    assert not verdict.solved
    assert "A row of zeros has no direction" in verdict.message


def test_a_missing_damping_is_named():
    verdict = judge(find_exercise("09.parts"), lambda parts, lr, rho: -lr * parts / parts.square().sum())
    assert "ρ is missing" in verdict.message
