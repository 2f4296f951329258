"""The codes by which a traceback colours a terminal, and texts without them."""

import re

CODE = r"\x1b\[[0-9;]*[A-Za-z]"
_CODES = re.compile(CODE)


def without_colours(text: str) -> str:
    r"""The text alone.

    Args:
        text: what a kernel or a notebook brings.

    Returns:
        The same without codes.

    Example:
        >>> without_colours("\x1b[0;31mNameError\x1b[0m")
        'NameError'
    """
    return _CODES.sub("", text)
