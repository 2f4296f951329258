import pytest
import torch

from sofim_lab.landscape import normalise
from sofim_lab.lessons.checking import judge
from sofim_lab.lessons.exercises import find_exercise
from sofim_lab.lessons.exercises.lesson_07 import EXERCISES


def filter_normalised(direction, weight):
    lengths = [torch.linalg.vector_norm(tensor, dim=1, keepdim=True) for tensor in (direction, weight)]
    return direction * lengths[1] / lengths[0]


def by_library(direction, weight):
    layer = torch.nn.Linear(*weight.shape[::-1], bias=False, dtype=torch.float64)
    layer.weight.data.copy_(weight)
    return normalise({"weight": direction}, layer, "filter")["weight"]


def flattest(first, second, rest):
    alpha = (first.sum() / second.sum()) ** 0.25
    return torch.stack([alpha, first.sum() / alpha**2 + alpha**2 * second.sum() + rest.sum()])


def flattest_by_product(first, second, rest):
    t1, t2 = first.sum(), second.sum()
    return torch.stack([(t1 / t2).sqrt().sqrt(), 2 * (t1 * t2).sqrt() + rest.sum()])


RIGHT = [
    ("07.filter", filter_normalised),
    ("07.filter", by_library),
    ("07.flattest", flattest),
    ("07.flattest", flattest_by_product),
]
MISTAKES = [(exercise, mistake) for exercise in EXERCISES for mistake in exercise.mistakes]


@pytest.mark.parametrize(("id", "answer"), RIGHT)
def test_a_right_answer_is_right(id, answer):
    assert judge(find_exercise(id), answer).solved


@pytest.mark.parametrize(("exercise", "mistake"), MISTAKES, ids=[mistake.says[:30] for _, mistake in MISTAKES])
def test_each_mistake_is_named(exercise, mistake):
    verdict = judge(exercise, mistake.answer)
    assert verdict.solved is False
    assert mistake.says in verdict.message


def test_a_change_in_place_is_refused():
    def in_place(direction, weight):
        return direction.mul_(weight.norm(dim=1, keepdim=True) / direction.norm(dim=1, keepdim=True))

    assert "in place" in judge(find_exercise("07.filter"), in_place).message


def test_nothing_written_is_open():
    for exercise in EXERCISES:
        assert judge(exercise, lambda *_: None).solved is None


def test_an_unknown_wrong_matrix_gets_an_answer_too():
    assert "3 times the target" in judge(find_exercise("07.filter"), lambda *a: 3 * filter_normalised(*a)).message
    assert judge(find_exercise("07.filter"), lambda d, w: d + w).solved is False
