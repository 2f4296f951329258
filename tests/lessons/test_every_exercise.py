"""Every exercise of the course against what learners hand in; the right answers are the notebooks' own solutions."""

import ast
import importlib
import json
import pkgutil
from pathlib import Path

import numpy as np
import pytest
import torch

from sofim_lab.lessons import checking, exercises
from sofim_lab.lessons.checking import check, judge

NOTEBOOKS = Path(__file__).resolve().parents[2] / "notebooks"
EXERCISES = {
    exercise.id: exercise
    for module in pkgutil.iter_modules(exercises.__path__)
    if module.name.startswith("lesson_")
    for exercise in importlib.import_module(f"{exercises.__name__}.{module.name}").EXERCISES
}


def solutions():
    """Id to the function of the folded solution, from the notebooks' set-up imports and solution cells alone."""
    found = {}
    for path in sorted(NOTEBOOKS.glob("*.ipynb")):
        names = {"SOLUTIONS": True, "check": found.__setitem__}
        for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]:
            tags, source = cell["metadata"].get("tags", []), "".join(cell["source"])
            if "setup" in tags and "%pip" not in source:
                imports = [n for n in ast.parse(source).body if isinstance(n, ast.Import | ast.ImportFrom)]
                exec(compile(ast.Module(imports, type_ignores=[]), path.name, "exec"), names)
                names["check"] = found.__setitem__
            if "solution" in tags:
                exec(compile(source, path.name, "exec"), names)
    return found


SOLUTIONS = solutions()
each_exercise = pytest.mark.parametrize("id", sorted(EXERCISES))


def test_every_exercise_has_a_solution_and_the_other_way_round():
    assert SOLUTIONS.keys() == EXERCISES.keys()


@each_exercise
def test_there_are_mistakes_and_hints_to_offer(id):
    assert len(EXERCISES[id].mistakes) >= 5
    assert len(EXERCISES[id].hints) == 3


@each_exercise
def test_every_known_mistake_is_recognised_by_its_own_words(id):
    for mistake in EXERCISES[id].mistakes:
        verdict = judge(EXERCISES[id], mistake.answer)
        assert verdict.solved is False
        assert mistake.says in verdict.message


def tensor(answer):
    return torch.as_tensor(answer, dtype=getattr(answer, "dtype", torch.float64))


OTHER_WORDS = {  # right, written in another way
    "as it is": lambda answer: answer,
    "an array": lambda answer: np.asarray(answer),
    "a list of floats": lambda answer: tensor(answer).tolist(),
    "with a gradient": lambda answer: tensor(answer).clone().requires_grad_(),
    "a list of tensors with a gradient": lambda answer: (
        list(tensor(answer).clone().requires_grad_()) if tensor(answer).dim() else answer
    ),
}


@pytest.mark.unmeasured
@each_exercise
@pytest.mark.parametrize("other", OTHER_WORDS)
def test_a_right_answer_in_other_words_is_right(id, other):
    verdict = judge(EXERCISES[id], lambda *given: OTHER_WORDS[other](SOLUTIONS[id](*given)))
    assert verdict.solved is True, verdict.message


WRONG = {  # what becomes of the right answer, and a word of the message
    "sign": (lambda answer: -answer, "sign is wrong|−"),
    "a factor": (lambda answer: 3.7 * answer, "3.7 times the target throughout"),
    "zero": (lambda answer: 0 * answer, "Wrong on 5 of 5"),
    "a column": (lambda answer: tensor(answer)[..., None], "The answer has shape"),
    "a part": (lambda answer: tensor(answer).reshape(-1)[:-1], "The answer has shape"),
    "not a number": (lambda answer: answer * float("nan"), "holds nan or inf"),
    "complex": (lambda answer: tensor(answer) + 0j, "complex numbers"),
    "text": (lambda answer: "1/2", "returns a str; a tensor is asked for"),
    "a dictionary": (lambda answer: {"answer": answer}, "returns a dict; a tensor is asked for"),
    "lists of lists": (lambda answer: [[1.0], [1.0, 2.0]], "returns a list; a tensor is asked for"),
    "an error": (lambda answer: answer / [], "raises TypeError"),
}


@pytest.mark.unmeasured
@each_exercise
@pytest.mark.parametrize("wrong", WRONG)
def test_a_wrong_answer_is_named(id, wrong):
    change, words = WRONG[wrong]
    verdict = judge(EXERCISES[id], lambda *given: change(SOLUTIONS[id](*given)))
    assert verdict.solved is False
    assert any(word in verdict.message for word in words.split("|")), verdict.message


@each_exercise
def test_a_wrong_answer_of_no_known_kind_gets_the_last_words(id):
    factors = iter((1.37, 2.11, 0.73, 5.9, 0.31))
    verdict = judge(EXERCISES[id], lambda *given: next(factors) * SOLUTIONS[id](*given))
    assert verdict.solved is False
    assert EXERCISES[id].otherwise in verdict.message


@each_exercise
def test_too_few_digits_are_accepted_or_named(id):
    verdict = judge(EXERCISES[id], lambda *given: tensor(SOLUTIONS[id](*given)).float())
    assert verdict.solved or "digits are lost" in verdict.message


@each_exercise
def test_nothing_written_is_open_and_a_branch_without_return_is_named(id):
    calls = []

    def later(*given):
        calls.append(given)
        return SOLUTIONS[id](*given) if len(calls) < 3 else None

    assert judge(EXERCISES[id], lambda *given: None).solved is None
    assert "returns None on case 3" in judge(EXERCISES[id], later).message


@each_exercise
def test_each_argument_is_protected(id):
    case = EXERCISES[id].cases(torch.Generator().manual_seed(0), 0)
    for place, item in enumerate(case):
        if isinstance(item, torch.Tensor):

            def spoils(*given, place=place):
                answer = SOLUTIONS[id](*given)
                given[place].add_(1)
                return answer

            assert "changes its arguments in place" in judge(EXERCISES[id], spoils).message


@each_exercise
def test_something_that_is_no_function_and_one_with_other_arguments(id):
    assert "was given a Tensor: pass the function itself" in judge(EXERCISES[id], torch.ones(3)).message
    assert "raises TypeError" in judge(EXERCISES[id], lambda: 1.0).message


@each_exercise
def test_hints_open_one_by_one(id, monkeypatch):
    pages = []
    monkeypatch.setattr(checking, "_attempts", {})
    monkeypatch.setattr(checking, "show_record", lambda mime, payload, text, page: pages.append(page))
    for factor in (2.5, 2.5, 2.5, 2.5, 1.0):
        check(id, lambda *given, factor=factor: factor * SOLUTIONS[id](*given))
    assert [page.count("<details>") for page in pages] == [1, 2, 3, 3, 0]


def test_a_sum_for_a_mean_a_mean_for_a_sum_and_a_forgotten_number_are_named():
    step, product = EXERCISES["02.natural_step"], EXERCISES["02.fisher_times"]
    summed = judge(step, lambda F, g, epsilon: len(g) * SOLUTIONS["02.natural_step"](F, g, epsilon))
    assert "F.shape[0] times the target in every case: a sum stands where a mean" in summed.message
    mean = judge(product, lambda s, p, v: SOLUTIONS["02.fisher_times"](s, p, v) / len(v))
    assert "1/scores.shape[1] of the target in every case: a mean stands where a sum" in mean.message
    scaled = judge(step, lambda F, g, epsilon: -SOLUTIONS["02.natural_step"](F, g, epsilon) / epsilon)
    assert "−1/epsilon of the target in every case: it is missing" in scaled.message
