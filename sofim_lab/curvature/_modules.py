"""Modules under which a sample has no curvature of its own: they mix samples or draw random numbers."""

from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm, _NormBase
from torch.nn.modules.dropout import _DropoutNd
from torch.nn.parameter import is_lazy

_EVAL = "call model.eval() first"


def check_modules(model: nn.Module) -> None:
    """Raise for the first module that mixes samples, changes its buffers, draws random numbers or has no weights."""
    for name, module in model.named_modules():
        if complaint := _complaint(module):
            where = f"model.{name}" if name else "model"
            raise ValueError(f"{where} is a {type(module).__name__} {complaint}")
    for name, tensor in model.named_parameters():
        if is_lazy(tensor):
            raise ValueError(f"the parameter {name} of a lazy module has no shape yet: run model(x) once first")


def _complaint(module: nn.Module) -> str:
    """What is wrong with this module and what helps; empty if nothing is."""
    if isinstance(module, _BatchNorm) and module.running_mean is None:
        return "without running statistics, which always averages over the batch: use GroupNorm or LayerNorm instead"
    if isinstance(module, _BatchNorm) and module.training:
        return f"in training mode, which averages over the batch, so that no sample has a gradient of its own: {_EVAL}"
    if isinstance(module, _NormBase) and module.training and module.running_mean is not None:
        return f"in training mode, which updates its running statistics: {_EVAL}"
    if module.training and _draws(module):
        return f"in training mode, which draws random numbers, so that the curvature is not defined: {_EVAL}"
    return ""


def _draws(module: nn.Module) -> bool:
    """Whether this module, in training mode, is random."""
    if isinstance(module, _DropoutNd):
        return module.p > 0
    if isinstance(module, nn.RNNBase | nn.MultiheadAttention):
        return module.dropout > 0
    return isinstance(module, nn.RReLU)
