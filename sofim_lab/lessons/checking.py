"""Judging a learner's answer to an exercise: never an error, always a reason."""

import html
import math
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from sofim_lab.lessons.diagnosis import copies, diagnosis, relative_error
from sofim_lab.lessons.exercises import Exercise, find_exercise
from sofim_lab.lessons.exercises.exercise import Case
from sofim_lab.lessons.outcome import CHECK_MIME, Check
from sofim_lab.lessons.recording import show_record

_CASES = 5
_SHOWN = 4  # entries of the table of target against answer
_attempts: dict[str, int] = {}


@dataclass(frozen=True)
class Verdict:
    """What is said of one answer: `solved` is None while nothing was written; `table` sets target beside answer."""

    solved: bool | None
    message: str
    table: tuple[tuple[float, float], ...] = ()


def check(id: str, fn: Callable[..., Any]) -> None:
    """Test a learner's function on random cases, say what is wrong, open the next hint.

    The answer is compared with a reference in float64 on five cases. Whatever the function does, the notebook goes
    on: an exception becomes a message, a function that returns None counts as not yet written.

    Args:
        id: Exercise, e.g. `05.solve`.
        fn: The learner's function.

    Raises:
        ValueError: There is no such exercise.

    Example:
        >>> check("05.solve", lambda m, v, rho: (v - m * (m @ v) / (rho + m @ m)) / rho)
        05.solve: solved. Right on all 5 random cases.
    """
    exercise = find_exercise(id)
    verdict = judge(exercise, fn)
    if verdict.solved is False:
        _attempts[id] = _attempts.get(id, 0) + 1
    hints = exercise.hints[: _attempts.get(id, 0)] if verdict.solved is False else ()
    record = Check(id, verdict.solved, verdict.message)
    word = {True: "solved", False: "not yet right", None: "open"}[verdict.solved]
    show_record(CHECK_MIME, vars(record), f"{id}: {word}. {verdict.message}", _page(id, word, verdict, hints))


def judge(exercise: Exercise, fn: Callable[..., Any], seed: int = 0) -> Verdict:
    """The verdict on a function, without showing anything.

    Args:
        exercise: What was asked for.
        fn: The answer.
        seed: Seed of the random cases.

    Returns:
        `Verdict`.
    """
    random = torch.Generator().manual_seed(seed)
    cases = [exercise.cases(random, number) for number in range(_CASES)]
    answers = []
    for number, case in enumerate(cases):
        answer = _call(exercise, fn, case, number)
        if isinstance(answer, Verdict):
            return answer
        answers.append(answer)
    targets = [exercise.reference(*copies(case)) for case in cases]
    errors = [relative_error(answer, target) for answer, target in zip(answers, targets, strict=True)]
    if all(error <= exercise.rtol for error in errors):
        return Verdict(True, f"Right on all {_CASES} random cases.")
    worst = max(range(_CASES), key=lambda place: errors[place] if math.isfinite(errors[place]) else math.inf)
    shown = (side[worst].reshape(-1)[:_SHOWN].tolist() for side in (targets, answers))  # a scalar is one entry
    table = tuple(zip(*shown, strict=True))
    wrong = sum(not error <= exercise.rtol for error in errors)
    message = (
        f"Wrong on {wrong} of {_CASES} random cases; the largest relative error is {errors[worst]:.2g}, "
        f"{exercise.rtol:.0e} is allowed. "
    )
    return Verdict(False, message + diagnosis(exercise, cases, answers, targets), table)


def _call(exercise: Exercise, fn: Callable[..., Any], case: Case, number: int) -> Verdict | torch.Tensor:
    """One call of the learner's function: its answer as a float64 vector, or the verdict that ends the check."""
    if not callable(fn):
        words = f"check() was given a {type(fn).__name__}: pass the function itself, without calling it."
        return Verdict(False, words)
    given = copies(case)
    watch = _Watch()  # type: ignore[no-untyped-call]  # torch's constructor has no hints
    try:
        with watch:
            answer = fn(*given)
    except Exception as error:
        # The learner's own line: the innermost frame that is neither a library's nor ours.
        ours = (str(Path(__file__).parents[1]), str(Path(torch.__file__).parent))
        frames = [f for f in traceback.extract_tb(error.__traceback__)[1:] if not f.filename.startswith(ours)]
        line = f" (line {frames[-1].lineno}: {frames[-1].line})" if frames and frames[-1].line else ""
        return Verdict(False, f"Your function raises {type(error).__name__}: {error}{line}")
    if answer is None:
        if number == 0:
            return Verdict(None, "Nothing is returned yet: write the function, then run this cell again.")
        return Verdict(False, f"Your function returns None on case {number + 1}: does each branch return?")
    for before, after in zip(case, given, strict=True):
        if isinstance(before, torch.Tensor) and isinstance(after, torch.Tensor) and not torch.equal(before, after):
            return Verdict(False, "Your function changes its arguments in place: work on new tensors instead.")
    target = exercise.reference(*copies(case))
    try:
        answer = _tensor(answer).detach().cpu()
    except (TypeError, ValueError, RuntimeError):
        return Verdict(False, f"Your function returns a {type(answer).__name__}; a tensor is asked for.")
    if answer.is_complex():
        words = "for symmetric matrices torch.linalg.eigh and eigvalsh stay real."
        return Verdict(False, f"Your function returns complex numbers; real ones are asked for: {words}")
    answer = answer.double()
    if answer.shape != target.shape:
        return Verdict(False, f"The answer has shape {tuple(answer.shape)}, it should have {tuple(target.shape)}.")
    size = max((item.numel() for item in case if isinstance(item, torch.Tensor)), default=1)
    if exercise.widest is not None and watch.numel > max(exercise.widest * size, 1) and size > exercise.widest:
        return Verdict(
            False,
            f"For vectors of length {size} your function makes a tensor of {watch.numel} numbers. The point is to "
            f"do without the d×d matrix: only vectors of length d are needed.",
        )
    bits = max((item.dtype.itemsize * 8 for item in case if isinstance(item, torch.Tensor)), default=64)
    if exercise.same_precision and watch.bits > bits:
        return Verdict(
            False,
            f"Your function goes from {bits} to {watch.bits} bits. That only moves the problem to smaller numbers: "
            f"find a form that needs no more digits than it is given.",
        )
    return answer


def _tensor(answer: Any) -> torch.Tensor:
    """An answer as a tensor: of a tensor, an array, a number or a list of such; Python's floats keep their digits."""
    if isinstance(answer, torch.Tensor):
        return answer
    if isinstance(answer, list | tuple) and answer:
        return torch.stack([_tensor(item) for item in answer])
    return torch.as_tensor(np.asarray(answer))


class _Watch(TorchDispatchMode):
    """Notes the number of entries of the largest tensor that is made, and the widest floating type."""

    numel = 0
    bits = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        made = func(*args, **(kwargs or {}))
        for item in made if isinstance(made, tuple | list) else (made,):
            if isinstance(item, torch.Tensor):
                self.numel = max(self.numel, item.numel())
                self.bits = max(self.bits, item.dtype.itemsize * 8 if item.dtype.is_floating_point else 0)
        return made


def _page(id: str, word: str, verdict: Verdict, hints: tuple[str, ...]) -> str:
    """The verdict for a notebook: message, target beside answer, and the hints opened so far."""
    mark, color = {True: ("✓", "#009E73"), False: ("✗", "#D55E00"), None: ("○", "#0072B2")}[verdict.solved]
    cells = (f"<td>{i}</td><td>{a:.6g}</td><td>{b:.6g}</td>" for i, (a, b) in enumerate(verdict.table, start=1))
    rows = "".join(f"<tr>{row}</tr>" for row in cells)
    table = f"<table><tr><th>entry</th><th>target</th><th>yours</th></tr>{rows}</table>" if rows else ""
    opened = "".join(
        f"<details><summary>Hint {number}</summary>{html.escape(hint)}</details>"
        for number, hint in enumerate(hints, start=1)
    )
    return (
        f'<div style="border-left:4px solid {color};padding:0.2em 0.8em;margin:0.4em 0">'
        f"<b>{mark} Exercise {html.escape(id)}: {word}.</b> {html.escape(verdict.message)}{table}{opened}</div>"
    )
