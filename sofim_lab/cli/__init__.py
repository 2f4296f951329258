"""The command `sofim-lab`: what there is to ask for in `main`, and a module for each command."""

from sofim_lab.cli.main import main

__all__ = ["main"]
