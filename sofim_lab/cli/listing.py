"""`sofim-lab list`: the lessons in their order."""

import argparse

from sofim_lab.cli.table import plain
from sofim_lab.files import write_atomically
from sofim_lab.lessons.course_map import NOTE, README, course_map
from sofim_lab.lessons.errors import LessonError
from sofim_lab.lessons.manifest import Manifest, find_notebooks, load_manifest


def command(arguments: argparse.Namespace) -> int:
    """Print order, id, minutes, title and question of each lesson, or write the page that tells it all."""
    manifest = load_manifest(arguments.notebooks or find_notebooks())
    if arguments.readme:
        return _write_readme(manifest)
    width = max(len(lesson.id) for lesson in manifest)
    for number, lesson in enumerate(manifest, start=1):
        print(f"{number:2d}  {lesson.id:<{width}}  {lesson.minutes:>3d} min  {plain(lesson.title)}")
        print(f"{'':{width + 15}}{plain(lesson.question)}")
    return 0


def _write_readme(manifest: Manifest) -> int:
    """The map of the course beside its manifest, over an earlier one but over nothing else."""
    page = manifest.folder / README
    if page.is_file() and not page.read_text(encoding="utf-8").startswith(NOTE):
        raise LessonError(f"{page} was not written by this command: move it away first")
    write_atomically(page, course_map(manifest))
    print(page)
    return 0
