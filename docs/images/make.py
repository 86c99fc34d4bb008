"""Makes the pictures of README, site and guide from a real run: ``make demo``, then ``.venv/bin/python docs/images/make.py``.

Chromium has to be installed. Nothing is drawn by hand, and a picture that is too large for a page is an error.
"""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from playwright.sync_api import Browser, Page, sync_playwright
from robot.api import ExecutionResult

HERE = Path(__file__).resolve().parent
DEMO = HERE.parents[1] / "results" / "demo"
TOO_LARGE_BYTES = 200_000
_PATIENCE_MS = 20_000


@dataclass(frozen=True)
class Picture:
    """One picture.

    Attributes:
        name: Of the file, without its suffix.
        url: What is shown.
        waits_for: A selector of what must be there.
        scrolls_to: A selector of what is at the top; empty for the top of the page.
        dark: In the dark theme.
        height: In pixels, of 1 200 wide ones.
    """

    name: str
    url: str
    waits_for: str
    scrolls_to: str = ""
    dark: bool = False
    height: int = 640


def pictures(demo: Path) -> Iterator[Picture]:
    """Yield all pictures of a run of the demo."""
    ids = {test.name: test.id for test in ExecutionResult(demo / "output.xml").suite.all_tests}
    failed, soak = ids["A Failure Brings Its Evidence"], ids["The Firmware Answers While A Host Is Busy"]
    log, dashboard = (demo / "log.html").as_uri(), (demo / "dashboard.html").as_uri()
    report = next(demo.glob("**/load-*/report.html")).as_uri()
    yield Picture("log-failure", f"{log}#{failed}", f"#{failed} svg", f"#{failed}", height=700)
    yield Picture("log-charts", f"{log}#{soak}", f"#{soak} svg", f"#{soak} svg", height=620)
    yield Picture("dashboard-grid", dashboard, "canvas, svg")
    yield Picture("dashboard-host", f"{dashboard}#host=dut2", "canvas, svg")
    yield Picture("dashboard-dark", dashboard, "canvas, svg", dark=True)
    yield Picture("load-report", report, "svg", height=760)


def take(browser: Browser, picture: Picture) -> Path:
    """Show a page as a user sees it, and write what is on the screen."""
    scheme = "dark" if picture.dark else "light"
    page = browser.new_page(viewport={"width": 1200, "height": picture.height}, color_scheme=scheme)
    try:
        page.goto(picture.url)
        page.locator(picture.waits_for).first.wait_for(state="visible", timeout=_PATIENCE_MS)
        if picture.scrolls_to:
            _scroll(page, picture.scrolls_to)
        page.wait_for_timeout(500)  # what is drawn in steps is complete
        path = HERE / f"{picture.name}.png"
        page.screenshot(path=path)
    finally:
        page.close()
    return path


def _scroll(page: Page, selector: str) -> None:
    page.locator(selector).first.evaluate("element => window.scrollTo(0, element.getBoundingClientRect().top + scrollY - 8)")


def main() -> int:
    """Make all pictures of the run in ``results/demo``, or in the folder that is given."""
    demo = Path(sys.argv[1]) if len(sys.argv) > 1 else DEMO
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    if not chromium or not (demo / "output.xml").exists():
        sys.stderr.write("Chromium and a run of 'make demo' are needed.\n")
        return 1
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox", "--disable-gpu"])
        taken = [take(browser, picture) for picture in pictures(demo)]
        browser.close()
    for path in taken:
        size = path.stat().st_size
        sys.stdout.write(f"{size // 1000:4} kB  {path.name}\n")
        if size > TOO_LARGE_BYTES:
            sys.stderr.write(f"{path.name} has more than {TOO_LARGE_BYTES // 1000} kB.\n")
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
