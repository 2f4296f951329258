"""Running and judging the lessons: `verify`, `metric`, `check` for notebooks; runner and report around them."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sofim_lab.lessons.checking import check
    from sofim_lab.lessons.recording import VerificationError, metric, verify

__all__ = ["VerificationError", "check", "metric", "verify"]


def __getattr__(name: str) -> Any:
    """Import what a notebook asks for when it asks: the command line needs none of it, nor PyTorch."""
    if name not in __all__:
        raise AttributeError(f"module 'sofim_lab.lessons' has no attribute {name!r}")
    from sofim_lab.lessons import checking, recording

    return getattr(checking if name == "check" else recording, name)
