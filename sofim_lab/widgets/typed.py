"""A slider with its value beside it, to be read and to be typed in."""

from collections.abc import Callable

import ipywidgets as W

from sofim_lab.widgets.values import hint, text_of, value_of

BOX = "sofim-typed"  # the class of the boxes on the page


class TypedSlider(W.HBox):
    """A slider and a text box that shows its value; Enter, or leaving the box, sets the slider.

    The number that ipywidgets itself puts beside a slider moves a value out of range to the end without a word, and
    beside a slider of choices it cannot be typed in. Here such a text is refused in words, and nothing moves.
    """

    def __init__(self, slider: W.ValueWidget, say: Callable[[str], None]) -> None:
        """Put a box beside the slider.

        Args:
            slider: Any slider of ipywidgets.
            say: Called with what is wrong with a typed text, and with an empty one when all is well.
        """
        self.slider, self._say = slider, say
        name = slider.description or "value"
        self.box = W.Text(
            text_of(slider),
            description=slider.description,  # out of sight (see STYLE): the box's name for a screen reader
            continuous_update=False,
            tooltip=f"{name}: type {hint(slider)}",
            layout=W.Layout(width="5em", flex="0 0 auto"),
        )
        self.box.add_class(BOX)
        # While a slider that reports late is dragged, its own number (see STYLE) has to stand in for the box.
        slider.readout = not slider.continuous_update
        slider.layout.flex, slider.layout.width = "1 1 auto", "auto"
        slider.observe(lambda _: self._write(), names="value")
        self.box.observe(self._typed, names="value")
        super().__init__([slider, self.box])

    def _write(self) -> None:
        """Show the slider's value, unless the box says it already in words of the learner's."""
        self._say("")
        try:
            if value_of(self.slider, self.box.value) == self.slider.value:
                return
        except ValueError:
            pass
        self._show()

    def _show(self) -> None:
        self.box.unobserve(self._typed, names="value")
        self.box.value = text_of(self.slider)
        self.box.observe(self._typed, names="value")

    def _typed(self, _: object) -> None:
        """Move the slider, or say why not and show again what it stands at."""
        try:
            value = value_of(self.slider, self.box.value)
        except ValueError as error:
            self._show()
            name = self.slider.description or "value"
            self._say(f"{name}: {error}. It stays at {self.box.value}.")
            return
        self._say("")
        self.slider.value = value
