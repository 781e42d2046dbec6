"""The tab's pages: what they may load, who may see them, and which files are served."""

from __future__ import annotations

import functools
import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from flask import Blueprint, Flask, Response, make_response
from werkzeug.test import TestResponse

from loadtest.locust_plugin.web import Names, guard
from loadtest.locust_plugin.web_form import FormField, FormGroup, StartForm
from loadtest.locust_plugin.web_tab import add_tab
from loadtest.metrics.latest_run import LatestRun
from loadtest.metrics.verdict_so_far import VerdictSoFar
from loadtest.results.interval import pack
from loadtest.scrubber import Secrets
from loadtest.verdict.run import judge
from tests.support.live_runs import under_way
from tests.support.runs import interval, sound, tally
from tests.support.stories import story

TOKEN = "t0ken/with+slash"
MARKUP = "<img src=x onerror=alert(1)>"
FORM = StartForm(groups=[FormGroup("Load", [FormField(name="ws_rate", label="--ws-rate")])])


class Page:
    """A page like Locust's, with a run, behind a login or not."""

    def __init__(self, run: Path, *, logged_in: bool = True, prefix: str | None = None) -> None:
        self.logged_in = logged_in
        self.latest = LatestRun()
        self.app = Flask(__name__)
        locust = Blueprint("locust", __name__, url_prefix=prefix)

        @locust.get("/")
        def index() -> str:
            return "<html><body><div id=root></div></body></html>"

        self.app.register_blueprint(locust)
        web_ui = SimpleNamespace(app=self.app, template_args={}, auth_required_if_enabled=self._private)
        add_tab(web_ui, self.latest, lambda: FORM)
        guard(
            self.app,
            names=Names(None, None),
            check=lambda _form: None,
            shown_host=lambda: None,
            secrets=lambda: Secrets([TOKEN]),
        )
        self.tabs = web_ui.template_args["extended_tabs"]
        shown = under_way(story())
        shown.path = run
        self.latest.begin(shown)

    def _private(self, view: Callable[..., Response]) -> Callable[..., Response]:
        @functools.wraps(view)
        def answer(*args: Any, **kwargs: Any) -> Response:
            return view(*args, **kwargs) if self.logged_in else make_response("", 302, {"Location": "/login"})

        return answer

    def get(self, path: str, **headers: str) -> TestResponse:
        """Return an answer, read to its end."""
        return self.app.test_client().get(path, headers=headers, buffered=True)


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A run directory with a report, a file that is none, and a link."""
    folder = tmp_path / "run"
    folder.mkdir()
    (folder / "report.html").write_text("<p>report</p>")
    (folder / "events.jsonl").write_text("{}")
    (folder / "server.log").write_text("what a reference server says")
    (folder / "summary.md").symlink_to("/etc/hostname")
    return folder


REPORT = "/websocket/runs/0a1b2c3d/report.html"
PRIVATE = ("/websocket", "/websocket/state", "/websocket/form", REPORT)


def test_the_tab(run: Path) -> None:
    """Locust's page has the tab, and the script that fills it."""
    page = Page(run)
    assert page.tabs == [{"title": "WebSocket", "key": "websocket"}]
    assert b'<script src="./websocket/tab.js" defer></script></body>' in page.get("/").data


def test_the_page_loads_nothing_but_its_own(run: Path) -> None:
    """Its policy allows its own script and style only, and holds no inline ones."""
    answer = Page(run).get("/websocket")
    assert answer.status_code == 200
    policy = answer.headers["Content-Security-Policy"]
    assert policy.startswith("default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'")
    assert "unsafe" not in policy
    assert b"style=" not in answer.data
    assert answer.data.count(b"<script") == 1
    assert answer.headers["X-Content-Type-Options"] == "nosniff"


@pytest.mark.parametrize("name", ["websocket.js", "websocket.css", "tab.js"])
def test_its_files(run: Path, name: str) -> None:
    """They are served as they are; no other file of the folder is."""
    page = Page(run)
    assert page.get(f"/websocket/{name}").status_code == 200
    assert page.get("/websocket/websocket.html").status_code == 404
    assert page.get("/websocket/../web_tab.py").status_code == 404


def test_a_report(run: Path) -> None:
    """It has no origin, loads nothing, and no page may frame it."""
    answer = Page(run).get(REPORT)
    assert (answer.status_code, answer.data) == (200, b"<p>report</p>")
    policy = answer.headers["Content-Security-Policy"]
    assert "sandbox" in policy
    assert "allow-same-origin" not in policy
    assert "frame-ancestors 'none'" in policy


def test_what_the_report_links_to(run: Path) -> None:
    """The run's other files, as text that no browser runs."""
    answer = Page(run).get("/websocket/runs/0a1b2c3d/events.jsonl")
    assert (answer.status_code, answer.mimetype, answer.data) == (200, "text/plain", b"{}")
    assert answer.headers["X-Content-Type-Options"] == "nosniff"


@pytest.mark.parametrize(
    "path",
    [
        "/websocket/runs/0a1b2c3d/server.log",
        "/websocket/runs/0a1b2c3d/summary.md",  # a link
        "/websocket/runs/0a1b2c3d/verdict.json",  # not there yet
        "/websocket/runs/ffffffff/report.html",
        "/websocket/runs/../report.html",
        "/websocket/runs/0a1b2c3d/../run/report.html",
        "/websocket/runs/0a1b2c3d/%2e%2e%2freport.html",
        "/websocket/runs/%2e%2e/report.html",
        "/websocket/runs/0a1b2c3d/",
    ],
)
def test_nothing_else_is_served(run: Path, path: str) -> None:
    """Only reports, which are regular files, of runs that this process made."""
    assert Page(run).get(path).status_code == 404


@pytest.mark.parametrize("path", PRIVATE)
def test_all_of_it_is_behind_the_login(run: Path, path: str) -> None:
    """Without a login none of it is shown."""
    assert Page(run).get(path).status_code == 200
    assert Page(run, logged_in=False).get(path).status_code == 302


@pytest.mark.parametrize("path", PRIVATE)
def test_another_name_or_origin_is_refused(run: Path, path: str) -> None:
    """As of Locust's own pages."""
    page = Page(run)
    assert page.get(path, Host="evil.example").status_code == 421
    assert page.get(path, Origin="http://evil.example").status_code == 403


def test_below_a_base_path(run: Path) -> None:
    """With `--web-base-path` the pages stand below it."""
    page = Page(run, prefix="/locust")
    assert page.get("/locust/websocket/state").status_code == 200
    assert page.get("/websocket/state").status_code == 404


def state(page: Page) -> dict[str, Any]:
    """Return the run as the page gets it."""
    return dict(json.loads(page.get("/websocket/state").data)["run"])


def test_the_state_while_the_run_goes_on_and_after_it(run: Path) -> None:
    """The report is linked to once there is a verdict."""
    page = Page(run)
    going = state(page)
    assert (going["state"], going["ruling"], going["clock"]) == ("running", "", "00:08")
    assert going["has_report"] is False
    assert {one["name"]: one["value"] for one in going["figures"]}["messages sent"] == "24"
    page.latest.stop()
    assert state(page)["state"] == "judging"
    verdict = judge(sound())
    page.latest.finish(verdict)
    over = state(page)
    assert (over["state"], over["ruling"]) == ("over", verdict.verdict)
    assert over["has_report"] is True
    assert (over["so_far"], over["so_far_bad"]) == ("", False)


def test_an_overloaded_generator_is_seen_in_the_tab(run: Path) -> None:
    """While the run goes on by its send slip, at the end by the verdict; else the tab says how it stands."""
    page = Page(run)
    assert state(page)["so_far"] == "No failures so far."
    assert page.latest.shown is not None
    page.latest.shown.live.append(pack(interval(9, samples_us={"send_slip": [9000] * 200})))
    going = state(page)
    assert going["so_far"].startswith("Load generator overloaded: send slip p99 9.0")
    assert going["so_far_bad"] is True


def test_a_run_that_is_over_is_not_judged_again(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """However long its page stays open."""
    page = Page(run)
    page.latest.stop()
    page.latest.finish(judge(sound()))
    monkeypatch.setattr(VerdictSoFar, "items", lambda *_: pytest.fail("judged again"))
    assert {row[0] for row in state(page)["tables"]["items"]["rows"]} >= {"connect", "messaging"}


def test_no_run_yet(run: Path) -> None:
    """Before the first run there is nothing."""
    page = Page(run)
    page.latest.shown = None
    assert json.loads(page.get("/websocket/state").data) == {"run": None}


def test_texts_from_the_server_stay_text_and_hold_no_secret(run: Path) -> None:
    """They are JSON, which the page draws as text; what is secret is hidden."""
    page = Page(run)
    hostile = tally("connect", MARKUP, 3)
    hostile.example = f"said {TOKEN}"
    page.latest.shown.live.details.errors.append([hostile])  # type: ignore[union-attr]  # it has both
    answer = page.get("/websocket/state")
    assert answer.mimetype == "application/json"
    rows = json.loads(answer.data)["run"]["tables"]["errors"]["rows"]
    found = next(row for row in rows if MARKUP in row)
    assert (found[1], found[-1]) == ("3", "said ***")
