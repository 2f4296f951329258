"""What every explorer is: controls, a pure function from state to result, and one from result to picture."""

import asyncio
import gc
import html
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any, Generic, TypeVar

import ipywidgets as W

from sofim_lab.plots import Picture
from sofim_lab.plots.style import lay_ready
from sofim_lab.widgets.frames import Frames, draw_frames, frames_html, wished_bytes
from sofim_lab.widgets.layout import CLASS, GOAL, STYLE, controls_in_columns
from sofim_lab.widgets.playback import Playback
from sofim_lab.widgets.values import refuse_out_of_range

Result = TypeVar("Result")

_SOON = 0.03  # seconds in which a picture is on its way to the browser


@dataclass(frozen=True)
class Goal(Generic[Result]):
    """What the learner is to reach by moving the controls.

    Attributes:
        text: The goal in words.
        reached: The test of a result.
        example: Values of some controls that pass it while the others stand at their start, so that the pictures of
            a page without a kernel lead there.
    """

    text: str
    reached: Callable[[Result], bool]
    example: Mapping[str, Any] | None = None


@lru_cache(maxsize=1)
def _leave_the_libraries_out_of_garbage_collection() -> None:
    """Once: a full pass over PyTorch, pandas and matplotlib would hold up a picture now and then by 0.3 s."""
    gc.collect()
    gc.freeze()


def _when_idle(act: Callable[[], None]) -> None:
    """Have something done after the picture has gone out; nowhere but in a kernel there is a loop to do it."""
    with suppress(RuntimeError):
        asyncio.get_running_loop().call_later(_SOON, act)


class Explorer(W.VBox, Generic[Result]):
    """Controls above a picture that follows them, with its words below it.

    Moving a control runs `state → compute → render` once, synchronously. An error is shown in place of the picture
    and raised: a notebook run by papermill fails on it. Without a kernel (an exported page, Binder asleep) the first
    picture stays, with its words. Every value can be dragged, stepped by the arrow keys and typed in.

    Where `compute` takes longer than about 150 ms, give a `preview`: a cheaper function of the same state, with fewer
    epochs or a coarser grid, whose picture is shown while the other is made. The controls of such an explorer should
    have `continuous_update=False`.

    Attributes:
        controls: Name to control.
        state: Name to value of every control.
        result: What `compute` made of it; None before the first picture and after an error.
        picture: The picture on show.
        reached: Whether the goal has been reached since the last reset.
        playback: The buttons that move one control, or None.
    """

    _quiet = False  # while several controls move at once

    def __init__(
        self,
        controls: Mapping[str, W.ValueWidget],
        compute: Callable[..., Result],
        render: Callable[[Result], Picture],
        *,
        goal: Goal[Result] | None = None,
        preview: Callable[..., Result] | None = None,
        play: str | None = None,
        interval: int = 300,
    ) -> None:
        """Show the state as it is.

        Args:
            controls: Name of each argument of `compute` to the widget that sets it.
            compute: Pure function of the controls' values, by keyword.
            render: Pure function from its result to a picture.
            goal: What is to be reached; its state stands below the picture.
            preview: Pure function like `compute`, but quick; its result says nothing about the goal.
            play: Name of the control that buttons move step by step, or by themselves.
            interval: Milliseconds from one picture to the next while playing.

        Raises:
            ValueError: `play` names no control.
            Exception: Whatever `compute` or `render` raise for the first state.
        """
        self.controls = dict(controls)
        self._refuse_unknown([] if play is None else [play])
        self.result: Result | None = None
        self.reached = False
        self._compute, self._render, self._goal, self._preview = compute, render, goal, preview
        self._play = play
        self._start = self.state
        self._note, self._view, self._status = W.HTML(), W.HTML(), W.HTML()
        self._say("")
        bar = controls_in_columns(self.controls.values(), self._say)
        self.playback = None if play is None else Playback(self.controls[play], interval=interval)
        reset = W.Button(description="Reset", icon="undo", tooltip="back to the first state")
        reset.layout.width = "6.5em"
        reset.on_click(lambda _: self.reset())
        self._show(self._compute)
        _leave_the_libraries_out_of_garbage_collection()
        self._first = self.picture
        for control in self.controls.values():
            control.observe(self._moved, names="value")
        buttons = W.HBox([*([self.playback] if self.playback else []), reset], layout=W.Layout(flex_flow="row wrap"))
        super().__init__([W.HTML(STYLE, layout=W.Layout(display="none")), bar, buttons, self._note, self._view,
                          self._status])  # fmt: skip
        self.add_class(CLASS)

    @property
    def state(self) -> dict[str, Any]:
        """Value of every control, by name."""
        return {name: control.value for name, control in self.controls.items()}

    def set(self, **values: Any) -> None:
        """Move controls from code, as a learner would by hand; the picture is drawn once.

        Args:
            **values: Name of a control to its new value.

        Raises:
            ValueError: There is no such control, or the value is out of its range.
            Exception: Whatever `compute` or `render` raise for the new state.
        """
        self._refuse_unknown(values)
        for name, value in values.items():
            refuse_out_of_range(name, self.controls[name], value)
        self._quiet = True
        try:
            for name, value in values.items():
                self.controls[name].value = value
        finally:
            self._quiet = False
        self._refresh()

    def reset(self) -> None:
        """Back to the first state, the goal open again, nothing playing."""
        self.reached = False
        self._pause()
        self.set(**self._start)

    def _refuse_unknown(self, names: Any) -> None:
        """ValueError for a name that no control has."""
        for name in names:
            if name not in self.controls:
                raise ValueError(f"there is no control {name!r}: this explorer has {', '.join(self.controls)}")

    def _moved(self, _: object) -> None:
        if not self._quiet:
            self._refresh()

    def _refresh(self) -> None:
        """The coarse picture where there is one, then the picture; an error is shown, and raised."""
        self.result = None
        try:
            if self._preview is not None:
                self._show(self._preview, coarse=True)
            self._show(self._compute)
        except Exception as error:
            self._pause()
            words = html.escape(f"{type(error).__name__}: {error}")
            self._view.value = _alert(f"<b>This setting could not be shown.</b> {words}")
            raise

    def _show(self, compute: Callable[..., Result], coarse: bool = False) -> None:
        """State → compute → render, once."""
        result = compute(**self.state)
        picture = self._render(result)
        if coarse:
            self._view.value = replace(picture, alt=f"Preview, the whole follows. {picture.alt}").html()
            return
        self.result, self.picture = result, picture
        self.reached = self.reached or (self._goal is not None and self._goal.reached(result))
        self._view.value = picture.html()
        _when_idle(lay_ready)
        self._status.value = self._goal_html(self.reached)

    def _pause(self) -> None:
        if self.playback is not None:
            self.playback.pause()

    def _say(self, words: str) -> None:
        """A message below the controls, or none."""
        self._note.value = _alert(html.escape(words)) if words else ""
        self._note.layout.display = "" if words else "none"

    def _goal_html(self, reached: bool) -> str:
        """The goal and whether it is reached, in words."""
        if self._goal is None:
            return ""
        mark = "✓ reached" if reached else "○ open"
        color = "#009E73" if reached else "inherit"
        words = html.escape(self._goal.text)
        return f'<div role="status" style="{GOAL}"><b style="color:{color}">Goal, {mark}:</b> {words}</div>'

    def frames(self, most_bytes: int) -> Frames:
        """Pictures for a page without a kernel, drawn from the start; the controls stay where they are.

        Args:
            most_bytes: What they may take on the page.

        Returns:
            As many as there is room for.
        """
        reached, example = (self._goal.reached, self._goal.example) if self._goal else (lambda _: False, None)
        return draw_frames(
            self.controls,
            self._compute,
            self._render,
            start=self._start,
            reached=reached,
            example=example,
            most_bytes=most_bytes,
        )

    def _repr_mimebundle_(self, **kwargs: Any) -> dict[str, Any]:
        """The live widget, and for pages without a kernel its first picture, or pictures to move among."""
        bundle = super()._repr_mimebundle_(**kwargs)
        data = bundle[0] if isinstance(bundle, tuple) else bundle
        goal = self._goal.text if self._goal else ""
        if most_bytes := wished_bytes():
            shown = frames_html(self.frames(most_bytes), self._first, goal, self._play)
        else:
            note = f'<div style="{GOAL}"><b>Goal:</b> {html.escape(goal)}</div>' if goal else ""
            note += "<div><i>The controls appear where a kernel runs, in JupyterLab.</i></div>"
            shown = self._first.html() + note
        return data | {"text/html": shown, "text/plain": f"Explorer. {self._first.alt}"}


def _alert(words: str) -> str:
    """A framed message, read out at once by a screen reader."""
    return f'<div role="alert" style="border:2px solid #D55E00;padding:0.5em;max-width:50em">{words}</div>'
