"""How an explorer looks: controls in columns that fit the window, and a focus that can be seen."""

from collections.abc import Callable, Iterable

import ipywidgets as W

from sofim_lab.widgets.typed import BOX, TypedSlider
from sofim_lab.widgets.values import is_slider

CLASS = "sofim-explorer"
GOAL = "max-width:43em"  # as wide as the caption, whose letters are smaller
_NARROWEST, _EM = 19, 0.62  # of a column in em; of a letter

# ipywidgets draws the focus on a slider's handle as a change of grey. The number of a slider that reports only when it
# is let go stands in for the box beside it while the handle is dragged.
STYLE = f"""<style>
.{CLASS} :is(.noUi-handle, button, input, select):focus-visible {{
    outline: 3px solid #0072B2 !important; outline-offset: 1px; }}
.{CLASS} .widget-readout {{ display: none; }}
.{CLASS} .widget-slider:has(.noUi-active) .widget-readout {{ display: block; }}
.{BOX} .widget-label {{ position: absolute; clip-path: inset(50%); }}
.{CLASS} figure img {{ display: block; }}
.{CLASS} .widget-html-content {{ line-height: 1.4; }}
</style>"""


def controls_in_columns(controls: Iterable[W.ValueWidget], say: Callable[[str], None]) -> W.GridBox:
    """The controls, each slider with a box to type in, in as many columns as the window has room for.

    Args:
        controls: Sliders, menus and boxes with descriptions.
        say: Called with what is wrong with a typed text, and with an empty one when all is well.

    Returns:
        A grid. The descriptions get the room that the longest of them needs.
    """
    controls = list(controls)
    longest = max((len(control.description) for control in controls), default=0)
    label = f"{max(4, _EM * longest + 0.8):.1f}em"
    cells = [TypedSlider(control, say) if is_slider(control) else control for control in controls]
    for control, cell in zip(controls, cells, strict=True):
        control.style.description_width = label
        cell.layout.width = "auto"
    columns = f"repeat(auto-fill, minmax({_NARROWEST}em, 1fr))"
    return W.GridBox(cells, layout=W.Layout(grid_template_columns=columns, grid_gap="2px 14px", max_width="76em"))
