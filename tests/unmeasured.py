"""Where coverage looks away: in libraries that do much, and inside those of their functions that call nothing of ours.

Up to Python 3.11 coverage is asked at every instruction, of libraries, too: their time rises by two thirds, and a run
of all tests is drawing for much of it.
"""

import functools
import sys


def look_away(owner, name):
    """Have a function of a library work without a trace function; the one there was comes back when it is done."""
    function = getattr(owner, name)

    @functools.wraps(function)
    def unmeasured(*args, **kwargs):
        watching = sys.gettrace()
        sys.settrace(None)
        try:
            return function(*args, **kwargs)
        finally:
            sys.settrace(watching)

    setattr(owner, name, unmeasured)


def look_away_from_libraries():
    """Import them before coverage begins, and change what draws, reads and writes."""
    import nbformat
    import seaborn  # noqa: F401
    import sklearn.datasets  # noqa: F401
    import torch._dynamo  # noqa: F401 - which the first optimizer imports
    import yaml
    from bs4 import BeautifulSoup
    from matplotlib.figure import Figure

    for owner, names in {
        BeautifulSoup: ["__init__"],
        Figure: ["savefig", "subplots"],
        nbformat: ["read", "validate", "write"],
        yaml: ["safe_dump", "safe_load"],
    }.items():
        for name in names:
            look_away(owner, name)
