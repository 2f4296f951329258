"""What every explorer is: controls, a pure function from state to result, and one from result to picture."""

import html
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import ipywidgets as W

from sofim_lab.plots import Picture

Result = TypeVar("Result")


@dataclass(frozen=True)
class Goal(Generic[Result]):
    """What the learner is to reach by moving the controls, and the test of it."""

    text: str
    reached: Callable[[Result], bool]


class Explorer(W.VBox, Generic[Result]):
    """Controls above a picture that follows them.

    Moving a control runs `state → compute → render` once, synchronously. An error is shown in place of the picture
    and raised: a notebook run by papermill fails on it. Without a kernel (an exported page, Binder asleep) the first
    picture stays, with its words.

    Attributes:
        state: Name to value of every control.
        result: What `compute` made of it; None before the first picture and after an error.
        picture: The picture on show.
        reached: Whether the goal has been reached since the last reset.
    """

    _quiet = False  # while several controls move at once

    def __init__(
        self,
        controls: Mapping[str, W.ValueWidget],
        compute: Callable[..., Result],
        render: Callable[[Result], Picture],
        *,
        goal: Goal[Result] | None = None,
    ) -> None:
        """Show the state as it is.

        Args:
            controls: Name of each argument of `compute` to the widget that sets it.
            compute: Pure function of the controls' values, by keyword.
            render: Pure function from its result to a picture.
            goal: What is to be reached; its state stands below the picture.

        Raises:
            Exception: Whatever `compute` or `render` raise for the first state.
        """
        self.controls = dict(controls)
        self.result: Result | None = None
        self.reached = False
        self._compute, self._render, self._goal = compute, render, goal
        self._start = self.state
        self._view, self._status = W.HTML(), W.HTML()
        reset = W.Button(description="Reset", icon="undo", layout=W.Layout(width="7em"))
        reset.on_click(lambda _: self.reset())
        self._refresh()
        self._first = self.picture
        for control in self.controls.values():
            control.observe(self._moved, names="value")
        bar = W.HBox([*self.controls.values(), reset], layout=W.Layout(flex_flow="row wrap"))
        super().__init__([bar, self._view, self._status])

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
        for name in values:
            if name not in self.controls:
                raise ValueError(f"there is no control {name!r}: this explorer has {', '.join(self.controls)}")
        self._refuse_out_of_range(values)
        self._quiet = True
        try:
            for name, value in values.items():
                self.controls[name].value = value
        finally:
            self._quiet = False
        self._refresh()

    def reset(self) -> None:
        """Back to the first state, the goal open again."""
        self.reached = False
        self.set(**self._start)

    def _refuse_out_of_range(self, values: Mapping[str, Any]) -> None:
        """A slider would clamp such a value without a word."""
        for name, value in values.items():
            control = self.controls[name]
            if isinstance(control, W.FloatLogSlider):
                low, high = control.base**control.min, control.base**control.max
            elif hasattr(control, "min") and hasattr(control, "max"):
                low, high = control.min, control.max
            else:
                continue
            if not low <= value <= high:
                raise ValueError(f"{name}={value!r} must lie in [{low:g}, {high:g}]")

    def _moved(self, _: object) -> None:
        if not self._quiet:
            self._refresh()

    def _refresh(self) -> None:
        """State → compute → render, once; an error is shown, and raised."""
        try:
            self.result = None
            result = self._compute(**self.state)
            self.picture = self._render(result)
            self.result = result
            self.reached = self.reached or (self._goal is not None and self._goal.reached(result))
        except Exception as error:
            words = html.escape(f"{type(error).__name__}: {error}")
            self._view.value = (
                f'<div role="alert" style="border:2px solid #D55E00;padding:0.5em;max-width:50em">'
                f"<b>This setting could not be shown.</b> {words}</div>"
            )
            raise
        self._view.value = self.picture.html()
        self._status.value = self._goal_html(self.reached)

    def _goal_html(self, reached: bool) -> str:
        """The goal and whether it is reached, in words."""
        if self._goal is None:
            return ""
        mark = "✓ reached" if reached else "○ open"
        color = "#009E73" if reached else "inherit"
        return f'<div role="status"><b style="color:{color}">Goal, {mark}:</b> {html.escape(self._goal.text)}</div>'

    def _repr_mimebundle_(self, **kwargs: Any) -> dict[str, Any]:
        """The live widget, and for pages without a kernel its first picture."""
        bundle = super()._repr_mimebundle_(**kwargs)
        data = bundle[0] if isinstance(bundle, tuple) else bundle
        note = "" if self._goal is None else f"<div><b>Goal:</b> {html.escape(self._goal.text)}</div>"
        note += "<div><i>The controls appear where a kernel runs, in JupyterLab.</i></div>"
        return data | {"text/html": self._first.html() + note, "text/plain": f"Explorer. {self._first.alt}"}
