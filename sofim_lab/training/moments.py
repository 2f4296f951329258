"""What SOFIM knew at chosen steps of a run: the parameters and the first moment m."""

from collections.abc import Iterable
from dataclasses import dataclass

from torch import Tensor, nn

from sofim_lab.optim import SOFIM
from sofim_lab.training.point import point_of
from sofim_lab.training.result import StepRecord


@dataclass(frozen=True, eq=False)
class MomentCheckpoint:
    """After `step` steps: the parameters w, shape (d,), and the bias-corrected moment m, shape (d,)."""

    step: int
    weights: Tensor
    moment: Tensor


class MomentRecorder:
    """Keeps w and m after chosen steps; pass `record` to `train` as its callback.

    Args:
        model: The model that is trained.
        optimizer: `SOFIM` over all its parameters.
        steps: After which steps, counted from 1.

    Attributes:
        checkpoints: What has been kept so far, in order.

    Example:
        >>> from sofim_lab.problems import load_digits, mlp
        >>> from sofim_lab.training import train
        >>> model = mlp((64, 10), device="cpu")
        >>> optimizer = SOFIM(model.parameters())
        >>> recorder = MomentRecorder(model, optimizer, steps=[1, 10])
        >>> _ = train(model, load_digits("cpu"), optimizer, epochs=1, progress=False, callback=recorder.record)
        >>> [checkpoint.step for checkpoint in recorder.checkpoints]
        [1, 10]
    """

    def __init__(self, model: nn.Module, optimizer: SOFIM, steps: Iterable[int]) -> None:
        self.checkpoints: list[MomentCheckpoint] = []
        self._model, self._optimizer, self._steps = model, optimizer, frozenset(steps)

    def record(self, step: StepRecord) -> None:
        """Keep this step if it is one of the chosen ones."""
        if step.step not in self._steps:
            return
        parameters = list(self._model.parameters())
        moment = point_of(self._optimizer.state[p]["moment"] for p in parameters)
        self.checkpoints.append(MomentCheckpoint(step.step, point_of(parameters), moment))
