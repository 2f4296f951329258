"""Whether a progress bar helps whoever is looking."""

import os


def show_progress(progress: bool | None) -> bool:
    """What `progress` asks for; None means a bar, except in a report, where it would stand still at 0 % for ever."""
    return os.environ.get("SOFIM_LAB_REPORT") != "1" if progress is None else progress
