"""Records what a page in Chromium says over WebSocket: by Playwright, and as DevTools would export it.

    python -m tests.support.browser_recordings FOLDER [NAME …]

records every client of `CLIENTS` against its server and writes `NAME.har` (Playwright), `NAME.devtools.har`
and, for some, other layouts. What is committed under tests/data/recordings was made so.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

CHROMIUM = "/usr/bin/chromium"


PAGE = "/recorded-page"
"""A page of the server's own origin: some servers accept no other."""

COOKIE = "account=cookie-5f3a9be81c77; Path=/"


PRELUDE = """
() => {
  window.sleep = (ms) => new Promise((done) => setTimeout(done, ms));
  window.open_socket = (url, protocols) => {
    const socket = new WebSocket(url, protocols ?? []);
    socket.binaryType = "arraybuffer";
    const client = { socket, heard: [], waiting: [] };
    const is_data = (message) => typeof message === "string" || message instanceof Uint8Array;
    client.say = (message) => socket.send(is_data(message) ? message : JSON.stringify(message));
    client.next = (wanted) => new Promise((done) => {
      const at = client.heard.findIndex(wanted ?? (() => true));
      if (at >= 0) done(client.heard.splice(at, 1)[0]);
      else client.waiting.push([wanted ?? (() => true), done]);
    });
    socket.onmessage = (event) => {
      const data = event.data;
      if (client.react) client.react(data);
      const at = client.waiting.findIndex(([wanted]) => wanted(data));
      if (at >= 0) client.waiting.splice(at, 1)[0][1](data); else client.heard.push(data);
    };
    return new Promise((done, fail) => { socket.onopen = () => done(client); socket.onerror = fail; });
  };
}
"""
"""What the clients use: `open_socket(url)` gives a client with `say`, `next` and `react`; `sleep(ms)`."""


class DevTools:
    """Collects what DevTools would export of the WebSockets of a page, from the events it is built from."""

    def __init__(self) -> None:
        self.entries: dict[str, dict[str, Any]] = {}
        self.begun: dict[str, tuple[float, float]] = {}

    def listen(self, session: Any) -> None:
        """Take the events of a session of the DevTools protocol."""
        session.send("Network.enable")
        session.on("Network.webSocketCreated", self.created)
        session.on("Network.webSocketWillSendHandshakeRequest", self.requested)
        session.on("Network.webSocketHandshakeResponseReceived", self.answered)
        session.on("Network.webSocketFrameSent", lambda event: self.frame("send", event))
        session.on("Network.webSocketFrameReceived", lambda event: self.frame("receive", event))

    def created(self, event: dict[str, Any]) -> None:
        """Begin an entry."""
        self.entries[event["requestId"]] = {
            "_resourceType": "websocket",
            "_webSocketMessages": [],
            "request": {
                "method": "GET",
                "url": event["url"],
                "headers": [],
                "cookies": [],
                "queryString": [],
            },
            "response": {"status": 101, "headers": [], "cookies": [], "content": {"size": 0, "mimeType": ""}},
        }

    def requested(self, event: dict[str, Any]) -> None:
        """Take the handshake's headers and the time at which times count."""
        entry = self.entries[event["requestId"]]
        self.begun[event["requestId"]] = (event["wallTime"], event["timestamp"])
        entry["startedDateTime"] = datetime.fromtimestamp(event["wallTime"], UTC).isoformat()
        entry["request"]["headers"] = _pairs(event["request"]["headers"])

    def answered(self, event: dict[str, Any]) -> None:
        """Take the headers of the response."""
        self.entries[event["requestId"]]["response"]["headers"] = _pairs(event["response"]["headers"])

    def frame(self, kind: str, event: dict[str, Any]) -> None:
        """Take a message; DevTools exports the seconds of Unix time."""
        wall_s, began_s = self.begun[event["requestId"]]
        said = event["response"]
        message = {
            "type": kind,
            "time": wall_s + event["timestamp"] - began_s,
            "opcode": said["opcode"],
            "data": said["payloadData"],
        }
        self.entries[event["requestId"]]["_webSocketMessages"].append(message)

    def har(self) -> dict[str, Any]:
        """Return the file that DevTools would export."""
        creator = {"name": "WebInspector", "version": "537.36"}
        return {
            "log": {"version": "1.2", "creator": creator, "pages": [], "entries": list(self.entries.values())}
        }


def _pairs(headers: dict[str, str]) -> list[dict[str, str]]:
    return [{"name": name, "value": value} for name, value in headers.items()]


def record(
    script: str, url: str, path: Path, *, devtools: Path | None = None, content: str | None = None
) -> None:
    """Run a client in a page of Chromium and record it.

    Args:
        script: of the client, an async function of JavaScript that takes the server's URL.
        url: of the server, ws:.
        path: of the file that Playwright writes, .har or .zip.
        devtools: of the file as DevTools would export it.
        content: how Playwright stores content; None for its default.
    """
    from playwright.sync_api import sync_playwright

    options: dict[str, Any] = {"record_har_path": path}
    if content is not None:
        options["record_har_content"] = content
    address = "/".join(url.replace("ws:", "http:", 1).split("/")[:3]) + PAGE
    arguments = ["--no-sandbox", "--disable-features=LocalNetworkAccessChecks"]
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=arguments)
        context = browser.new_context(**options)
        page = context.new_page()
        headers = {"Content-Type": "text/html", "Set-Cookie": COOKIE}
        page.route(address, lambda route: route.fulfill(body="<p>A page</p>", headers=headers))
        tools = DevTools()
        tools.listen(context.new_cdp_session(page))
        page.goto(address)
        page.evaluate(PRELUDE)
        page.evaluate(
            f"(url) => {{ window.client = ({script})(url).then(() => {{ window.ended = 'ended'; }}, "
            "(error) => { window.ended = String(error); }); }",
            url,
        )
        page.wait_for_function("window.ended", timeout=30_000)
        ended = page.evaluate("window.ended")
        assert ended == "ended", ended
        context.close()
        browser.close()
    if devtools is not None:
        devtools.write_text(json.dumps(tools.har()))
