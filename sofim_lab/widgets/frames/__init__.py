"""Explorers that move without a kernel: pictures drawn beforehand, and a few lines of script that exchange them."""

from sofim_lab.widgets.frames.drawing import Frame, Frames, draw_frames
from sofim_lab.widgets.frames.page import frames_html
from sofim_lab.widgets.frames.wish import wished_bytes

__all__ = ["Frame", "Frames", "draw_frames", "frames_html", "wished_bytes"]
