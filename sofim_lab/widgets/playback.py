"""Buttons that move one control by themselves or step by step."""

import ipywidgets as W

from sofim_lab.widgets.values import nearest, positions


class Playback(W.HBox):
    """Back, play and step for one control.

    Playing goes on from where the control stands, and from its first value when it stands at the last. The clock is
    an `ipywidgets.Play`, out of sight, since its own buttons carry no words.
    """

    def __init__(self, control: W.ValueWidget, *, interval: int = 300) -> None:
        """Buttons for a control.

        Args:
            control: A slider or a menu.
            interval: Milliseconds from one value to the next; where pictures take longer, values are left out.
        """
        self.control, self._places = control, positions(control)
        name = control.description or "the control"
        self.clock = W.Play(
            value=nearest(control),
            min=0,
            max=len(self._places) - 1,
            interval=interval,
            layout=W.Layout(display="none"),
        )
        self.play = W.ToggleButton(description="Play", icon="play", tooltip=f"play {name}, or pause")
        self.back = W.Button(description="Back", icon="step-backward", tooltip=f"{name}: one step back")
        self.step = W.Button(description="Step", icon="step-forward", tooltip=f"{name}: one step on")
        for button in (self.back, self.play, self.step):
            button.layout.width = "6.5em"
        playing = "playing" if self.clock.has_trait("playing") else "_playing"  # ipywidgets 7, which Colab has
        W.link((self.play, "value"), (self.clock, playing))
        self.back.on_click(lambda _: self.move(-1))
        self.step.on_click(lambda _: self.move(1))
        self.clock.observe(self._tick, names="value")
        control.observe(self._follow, names="value")
        super().__init__([self.back, self.play, self.step, self.clock])

    def move(self, steps: int) -> None:
        """Go some values on, or back; nothing happens beyond the first and the last."""
        self.pause()
        place = min(max(nearest(self.control) + steps, 0), len(self._places) - 1)
        self.control.value = self._places[place]

    def pause(self) -> None:
        """Stop the clock."""
        self.play.value = False

    def _tick(self, _: object) -> None:
        if self.clock.value != nearest(self.control):  # or else a value typed in between two of them would be lost
            self.control.value = self._places[self.clock.value]

    def _follow(self, _: object) -> None:
        """The clock goes on from wherever the control was moved to."""
        self.clock.value = nearest(self.control)
