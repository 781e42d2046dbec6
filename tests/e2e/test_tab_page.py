"""The tab's page where Locust does not answer for a moment: it recovers, and loses nothing that was typed."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, Route, expect

from loadtest import locust_plugin
from tests.support.browser import browser

pytestmark = pytest.mark.external("chromium")

FILES = Path(locust_plugin.__file__).parent / "web_files"
URL = "http://locust.test/websocket"
FIELD = {
    "name": "host",
    "label": "Host",
    "kind": "text",
    "value": "",
    "default": "",
    "help": "",
    "choices": [],
}


class Answers:
    """What the page is answered, without a network: its files, the state, the form."""

    def __init__(self) -> None:
        self.broken: set[str] = set()
        self._documents: dict[str, Any] = {
            "state": {"run": None},
            "form": {"groups": [{"title": "Load", "fields": [FIELD]}], "elsewhere": ""},
        }

    def answer(self, route: Route) -> None:
        """Answer a request."""
        name = route.request.url.rpartition("/")[2]
        if name in self.broken:
            route.fulfill(status=503)
        elif name in self._documents:
            route.fulfill(status=200, content_type="application/json", body=json.dumps(self._documents[name]))
        else:
            route.fulfill(status=200, path=FILES / ("websocket.html" if name == "websocket" else name))


@pytest.fixture
def answers() -> Answers:
    """What the page is answered."""
    return Answers()


@pytest.fixture
def page(answers: Answers) -> Iterator[Page]:
    """A page that is not open yet."""
    with browser() as started:
        opened = started.new_page()
        opened.route("**/*", answers.answer)
        yield opened


def test_the_page_recovers(page: Page, answers: Answers) -> None:
    """A form that did not come is asked for again; one that is there stays as it is filled in."""
    answers.broken = {"form"}
    page.goto(URL)
    status = page.locator("#status")
    expect(status).to_have_text("Cannot reach Locust: Locust answered 503")
    answers.broken = set()
    expect(status).to_have_text("No run yet.")
    page.fill("#host", "http://127.0.0.1:1")
    answers.broken = {"state"}
    expect(status).to_have_text("Cannot reach Locust: Locust answered 503")
    answers.broken = set()
    expect(status).to_have_text("No run yet.")
    assert page.input_value("#host") == "http://127.0.0.1:1"
