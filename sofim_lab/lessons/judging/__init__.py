"""Judging what a run recorded: baselines with tolerances, and the verdict on a lesson."""
