"""What can be wrong with a request to run lessons; all of it is found before anything runs."""

import difflib
from collections.abc import Iterable


class LessonError(ValueError):
    """A request that cannot be carried out: its message names what, where, and what to do instead."""


class ManifestError(LessonError):
    """A mistake in `lessons.yml`."""


class ParameterError(LessonError):
    """A parameter that a lesson does not have, or of another type."""


def unknown(kind: str, name: str, known: Iterable[str]) -> str:
    """The sentence about a name nobody knows: the closest match, then everything there is.

    Example:
        >>> unknown("profile", "quik", ("quick", "full"))
        "unknown profile 'quik': did you mean 'quick'? Known: quick, full"
    """
    known = list(known)
    close = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    hint = f" did you mean {close[0]!r}?" if close else ""
    return f"unknown {kind} {name!r}:{hint} Known: {', '.join(known) or 'none'}"
