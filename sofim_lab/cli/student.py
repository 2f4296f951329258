"""`sofim-lab student-edition`: the lessons without their solutions."""

import argparse

from sofim_lab.lessons.manifest import find_notebooks, load_manifest
from sofim_lab.lessons.student_edition import student_edition


def command(arguments: argparse.Namespace) -> int:
    """Write the edition and say where it is and how it is opened."""
    written = student_edition(load_manifest(arguments.notebooks or find_notebooks()), arguments.folder)
    print(f"{sum(path.suffix == '.ipynb' for path in written)} lessons without solutions in {arguments.folder}")
    print(f"Open them with: sofim-lab lab --notebooks {arguments.folder}")
    return 0
