import pytest
import torch

from sofim_lab.federated import clip_rows, gaussian_delta, noise_for
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


def search(epsilon, delta, steps=100, low=1e-4, high=50.0):
    for _ in range(steps):
        mu = (low + high) / 2
        low, high = (mu, high) if gaussian_delta(epsilon, mu) < delta else (low, mu)
    return mu


ADDED = [
    ("09.parts", lambda parts, lr, rho: -lr * parts / (rho + parts.square().sum(dim=0)), "dim=0 adds over the workers"),
    ("09.parts", lambda parts, lr, rho: -lr * parts / (rho + parts.norm()), "It is the square that is asked for"),
    ("09.parts", lambda parts, lr, rho: -lr * parts / rho, "‖m‖² is missing"),
    ("09.clip", lambda rows, C: (rows / rows.norm(dim=1, keepdim=True).clamp(min=1)).mean(dim=0), "the length 1"),
    ("09.clip", lambda rows, C: (rows * (C / rows.norm(dim=0)).clamp(max=1)).mean(dim=0), "This clips columns"),
    ("09.clip", lambda rows, C: (rows * min(1, C / rows.norm())).mean(dim=0), "All rows get one factor"),
    ("09.clip", lambda rows, C: (rows * (rows.norm(dim=1) / C).clamp(max=1)[:, None]).mean(dim=0), "upside down"),
    ("09.noise", lambda epsilon, delta, rounds: rounds**0.5 / search(epsilon, delta, steps=15), "go on searching"),
    (
        "09.noise",
        lambda epsilon, delta, rounds: 2 * rounds**0.5 / search(epsilon, delta),
        "Here one is added or removed",
    ),
    ("09.noise", lambda epsilon, delta, rounds: rounds**0.5 / search(epsilon, 2.0), "keeps the wrong half"),
]


@pytest.mark.parametrize(("id", "answer", "words"), ADDED)
def test_a_usual_mistake_is_named(id, answer, words):
    verdict = judge(find_exercise(id), answer)
    assert verdict.solved is False
    assert words in verdict.message
