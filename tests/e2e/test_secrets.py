"""A whole run with secrets everywhere, against a server that quotes them in every spelling.

Locust's page starts it, at the log level DEBUG. Nothing that it writes, shows, logs or serves says a secret,
and no process listing does.
"""

import base64
import contextlib
import itertools
import json
import shlex
import threading
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from http import HTTPStatus
from pathlib import Path

import psutil
import pytest
from websockets.http11 import Request, Response
from websockets.sync.server import ServerConnection, serve

from tests.support.locusts import FreshLocust
from tests.support.ports import free_port
from tests.support.serverclient import wait_for
from tests.support.spelled import SPELLINGS, says

TOKEN = "t0ken/ab+cd=e&f-Zq"
KEY = "k3y/SEC+ret=12"
COOKIE = "c00kie%2FSECret%3D"
BASIC = "pw/SEC+ret:4"
QUERY = "qu3ry/SECret"
PASSWORD = 'd4ta "pass" w/0rd'
SECRETS = (TOKEN, KEY, COOKIE, BASIC, QUERY, PASSWORD)
EVERY = tuple(itertools.product(SPELLINGS, SECRETS))

LOCUSTFILE = f"""
import logging
from locust import constant, task
from loadtest import WebSocketUser

class Chat(WebSocketUser):
    dialect = "echo"
    wait_time = constant(0.2)

    @task(9)
    def raises(self):
        logging.getLogger("asyncio").debug("a large frame: %s", "x" * 200_000 + {TOKEN!r})
        raise ValueError("refused: " + {TOKEN!r})
"""


class Quoting:
    """A server that echoes, and quotes what clients sent in close reasons, answers, headers and its log."""

    def __init__(self, log: Path) -> None:
        self._log = log
        self._lock = threading.Lock()
        self._next = itertools.cycle(EVERY).__next__
        self._connections = itertools.count()
        self.sent = 0

    def quoted(self) -> str:
        """Return the next secret in the next spelling, and log it."""
        with self._lock:
            name, secret = self._next()
            self.sent += 1
            said = SPELLINGS[name](secret)
            with self._log.open("a") as log:
                log.write(f"2026-01-02 03:04:05,678 ERROR [app] refused {said!s} \n".replace("\n\n", "\n"))
        return said

    def admit(self, connection: ServerConnection, request: Request) -> Response | None:
        """Refuse some upgrades with a body that quotes."""
        if "upgrade" not in request.headers or next(self._connections) % 3 == 0:
            return connection.respond(HTTPStatus.FORBIDDEN, f"you sent {self.quoted()}\n")
        return None

    def handle(self, connection: ServerConnection) -> None:
        """Echo a few messages, then close with a reason that quotes."""
        with contextlib.suppress(Exception):
            for number, message in enumerate(connection):
                connection.send(message)
                for _ in range(4):
                    connection.send(f"a message that says {self.quoted()}")
                if number == 3:
                    connection.close(1011, self.quoted().encode()[:120].decode(errors="ignore"))


@dataclass
class Outcome:
    """What a run left.

    Args:
        results: folder of its run directory.
        texts: everything else that somebody may read, by what it is.
        quotes: how often the server quoted a secret, each time in the next spelling.
    """

    results: Path
    texts: dict[str, str] = field(default_factory=dict)
    quotes: int = 0


@pytest.fixture(scope="module")
def outcome(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Outcome]:
    """One run: settings by the environment, started from the page without typing a secret again."""
    folder = tmp_path_factory.mktemp("secrets")
    (folder / "ws.py").write_text(LOCUSTFILE)
    rows = [json.dumps({"account": f"account-{number}", "password": PASSWORD}) for number in range(4)]
    (folder / "data.jsonl").write_text("\n".join(rows))
    (folder / "app.log").touch()
    quoting = Quoting(folder / "app.log")
    with serve(quoting.handle, "127.0.0.1", 0, process_request=quoting.admit, logger=None) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        port = server.socket.getsockname()[1]
        outcome = _run(folder, f"ws://127.0.0.1:{port}/chat?key={urllib.parse.quote(QUERY, safe='')}")
        outcome.quotes = quoting.sent
        yield outcome
        server.shutdown()


def _run(folder: Path, host: str) -> Outcome:
    outcome = Outcome(folder / "results")
    basic = base64.b64encode(f"me:{BASIC}".encode()).decode()
    environment = {
        "LOCUST_HOST": host,
        "LOCUST_WS_TOKEN": TOKEN,
        "LOCUST_WS_HEADER": f"[X-Api-Key:{KEY}, Cookie:sid={COOKIE}, X-Basic:Basic {basic}]",
        "LOCUST_WS_DATA": str(folder / "data.jsonl"),
    }
    web = f"http://127.0.0.1:{(port := free_port())}"
    arguments = (
        *("--web-port", str(port), "--loglevel", "DEBUG", "--html", str(folder / "locust.html")),
        *("--csv", str(folder / "locust"), "--ws-sessions", "4", "--ws-rate", "10", "--ws-warmup", "0"),
        *(
            "--ws-backoff",
            "constant(0.2)",
            "--ws-drop-every",
            "0",
            "--ws-server-log",
            str(folder / "app.log"),
        ),
        *("--ws-at", f"1:{shlex.join(['sh', '-c', 'echo $LOCUST_WS_TOKEN; sleep 2'])}"),
    )
    with (
        FreshLocust(
            outcome.results,
            *arguments,
            seconds=None,
            headless=False,
            locustfile=folder / "ws.py",
            environment=environment,
        ) as locust,
        ThreadPoolExecutor(1) as reading,
    ):
        finished = reading.submit(locust.wait)  # it reads what Locust says: a pipe holds little
        _until(lambda: "ws_rate" in _ask(web))
        outcome.texts["the page"] = _ask(web)
        form = {"user_count": "1", "spawn_rate": "1", "ws_token": "", "ws_header": "", "run_time": "4s"}
        form["host"] = json.loads(outcome.texts["the page"].split("templateArgs = ")[1].split("\n")[0])[
            "host"
        ]
        outcome.texts["the form's answer"] = _ask(f"{web}/swarm", form)
        assert json.loads(outcome.texts["the form's answer"])["success"], outcome.texts["the form's answer"]
        _until(lambda: list(outcome.results.glob("*/*/drill-1.log")))
        processes = [psutil.Process(locust.process.pid), *psutil.Process(locust.process.pid).children(True)]
        outcome.texts["process titles"] = "\n".join(shlex.join(one.cmdline()) for one in processes)
        _until(lambda: list(outcome.results.glob("*/*/verdict.json")))
        for path in ("", "stats/requests", "logs", "exceptions", "stats/report?download=1", "tasks"):
            outcome.texts[f"/{path}"] = _ask(f"{web}/{path}")
        for path in ("stats/requests/csv", "stats/failures/csv", "exceptions/csv"):
            outcome.texts[f"/{path}"] = _ask(f"{web}/{path}")
        locust.interrupt()
        outcome.texts["output"] = finished.result(30).output
    for file in (*folder.glob("locust*"), *outcome.results.rglob("*")):
        if file.is_file():
            outcome.texts[str(file.relative_to(folder))] = file.read_text(errors="replace")
    return outcome


def _ask(url: str, form: dict[str, str] | None = None) -> str:
    data = urllib.parse.urlencode(form).encode() if form is not None else None
    with urllib.request.urlopen(url, data) as answer:
        return str(answer.read().decode())


def _until(met: Callable[[], object]) -> None:
    def met_by_now() -> object:
        with contextlib.suppress(urllib.error.URLError, ConnectionError):
            return met()
        return None

    wait_for(met_by_now, what="the run")


def _lines(text: str) -> set[str]:
    """Return the lines of a text; of a page that draws, only its data."""
    if "window.templateArgs" in text:
        text = text.split("window.templateArgs = ")[1]
    return {line[at : at + 3000] for line in text.splitlines() for at in range(0, len(line), 2500)}


def test_nothing_says_a_secret(outcome: Outcome) -> None:
    """Files of the run, output at DEBUG, pages, downloads, process titles."""
    for where, text in outcome.texts.items():
        for line in _lines(text):
            for secret in SECRETS:
                assert not says(line, secret), f"{where}: {line[:2000]}"


def test_there_was_something_to_hide(outcome: Outcome) -> None:
    """The server quoted each secret in each spelling, and its quotes came through; tasks raised one."""
    assert outcome.quotes >= len(EVERY)
    hidden = {where for where, text in outcome.texts.items() if "***" in text}
    names = {where.rpartition("/")[2] for where in hidden}
    assert {"events.jsonl", "drill-1.log", "output", "server_log.jsonl", "exceptions", "logs"} <= names
    assert "ValueError" not in outcome.texts["process titles"]
    assert "sleep 2" in outcome.texts["process titles"]


def test_debug_stays_usable(outcome: Outcome) -> None:
    """The library's handshakes are logged, with the names of headers, and a large record is cut."""
    output = outcome.texts["output"]
    assert "> Authorization: ***" in output
    assert "> X-Api-Key: ***" in output
    assert "[truncated]" in output
    assert "> GET /chat?" in output


def test_the_form_started_it_with_the_secrets_of_the_environment(outcome: Outcome) -> None:
    """The page shows neither; left empty they keep their values, and the host its query."""
    assert json.loads(outcome.texts["the form's answer"])["success"] is True
    events = [text for where, text in outcome.texts.items() if where.endswith("events.jsonl")]
    assert '"code":1011' in events[0]
