"""One notebook in a real browser, in the words of a person who uses it: open, run all, move a slider, look."""

import re
import secrets
import shutil
from pathlib import Path

from lab_server import LabServer
from playwright.sync_api import ConsoleMessage, Locator, Page, Route, expect

WAIT = 60_000  # milliseconds: patience for a busy machine; every wait is for a condition and ends as soon as it holds

# An exception in a widget's callback belongs to no cell: JupyterLab writes it to a log that nobody has open. Keep it.
LISTEN_TO_KERNEL = """() => {
    window.callbackErrors = [];
    jupyterapp.shell.currentWidget.sessionContext.iopubMessage.connect((_, message) => {
        const ofCell = (message.parent_header || {}).msg_type === "execute_request";
        if (message.header.msg_type === "error" && !ofCell)
            window.callbackErrors.push(`${message.content.ename}: ${message.content.evalue}`);
    });
}"""
IS_READY = """() => {
    const panel = window.jupyterapp && jupyterapp.shell.currentWidget;
    return !!panel && !!panel.content && !!panel.content.model && panel.content.model.cells.length > 0
        && panel.sessionContext.isReady && panel.sessionContext.session?.kernel?.status === "idle";
}"""
IS_IDLE = '() => jupyterapp.shell.currentWidget.sessionContext.session.kernel.status === "idle"'
OUTPUTS = """() => Array.from(jupyterapp.shell.currentWidget.content.model.cells)
    .map(cell => cell.type === "code" ? cell.outputs.toJSON() : [])"""


CELL_IDS = "() => Array.from(jupyterapp.shell.currentWidget.content.model.cells).map(cell => cell.id)"
RUN_UNTIL = """id => {
    const { content } = jupyterapp.shell.currentWidget;
    const place = content.widgets.findIndex(cell => cell.model.id === id);
    if (place < 0) throw new Error(`no cell has the id ${id}`);
    content.activeCellIndex = place + 1;
    const isLast = place + 1 === content.widgets.length;
    return jupyterapp.commands.execute(isLast ? "notebook:run-all-cells" : "notebook:run-all-above");
}"""
NOTHING_TO_SEE = '<svg xmlns="http://www.w3.org/2000/svg" width="1" height="1"/>'


class LabPage:
    """JupyterLab showing one notebook. A test gets it from the fixture `lab`:

        def test_the_lesson(lab, tmp_path):
            lab.open(ROOT / "notebooks/05_sherman_morrison.ipynb")
            lab.run_all()
            assert lab.errors() == []
            before = lab.picture().get_attribute("src")
            lab.move_slider("ρ", steps=2)
            expect(lab.picture()).not_to_have_attribute("src", before)
            lab.screenshot(tmp_path / "moved.png")

    `expect` is Playwright's: it waits until the condition holds. Whatever follows a move of a slider has to be
    waited for like that, as the kernel answers when it has drawn. Cells count from 0, markdown cells included.

    Attributes:
        page: Playwright's page, for everything that has no method here.
    """

    def __init__(self, page: Page, server: LabServer) -> None:
        self.page = page
        self._server = server
        self._noise: list[str] = []
        page.route(lambda url: not url.startswith(server.url), self._answer_for_the_network)
        page.on("console", self._keep_console_error)
        page.on("pageerror", lambda error: self._noise.append(f"page: {error}"))
        page.set_default_timeout(WAIT)
        expect.set_options(timeout=WAIT)

    def open(self, notebook: Path) -> None:
        """Open a copy of the notebook (the file itself stays as it is), and wait until its kernel is idle."""
        folder = self._server.root / secrets.token_hex(4)
        folder.mkdir()
        shutil.copy(notebook, folder / notebook.name)
        address = f"{self._server.url}/doc/tree/{folder.name}/{notebook.name}"
        self.page.goto(f"{address}?token={self._server.token}&reset", wait_until="domcontentloaded")
        self.page.wait_for_function(IS_READY)
        self.page.evaluate(LISTEN_TO_KERNEL)

    def run_all(self, until: str | None = None) -> None:
        """Run every cell, or those down to the one whose id is `until`, and wait for the end.

        The end is that of the last cell, or of the first one that raises (see `errors`).
        """
        if until is None:
            self.page.evaluate("() => jupyterapp.commands.execute('notebook:run-all-cells')")
        else:
            self.page.evaluate(RUN_UNTIL, until)
        self.wait_until_idle()

    def run_from_menu(self, seconds: float) -> None:
        """Run every cell as a person does, through the menu Run, and wait for the end, so long at most."""
        self.page.get_by_role("menuitem", name="Run", exact=True).click()
        self.page.get_by_role("menuitem", name="Run All Cells", exact=True).click()
        waiting = self.page.locator(".jp-InputPrompt", has_text="[*]")
        expect(waiting.first).to_be_attached()
        expect(waiting).to_have_count(0, timeout=1000 * seconds)
        self.wait_until_idle()

    def wait_until_idle(self) -> None:
        """Wait until the kernel has nothing to do."""
        self.page.wait_for_function(IS_IDLE)

    def cell_ids(self) -> list[str]:
        """The ids of all cells, from the top."""
        return self.page.evaluate(CELL_IDS)

    def outputs(self) -> list[list[dict]]:
        """The outputs of every cell, as they would stand in the file; none for a markdown cell."""
        return self.page.evaluate(OUTPUTS)

    def errors(self) -> list[str]:
        """Everything that went wrong since `open`: in cells, in callbacks of widgets, and in the page itself."""
        cells = [
            f"cell {number}: {output['ename']}: {output['evalue']}"
            for number, outputs in enumerate(self.outputs())
            for output in outputs
            if output["output_type"] == "error"
        ]
        callbacks = self.page.evaluate("() => window.callbackErrors")
        return cells + [f"callback: {text}" for text in callbacks] + self._noise

    def picture(self, nth: int = 0) -> Locator:
        """The nth picture with alternative text among all outputs, from the top of the page."""
        return self.page.locator(".jp-OutputArea-output img[alt]").nth(nth)

    def slider(self, which: str | int) -> Locator:
        """A slider, by its description or by its place among the page's sliders."""
        sliders = self.page.locator(".jp-OutputArea-output .widget-slider")
        if isinstance(which, int):
            return sliders.nth(which)
        label = self.page.locator(".widget-label").filter(has_text=re.compile(rf"^\s*{re.escape(which)}\s*$"))
        return sliders.filter(has=label).first

    def move_slider(self, which: str | int, steps: int) -> str:
        """Press the right (`steps` > 0) or left arrow key on a slider that often.

        Returns:
            What the slider shows beside its handle afterwards. The kernel's answer comes later: wait for it.

        Raises:
            AssertionError: the slider did not move, as when it stands at its end already.
        """
        slider = self.slider(which)
        handle = slider.locator(".noUi-handle").first
        handle.scroll_into_view_if_needed()
        before = handle.get_attribute("aria-valuenow")
        handle.focus()
        for _ in range(abs(steps)):
            self.page.keyboard.press("ArrowRight" if steps > 0 else "ArrowLeft")
        assert handle.get_attribute("aria-valuenow") != before, f"slider {which!r} did not move from {before}"
        return slider.locator(".widget-readout").inner_text()

    def screenshot(self, path: Path, of: Locator | None = None) -> Path:
        """Save what is to be seen as PNG: the window, or one element of the page, scrolled to."""
        if of is None:
            self.page.screenshot(path=path)
        else:
            of.scroll_into_view_if_needed()
            of.screenshot(path=path)
        return path

    @staticmethod
    def _answer_for_the_network(route: Route) -> None:
        """Nothing leaves this machine. A picture, such as a badge, is left blank; the rest fails and is reported."""
        if route.request.resource_type == "image":
            route.fulfill(body=NOTHING_TO_SEE, content_type="image/svg+xml")
        else:
            route.abort()

    def _keep_console_error(self, message: ConsoleMessage) -> None:
        """The browser's console is silent in a healthy session; keep what it calls an error."""
        if message.type == "error":
            self._noise.append(f"console: {message.text} ({message.location.get('url', '')})")
