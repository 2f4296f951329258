"""`sofim-lab list`: the lessons in their order."""

import argparse

from sofim_lab.lessons.manifest import find_notebooks, load_manifest


def command(arguments: argparse.Namespace) -> int:
    """Print order, id, minutes, title and question of each lesson."""
    manifest = load_manifest(arguments.notebooks or find_notebooks())
    width = max(len(lesson.id) for lesson in manifest)
    for number, lesson in enumerate(manifest, start=1):
        print(f"{number:2d}  {lesson.id:<{width}}  {lesson.minutes:>3d} min  {lesson.title}")
        print(f"{'':{width + 15}}{lesson.question}")
    return 0
