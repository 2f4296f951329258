"""Models of one architecture side by side in memory, so that one pass gives the gradients of all."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from sofim_lab.training.closures import LossFunction
from sofim_lab.training.point import point_of


class Stack:
    """Models whose parameters are moved into the rows of one buffer.

    The models stay what they were: whoever changes a model's parameters in place changes its row, and an optimizer
    over them keeps its state.

    Args:
        models: Of one architecture, device and dtype, without buffers.

    Raises:
        ValueError: They have buffers, or parameters of different shapes.

    Attributes:
        numbers: Shape (models, d); a model's parameters are views of its row.
        gradients: Of the same shape; filled by `differentiate`.

    Example:
        >>> models = [nn.Linear(2, 1), nn.Linear(2, 1)]
        >>> stack = Stack(models)
        >>> with torch.no_grad():
        ...     _ = models[1].bias.fill_(7.0)
        >>> float(stack.numbers[1, 2])
        7.0
    """

    def __init__(self, models: Sequence[nn.Module]) -> None:
        parameters = [list(model.parameters()) for model in models]
        shapes = [p.shape for p in parameters[0]]
        if any(True for model in models for _ in model.buffers()):
            raise ValueError("the model has buffers, such as a BatchNorm's, which each run needs for itself: use train")
        if any([p.shape for p in some] != shapes for some in parameters):
            raise ValueError("the models differ in their shapes: many are trained at once only of one architecture")
        self.model = models[0]
        self.numbers = torch.stack([point_of(some) for some in parameters])
        self.gradients = torch.zeros_like(self.numbers)
        self._rows = list(zip(parameters, self._by_row(self.numbers, shapes), strict=True))
        for some, views in self._rows:
            for p, view in zip(some, views, strict=True):
                p.data = view
        columns = self._by_column(self.numbers, shapes)
        names = [name for name, _ in self.model.named_parameters()]
        self._columns = {name: x.requires_grad_() for name, x in zip(names, columns, strict=True)}
        self._slots = self._by_column(self.gradients, shapes)
        self._gradients = self._by_row(self.gradients, shapes)

    def differentiate(self, x: Tensor, y: Tensor, loss_fn: LossFunction) -> Tensor:
        """The gradient of each model's loss on its own batch, into `gradients`.

        Args:
            x: Samples, shape (models, n, …).
            y: Labels, shape (models, n).
            loss_fn: Mean loss of logits and labels, a scalar.

        Returns:
            The losses, shape (models,).
        """

        def loss(columns: dict[str, Tensor], samples: Tensor, labels: Tensor) -> Tensor:
            return loss_fn(torch.func.functional_call(self.model, columns, (samples,)), labels)

        losses = torch.vmap(loss)(self._columns, x, y)
        # A model's loss depends on its own row alone: the sum's gradient holds the gradient of each.
        found = torch.autograd.grad(losses.sum(), list(self._columns.values()))
        torch._foreach_copy_(self._slots, list(found))
        return losses.detach()

    def hand_over(self, place: int) -> None:
        """Give a model's parameters their gradients."""
        for p, gradient in zip(self._rows[place][0], self._gradients[place], strict=True):
            p.grad = gradient if p.requires_grad else None

    def holds(self, place: int) -> bool:
        """Whether a model's parameters are still those of its row; an optimizer may have replaced them."""
        some, views = self._rows[place]
        return all(p.data_ptr() == view.data_ptr() for p, view in zip(some, views, strict=True))

    @staticmethod
    def _by_row(buffer: Tensor, shapes: list[torch.Size]) -> list[list[Tensor]]:
        """Of each model its tensors."""
        sizes = [shape.numel() for shape in shapes]
        return [[x.view(shape) for x, shape in zip(row.split(sizes), shapes, strict=True)] for row in buffer]

    @staticmethod
    def _by_column(buffer: Tensor, shapes: list[torch.Size]) -> list[Tensor]:
        """Of each tensor those of all models, shape (models, …)."""
        columns = buffer.split([shape.numel() for shape in shapes], dim=1)
        return [x.unflatten(1, shape) if shape else x[:, 0] for x, shape in zip(columns, shapes, strict=True)]
