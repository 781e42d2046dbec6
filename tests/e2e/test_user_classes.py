"""Runs of several user classes: each is judged as a run of its own, and other users count as in Locust."""

from __future__ import annotations

import re
from ast import literal_eval
from pathlib import Path
from xml.etree import ElementTree

import pytest

from loadtest.results.reader import read_run
from loadtest.ruling import Ruling
from loadtest.runs.verdict_file import read_verdict
from loadtest.server.server_process import ServerProcess
from loadtest.session.recorder import ROUND_TRIPS
from tests.support.books import assert_same_books, final_books
from tests.support.examples import stranger
from tests.support.locusts import Finished, LocustProcess, two_workers

TWO = """
from locust import LoadTestShape, tag, task
from loadtest import WebSocketUser


class Chat(WebSocketUser):
    dialect = "echo"
    sessions = 5
    rate = 5
    weight = 1
    drop_every_s = 2
    backoff = "constant(0.2)"


class Market(WebSocketUser):
    dialect = "echo"
    path = "/market"
    sessions = 3
    rate = 10
    arrivals = "poisson"
    weight = 3
    drop_every_s = 0
    limits = {LIMITS}
"""

SHAPE = """

class Shape(LoadTestShape):
    def tick(self):
        return (4, 4) if self.get_run_time() < 60 else None
"""

BESIDE = """
from locust import HttpUser, constant, task
from loadtest import WebSocketUser


class Chat(WebSocketUser):
    dialect = "echo"
    sessions = 5
    rate = 5
    drop_every_s = 0


class Page(HttpUser):
    wait_time = constant(0.5)

    @task
    def page(self):
        self.client.get("PATH")
"""

PLAN = ("-u", "4", "--ws-warmup", "1", "--ws-baseline", "none")


def run(url: str, folder: Path, text: str, *settings: str, seconds: int = 10) -> Finished:
    """Make a run of a locustfile with this text."""
    file = folder / "users.py"
    file.write_text(text)
    given = ("--host", url, *PLAN, *settings)
    with LocustProcess(folder / "results", *given, seconds=seconds, locustfile=file) as locust:
        return locust.wait()


@pytest.mark.parametrize("workers", [1, 2])
def test_each_class_has_records_and_a_verdict_of_its_own(workers: int, tmp_path: Path) -> None:
    """What was recorded of the classes adds up to the run, whose verdict is the worst; the server agrees."""
    with stranger("counting") as url:
        ws = url.replace("http://", "ws://")
        settings = ("--print-stats", *(two_workers() if workers == 2 else ()))
        finished = run(ws, tmp_path, TWO.replace("{LIMITS}", "{}"), *settings)
        books = final_books(url)
    assert finished.exit_code == 0, finished.output
    whole = read_run(finished.run)
    chat, market = whole.classes["Chat"], whole.classes["Market"]
    assert (chat.manifest.plan.sessions, market.manifest.plan.sessions, whole.manifest.sessions) == (5, 9, 14)
    # A drop may come before the first reply.
    assert chat.count("connect.established") + chat.count("connect.unproven") == 5
    assert market.count("connect.established") == 9
    assert (chat.counts_of("drops") != {}, market.counts_of("drops")) == (True, {})
    for name in ("messaging.sent", "messaging.answered", "connect.upgrades", "reconnect.outages"):
        assert chat.count(name) + market.count(name) == whole.count(name) > 0
    assert_same_books(whole.counts, books)
    for own in (chat, market, whole):
        assert 0 < sum(own.samples(tag) for tag in ROUND_TRIPS) <= own.count("messaging.answered")
    lines = (finished.run / "latency.hlog").read_text().splitlines()
    tags = {line[4:].split(",")[0] for line in lines if line.startswith("Tag=")}
    assert {tag.split("/")[0] for tag in tags} == {"Chat", "Market"}
    up = whole.gauges["sessions_up"].values()
    assert max(sum(values) for values in zip(*(series.values[2:6] for series in up), strict=False)) == 14
    users = finished.verdict["users"]
    assert {name: user["verdict"] for name, user in users.items()} == {"Chat": "PASS", "Market": "PASS"}
    assert users["Chat"]["items"][0]["item"] == "connect"
    assert "Chat round trip" in finished.output
    suites = ElementTree.parse(finished.run / "junit.xml").getroot()
    assert [suite.get("name") for suite in suites] == ["loadtest", "loadtest.Chat", "loadtest.Market"]
    assert "Market: 9 sessions established" in finished.page


def test_a_class_that_fails_fails_the_run(tmp_path: Path) -> None:
    """The limit of one class is its own: the other one passes."""
    with stranger("counting") as url:
        text = TWO.replace("{LIMITS}", '{"connect.p90": "1us"}')
        finished = run(url.replace("http://", "ws://"), tmp_path, text)
    assert finished.exit_code == 1, finished.output
    users = finished.verdict["users"]
    assert {name: user["verdict"] for name, user in users.items()} == {"Chat": "PASS", "Market": "FAIL"}
    assert finished.rulings["connect"] == "FAIL"
    summary = next(item["summary"] for item in finished.verdict["items"] if item["item"] == "connect")
    assert summary.startswith("Market: connect p90 ")


def test_a_load_shape_and_one_chosen_class(tmp_path: Path) -> None:
    """Locust decides how many users there are, and of which classes; one class alone is a run as ever.

    Options may stand in Locust's own configuration file.
    """
    settings = tmp_path / "any.conf"
    settings.write_text("ws-reply-timeout = 4\n")
    with stranger("counting") as url:
        ws = url.replace("http://", "ws://")
        text = TWO.replace("{LIMITS}", "{}")
        shaped = run(ws, tmp_path, text + SHAPE)
        (tmp_path / "alone").mkdir()
        alone = run(ws, tmp_path / "alone", text, "Market", "--config", str(settings))
    assert shaped.exit_code == 0, shaped.output
    assert shaped.verdict["users"].keys() == {"Chat", "Market"}
    assert read_run(shaped.run).classes["Market"].count("connect.established") == 9
    assert alone.exit_code == 0, alone.output
    assert "users" not in alone.verdict
    assert "user_classes" not in alone.manifest
    assert alone.manifest["plan"]["users"] == 4
    assert alone.manifest["plan"]["reply_timeout_s"] == 4


@pytest.mark.parametrize(("path", "exit_code"), [("/api/health", 0), ("/no-such-page", 1)])
def test_requests_of_other_users_count_as_in_locust(path: str, exit_code: int, tmp_path: Path) -> None:
    """A host of HTTP serves both kinds; requests that fail fail the run, and a line says so."""
    with ServerProcess() as server:
        text = BESIDE.replace("PATH", path).replace('"echo"', '"emergence"')
        url = server.url.replace("ws://", "http://")
        finished = run(url, tmp_path, text, seconds=8)
    assert finished.exit_code == exit_code, finished.output
    assert finished.verdict["verdict"] == "PASS"
    assert finished.manifest["plan"]["users"] == 2
    assert ("other requests failed (exit code 1)" in finished.output) == bool(exit_code)
    made = r"^GET \S+ +\d+ +[\d,]+ +[\d.]+ m?s "
    assert re.search(made, finished.output, re.MULTILINE), finished.output
    assert bool(re.search(r"^ *\d+ +GET \S+ .*404", finished.output, re.MULTILINE)) == bool(exit_code)


HEARS = """
import collections

from locust import events
from loadtest import Dialect, Reply, Request, WebSocketUser

heard = collections.Counter()


class Named(Dialect):
    name = "named"

    def request(self, session, sequence):
        return Request(session.text(sequence), name="write" if sequence % 3 == 0 else "read it")

    def read(self, session, data):
        return Reply(None, data)


class Chat(WebSocketUser):
    dialect = Named
    sessions = 5
    rate = 5
    drop_every_s = 0
    warmup_s = 0
    locust_events = EVENTS
    limits = {"write:p50": "LIMIT"}


@events.request.add_listener
def hear(request_type, name, response_time, exception, **_kwargs):
    heard[f"{request_type} {name} {exception}"] += response_time < 60_000


@events.quit.add_listener
def tell(**_kwargs):
    print("heard", dict(sorted(heard.items())))
"""


@pytest.mark.parametrize("fires", [True, False])
def test_named_requests_and_locusts_events(fires: bool, tmp_path: Path) -> None:
    """Each name has a row in Locust's table and a histogram; listeners hear of messages if they are to."""
    with stranger("counting") as url:
        text = HEARS.replace("EVENTS", str(fires)).replace("LIMIT", "600s")
        finished = run(url.replace("http://", "ws://"), tmp_path, text, "--print-stats", seconds=8)
    assert finished.exit_code in (0, 4), finished.output  # the load generator may have been overloaded
    whole = read_run(finished.run)
    named = {name: whole.samples(tag) for tag, name in whole.name_tags.items()}
    assert list(named) == ["read it", "write"]
    assert sum(named.values()) == whole.samples("service") > 100
    assert "WS       read it" in finished.output
    assert "read it" in finished.page
    limit = finished.evidence("latency")["time_limits"][0]
    assert (limit["name"], limit["samples"]) == ("write:p50", named["write"])
    heard = literal_eval(finished.output.rpartition("heard ")[2].splitlines()[0])
    assert list(heard) == (["WS read it None", "WS write None"] if fires else [])
    assert sum(heard.values()) == (finished.counts["messaging.answered"] if fires else 0)


def test_a_limit_of_one_name_fails_latency(tmp_path: Path) -> None:
    """The same run, with a limit that no server meets."""
    with stranger("counting") as url:
        text = HEARS.replace("EVENTS", "False").replace("LIMIT", "1us")
        finished = run(url.replace("http://", "ws://"), tmp_path, text, "--print-stats", seconds=8)
    latency = next(item for item in finished.verdict["items"] if item["item"] == "latency")
    assert latency["verdict"] in ("FAIL", "INCONCLUSIVE")  # overloaded, its own delays may explain 1 µs
    assert latency["summary"].startswith("write p50 ")


def test_each_class_has_rows_of_its_own(tmp_path: Path) -> None:
    """As many as it has sessions, though the sessions of both are numbered together; one less is refused."""
    rows = tmp_path / "rows.csv"
    rows.write_text("user\n" + "".join(f"person-number-{number}\n" for number in range(5)))
    text = TWO.replace("{LIMITS}", "{}").replace("rate = 5", f"rate = 5\n    data = {str(rows)!r}")
    with stranger("counting") as url:
        ws = url.replace("http://", "ws://")
        finished = run(ws, tmp_path, text, seconds=6)
        rows.write_text("user\n" + "".join(f"person-number-{number}\n" for number in range(4)))
        refused = run(ws, tmp_path, text, seconds=6)
    assert read_run(finished.run).classes["Chat"].count("connect.established") == 5
    assert finished.exit_code in (0, 4), finished.output  # 4: too little time to judge
    assert refused.exit_code == 2, refused.output
    assert "--ws-data" in refused.output


def test_classes_that_disagree_on_the_run_are_refused(tmp_path: Path) -> None:
    """A run has one revision; the message names both classes and the option."""
    text = TWO.replace("{LIMITS}", "{}")
    text = text.replace("weight = 1", 'weight = 1\n    server_log_cmd = "true"')
    text = text.replace("weight = 3", 'weight = 3\n    server_log_cmd = "false"')
    with stranger("counting") as url:
        finished = run(url.replace("http://", "ws://"), tmp_path, text, seconds=6)
    assert finished.exit_code == 2, finished.output
    assert "Chat and Market must have the same server_log_cmd: it applies" in finished.output


def test_a_name_that_would_tear_the_records_is_refused(tmp_path: Path) -> None:
    """A run whose histograms nobody could find again never began."""
    text = TWO.replace("{LIMITS}", "{}") + '\n\nSlashed = type("Chat/a", (Chat,), {})\nChat.sesions = 3\n'
    finished = run("ws://127.0.0.1:1", tmp_path, text, seconds=6)
    assert finished.exit_code == 2, finished.output
    assert "user class name must be an identifier" in finished.output
    assert "Chat.sesions is not a setting and has no effect. Did you mean sessions?" in finished.output


def test_a_class_that_got_no_user_is_told(tmp_path: Path) -> None:
    """One user for two classes leaves one out: what was to be tested was not, so the run is no PASS."""
    with stranger("counting") as url:
        finished = run(url, tmp_path, TWO.replace("{LIMITS}", "{}"), "-u", "1", seconds=5)
    assert finished.exit_code == 4, finished.output
    verdict = read_verdict(finished.run)
    assert verdict is not None
    why = "no user of Chat was spawned (-u 1)"
    assert {item.summary for item in verdict.classes["Chat"].items} == {why}
    assert verdict.notes[0] == why
    assert verdict.classes["Market"].verdict is Ruling.PASS


def test_a_second_run_is_compared_class_by_class(tmp_path: Path) -> None:
    """The baseline is found by the plans of all classes; each class has its own gates."""
    text = TWO.replace("{LIMITS}", "{}")
    with stranger("counting") as url:
        ws = url.replace("http://", "ws://")
        run(ws, tmp_path, text, "--ws-revision", "v1", seconds=8)
        again = run(ws, tmp_path, text, "--ws-revision", "v2", "--ws-baseline", "v1", seconds=8)
    verdict = read_verdict(next((again.results / "v2").iterdir()))
    assert verdict is not None
    assert verdict.baseline == "v1"
    for of_class in verdict.classes.values():
        latency = next(item for item in of_class.items if item.item == "latency")
        assert latency.evidence.baseline is not None
        assert latency.evidence.baseline.revision == "v1"
    assert verdict.latency.evidence.gates is None
