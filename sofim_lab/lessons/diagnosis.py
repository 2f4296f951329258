"""What kind of mistake a wrong answer to an exercise is."""

import inspect
from collections.abc import Iterator, Sequence

import torch

from sofim_lab.lessons.exercises.exercise import Case, Exercise

_DIGITS_LOST = (
    "The formula is right, but digits are lost: keep the dtype of the arguments, return a tensor, "
    "and add nothing to the denominator."
)


def diagnosis(
    exercise: Exercise, cases: Sequence[Case], answers: Sequence[torch.Tensor], targets: Sequence[torch.Tensor]
) -> str:
    """The kind of mistake, in words.

    In this order: a mistake that the exercise knows; not a number; too few digits; a multiple of the target, by one
    factor throughout or by a size or a number of the case; else what the exercise says to all other answers.

    Args:
        exercise: What was asked for.
        cases: Arguments of each call.
        answers: What came, float64, of the right shape; at least one of them wrong.
        targets: What should have come.

    Returns:
        One or two sentences.
    """
    for mistake in exercise.mistakes:
        wrong = [mistake.answer(*copies(case)).double() for case in cases]
        if all(_same(answer, other) for answer, other in zip(answers, wrong, strict=True)):
            return mistake.says
    for number, answer in enumerate(answers, start=1):
        if not torch.isfinite(answer).all():
            return (
                f"On case {number} it holds nan or inf: look for a division by zero or the root of a negative number."
            )
    if all(relative_error(answer, target) <= 1e-5 for answer, target in zip(answers, targets, strict=True)):
        return _DIGITS_LOST
    return _multiple(exercise, cases, answers, targets) or exercise.otherwise


def relative_error(answer: torch.Tensor, target: torch.Tensor) -> float:
    """‖answer − target‖ / ‖target‖; NaN stays NaN and is never within a tolerance."""
    return float(torch.linalg.vector_norm(answer - target) / torch.linalg.vector_norm(target))


def _same(answer: torch.Tensor, other: torch.Tensor) -> bool:
    """Whether two answers agree within 1e-6 of the other's norm, nan and inf included."""
    if not torch.equal(answer.isfinite(), other.isfinite()):
        return False
    a, b = (torch.where(one.isfinite(), one, 0.0) for one in (answer, other))
    return bool(torch.linalg.vector_norm(a - b) <= 1e-6 * torch.linalg.vector_norm(b))


def copies(case: Case) -> Case:
    """Arguments that may be spoiled."""
    return tuple(item.clone() if isinstance(item, torch.Tensor) else item for item in case)


def _multiple(
    exercise: Exercise, cases: Sequence[Case], answers: Sequence[torch.Tensor], targets: Sequence[torch.Tensor]
) -> str | None:
    """What to say if every answer is a multiple of its target; None if one is not."""
    factors = []
    for answer, target in zip(answers, targets, strict=True):
        factor = (answer * target).sum() / target.square().sum()
        if factor == 0 or relative_error(answer, factor * target) > 1e-5:
            return None
        factors.append(float(factor))
    if all(abs(factor / factors[0] - 1) < 1e-5 for factor in factors):
        wrong_sign = ": the sign is wrong." if abs(factors[0] + 1) < 1e-6 else "."
        return f"It is {factors[0]:.4g} times the target throughout{wrong_sign}"
    for name, is_size, values in _quantities(exercise, cases):
        for power, words in ((1, "times the target"), (-1, "of the target")):
            signs = {round(f / v**power, 5) for f, v in zip(factors, values, strict=True)}
            if signs in ({1.0}, {-1.0}):
                which = "sum stands where a mean" if power == 1 else "mean stands where a sum"
                why = f"a {which} is asked for" if is_size else "it is missing, or stands in the wrong place"
                return f"It is {'−' * (signs == {-1.0})}{'1/' * (power == -1)}{name} {words} in every case: {why}."
    return None


def _quantities(exercise: Exercise, cases: Sequence[Case]) -> Iterator[tuple[str, bool, list[float]]]:
    """Sizes and numbers that a factor may be: name, whether it is a size, and its value in each case."""
    for place, name in enumerate(inspect.signature(exercise.reference).parameters):
        items = [case[place] for case in cases]
        if isinstance(items[0], torch.Tensor):
            for dim in range(items[0].dim()):
                yield (
                    f"{name}.shape[{dim}]",
                    True,
                    [float(item.shape[dim]) for item in items if isinstance(item, torch.Tensor)],
                )
        else:
            yield name, False, [float(item) for item in items]
