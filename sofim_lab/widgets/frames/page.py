"""Frames as HTML: native controls, the picture with its words, and the script that exchanges them."""

import html
import json
from pathlib import Path

from sofim_lab.plots import Picture
from sofim_lab.widgets.frames.drawing import Frames, data_url
from sofim_lab.widgets.frames.positions import Positions
from sofim_lab.widgets.layout import GOAL

_SCRIPT = Path(__file__).with_name("exchange.js")
_FIELD = "display:flex;align-items:center;gap:0.5em"
_ALERT = "border:2px solid #D55E00;padding:0.5em;max-width:50em"
_BAR = "display:flex;flex-wrap:wrap;gap:0.4em 1.5em;align-items:center"
_BUTTON = "font:inherit;padding:0.2em 0.8em;min-width:5em"


def frames_html(frames: Frames, first: Picture, goal: str = "", play: str | None = None) -> str:
    """A piece of a page that needs nothing from elsewhere; without JavaScript it is the first picture.

    Args:
        frames: What can be shown.
        first: The picture at the start.
        goal: The goal in words, if there is one.
        play: Name of the control that buttons move step by step, or by themselves.

    Returns:
        HTML. Its outermost element has the class `sofim-frames` and says in `data-frames`, `data-failed` and
        `data-seconds` how many frames there are, how many could not be shown, and how long the drawing took.
    """
    plan = frames.plan
    data = {
        "start": plan.start,
        "together": plan.together,
        "texts": [control.texts for control in plan.controls],
        "frames": {_key(place): [f.image, f.words, int(f.reached)] for place, f in frames.frames.items()},
        "images": [None, *map(data_url, frames.images[1:])],  # the first is on the page already
    }
    # The data must not end its own script element, whatever the words are.
    packed = json.dumps(data, ensure_ascii=False, separators=(",", ":")).replace("<", "\\u003c")
    names = [control.name for control in plan.controls]
    player = _player(plan.controls[names.index(play)], names.index(play)) if play in names else ""
    fields = "".join(_field(control, i >= plan.together) for i, control in enumerate(plan.controls))
    shown = first.html(src=data_url(frames.images[0]))
    aim = f'<div class="sofim-goal" role="status" style="{GOAL}"><b>Goal:</b> {html.escape(goal)}</div>' if goal else ""
    return (
        f'<div class="sofim-frames" data-frames="{len(frames.frames)}" data-failed="{frames.failed}" '
        f'data-seconds="{frames.seconds:.1f}">'
        f'<fieldset class="sofim-controls" style="border:0;margin:0;padding:0" hidden>'
        f'<div style="{_BAR}">{fields}</div>'
        f'<div style="{_BAR};gap:0.4em;margin:0.4em 0">{player}{_button("reset")}</div></fieldset>{shown}'
        f'<div class="sofim-alert" role="alert" style="{_ALERT}" hidden></div>{aim}'
        f'<div class="sofim-note" style="font-size:90%;max-width:48em">{_note(frames)}</div>'
        f'<script type="application/json">{packed}</script>'
        f"<script>{_SCRIPT.read_text(encoding='utf-8')}</script></div>"
    )


def _key(place: tuple[int, ...]) -> str:
    """A place as the script names it."""
    return ",".join(map(str, place))


def _button(does: str, hint: str = "") -> str:
    """A button that the script knows by what it does."""
    title = f' title="{html.escape(hint)}"' if hint else ""
    return f'<button type="button" data-does="{does}"{title} style="{_BUTTON}">{does.capitalize()}</button>'


def _player(control: Positions, index: int) -> str:
    """Back, play and step along one control, as the explorer in a notebook has them."""
    label = control.label
    buttons = (
        _button("back", f"{label}: one step back"),
        _button("play", f"play {label}, or pause"),
        _button("step", f"{label}: one step on"),
    )
    return (
        f'<div role="group" aria-label="{html.escape(f"move {label}")}" data-plays="{index}" '
        f'style="{_BAR};gap:0.4em">{"".join(buttons)}</div>'
    )


def _field(control: Positions, alone: bool) -> str:
    """A slider or a menu with its label."""
    label = html.escape(control.label)
    title = ' title="moves alone: the others go back to their start"' if alone else ""
    if control.menu:
        options = "".join(
            f'<option value="{i}"{" selected" if i == control.start else ""}>{html.escape(text)}</option>'
            for i, text in enumerate(control.texts)
        )
        menu = f'<select style="font:inherit">{options}</select>'
        return f'<label style="{_FIELD}"{title}><span>{label}</span>{menu}</label>'
    now = html.escape(control.texts[control.start])
    return (
        f'<label style="{_FIELD}"{title}><span>{label}</span><input type="range" min="0" '
        f'max="{len(control.texts) - 1}" step="1" value="{control.start}" aria-valuetext="{now}">'
        f'<output style="min-width:4em">{now}</output></label>'
    )


def _note(frames: Frames) -> str:
    """What is different from the explorer in a notebook, in a sentence or two."""
    plan = frames.plan
    text = f"{len(frames.frames)} pictures, drawn beforehand; in JupyterLab the controls take every value."
    lonely = [html.escape(control.label) for control in plan.controls[plan.together :]]
    if lonely:
        text += f" Moved one at a time, with the others at their start: {'; '.join(lonely)}."
    return f'<i>{text}</i> <strong class="sofim-back" role="status"></strong>'
