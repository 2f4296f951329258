import sys

import pytest
from unmeasured import look_away


class Library:
    """What is watched while its function works; it fails where that is asked for."""

    watched: tuple = ()

    def draw(self, fail=False):
        self.watched = (*self.watched, sys.gettrace())
        if fail:
            raise ArithmeticError("nothing to draw")
        return "drawn"


look_away(Library, "draw")


def test_a_librarys_function_works_unwatched_and_whoever_watched_is_back_afterwards_also_after_an_error():
    library, coverage = Library(), sys.gettrace()
    watching = lambda *event: None  # noqa: E731
    sys.settrace(watching)
    try:
        assert library.draw() == "drawn"
        assert sys.gettrace() is watching
        with pytest.raises(ArithmeticError):
            library.draw(fail=True)
        assert sys.gettrace() is watching
    finally:
        sys.settrace(coverage)
    assert library.watched == (None, None)


def test_without_anyone_who_watches_nobody_does_afterwards():
    coverage = sys.gettrace()
    sys.settrace(None)
    try:
        Library().draw()
        assert sys.gettrace() is None
    finally:
        sys.settrace(coverage)


@pytest.fixture(scope="module")
def who_watched_the_setting_up():
    return sys.gettrace()


@pytest.mark.unmeasured
def test_nobody_watches_a_test_that_is_marked_so_nor_what_is_set_up_for_it(who_watched_the_setting_up):
    assert who_watched_the_setting_up is None
    assert sys.gettrace() is None
