"""The exercises, one module a lesson: `check("05.solve", fn)` looks in `lesson_05`."""

from importlib import import_module

from sofim_lab.lessons.exercises.exercise import Exercise, Mistake

__all__ = ["Exercise", "Mistake", "find_exercise"]


def find_exercise(id: str) -> Exercise:
    """The exercise with this id.

    Args:
        id: Lesson number, a dot, a name: `05.solve`.

    Returns:
        The exercise.

    Raises:
        ValueError: There is none; the message lists those of the lesson.
    """
    lesson = id.partition(".")[0]
    module = f"sofim_lab.lessons.exercises.lesson_{lesson}"
    try:
        known = {exercise.id: exercise for exercise in import_module(module).EXERCISES}
    except ModuleNotFoundError as error:
        if error.name != module:
            raise
        raise ValueError(f"check id {id!r}: lesson {lesson!r} has no exercises; ids look like '05.solve'") from None
    if id not in known:
        raise ValueError(f"check id {id!r} is unknown: lesson {lesson} has {', '.join(sorted(known))}")
    return known[id]
