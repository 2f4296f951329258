import pytest
import torch

from sofim_lab.lessons import check
from sofim_lab.lessons.checking import judge
from sofim_lab.lessons.exercises import find_exercise


def right(m, v, rho):
    return v / rho - m * (m @ v) / (rho**2 + rho * (m @ m))


SOLVE = find_exercise("05.solve")
GROUPS = find_exercise("05.groups")


def test_the_right_answer_is_solved():
    assert judge(SOLVE, right).solved is True
    assert judge(GROUPS, lambda m, r: (m / r) / (1 + m @ (m / r))).solved is True


def test_nothing_written_is_open_and_not_wrong():
    verdict = judge(SOLVE, lambda m, v, rho: None)
    assert verdict.solved is None
    assert "Nothing is returned yet" in verdict.message


def sign(m, v, rho):
    return v / rho + m * (m @ v) / (rho**2 + rho * (m @ m))


def missing_rho(m, v, rho):
    return v / rho - m * (m @ v) / (rho + m @ m)


def product(m, v, rho):
    return m * (m @ v) + rho * v


def swapped(m, v, rho):
    return v / rho - v * (m @ m) / (rho**2 + rho * (m @ m))


def negative(m, v, rho):
    return -right(m, v, rho)


def doubled(m, v, rho):
    return 2 * right(m, v, rho)


def in_place(m, v, rho):
    answer = right(m, v, rho)
    v /= rho
    return answer


def dense(m, v, rho):
    return torch.linalg.solve(torch.outer(m, m) + rho * torch.eye(len(m), dtype=m.dtype), v)


def wrong_shape(m, v, rho):
    return right(m, v, rho)[:, None]


def a_text(m, v, rho):
    return "F⁻¹v"


def raises(m, v, rho):
    return v / rho - m @ v @ m


def none_later(m, v, rho):
    return right(m, v, rho) if len(m) < 10 else None


def lower_precision(m, v, rho):
    return right(m.float(), v.float(), rho)


def not_a_number(m, v, rho):
    return right(m, v, rho) * float("nan")


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (sign, "The sign is wrong"),
        (missing_rho, "A factor ρ is missing"),
        (product, "This is F v, the product"),
        (swapped, "the correction points along m"),
        (negative, "It is -1 times the target throughout: the sign is wrong"),
        (doubled, "It is 2 times the target throughout"),
        (in_place, "changes its arguments in place"),
        (dense, "makes a tensor of 400 numbers"),
        (wrong_shape, r"The answer has shape \(3, 1\), it should have \(3,\)"),
        (a_text, "returns a str; a tensor is asked for"),
        (raises, r"Your function raises RuntimeError: .*\(line \d+: return v / rho - m @ v @ m\)"),
        (none_later, "returns None on case 3"),
        (lower_precision, "The formula is right, but digits are lost"),
        (not_a_number, "Wrong on 5 of 5"),
    ],
)
def test_a_wrong_answer_is_told_what_kind_of_mistake_it_is(answer, words):
    import re

    verdict = judge(SOLVE, answer)
    assert verdict.solved is False
    assert re.search(words, verdict.message, re.DOTALL), verdict.message


def on_paper(m, r):
    scaled = m / r
    return scaled - scaled * (m @ scaled) / (1 + m @ scaled)


def test_right_on_paper_is_not_right_in_float32():
    verdict = judge(GROUPS, on_paper)
    assert verdict.solved is False
    assert "gets worse as r falls" in verdict.message


def test_more_digits_are_no_solution():
    verdict = judge(GROUPS, lambda m, r: on_paper(m.double(), r.double()).float())
    assert verdict.solved is False
    assert "goes from 32 to 64 bits" in verdict.message


def test_the_reference_of_the_groups_is_a_dense_solve():
    random = torch.Generator().manual_seed(1)
    m, r = (item.double() for item in GROUPS.cases(random, 0))
    dense = torch.linalg.solve(torch.outer(m, m) + torch.diag(r), m)
    assert torch.allclose(GROUPS.reference(m, r), dense, rtol=1e-12)


def test_the_learners_own_line_is_named_and_not_ours():
    def answer(m, v, rho):
        return m.unsqueeze(1) @ v

    assert "return m.unsqueeze(1) @ v" in judge(SOLVE, answer).message


def test_target_stands_beside_answer():
    verdict = judge(SOLVE, doubled)
    assert len(verdict.table) >= 3
    for target, answer in verdict.table:
        assert answer == pytest.approx(2 * target)


def test_hints_open_one_by_one_and_close_when_solved(capsys, monkeypatch):
    pages = []
    monkeypatch.setattr("sofim_lab.lessons.checking._attempts", {})
    monkeypatch.setattr("sofim_lab.lessons.checking.show_record", lambda mime, payload, text, page: pages.append(page))
    for answer in (sign, sign, sign, sign, right):
        check("05.solve", answer)
    assert [page.count("<details>") for page in pages] == [1, 2, 3, 3, 0]
    assert "solved" in pages[-1]


def test_an_open_exercise_opens_no_hint(monkeypatch):
    pages = []
    monkeypatch.setattr("sofim_lab.lessons.checking._attempts", {})
    monkeypatch.setattr("sofim_lab.lessons.checking.show_record", lambda mime, payload, text, page: pages.append(page))
    check("05.solve", lambda m, v, rho: None)
    assert "<details>" not in pages[0]
    assert "open" in pages[0]


def test_an_unknown_exercise_is_an_error_that_lists_the_known_ones():
    with pytest.raises(ValueError, match=r"check id '05\.solv' is unknown: lesson 05 has 05\.groups, 05\.solve"):
        check("05.solv", right)
    with pytest.raises(ValueError, match="lesson '77' has no exercises"):
        check("77.x", right)
