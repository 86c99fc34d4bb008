"""How fast the page is with an hour of 50 hosts: ``python -m tests.page.numbers``; it ends with 1 if a number is missed.

Times of a shared machine are no verdict on a change, so this is no part of the tests.
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path

from playwright.sync_api import Browser, Page, sync_playwright

from tests.page import packer
from tests.peers.requirements import find

ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
PAN = """seconds => new Promise(resolve => {
  const [begin, end] = app.view.whole(), length = (end - begin) / 3;
  const first = performance.now();
  const gaps = [];
  let before = first;
  const step = now => {
    gaps.push(now - before);
    before = now;
    const share = (now - first) / 1000 / seconds;
    if (share >= 1) return resolve([gaps.length / seconds, gaps.sort((a, b) => a - b)[Math.floor(gaps.length * 0.95)]]);
    const from = begin + share * (end - begin - length);
    app.view.choose(from, from + length);
    requestAnimationFrame(step);
  };
  requestAnimationFrame(step);
})"""
VIEWS = {"all hosts": "", "one host": "#host=dut4", "one metric": "#metric=cpu_percent", "topology": "#topology"}


def opened(browser: Browser, address: str) -> tuple[Page, float]:
    page = browser.new_page(viewport={"width": 1440, "height": 900})
    page.goto(address)
    page.locator("main[aria-busy=false]").wait_for()
    return page, page.evaluate("performance.getEntriesByName('drawn')[0].startTime")


def main() -> int:
    path = Path(tempfile.mkdtemp()) / "hour.html"
    begin = time.perf_counter()
    path.write_text(packer.static(packer.lab(hosts=50, rows=1800)), encoding="utf-8")
    made_s = time.perf_counter() - begin
    rows = [
        ("made in", f"{made_s:.1f} s", "", True),
        ("file", f"{path.stat().st_size / 1e6:.2f} MB", "< 12", path.stat().st_size < 12e6),
    ]
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=find("chromium"), args=ARGUMENTS)
        for name, place in VIEWS.items():
            page, drawn_ms = opened(browser, path.as_uri() + place)
            page.wait_for_timeout(300)
            rate, slow_ms = page.evaluate(PAN, 3)
            rows.append((f"{name}: drawn after navigation", f"{drawn_ms / 1000:.2f} s", "< 2", drawn_ms < 2000))
            rows.append((f"{name}: pan", f"{rate:.0f} frames/s, 95 % within {slow_ms:.0f} ms", ">= 30", rate >= 30))
            page.close()
        browser.close()
    for name, value, wanted, reached in rows:
        print(f"{'ok  ' if reached else 'MISS'} {name:40} {value:38} {wanted}")
    return 0 if all(row[3] for row in rows) else 1


if __name__ == "__main__":
    sys.exit(main())
