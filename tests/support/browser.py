"""Pages in a real browser: Chromium, headless, driven by Playwright; findings of axe-core; pictures.

A page that logs an error, or asks for anything from elsewhere, fails the test that opened it.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from playwright.sync_api import Browser, ConsoleMessage, Dialog, Page, Request, sync_playwright

CHROMIUM = "/usr/bin/chromium"
"""Debian's, which needs no download."""

AXE = Path(__file__).parent / "strangers" / "node_modules" / "axe-core" / "axe.min.js"

DESKTOP, PHONE = (1280, 900), (390, 844)

PICTURES = os.environ.get("LOADTEST_PICTURES", "")
"""Folder for the pictures that `picture` takes; without it none is kept."""


@contextmanager
def browser() -> Iterator[Browser]:
    """Run a browser without a window."""
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        try:
            yield started
        finally:
            started.close()


@dataclass  # not slotted: Playwright notes on the object which of its methods it calls
class Heard:
    """What a page did that it must not do: errors it logged, requests that left, dialogs it opened."""

    errors: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)
    dialogs: list[str] = field(default_factory=list)

    def dialog(self, opened: Dialog) -> None:
        """Note and close a dialog."""
        self.dialogs.append(opened.message)
        opened.dismiss()

    def console(self, message: ConsoleMessage) -> None:
        """Note errors and warnings."""
        if message.type in ("error", "warning"):
            self.errors.append(message.text)

    def check(self) -> None:
        """Fail if there was anything."""
        assert (self.errors, self.requests, self.dialogs) == ([], [], [])


@contextmanager
def open_page(
    started: Browser,
    where: Path | str,
    *,
    size: tuple[int, int] = DESKTOP,
    scheme: Literal["light", "dark"] = "light",
    origin: str = "",
    script: bool = True,
) -> Iterator[Page]:
    """Open a file or an URL; fail at the end if the page logged an error or asked for anything else.

    Args:
        started: the browser.
        where: a file, or an URL.
        size: width and height of the window.
        scheme: what `prefers-color-scheme` says.
        origin: beginning of URLs that may be asked for, besides the page's own file and `data:`.
        script: whether JavaScript is on.
    """
    context = started.new_context(
        viewport={"width": size[0], "height": size[1]}, color_scheme=scheme, java_script_enabled=script
    )
    page, heard = context.new_page(), Heard()
    url = where.resolve().as_uri() if isinstance(where, Path) else where

    def asked(request: Request) -> None:
        own = request.url.partition("#")[0] == url.partition("#")[0]
        if not own and not request.url.startswith(("data:", origin or "data:")):
            heard.requests.append(request.url)

    page.on("console", heard.console)
    page.on("pageerror", lambda error: heard.errors.append(str(error)))
    page.on("dialog", heard.dialog)
    page.on("request", asked)
    try:
        page.goto(url)
        yield page
        heard.check()
    finally:
        context.close()


def axe(page: Page) -> list[str]:
    """Return axe-core's serious and critical findings, a line each: the rule, and where it is broken."""
    page.evaluate(AXE.read_text(encoding="utf-8"))  # evaluated by the debugger, which no policy stops
    found: dict[str, Any] = page.evaluate("axe.run(document, {resultTypes: ['violations']})")
    return [
        f"{one['id']} ({one['impact']}): {node['target']} {node.get('failureSummary', '')}"
        for one in found["violations"]
        if one["impact"] in ("serious", "critical")
        for node in one["nodes"][:5]
    ]


def wider_than_window(page: Page) -> int:
    """Return by how many pixels the page is wider than its window: 0 if it does not scroll sideways."""
    found = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    return int(found)


def picture(page: Page, name: str) -> None:
    """Keep a picture of the whole page as PNG, if there is a folder for pictures."""
    if PICTURES:
        page.screenshot(path=Path(PICTURES) / f"{name}.png", full_page=True)
