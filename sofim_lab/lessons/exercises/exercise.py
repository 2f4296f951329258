"""What an exercise is: random cases, a reference, the mistakes that people make, and hints."""

from collections.abc import Callable
from dataclasses import dataclass

import torch

Case = tuple[torch.Tensor | float, ...]


@dataclass(frozen=True)
class Mistake:
    """A wrong answer that people give: what it computes, and what to say to it."""

    answer: Callable[..., torch.Tensor]
    says: str


@dataclass(frozen=True)
class Exercise:
    """A function for the learner to write, and how to judge it.

    Attributes:
        id: Lesson number, a dot, a name.
        cases: Makes the arguments of one call from a generator and the number of the case (0, 1, …).
        reference: The right answer, by another way than the one asked for where there is one.
        mistakes: Tried in order when the answer is wrong.
        hints: Opened one after the other, one a wrong attempt.
        rtol: Largest ‖answer − target‖ / ‖target‖ that counts as right.
        widest: Tensors with more entries than this many times the largest argument are too large: the exercise
            asks for less memory. None for no limit.
        same_precision: Whether the answer has to be found in the precision of the arguments.
        otherwise: What to say to a wrong answer that is none of the known mistakes.
    """

    id: str
    cases: Callable[[torch.Generator, int], Case]
    reference: Callable[..., torch.Tensor]
    mistakes: tuple[Mistake, ...]
    hints: tuple[str, ...]
    rtol: float = 1e-9
    widest: int | None = None
    same_precision: bool = False
    otherwise: str = "Compare the first entries below, and try it on paper for d = 2."
