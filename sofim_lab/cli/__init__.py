"""The command `sofim-lab`: list, run, compare, lab, doctor."""

from sofim_lab.cli.main import main

__all__ = ["main"]
