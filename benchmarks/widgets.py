"""Milliseconds from a key press on a slider to the new picture on the screen, for every explorer of every lesson.

    python benchmarks/widgets.py [--lessons 01 05 | --alone] [--presses 10]

Each lesson is run in JupyterLab in the system's Chromium, as tests/browser does; the arrow keys go to the explorer's
sliders in turn, or to its menus where it has no slider. A press that changes nothing to be seen, as on a setting that
the method does not have, is left out. The clock starts with the browser's key event and stops behind the frame that
shows the new image, decoded. Where an explorer shows a coarse picture first, its time stands in the first two columns.
`--alone` puts the explorers that need nothing of their lesson into one notebook, which takes a minute in all.
"""

import argparse
import inspect
import statistics
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import nbformat
from playwright.sync_api import sync_playwright

import sofim_lab.widgets
from sofim_lab.lessons.manifest import load_manifest

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests" / "browser"))

from chromium import MISSING, find_chromium, flags  # noqa: E402
from explorer_view import CLASS, ExplorerView  # noqa: E402
from lab_page import LabPage  # noqa: E402
from lab_server import LabServer, running_lab  # noqa: E402

# Into the list `pictures` of the box goes, for every new picture, how many milliseconds after the last key it was seen.
LISTEN = """box => {
    let last = box.querySelector("figure img"), key = 0;
    box.pictures = [];
    box.addEventListener("keydown", event => { key = event.timeStamp; box.pictures = []; }, true);
    new MutationObserver(async () => {
        const image = box.querySelector("figure img"), pictures = box.pictures, start = key;
        if (!image || image === last) return;
        last = image;
        const channel = new MessageChannel();
        channel.port1.onmessage = () => pictures.push(performance.now() - start);
        await image.decode().catch(() => null);  // a picture that is replaced before it is decoded is never seen
        requestAnimationFrame(() => channel.port2.postMessage(0));
    }).observe(box, { childList: true, subtree: true });
}"""
NAME = """box => box.closest(".jp-CodeCell").querySelector(".cm-content").textContent.match(/(\\w+)_explorer\\(/)[1]"""
HEAD = (
    "| lesson | explorer | first picture: median ms | worst | finished: median ms | worst |\n|---|---|---|---|---|---|"
)
WARM = 2  # presses that do not count


def presses(explorer: ExplorerView, count: int) -> Iterator[tuple[float, float]]:
    """Milliseconds to the first and to the finished picture of each press, the controls taking turns."""
    sliders, menus = explorer.handles.count(), explorer.menus.count()
    explorer.box.scroll_into_view_if_needed()
    explorer.box.evaluate(LISTEN)
    for turn in range(count + WARM):
        explorer.press(turn % sliders) if sliders else explorer.press_menu(turn % menus)
        wait_for_pictures(explorer)
        pictures = explorer.box.evaluate("box => box.pictures")
        if turn >= WARM and pictures:
            yield pictures[0], pictures[-1]


def wait_for_pictures(explorer: ExplorerView) -> None:
    """Until there is one, or none for a second, and the kernel has done all, and the last one is on the screen."""
    page = explorer.lab.page
    for _ in range(20):
        if explorer.box.evaluate("box => box.pictures.length"):
            break
        page.wait_for_timeout(50)
    explorer.lab.wait_until_idle()
    page.wait_for_timeout(150)


def alone(folder: Path) -> Path:
    """A notebook with the explorers that can be made without arguments."""
    required = inspect.Parameter.empty
    names = [
        name
        for name, make in vars(sofim_lab.widgets).items()
        if name.endswith("_explorer")
        and all(p.default is not required for p in inspect.signature(make).parameters.values())
    ]
    notebook = nbformat.v4.new_notebook(metadata={"kernelspec": {"name": "python3", "display_name": "Python 3"}})
    notebook.cells = [
        nbformat.v4.new_code_cell(f"import sofim_lab.widgets\n\nsofim_lab.widgets.{name}()") for name in sorted(names)
    ]
    nbformat.write(notebook, folder / "alone.ipynb")
    return folder / "alone.ipynb"


def measure(server: LabServer, page: LabPage, path: Path, seconds: float, count: int) -> list[str]:
    """One row of the table for each explorer of a lesson."""
    page.open(path)
    page.run_from_menu(seconds)
    if errors := page.errors():
        sys.exit(f"{path.name}: {errors[0]}")
    rows = []
    for nth in range(page.page.locator(CLASS).count()):
        explorer = ExplorerView(page, nth)
        times = list(presses(explorer, count))
        if not times:
            print(f"| {path.stem} | {explorer.box.evaluate(NAME)} | no press changed its picture |||", flush=True)
            continue
        numbers = [f"{summary(c):.0f}" for c in zip(*times, strict=True) for summary in (statistics.median, max)]
        rows.append("| " + " | ".join([path.stem, explorer.box.evaluate(NAME), *numbers]) + " |")
        print(rows[-1], flush=True)
    return rows


def main() -> None:
    """Measure the lessons asked for, all by default, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--lessons", nargs="*", default=[], help="ids, numbers or slugs")
    parser.add_argument("--alone", action="store_true", help="the explorers without their lessons")
    parser.add_argument("--presses", type=int, default=10)
    asked = parser.parse_args()
    lessons = [] if asked.alone else load_manifest(ROOT / "notebooks").select(asked.lessons)
    executable = find_chromium()
    if executable is None:
        sys.exit(MISSING)
    print(HEAD)
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        root, home = Path(folder, "served"), Path(folder, "jupyter")
        root.mkdir(), home.mkdir()
        browser = playwright.chromium.launch(executable_path=executable, args=flags())
        with running_lab(root, home) as server:
            notebooks = [(lesson.path, lesson.lesson_timeout["quick"]) for lesson in lessons]
            for path, seconds in notebooks or [(alone(Path(folder)), 100)]:
                context = browser.new_context(viewport={"width": 1280, "height": 1000})
                page = LabPage(context.new_page(), server)
                measure(server, page, path, seconds, asked.presses)
                context.close()
                for session in server.request("/api/sessions"):
                    server.request(f"/api/sessions/{session['id']}", "DELETE")


if __name__ == "__main__":
    main()
