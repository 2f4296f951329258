"""What holds for every explorer: each control can be moved to its ends, and the words follow."""

import ipywidgets as W

from sofim_lab.widgets.values import positions


def ends(control):
    """Values at both ends of a control; every choice of a menu."""
    values = positions(control)
    return list(values) if isinstance(control, W.Dropdown) else [values[0], values[-1]]


def silent_controls(explorer):
    """Move every control to its ends and back; the names of those that change nothing in the words."""
    silent = []
    for name, control in explorer.controls.items():
        said = {explorer.picture.alt}
        for value in ends(control):
            explorer.set(**{name: value})
            assert "nan" not in explorer.picture.alt
            assert explorer.picture.png.startswith(b"\x89PNG")
            said.add(explorer.picture.alt)
        explorer.reset()
        silent += [name] * (len(said) == 1)
    return silent


def parts(widget, kind):
    """Every widget of a kind inside another one."""
    children = getattr(widget, "children", ())
    return [child for child in children if isinstance(child, kind)] + [
        part for child in children for part in parts(child, kind)
    ]
