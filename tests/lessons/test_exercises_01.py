import re

import pytest
import torch

from sofim_lab.lessons.checking import judge
from sofim_lab.lessons.exercises import find_exercise

BEST, FREE = find_exercise("01.best_step"), find_exercise("01.saddle_free")


def best_step(H):
    e = torch.linalg.eigvalsh(H)
    return torch.stack([2 / (e[0] + e[-1]), (e[-1] - e[0]) / (e[-1] + e[0])])


def saddle_free(H, g, damping):
    e, Q = torch.linalg.eigh(H)
    return -(Q @ ((Q.T @ g) / e.abs().clamp(min=damping)))


def test_the_right_answers_are_solved():
    assert judge(BEST, best_step).solved is True
    assert judge(FREE, saddle_free).solved is True


def in_place(H, g, damping):
    answer = saddle_free(H, g, damping)
    H += 1
    return answer


@pytest.mark.parametrize(
    ("exercise", "answer", "words"),
    [
        (BEST, lambda H: None, "Nothing is returned yet"),
        (BEST, lambda H: best_step(H)[0], r"shape \(\), it should have \(2,\)"),
        (BEST, lambda H: 2 * best_step(H), "2 times the target"),
        (FREE, in_place, "changes its arguments in place"),
        (FREE, lambda H, g, damping: saddle_free(H, g, damping)[:, None], "it should have"),
        (FREE, lambda H, g, damping: -saddle_free(H, g, damping), "The sign is wrong"),
        (FREE, lambda H, g, damping: -torch.linalg.solve(H, g), "This is pure Newton"),
    ],
)
def test_a_wrong_answer_is_told_what_kind_of_mistake_it_is(exercise, answer, words):
    verdict = judge(exercise, answer)
    assert not verdict.solved
    assert re.search(words, verdict.message), verdict.message


def test_the_reference_of_the_best_step_is_no_worse_than_the_formula():
    H = BEST.cases(torch.Generator().manual_seed(3), 2)[0]
    torch.testing.assert_close(BEST.reference(H), best_step(H), rtol=1e-9, atol=0.0)
