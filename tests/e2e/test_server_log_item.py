"""The server's log as the sixth item: real headless runs against the reference server and its own log.

The runs are started together, since they mostly wait. Each gets the log in another way: a file, a command
that follows it, a command that prints it and ends, a file for a master of two workers.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections import Counter, defaultdict
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest

from loadtest.drops.plan import DEFAULT_WEIGHTS
from loadtest.ruling import Ruling
from loadtest.runs.publish import attach_logs, publish
from loadtest.server.server_process import ServerProcess
from loadtest.serverlog.matching import BURST_NS
from loadtest.serverlog.rules import load_rules
from tests.support.locusts import BRISK, Finished, LocustProcess, two_workers
from tests.support.places import LOGS, ROOT

JUDGED = ("connect", "stability", "messaging", "reconnect", "persistence", "cleanup")
SAID_GOODBYE = {"close", "tab_close"}
"""Kinds of drops whose client says that it leaves, so that the server never sends to it afterwards."""

SECONDS = 8


@dataclass(frozen=True)
class Served:
    """A run, and what the server that it was made against had logged when it was over."""

    run: Finished
    log: Path

    @property
    def item(self) -> dict[str, Any]:
        """The item `server_log`."""
        return next(item for item in self.run.verdict["items"] if item["item"] == "server_log")

    @property
    def by_kind(self) -> dict[str, dict[str, Any]]:
        """The rows of its table."""
        return {row["kind"]: row for row in self.run.evidence("server_log")["by_kind"]}


def _options(log: Path) -> Mapping[str, tuple[dict[str, Any], tuple[str, ...]]]:
    """Return by name how the server is set, and how the run is given its log."""
    return {
        "before": ({"handling": "before"}, ("--ws-server-log", str(log))),
        "after": ({}, ("--ws-server-log-cmd", f"sh -c 'tail -n 0 -f {log} | cat'")),
        "printed": ({"log_format": "json"}, ("--ws-server-log-cmd", f"cat {log}")),
        "wsproto": (
            {"ws_implementation": "wsproto"},
            ("--ws-server-log", str(log), *two_workers()),
        ),
    }


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Served]:
    """A run with each handling, and each way to give the log, all at the same time."""
    with ExitStack() as stack:
        processes = {}
        for name in _options(Path()):
            folder = tmp_path_factory.mktemp(name)
            log = folder / "server.log"
            settings, arguments = _options(log)[name]
            server = stack.enter_context(ServerProcess(log_path=log, **settings))
            locust = LocustProcess(
                folder / "results", "--host", server.url, *BRISK, *arguments, seconds=SECONDS
            )
            processes[name] = (stack.enter_context(locust), log)
        return {name: Served(locust.wait(), log) for name, (locust, log) in processes.items()}


def test_before_the_hotfix_exactly_the_log_fails(served: dict[str, Served]) -> None:
    """The ERROR lines of mid_reply drops fail `server_log`, and nothing else fails; the exit code is 1.

    A busy server may still be sending to a client that left in another abrupt way, never to one that said so.
    """
    before = served["before"]
    assert before.run.rulings == {
        **dict.fromkeys(JUDGED, "PASS"),
        "latency": "NOT_JUDGED",
        "server_log": "FAIL",
    }, before.run.output
    assert before.run.exit_code == 1
    assert re.search(r"ERROR records for disconnects \(after .*\bmid_reply\b", before.item["summary"])
    errors = {kind: row["levels"].get("ERROR", 0) for kind, row in before.by_kind.items()}
    assert errors["mid_reply"] > sum(errors.values()) / 2
    cut_off = set(_send_errors(before)) & _away(before.run)
    assert sum(errors.get(kind, 0) for kind in SAID_GOODBYE) <= 2 * len(cut_off)
    assert before.run.evidence("server_log")["real_errors"] == 0


def _send_errors(served: Served) -> Counter[str]:
    """Return how many failed sends the server has logged as errors, by session."""
    return Counter(
        re.findall(r"ERROR loadtest\.server: Send error \(session (\S+)\)", served.log.read_text())
    )


def _away(run: Finished) -> set[str]:
    """Return the sessions that the run's end found in outage: its reset may meet their next introduction."""
    last = {
        event["session"]: event["event"] for event in run.events if event["event"] in ("dropped", "resumed")
    }
    return {session for session, event in last.items() if event == "dropped"}


def test_mid_reply_drops_meet_the_server_while_it_sends(served: dict[str, Served]) -> None:
    """Before the hotfix a mid_reply drop makes its two ERROR lines, and so nearly every one of them.

    No line is of a session that has only left with a goodbye, unless the run's end reset its next connection.
    """
    before = served["before"]
    dropped, gone = (
        Counter(
            event["session"]
            for event in before.run.events
            if event["event"] == "dropped" and event["kind"] in kinds
        )
        for kinds in ({"mid_reply"}, DEFAULT_WEIGHTS.keys() - SAID_GOODBYE)
    )
    failed = _send_errors(before)
    after_close = Counter(
        re.findall(r"ERROR loadtest\.server: WS RuntimeError session=(\S+):", before.log.read_text())
    )
    assert dropped
    assert (failed - gone).keys() <= _away(before.run)
    assert after_close == failed
    assert (failed & dropped).total() > 0.7 * dropped.total()


@pytest.mark.parametrize("name", ["after", "printed", "wsproto"])
def test_after_the_hotfix_the_log_passes(served: dict[str, Served], name: str) -> None:
    """Under both WebSocket implementations, however the log was given, in one process or by a master."""
    after = served[name]
    assert after.run.rulings["server_log"] == "PASS", after.item
    assert after.run.exit_code == 0, after.run.output
    assert "end of the run" in after.by_kind
    assert all(set(row["levels"]) <= {"INFO"} for row in after.by_kind.values())


def test_after_the_hotfix_nearly_every_mid_reply_drop_has_a_record(served: dict[str, Served]) -> None:
    """Of all runs together, as one has only about three.

    Records of one session within a second count for its first drop, so drops that soon after another are
    left out.
    """
    apart = sum(_mid_replies_apart(served[name].run) for name in LOCAL_AND_WORKERS)
    tables = [served[name].by_kind for name in LOCAL_AND_WORKERS]
    rows = [table["mid_reply"] for table in tables if "mid_reply" in table]
    assert {kind for table in tables for kind in table} == {*DEFAULT_WEIGHTS, "end of the run"}
    assert apart >= 3
    assert sum(row["drops_with_record"] for row in rows) > 0.7 * apart


def _mid_replies_apart(run: Finished) -> int:
    """Return how many mid_reply drops came more than two bursts of records after the session's last drop."""
    last_ns: dict[str, int] = {}
    apart = 0
    for event in run.events:
        if event["event"] == "dropped":
            since_ns = event["at_ns"] - last_ns.get(event["session"], -sys.maxsize)
            apart += event["kind"] == "mid_reply" and since_ns > 2 * BURST_NS
            last_ns[event["session"]] = event["at_ns"]
    return apart


def test_a_command_is_ended_with_the_run(served: dict[str, Served]) -> None:
    """Nothing that the command started outlives the run."""
    following = subprocess.run(["pgrep", "-f", str(served["after"].log)], check=False, capture_output=True)
    assert following.stdout == b""


def test_only_what_matters_of_the_log_is_kept(served: dict[str, Served]) -> None:
    """server_log.jsonl holds the disconnects and numbers, and nothing of a chatty line."""
    after = served["after"]
    kept = (after.run.run / "server_log.jsonl").read_text()
    assert "connection open" in after.log.read_text()
    assert "connection open" not in kept
    assert len(kept.splitlines()) < len(after.log.read_text().splitlines())
    assert json.loads(kept.splitlines()[-1])["type"] == "reading"


def test_the_table_stands_in_the_report_and_on_the_terminal(served: dict[str, Served]) -> None:
    """Client action, server's log level: in report.html always, at the run's end where the item failed."""
    before = served["before"]
    row = before.by_kind["mid_reply"]
    levels = ", ".join(f"{level} {count}" for level, count in row["levels"].items())
    departures = ", ".join(f"{level} {count}" for level, count in row["departure_levels"].items())
    shown = f"mid_reply {row['drops']} {row['drops_with_record']} {departures} {levels}"
    assert shown in before.run.page
    assert "client action" in before.run.output
    assert "client action" in served["after"].run.page


@pytest.mark.parametrize("name", ["before", "after", "wsproto"])
def test_a_report_made_again_says_the_same(served: dict[str, Served], name: str) -> None:
    """The verdict comes from the run's files: without verdict.json and without the log it is the same."""
    one = served[name]
    again = publish(one.run.run, results=one.run.results).verdict.item("server_log")
    assert json.loads(msgspec.json.encode(again.evidence)) == one.item["evidence"]
    assert again.verdict == one.item["verdict"]


def test_a_log_can_be_given_afterwards(served: dict[str, Served], tmp_path: Path) -> None:
    """`report --server-log` judges a log that was read when the run was over; another one's is no proof."""
    after = served["after"]
    run = Path(shutil.copytree(after.run.run, tmp_path / "test" / "run"))
    (run / "server_log.jsonl").unlink()

    def ruling(*logs: Path) -> Ruling:
        if logs:
            attach_logs(run, logs, rules=load_rules())
        return publish(run, results=tmp_path).verdict.item("server_log").verdict

    assert ruling() is Ruling.NOT_JUDGED
    assert ruling(after.log) is Ruling.PASS
    assert ruling(LOGS / "gcloud-hour-after.json") is Ruling.INCONCLUSIVE
    assert ruling(after.log, served["before"].log) is Ruling.FAIL
    shown = subprocess.run(
        [sys.executable, "-m", "loadtest", "report", str(run), "--server-log", "-"],
        input=after.log.read_bytes(),
        capture_output=True,
        check=True,
        cwd=ROOT,
    )
    assert b"server_log   PASS" in shown.stdout


LOCAL_AND_WORKERS = ("after", "printed", "wsproto")
"""Runs whose server names the session of every drop: two of one process, one of two workers."""

CLOSE_MS = 20
_LATE_KINDS = {"half_open", "slow_reader"}
"""Kinds of drops that a server notices late or not at all."""


@pytest.mark.parametrize("name", ["before", *LOCAL_AND_WORKERS])
def test_clocks_of_one_machine_agree(served: dict[str, Served], name: str) -> None:
    """No offset is seen where there is none, to within a tenth of a second."""
    one = served[name]
    assert abs(one.run.evidence("server_log")["clock_offset_s"]) <= 0.1
    assert "clock" not in one.item["summary"]


@pytest.mark.parametrize("name", LOCAL_AND_WORKERS)
def test_events_agree_with_the_servers_log(served: dict[str, Served], name: str) -> None:
    """A drop's event and the server's first line about its session then are less than 20 ms apart.

    On a busy machine a server may notice late, so a quarter of the drops is enough. With clocks that do not
    agree it is one in thirty, by chance.
    """
    one = served[name]
    logged_s = _logged_s(one.log)
    started_s = one.run.manifest["started_unix_ns"] / 1e9
    apart_ms = []
    for event in one.run.events:
        if event["event"] == "dropped" and event["kind"] not in _LATE_KINDS:
            at_s = started_s + event["at_ns"] / 1e9
            apart_ms.append(min(abs(found_s - at_s) * 1e3 for found_s in logged_s[event["session"]]))
    assert len(apart_ms) >= 4
    close = [ms for ms in apart_ms if ms < CLOSE_MS]
    assert len(close) >= len(apart_ms) / 4, sorted(apart_ms)


def _logged_s(log: Path) -> Mapping[str, list[float]]:
    """Return the Unix times of a log's lines by the session that they name."""
    times: dict[str, list[float]] = defaultdict(list)
    for line in log.read_text().splitlines():
        stamp = re.search(r"\d{4}-\d\d-\d\d[T ][\d:]{8}[.,]\d{3}(\+00:00)?", line)
        session = re.search(r"\b[0-9a-f]{8}-\d{6}\b", line)
        if stamp and session:
            times[session[0]].append(datetime.fromisoformat(stamp[0].replace(",", ".")).timestamp())
    return times


def test_what_a_log_says_of_the_servers_clock(served: dict[str, Served], tmp_path: Path) -> None:
    """A clock that is 2 s ahead is seen to be, by any spelling of the session; without one it is unknown."""
    after = served["after"]
    run = Path(shutil.copytree(after.run.run, tmp_path / "test" / "run"))
    text = after.log.read_text()
    ahead = re.sub(r"(?m)^\d{4}-\d\d-\d\d [\d:]{8},\d{3}", _two_seconds_later, text)
    logs = {
        "same": text,
        "ahead": ahead,
        "respelled": re.sub(r"\(session=([^,)]+)", r"(session=conn7 of \1", ahead),
        "nameless": re.sub(r"[0-9a-f]{8}-t?\d{6}", "somebody", ahead),
    }
    found = {}
    for name, content in logs.items():
        log = tmp_path / f"{name}.log"
        log.write_text(content)
        attach_logs(run, [log], rules=load_rules())
        found[name] = publish(run, results=tmp_path).verdict.item("server_log")
    offset_s = {name: item.evidence.clock_offset_s for name, item in found.items()}
    assert [offset_s[name] for name in ("same", "ahead", "respelled")] == pytest.approx([0, 2, 2], abs=0.1)
    assert offset_s["nameless"] is None
    assert "clock" not in found["same"].summary
    assert "clock is +2 s off" in found["ahead"].summary
    assert "clock offset is unknown" in found["nameless"].summary
    assert {found[name].verdict for name in ("same", "ahead", "respelled")} == {Ruling.PASS}


def _two_seconds_later(stamp: re.Match[str]) -> str:
    later = datetime.fromisoformat(stamp[0].replace(",", ".")) + timedelta(seconds=2)
    return later.isoformat(sep=" ", timespec="milliseconds").replace(".", ",")


def _usage_errors(folder: Path) -> dict[str, tuple[str, ...]]:
    """Return what must be refused, by what the one line says."""
    (folder / "rules.toml").write_text('[[rule]]\nclass = "nice"\n')
    return {
        "must be in a folder that exists": ("--ws-server-log", str(folder / "no" / "server.log")),
        "must be a regular file": ("--ws-server-log", str(folder)),
        "program not found": ("--ws-server-log-cmd", "no-such-program-anywhere -f"),
        "must contain rules": ("--ws-server-log-rules", str(folder / "rules.toml")),
        "--ws-server-log-format must be auto, json": ("--ws-server-log-format", "morse"),
        "--ws-server-log-errors": ("--ws-server-log-errors", "many"),
    }


def test_what_cannot_be_followed_is_refused_in_one_line(tmp_path: Path) -> None:
    """Wrong logs, commands, rules and formats end at once with exit code 2, before any connection."""
    with ExitStack() as stack:
        processes = {
            says: stack.enter_context(LocustProcess(tmp_path / "results", *arguments, seconds=5))
            for says, arguments in _usage_errors(tmp_path).items()
        }
        for says, process in processes.items():
            finished = process.wait(60)
            errors = [line for line in finished.output.splitlines() if line.startswith("Error: ")]
            assert (finished.exit_code, len(errors)) == (2, 1), finished.output
            assert says in errors[0]
            assert "Traceback" not in finished.output


def test_probes(tmp_path: Path) -> None:
    """A probe of a sound server passes; one of a server before the hotfix, without health, fails by both.

    Within the minute, with a verdict for people and for programs, and a run directory like any other.
    """
    log = tmp_path / "server.log"
    with ServerProcess(handling="before", log_path=log, token="s3cr3t-token") as server:
        sound = _probe(tmp_path / "sound")
        loud = _probe(
            *(tmp_path / "loud", "--host", server.url, "--server-log", str(log)),
            *("--health-path", "/nope", "--json"),
            token="s3cr3t-token",
        )
        (sound_output, _), (loud_output, loud_errors) = (
            sound.communicate(timeout=60),
            loud.communicate(timeout=60),
        )
    assert sound.returncode == 0, sound_output
    assert re.search(r"health +PASS +GET /api/health: HTTP 200", sound_output)
    assert re.search(r"server_log +PASS", sound_output)
    found = json.loads(loud_output)
    assert (loud.returncode, found["exit_code"], found["health"]["status"]) == (1, 1, 404), loud_errors
    failed = {item["item"] for item in found["verdict"]["items"] if item["verdict"] == "FAIL"}
    assert failed == {"server_log", "health"}
    again = _loadtest("report", found["run"], "--json")
    assert {one["item"] for one in again["items"] if one["verdict"] == "FAIL"} == {"server_log", "health"}
    dropped = Counter(re.findall(r'"kind":"(\w+)"', (Path(found["run"]) / "events.jsonl").read_text()))
    assert dropped == dict.fromkeys(DEFAULT_WEIGHTS, 2)
    assert not any(b"s3cr3t" in file.read_bytes() for file in Path(found["run"]).iterdir())


def _loadtest(*arguments: str) -> dict[str, Any]:
    """Return what a command prints for programs."""
    command = [sys.executable, "-m", "loadtest", *arguments]
    return dict(json.loads(subprocess.run(command, cwd=ROOT, capture_output=True, check=False).stdout))


def _probe(results: Path, *arguments: str, token: str | None = None) -> subprocess.Popen[str]:
    environment = {**os.environ, "NO_COLOR": "1", **({"LOCUST_WS_TOKEN": token} if token else {})}
    return subprocess.Popen(
        [sys.executable, "-m", "loadtest", "probe", "--results", str(results), *arguments],
        cwd=ROOT,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
