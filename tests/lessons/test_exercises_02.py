import pytest
import torch

from sofim_lab.lessons.checking import judge
from sofim_lab.lessons.exercises import find_exercise

solve = torch.linalg.solve


def fisher_times(scores, p, v):
    return scores.T @ (p * (scores @ v))


def natural_step(F, g, epsilon):
    x = solve(F, g)
    return -torch.sqrt(2 * epsilon / (g @ x)) * x


def seen_in_w(F, g, J, damping):
    return -J @ solve(J.T @ F @ J + damping * torch.eye(len(g), dtype=g.dtype), J.T @ g)


RIGHT = {"02.fisher_times": fisher_times, "02.natural_step": natural_step, "02.seen_in_w": seen_in_w}


@pytest.mark.parametrize("id", RIGHT)
def test_the_right_answer_is_solved_and_none_is_open(id):
    assert judge(find_exercise(id), RIGHT[id]).solved is True
    assert judge(find_exercise(id), lambda *_: None).solved is None


def in_place(F, g, J, damping):
    F += damping * torch.eye(len(g), dtype=g.dtype)
    return -solve(F, g)


@pytest.mark.parametrize(
    ("id", "answer", "words"),
    [
        ("02.fisher_times", lambda s, p, v: (s.T * p) @ s, "it should have"),
        ("02.fisher_times", lambda s, p, v: s.T @ (s @ v) / s.shape[0], "as if all were equally probable"),
        ("02.natural_step", lambda F, g, epsilon: -natural_step(F, g, epsilon), "steepest ascent"),
        ("02.natural_step", lambda F, g, epsilon: 3 * natural_step(F, g, epsilon), "It is 3 times the target"),
        ("02.seen_in_w", in_place, "changes its arguments in place"),
        ("02.seen_in_w", lambda F, g, J, damping: seen_in_w(F, g, J.T, damping), "J is transposed"),
        ("02.seen_in_w", lambda F, g, J, damping: seen_in_w(F, g, J, 0.0), "λ is missing"),
    ],
)
def test_mistakes_in_other_words(id, answer, words):
    verdict = judge(find_exercise(id), answer)
    assert verdict.solved is False
    assert words in verdict.message


def test_the_reference_step_meets_the_constraint_and_beats_random_steps():
    exercise, random = find_exercise("02.natural_step"), torch.Generator().manual_seed(3)
    for number in range(5):
        F, g, epsilon = exercise.cases(random, number)
        step = exercise.reference(F, g, epsilon)
        assert float(0.5 * step @ F @ step) == pytest.approx(epsilon)
        others = torch.randn(500, len(g), generator=random, dtype=torch.float64)
        others *= torch.sqrt(2 * epsilon / torch.einsum("ka,ab,kb->k", others, F, others))[:, None]
        assert float(g @ step) <= float((others @ g).min())
