"""The shell commands of docs/ and the README run: here, in a test of their page, or not, for a reason.

The runs go on a few at a time against the reference server, each until a session has connected. What a run
finds is judged by other tests; here it must take the page's options, connect, and end with a verdict.
"""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from loadtest.server.server_process import ServerProcess
from tests.support.commands import run as loadtest
from tests.support.doc_pages import ALL, Page
from tests.support.locusts import LOCUSTFILE, LocustProcess
from tests.support.places import ROOT
from tests.support.ports import free_port
from tests.support.rundirs import write_run
from tests.support.runs import manifest

HAVE_TESTS = {
    "docs/cloud-run.md": "tests/e2e/test_cloud_run.py",
    "docs/from-a-recording.md": "tests/e2e/test_from_recording_docs.py",
    "docs/scale.md": "tests/e2e/test_scale_page.py",
    "docs/server-logs.md": "tests/e2e/test_server_logs_page.py",
    "docs/tutorial.md": "tests/e2e/test_tutorial.py",
}
"""Pages whose commands are run by tests of their own: one after the other, as a reader would."""

NOT_RUN = {
    r"^(python3 -m venv|\S*pip install|sudo|ulimit) ": "sets a machine up; CI runs the README's two lines",
    r"^python -m tests\.benchmarks(\.scale .*)?$": "takes a quarter of an hour",
    r"^python -m tests\.benchmarks\.calibration": "takes half an hour: test_calibration.py",
    r"^docker ": "needs Docker; tests/e2e/test_image.py follows the Dockerfile",
    r"^(kubectl|exit \"\$\(kubectl) ?": "needs a cluster; tests/e2e/test_kubernetes.py",
    r"--ws-dialect (socketio|graphql) ": "needs such a server: tests/e2e/test_bundled_*.py",
    r"--(master|worker) ": "needs several machines: tests/e2e/test_workers.py",
    r"^(jq|duckdb|gnuplot|plot) ": "needs this program; tests/unit/test_results_files.py knows the names",
}
"""Commands that are not run, and why."""

LINES = [(page, line) for page in ALL if page.name not in HAVE_TESTS for line in page.commands]

HERE = [
    (page, line)
    for line, page in {line: page for page, line in reversed(LINES)}.items()
    if not any(re.search(pattern, line) for pattern in NOT_RUN)
]
"""What this module runs, once each: the first page that has a line, and the line."""

GIVEN_UP_S = 60
"""How long to wait for a run's first session. A run ends as soon as it has one."""

AT_A_TIME = 8
"""Runs that go on together: they share a server, two cores and the rest of the tests."""

VARIABLES = {
    "LOCUST_WS_SESSIONS": "2",
    "LOCUST_WS_RATE": "5",
    "LOCUST_WS_DROP_EVERY": "2",
    "LOCUST_WS_WARMUP": "0",
    "BASE_SHA": "a1b2c3",
    "GITHUB_SHA": "d4e5f6",
}
"""What makes a run of a few seconds show something, and what CI sets."""

ECHO = """
from loadtest import WebSocketUser


class User(WebSocketUser):
    dialect = "echo"
"""
"""Stands for the reader's own locustfile."""

GCLOUD = "#!/bin/sh\necho a-token\n"

TEMPLATE = """
path = "/echo"
[request]
message = '{"id": $sequence, "text": "$text"}'
[reply]
id = "id"
text = "text"
"""


@dataclass(frozen=True)
class Place:
    """Where commands run: a folder with the files that pages speak of, and the servers."""

    folder: Path
    url: str
    gauge: str

    def word(self, word: str) -> str:
        """Return a word of a command, with what exists here in place of what it names."""
        swaps = {
            "60:./deploy.sh v42": f"1:{self.folder}/deploy.sh v42",
            "gcloud auth print-identity-token": f"{self.folder}/gcloud auth print-identity-token",
            "http://staging.example.org:9000/metrics#ws_connections": f"{self.gauge}#ws_connections",
            "9646": str(free_port()),
            "10.0.0.10-10.0.0.17": "127.0.0.10-127.0.0.17",
            "15000": "5",  # sessions
            "$URL": self.url,
            "file=chat.toml": f"file={self.folder}/chat.toml",
            "locustfiles/ws.py": str(LOCUSTFILE),
            "junit.xml": str(self.folder / "junit.xml"),
        }
        if word in swaps:
            return swaps[word]
        if re.match(r"(wss?|https?)://", word):
            return self.url.replace("ws:", "http:") if word.startswith("http") else self.url
        in_old_or_new = re.sub(r"^(old|new)/bin/server", f"{sys.executable} -m loadtest serve", word)
        return str(self.folder / word) if (self.folder / word).is_file() else in_old_or_new

    def words(self, line: str) -> list[str]:
        """Return the words of a command."""
        return [self.word(os.path.expandvars(word)) for word in shlex.split(line, comments=True)]


@dataclass(frozen=True)
class Outcome:
    """How a command ended, what it printed, and the folder of its runs."""

    exit_code: int | None
    output: str
    results: Path


class _Gauge(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"ws_connections 0\n")

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@contextmanager
def _gauge() -> Iterator[str]:
    """Serve the gauge of connections that docs/cleanup.md names."""
    with ThreadingHTTPServer(("127.0.0.1", 0), _Gauge) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}/metrics"
        server.shutdown()
        thread.join()


def _fill(folder: Path) -> None:
    users = next(block for block in Page(ROOT / "docs/users.md").blocks("python"))
    rules = next(block for block in Page(ROOT / "docs/server-log-rules.md").blocks("toml"))
    for name, text in {
        "users.py": users.replace('"/feed"', '"/echo"'),
        "locustfile.py": ECHO,
        "chat.toml": TEMPLATE,
        "rules.toml": rules,
        "server.log": "2026-11-23 14:23:40,000 INFO peer 17 hung up\n",
        "deploy.sh": "#!/bin/sh\necho deployed $1\n",
        "gcloud": GCLOUD,
    }.items():
        (folder / name).write_text(text)
        (folder / name).chmod(0o755)
    (folder / "tests").symlink_to(ROOT / "tests")
    for number, revision in enumerate(("v41", "v42")):
        begun_ns = 1_795_443_815_000_000_000 + number * 10**12
        of = manifest(run_id=f"0000000{number}", revision=revision, started_unix_ns=begun_ns)
        write_run(folder / "results", of=of, seconds=20)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """The servers, and a folder with the files of a reader."""
    folder = tmp_path_factory.mktemp("reader")
    _fill(folder)
    with ServerProcess() as server, _gauge() as gauge:
        yield Place(folder, server.url, gauge)


@pytest.fixture(scope="module")
def ran(place: Place, tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Outcome]:
    """Every command that makes a run, a few at a time."""

    def run(found: tuple[Page, str]) -> Outcome:
        page, line = found
        folder = tmp_path_factory.mktemp("run")
        started = _locust if _program(line)[0] == "locust" else _process
        return started(place, page, line, folder)

    wanted = [*_of("locust"), *_of("loadtest", *MAKE_RUNS)]
    with ThreadPoolExecutor(AT_A_TIME) as pool:
        return dict(zip((line for _, line in wanted), pool.map(run, wanted), strict=True))


MAKE_RUNS = ("probe", "dialect", "duel")
"""Commands of `loadtest` that connect."""


def _program(line: str) -> list[str]:
    return shlex.split(line.removeprefix(".venv/bin/"), comments=True)


def _exported(page: Page) -> dict[str, str]:
    return dict(match for line in page.commands for match in re.findall(r"^export (\w+)=(\S+)$", line))


def _locust(place: Place, page: Page, line: str, folder: Path) -> Outcome:
    """Make a run of a page, with fewer users and only until it has connected."""
    words = _program(line)
    file = LOCUSTFILE if "locustfiles/ws.py" in words else place.folder / words[words.index("-f") + 1]
    rest = place.words(shlex.join(words[1:]))
    rest.remove("--headless")  # which every run of a page is
    for option in ("-f", "-t", *({"-u", "-r"} & set(rest))):
        at = rest.index(option)
        del rest[at : at + 2]
    environment = {**VARIABLES, **_exported(page), **_of_github(folder)}
    with LocustProcess(
        folder, *rest, users=4, seconds=None, locustfile=file, environment=environment
    ) as locust:
        deadline_s = time.monotonic() + GIVEN_UP_S
        while locust.process.poll() is None and not _connected(folder) and time.monotonic() < deadline_s:
            time.sleep(0.1)
        locust.interrupt()
        finished = locust.wait()
    return Outcome(finished.exit_code, finished.output, folder)


def _connected(results: Path) -> bool:
    """Return whether a session of the run has connected."""
    return any('"connected"' in events.read_text() for events in results.glob("*/*/events.jsonl"))


def _process(place: Place, _page: Page, line: str, folder: Path) -> Outcome:
    """Run another command, in a process: it imports Locust, which patches the standard library."""
    shorter = line.replace("--duration 2m", "").replace(" duel ", " duel --pairs 1 --duration 10s -u 1 ")
    done = subprocess.run(
        [sys.executable, "-m", *place.words(shlex.join(_program(shorter)))],
        cwd=folder,
        env={**os.environ, **VARIABLES, **_of_github(folder)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=100,
        check=False,
    )
    return Outcome(done.returncode, done.stdout, folder)


def _of_github(folder: Path) -> dict[str, str]:
    return {name: str(folder / name) for name in ("GITHUB_STEP_SUMMARY", "GITHUB_OUTPUT")}


def _of(program: str, *commands: str) -> list[tuple[Page, str]]:
    wanted = [[program, command] for command in commands] or [[program]]
    return [(page, line) for page, line in HERE if _program(line)[: len(wanted[0])] in wanted]


def _named(found: object) -> str:
    return found.name if isinstance(found, Page) else str(found)[:60]


@pytest.mark.parametrize(("page", "line"), _of("locust"), ids=_named)
def test_runs(page: Page, line: str, ran: Mapping[str, Outcome]) -> None:
    """It takes the options, connects, and ends with a verdict."""
    outcome = ran[line]
    assert outcome.exit_code in (0, 1, 4), outcome.output
    assert _connected(outcome.results), outcome.output
    assert len(list(outcome.results.glob("*/*/verdict.json"))) == 1


@pytest.mark.parametrize(("page", "line"), _of("loadtest", *MAKE_RUNS), ids=_named)
def test_probes_checks_and_duels(page: Page, line: str, ran: Mapping[str, Outcome]) -> None:
    """Each connects, and ends with a verdict of its own."""
    outcome = ran[line]
    assert outcome.exit_code in (0, 1, 4), outcome.output
    if "dialect check" in line:
        assert "the conversation worked" in outcome.output
    else:
        assert list(outcome.results.glob("results/**/verdict.json")), outcome.output


JUDGE_STORED_RUNS = _of("loadtest", "list", "report", "compare", "trend", "baseline", "check-log")


@pytest.mark.parametrize(("page", "line"), JUDGE_STORED_RUNS, ids=_named)
def test_commands_on_stored_runs(
    page: Page, line: str, place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They find the runs and logs that the page names."""
    monkeypatch.chdir(place.folder)
    names = {"RUN": "v42", "BASELINE": "v41", "CANDIDATE": "v42"}
    done = loadtest(*(names.get(word, word) for word in _program(line)[1:]))
    assert done.exit_code in (0, 1, 4), done.output
    assert done.output


@pytest.mark.parametrize(("page", "line"), _of("loadtest", "serve"), ids=_named)
def test_servers(page: Page, line: str) -> None:
    """The server starts with these options."""
    with ServerProcess(*_program(line)[2:]) as server:
        assert server.url.startswith("ws://127.0.0.1:")


@pytest.mark.parametrize(("page", "line"), _of("git"), ids=_named)
def test_git(page: Page, line: str, tmp_path: Path) -> None:
    """Pinned runs can be added."""
    (tmp_path / "results" / "baselines").mkdir(parents=True)
    (tmp_path / "results" / "baselines" / "run.json").write_text("{}")
    for command in (["git", "init", "--quiet"], _program(line)):
        subprocess.run(command, cwd=tmp_path, check=True, timeout=60)


def test_nothing_is_left_out() -> None:
    """Each line is run by a test above, sets a variable, or is on the list; each reason is needed."""
    run = [
        *_of("locust"),
        *_of("loadtest", *MAKE_RUNS, "serve"),
        *JUDGE_STORED_RUNS,
        *_of("git"),
    ]
    assert [line for page, line in HERE if (page, line) not in run and not line.startswith("export ")] == []
    lines = [line for page in ALL for line in page.commands]
    assert [reason for reason in NOT_RUN if not any(re.search(reason, line) for line in lines)] == []
    for test in HAVE_TESTS.values():
        assert (ROOT / test).exists()
