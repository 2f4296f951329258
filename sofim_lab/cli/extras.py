"""What a bare `pip install sofim-lab` lacks: the packages that read, run and show notebooks."""

import importlib.util

from sofim_lab.lessons.errors import LessonError

INSTALL = 'pip install "sofim-lab[notebooks]"'


def require(*packages: str) -> None:
    """Refuse a command whose packages are not installed, before it does half of its work.

    Args:
        packages: names as they are imported.

    Raises:
        LessonError: one is missing; the message says how to install it.

    Example:
        >>> require("json", "no_such_package")
        Traceback (most recent call last):
        ...
        sofim_lab.lessons.errors.LessonError: the package 'no_such_package' is missing: pip install ...
    """
    for name in packages:
        if importlib.util.find_spec(name) is None:
            raise LessonError(f"the package {name!r} is missing: {INSTALL}")
