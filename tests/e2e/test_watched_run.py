"""A run that is watched by a browser, by Prometheus and by OpenTelemetry at once.

It is started from the page's own form, with two workers, and looked at up to the verdict and the report.
"""

from __future__ import annotations

import contextlib
import json
import urllib.error
import urllib.request
from dataclasses import dataclass, field
from typing import Any

import pytest
from playwright.sync_api import Page, expect
from prometheus_client.openmetrics.parser import text_string_to_metric_families as open_metrics
from prometheus_client.parser import text_string_to_metric_families

from loadtest.server.server_process import ServerProcess
from tests.support.browser import PHONE, axe, browser, open_page, picture, wider_than_window
from tests.support.locusts import BRISK, Finished, LocustProcess, two_workers
from tests.support.otlp_receiver import Receiver, otlp_receiver
from tests.support.ports import free_port
from tests.support.serverclient import wait_for

pytestmark = pytest.mark.external("chromium")

SECRET = "s3cret-tok3n-of-the-test"

MARKUP = "<img src=x onerror=alert(1)>"
"""As a revision, which a server may say by itself."""

Values = dict[tuple[str, tuple[tuple[str, str], ...]], float]


_RISING = ("_total", "_bucket", "_count")
"""How names of samples end that must not fall."""


@dataclass
class Watched:
    """What was seen of the run."""

    finished: Finished
    scrapes: list[str]
    open_metrics: str
    exported: Receiver
    page: dict[str, Any] = field(default_factory=dict)
    answers: dict[str, Any] = field(default_factory=dict)

    @property
    def last(self) -> Values:
        """The values of the last scrape."""
        return values(self.scrapes[-1])


def values(scrape: str) -> Values:
    """Return the samples of a scrape, as Prometheus's own parser reads it."""
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(scrape)
        for sample in family.samples
    }


def ask(url: str, accept: str = "", host: str = "") -> tuple[int, bytes, dict[str, str]]:
    """Return status, body and headers of an answer."""
    headers = {name: value for name, value in (("Accept", accept), ("Host", host)) if value}
    try:
        with urllib.request.urlopen(urllib.request.Request(url, headers=headers)) as answer:
            return answer.status, answer.read(), dict(answer.headers)
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read(), dict(error.headers)


def number(page: Page, name: str) -> int:
    """Return one of the numbers on top of the page."""
    shown = page.locator("#figures div", has_text=name).locator("dd").inner_text()
    return int(shown.replace(",", ""))


@pytest.fixture(scope="module")
def watched(tmp_path_factory: pytest.TempPathFactory) -> Watched:
    """Make the run. The server answers twice now and then: that fails `messaging`, whatever comes later."""
    results = tmp_path_factory.mktemp("watched")
    web, metrics = (f"http://127.0.0.1:{free_port()}" for _ in range(2))
    arguments = (
        *("--web-port", web.rpartition(":")[2], "--ws-prometheus", metrics.rpartition(":")[2]),
        *("--otel", *two_workers(), *BRISK, "--ws-token", SECRET, "--ws-storm", "0.1@3000"),
    )
    with contextlib.ExitStack() as stack:
        exported = stack.enter_context(otlp_receiver())
        environment = {
            "OTEL_TRACES_EXPORTER": "none",
            "OTEL_LOGS_EXPORTER": "none",
            "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf",
            "OTEL_EXPORTER_OTLP_ENDPOINT": exported.url,
            "OTEL_METRIC_EXPORT_INTERVAL": "1000",
        }
        server = stack.enter_context(ServerProcess("--fault", "duplicate_reply=0.01"))
        locust = stack.enter_context(
            LocustProcess(results, *arguments, seconds=None, headless=False, environment=environment)
        )
        wait_for(lambda: _is_up(web), what="the web page")
        seen = Watched(Finished(0, "", results), [], "", exported)
        _watch(seen, web, f"{metrics}/metrics", server.url)
        locust.interrupt()
        seen.finished = locust.wait(60)
    return seen


def _is_up(web: str) -> bool:
    with contextlib.suppress(urllib.error.URLError, ConnectionError):
        return bool(json.loads(ask(f"{web}/worker-count")[1])["worker_count"] == 2)
    return False


def _watch(seen: Watched, web: str, metrics: str, host: str) -> None:
    with browser() as started:
        with open_page(started, f"{web}/websocket", origin=web) as page:
            seen.page["axe of the form"] = axe(page)
            _start(seen, page, host)
            wait_for(lambda: number(page, "drops") > 5, what="drops on the page")
            seen.page["first"] = number(page, "messages sent")
            wait_for(lambda: number(page, "messages sent") > seen.page["first"] + 50, what="moving numbers")
            failing = page.locator("#items tr", has_text="messaging")
            expect(failing).to_contain_text("FAIL", timeout=30_000)
            seen.page["status"] = page.locator("#status").inner_text()
            seen.page["so far"] = page.locator("#items").inner_text()
            seen.page["outages"] = page.locator("#outages").inner_text()
            seen.page["times"] = page.locator("#times").inner_text()
            seen.page["axe of the run"] = axe(page)
            picture(page, "websocket-running")
            seen.scrapes = [ask(metrics)[1].decode()]
            wait_for(lambda: number(page, "drops") > 15, what="more drops")
            seen.scrapes.append(ask(metrics)[1].decode())
            _look_at_the_tab(seen, started, web)
            page.click("#stop")
            page.wait_for_selector("#verdict a", timeout=60_000)
            seen.page["over"] = page.locator("main").inner_text()
            seen.page["axe at the end"] = axe(page)
            picture(page, "websocket-over")
        _ask_around(seen, web, metrics)
        report = f"{web}/websocket/runs/{seen.finished.manifest['run_id']}/report.html"
        with open_page(started, report) as page:
            seen.page["report"] = page.title()
        with open_page(started, f"{web}/websocket", origin=web, size=PHONE, scheme="dark") as page:
            page.wait_for_selector("#verdict a")
            seen.page["phone"] = wider_than_window(page)
            seen.page["axe in the dark"] = axe(page)
            picture(page, "websocket-phone")
    seen.scrapes.append(ask(metrics)[1].decode())
    seen.open_metrics = ask(metrics, "application/openmetrics-text; version=1.0.0")[1].decode()
    total = seen.last["loadtest_messages_sent_total", ()]
    key = ("loadtest.messages_sent", frozenset[tuple[str, str]]())
    wait_for(lambda: seen.exported.last.get(key) == total, what="the last export")


def _start(seen: Watched, page: Page, host: str) -> None:
    """Open all groups, see a mistake refused, and start the run."""
    page.wait_for_selector("#groups details")
    seen.page["groups"] = page.locator("#groups summary").all_inner_texts()
    seen.page["form"] = page.locator("#groups").inner_html()
    page.eval_on_selector_all("#groups details", "all => all.forEach(one => { one.open = true })")
    page.fill("#user_count", "2")
    page.fill("#spawn_rate", "2")
    page.fill("#host", host)
    page.fill("#ws_revision", MARKUP)
    page.fill("#ws_storm", "")
    page.fill("#ws_rate", "often")
    page.click("#start")
    expect(page.locator("#refused")).to_contain_text("--ws-rate must be")
    page.fill("#ws_rate", "8")
    page.click("#start")
    page.wait_for_selector("#figures div", timeout=30_000)


def _look_at_the_tab(seen: Watched, started: Any, web: str) -> None:
    with open_page(started, f"{web}/?tab=websocket", origin=web) as page:
        frame = page.frame_locator("iframe[title=WebSocket]")
        frame.locator("#figures div").first.wait_for(timeout=15_000)
        seen.page["tabs"] = page.locator("[role=tab]").all_inner_texts()
        seen.page["in the tab"] = frame.locator("#figures").inner_text()
        page.get_by_role("tab", name="Statistics").click()
        expect(page.locator("iframe")).to_have_count(0)
        picture(page, "websocket-tab")


def _ask_around(seen: Watched, web: str, metrics: str) -> None:
    run = f"{web}/websocket/runs/{seen.finished.manifest['run_id']}"
    asked = {
        "report": f"{run}/report.html",
        "events": f"{run}/events.jsonl",
        "log": f"{run}/server.log",
        "traversal": f"{run}/..%2f..%2frun.json",
        "other run": f"{web}/websocket/runs/0a1b2c3d/report.html",
        "state": f"{web}/websocket/state",
        "form": f"{web}/websocket/form",
        "metrics elsewhere": metrics.replace("/metrics", "/"),
    }
    seen.answers = {name: ask(url) for name, url in asked.items()}
    seen.answers["rebound"] = ask(metrics, host="evil.example.org")


def test_the_form_has_groups_and_defaults(watched: Watched) -> None:
    """Options stand under the headings of `loadtest options`; what a request must not set is not there."""
    assert watched.page["groups"][:4] == ["Run", "Server under test", "Load", "Drops and reconnecting"]
    form = watched.page["form"]
    assert 'id="ws_drop_every"' in form
    assert "Default: the seven kinds" in form
    for name in ("ws_prometheus", "ws_results", "ws_server_log"):
        assert name not in form
    assert watched.finished.manifest["plan"]["rate"] == 8
    assert watched.finished.manifest["plan"]["drop_every_s"] == 4  # as on the command line
    assert watched.finished.manifest["plan"]["storms"] == []  # as the form was cleared of it


def test_the_page_shows_the_run(watched: Watched) -> None:
    """Numbers move, the item that can only fail says so, no item passes before the end."""
    so_far = watched.page["so far"]
    assert "answered twice" in so_far
    assert "no failure so far" in so_far
    assert "PASS" not in so_far
    assert "detect" in watched.page["outages"]
    assert "p99" in watched.page["times"]
    assert "WEBSOCKET" in [name.upper() for name in watched.page["tabs"]]
    assert "sessions up" in watched.page["in the tab"]


def test_hostile_texts_stay_text(watched: Watched) -> None:
    """The page shows markup as it is; `open_page` fails on the dialog or the request that it would make."""
    assert MARKUP in watched.page["status"]
    assert watched.finished.manifest["revision"] == MARKUP


def test_the_end_of_the_run(watched: Watched) -> None:
    """The verdict, each item, and the report behind its link."""
    assert "Verdict: FAIL" in watched.page["over"]
    assert watched.finished.rulings["messaging"] == "FAIL"
    assert "report.html" in watched.page["over"]
    assert watched.page["report"].startswith("FAIL")


def test_anyone_can_read_it(watched: Watched) -> None:
    """No serious finding of axe, in light, dark and on a phone, where nothing scrolls sideways."""
    assert [found for name, found in watched.page.items() if name.startswith("axe") and found] == []
    assert watched.page["phone"] <= 0


def test_only_reports_of_own_runs_are_served(watched: Watched) -> None:
    """Another file, another folder, another run: not found. A report has no origin, and may ask nobody."""
    status, _, headers = watched.answers["report"]
    assert status == 200
    assert headers["Content-Security-Policy"].startswith("sandbox allow-scripts")
    assert "allow-same-origin" not in headers["Content-Security-Policy"]
    assert watched.answers["events"][0] == 200  # the report links to it
    for name in ("log", "traversal", "other run", "metrics elsewhere"):
        assert watched.answers[name][0] == 404, name
    assert watched.answers["rebound"][0] == 421


def test_no_secret_is_shown(watched: Watched) -> None:
    """The token of the command line stands in no answer, no metric and no export."""
    texts = [body.decode() for _, body, _ in watched.answers.values()]
    texts += [*watched.scrapes, watched.open_metrics, str(watched.exported.last), watched.finished.output]
    assert [text for text in texts if SECRET in text] == []


def test_counters_never_fall(watched: Watched) -> None:
    """Each sample of a counter or a histogram is as high as before, or higher."""
    before: Values = {}
    for scrape in map(values, watched.scrapes):
        rising = {key: value for key, value in scrape.items() if key[0].endswith(_RISING)}
        assert len(rising) > 50
        assert [key for key, value in before.items() if rising.get(key, -1.0) < value] == []
        before = rising


def test_the_last_values_are_the_runs(watched: Watched) -> None:
    """What Prometheus reads after the run is what the run's files say."""
    last, counts = watched.last, watched.finished.counts
    for item in ("connect", "reconnect"):
        assert last["loadtest_connection_attempts_total", (("item", item),)] == counts[f"{item}.attempts"]
    for kind in ("close", "fin", "reset"):
        assert last["loadtest_drops_total", (("kind", kind),)] == counts[f"drops.{kind}"]
    assert last["loadtest_outages_resumed_total", ()] == counts["reconnect.resumed"]
    for outcome in ("answered", "lost", "lost_in_outage", "late"):
        labels = (("outcome", outcome),)
        taken_back = last.get(("loadtest_messages_taken_back_total", labels), 0)
        assert last["loadtest_messages_total", labels] - taken_back == counts[f"messaging.{outcome}"]
    ended = sum(
        value for (name, _), value in last.items() if name == "loadtest_outage_duration_seconds_count"
    )
    assert ended == counts["reconnect.resumed"]
    rulings = {
        dict(labels)["item"]: dict(labels)["verdict"]
        for name, labels in last
        if name == "loadtest_item_verdict"
    }
    assert rulings == watched.finished.rulings
    assert last["loadtest_run_verdict", (("verdict", watched.finished.verdict["verdict"]),)] == 1
    assert last["loadtest_run_active", ()] == 0


def test_open_metrics_is_read_by_its_own_parser(watched: Watched) -> None:
    """Who asks for OpenMetrics gets it, and it is valid; the same counters have the same values."""
    assert watched.open_metrics.endswith("# EOF\n")
    read = {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in open_metrics(watched.open_metrics)  # type: ignore[no-untyped-call]
        for sample in family.samples
    }
    for key, value in watched.last.items():
        if key[0].endswith("_total"):
            assert read[key] == value


def test_open_telemetry_gets_the_same(watched: Watched) -> None:
    """Counters and buckets as they were exported last are those of the last scrape."""
    exported, last = watched.exported.last, watched.last
    for name in ("drops", "connection_attempts", "messages_sent", "outages_resumed"):
        ours = {labels: value for (found, labels), value in last.items() if found == f"loadtest_{name}_total"}
        theirs = {
            tuple(sorted(labels)): value
            for (found, labels), value in exported.items()
            if found == f"loadtest.{name}"
        }
        assert theirs == ours
    count = exported["loadtest.service_time.count", frozenset[tuple[str, str]]()]
    assert count == last["loadtest_service_time_seconds_count", ()]
