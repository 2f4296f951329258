"""One explorer in the page, in the words of a learner: the picture, its words, and everything that can be moved."""

from pathlib import Path

from lab_page import LabPage
from lab_server import wait_for
from playwright.sync_api import Locator

CLASS = ".sofim-explorer"
# What a learner could not read or reach: text that is cut off, and parts that stick out of the explorer.
SHOWN = """box => {
    const image = box.querySelector("figure img"), caption = box.querySelector("figure figcaption");
    return image ? [`${image.src.length}:${image.src.slice(-400)}`, image.alt, caption.textContent] : ["", "", ""];
}"""
CUT_OFF = """box => {
    const right = box.getBoundingClientRect().right + 1, cut = [];
    for (const label of box.querySelectorAll(".widget-label:not(.sofim-typed *), button"))
        if (label.clientWidth && label.scrollWidth > label.clientWidth) cut.push(`cut off: ${label.textContent}`);
    for (const label of box.querySelectorAll(".widget-label:not(.sofim-typed *)"))
        if (label.textContent && getComputedStyle(label).clipPath !== "none") cut.push(`hidden: ${label.textContent}`);
    for (const part of box.querySelectorAll(".widget-slider, .widget-text, .widget-dropdown, button, img, figcaption"))
        if (part.clientWidth && part.getBoundingClientRect().right > right)
            cut.push(`sticks out: ${part.className || part.tagName}`);
    return cut;
}"""


class ExplorerView:
    """The nth explorer of a page, counted from 0 at the top.

    Attributes:
        box: The whole of it.
    """

    def __init__(self, lab: LabPage, nth: int) -> None:
        self.lab, self.box = lab, lab.page.locator(CLASS).nth(nth)

    @property
    def image(self) -> Locator:
        """The picture."""
        return self.box.locator("figure img")

    @property
    def caption(self) -> Locator:
        """The words below the picture."""
        return self.box.locator("figure figcaption")

    @property
    def status(self) -> Locator:
        """The goal, and whether it is reached."""
        return self.box.get_by_role("status")

    @property
    def alert(self) -> Locator:
        """What is wrong, if anything is."""
        return self.box.get_by_role("alert")

    @property
    def handles(self) -> Locator:
        """The handle of every slider."""
        return self.box.locator(".noUi-handle")

    @property
    def menus(self) -> Locator:
        """Every menu."""
        return self.box.locator("select")

    @property
    def texts(self) -> Locator:
        """The box beside every slider."""
        return self.box.locator("input[type=text]")

    @property
    def counters(self) -> Locator:
        """Every box for a number that has no slider."""
        return self.box.locator("input[type=number]")

    def button(self, name: str) -> Locator:
        """A button, by what stands on it."""
        return self.box.get_by_role("button", name=name)

    def shown(self) -> tuple[str, str, str]:
        """The picture (its length and the end of its data), its alternative text and its caption, at one moment."""
        return tuple(self.box.evaluate(SHOWN))

    def wait_for_other_than(self, before: tuple[str, str, str] | None) -> None:
        """Wait for a picture that is not `before`, and no preview; its caption has to be its alternative text."""

        def changed() -> bool:
            now = self.shown()
            return now[0] != (before or [""])[0] and not now[1].startswith("Preview")

        wait_for(changed, 60, f"another picture than that of {(before or ['', 'none'])[1]!r}")
        _, alt, caption = self.shown()
        assert alt, "the picture has no alternative text"
        assert alt == caption

    def press(self, nth: int) -> None:
        """One arrow key on a slider: to the right, or to the left where it stands at its right end."""
        handle = self.handles.nth(nth)
        at_end = handle.get_attribute("aria-valuenow") == handle.get_attribute("aria-valuemax")
        handle.focus()
        self.lab.page.keyboard.press("ArrowLeft" if at_end else "ArrowRight")

    def press_menu(self, nth: int) -> None:
        """The next choice of a menu by keys, or the one before its last: opened first, JupyterLab has the arrows."""
        menu = self.menus.nth(nth)
        at_end = menu.evaluate("menu => menu.selectedIndex === menu.length - 1")
        menu.focus()
        for key in ("Alt+ArrowDown", "ArrowUp" if at_end else "ArrowDown", "Enter"):
            self.lab.page.keyboard.press(key)

    def choose_next(self, nth: int) -> None:
        """The next choice of a menu."""
        menu = self.menus.nth(nth)
        menu.select_option(index=(menu.evaluate("menu => menu.selectedIndex") + 1) % menu.locator("option").count())

    def type(self, box: Locator, text: str) -> None:
        """Replace what stands in a box, and press Enter."""
        box.fill(text)
        box.press("Enter")

    def wait_until_still(self) -> None:
        """Wait until no picture has followed another for half a second."""

        def still() -> bool:
            before = self.shown()
            self.lab.page.wait_for_timeout(500)
            self.lab.wait_until_idle()
            return self.shown() == before

        wait_for(still, 60, "an end of the pictures")

    def keep(self, path: Path | str) -> None:
        """Save what is to be seen as PNG."""
        self.lab.screenshot(path, self.box)

    def cut_off(self) -> list[str]:
        """What cannot be read or reached in this window."""
        return self.box.evaluate(CUT_OFF)
