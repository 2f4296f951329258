"""Whether somebody wants an explorer to move on a page without a kernel."""

import os

FRAMES = "SOFIM_LAB_FRAMES"  # set by `sofim-lab site`: the bytes that an explorer may take on its page
SCAFFOLD = 12_000  # of these for what is not frames: controls, script, first words, goal


def wished_bytes() -> int:
    """What the frames may take; 0 where nobody wants any."""
    return max(int(os.environ.get(FRAMES) or 0) - SCAFFOLD, 0)
