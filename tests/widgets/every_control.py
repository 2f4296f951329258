"""What holds for every explorer: each control can be moved to its ends, and the words follow."""

import re

import ipywidgets as W

from sofim_lab.widgets.values import positions


def ends(control):
    """Values at both ends of a control; every choice of a menu."""
    values = positions(control)
    return list(values) if isinstance(control, W.Dropdown) else [values[0], values[-1]]


def silent_controls(explorer):
    """Move every control to its ends, the others at their start, then all back; those that change nothing in the words.

    From one place straight to the next: the picture of the start is there already, and is not drawn again in between.
    """
    start, first, silent = explorer.state, explorer.picture, []
    refuse_no_picture(first)
    for name, control in explorer.controls.items():
        said = {first.alt}
        for value in ends(control):
            if value != start[name]:
                explorer.set(**start | {name: value})
                refuse_no_picture(explorer.picture)
                said.add(explorer.picture.alt)
        silent += [name] * (len(said) == 1)
    explorer.reset()
    assert explorer.picture.alt == first.alt
    return silent


def refuse_no_picture(picture):
    """Fails for an unknown number in the words, and for pixels that are none."""
    assert not re.search(r"nan|\binf\b", picture.alt)
    assert picture.png.startswith(b"\x89PNG")


def parts(widget, kind):
    """Every widget of a kind inside another one."""
    children = getattr(widget, "children", ())
    return [child for child in children if isinstance(child, kind)] + [
        part for child in children for part in parts(child, kind)
    ]
