"""sofim_lab: learn second-order optimization through SOFIM, and question it.

`from sofim_lab import SOFIM` costs little more than `import torch`; plots, widgets and the lesson runner are
imported from their own packages when they are needed.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sofim_lab.optim import SOFIM

__version__ = "0.1.0"

__all__ = ["SOFIM", "__version__"]


def __getattr__(name: str) -> Any:
    """Import the optimizer, and PyTorch with it, when it is asked for: `sofim-lab --version` should not wait."""
    if name != "SOFIM":
        raise AttributeError(f"module 'sofim_lab' has no attribute {name!r}")
    from sofim_lab.optim import SOFIM

    return SOFIM
