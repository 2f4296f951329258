import pytest
import torch

from sofim_lab.lessons.checking import judge
from sofim_lab.lessons.exercises import find_exercise

product, split = find_exercise("03.fisher_product"), find_exercise("03.split")


def fisher_product(J, f, v, *, dim=1, soft=True, sign=-1.0, divide=len):
    p = f.softmax(dim) if soft else f
    u = torch.einsum("ncd,d->nc", J, v)
    middle = p * u + sign * p * (p * u).sum(1, keepdim=True)
    return torch.einsum("ncd,nc->d", J, middle) / divide(J)


def two_numbers(G, *, correction=0, dim=0):
    return torch.stack([G.mean(dim).square().sum(), G.var(dim, correction=correction).sum()])


def spoils_its_input(J, f, v):
    answer = fisher_product(J, f, v)
    J.mul_(2)
    return answer


WRONG_PRODUCTS = {
    "the sum over the samples": lambda J, f, v: fisher_product(J, f, v, divide=lambda J: 1),
    "divided by n·C": lambda J, f, v: fisher_product(J, f, v, divide=lambda J: J.shape[0] * J.shape[1]),
    "covariance, subtracts": lambda J, f, v: fisher_product(J, f, v, sign=1.0),
    "is missing": lambda J, f, v: fisher_product(J, f, v, sign=0.0),
    "f holds logits": lambda J, f, v: fisher_product(J, f, v, soft=False),
    "softmax runs over the samples": lambda J, f, v: fisher_product(J, f, v, dim=0),
    "Λ between the two Jacobians": lambda J, f, v: (
        torch.einsum("ncd,nc->d", J, torch.einsum("ncd,d->nc", J, v)) / len(J)
    ),
    "the sign is wrong": lambda J, f, v: -fisher_product(J, f, v),
    "changes its arguments in place": spoils_its_input,
    "should have": lambda J, f, v: torch.einsum("ncd,d->nc", J, v),
}
WRONG_SPLITS = {
    "n − 1": lambda G: two_numbers(G, correction=1),
    "whole trace": lambda G: torch.stack([G.mean(0).square().sum(), G.square().sum(1).mean()]),
    "sums over the samples": lambda G: torch.stack([G.sum(0).square().sum(), (G - G.mean(0)).square().sum()]),
    "covariance is summed": lambda G: torch.stack([G.mean(0).square().sum(), (G - G.mean(0)).square().sum()]),
    "wrong order": lambda G: two_numbers(G).flip(0),
    "its square is asked for": lambda G: torch.stack([G.mean(0).norm(), two_numbers(G)[1]]),
    "Rows are samples": lambda G: two_numbers(G, dim=1),
}


def test_the_right_answers_pass():
    assert judge(product, fisher_product).solved
    assert judge(split, two_numbers).solved


def test_nothing_returned_is_open():
    assert judge(product, lambda J, f, v: None).solved is None


@pytest.mark.parametrize("says", WRONG_PRODUCTS)
def test_each_mistake_in_the_product_is_named(says):
    verdict = judge(product, WRONG_PRODUCTS[says])
    assert verdict.solved is False
    assert says in verdict.message


@pytest.mark.parametrize("says", WRONG_SPLITS)
def test_each_mistake_in_the_split_is_named(says):
    verdict = judge(split, WRONG_SPLITS[says])
    assert verdict.solved is False
    assert says in verdict.message
