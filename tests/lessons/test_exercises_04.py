import pytest
import torch

from sofim_lab.lessons.checking import judge
from sofim_lab.lessons.exercises import find_exercise

DIAGONAL = find_exercise("04.closest_diagonal")
DIRECTION = find_exercise("04.direction")


def diagonal(samples):
    return (samples - samples.mean(0)).square().mean(0)


def small(rows, rho):
    return rows @ rows.mT + len(rows) * rho * torch.eye(len(rows))


def direction(rows, rho):
    return rows.mT @ torch.linalg.solve(small(rows, rho), torch.ones(len(rows)))


def woodbury(rows, rho):
    g = rows.mean(0)
    return (g - rows.mT @ torch.linalg.solve(small(rows, rho), rows @ g)) / rho


def dense(rows, rho):
    return torch.linalg.solve(rows.mT @ rows / len(rows) + rho * torch.eye(rows.shape[1]), rows.mean(0))


def in_float64(rows, rho):
    return direction(rows.double().float(), rho)


def in_place(rows, rho):
    answer = direction(rows, rho)
    rows *= 2
    return answer


def centered_in_place(samples):
    samples -= samples.mean(0)
    return samples.square().mean(0)


def whole_covariance(samples):
    return torch.cov(samples.mT, correction=0).diagonal()


def test_the_right_answers_are_solved():
    assert judge(DIAGONAL, diagonal).solved is True
    assert judge(DIAGONAL, lambda samples: samples.var(0, unbiased=False)).solved is True
    assert judge(DIRECTION, direction).solved is True


@pytest.mark.parametrize(
    ("exercise", "answer", "words"),
    [
        (DIAGONAL, lambda samples: samples.var(1, unbiased=False), "The answer has shape"),
        (DIAGONAL, centered_in_place, "changes its arguments in place"),
        (DIAGONAL, whole_covariance, "do without the d×d matrix"),
        (DIRECTION, lambda rows, rho: -direction(rows, rho), "It is -1 times the target throughout"),
        (DIRECTION, woodbury, "takes the difference of (11)"),
        (DIRECTION, dense, "do without the d×d matrix"),
        (DIRECTION, in_float64, "goes from 32 to 64 bits"),
        (DIRECTION, in_place, "changes its arguments in place"),
    ],
)
def test_a_wrong_answer_is_told_what_kind_of_mistake_it_is(exercise, answer, words):
    verdict = judge(exercise, answer)
    assert verdict.solved is False
    assert words in verdict.message


def test_the_reference_is_the_dense_solve():
    random = torch.Generator().manual_seed(5)
    rows, rho = DIRECTION.cases(random, 0)
    wide = rows.double()
    matrix = wide.mT @ wide / len(wide) + rho * torch.eye(wide.shape[1], dtype=torch.float64)
    torch.testing.assert_close(DIRECTION.reference(rows, rho), torch.linalg.solve(matrix, wide.mean(0)))
