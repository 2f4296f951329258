"""Explorers for the lessons: pure state → compute → render chains behind ipywidgets."""

from sofim_lab.widgets.explorer import Explorer, Goal
from sofim_lab.widgets.race import race_explorer
from sofim_lab.widgets.sherman_morrison import derivation_explorer, spectrum_explorer

__all__ = ["Explorer", "Goal", "derivation_explorer", "race_explorer", "spectrum_explorer"]
