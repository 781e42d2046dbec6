"""Servers started from commands: on their port, awaited, watched, and gone with all that they started."""

from __future__ import annotations

import os
import signal
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from loadtest.duel.logged_process import LoggedProcess
from loadtest.duel.servers import Servers
from loadtest.duel.settings import Side
from loadtest.errors import InvalidSetting, LoadtestError, ResultsUnwritable
from loadtest.transport.target import Target, Tls, check_reachable, free_port, is_free
from tests.support.children import is_running, python
from tests.support.serverclient import wait_for

LISTENS = """
import os, socket, sys
server = socket.create_server(("127.0.0.1", int(sys.argv[1] if len(sys.argv) > 1 else os.environ["PORT"])))
while True:
    server.accept()[0].close()
"""


def side(role: str, *command: str, url: str = "") -> Side:
    """Return a side with a command, or with a URL."""
    return Side(role=role, revision=role, command=command, url=url)


@contextmanager
def servers(folder: Path, *sides: Side, timeout_s: float = 30.0) -> Iterator[Servers]:
    """Start the servers of these sides at the same time."""
    with Servers(sides, folder=folder, timeout_s=timeout_s) as running:
        running.start(side.role for side in sides)
        yield running


def start(folder: Path, *sides: Side, timeout_s: float = 30.0) -> None:
    """Start servers, and stop them again."""
    with servers(folder, *sides, timeout_s=timeout_s):
        pass


def test_each_server_gets_a_port_of_its_own(tmp_path: Path) -> None:
    """As {port} in its words, or as PORT in its environment; a URL is left as it is."""
    words, environment = side("a", *python(LISTENS, "{port}")), side("b", *python(LISTENS))
    with servers(tmp_path, words, environment) as running:
        ports = {url.removeprefix("ws://127.0.0.1:") for url in running.urls.values()}
        assert len(ports) == 2
        assert running.ended() == {}
        for port in ports:
            check_reachable(Target("127.0.0.1", int(port)))
    for port in ports:
        with pytest.raises(InvalidSetting, match="cannot be reached"):
            check_reachable(Target("127.0.0.1", int(port)))


def test_a_url_and_a_command_may_be_mixed(tmp_path: Path) -> None:
    """Nothing is started for a URL."""
    with servers(tmp_path, side("a", url="wss://old.example.org"), side("b", *python(LISTENS))) as running:
        assert running.urls["a"] == "wss://old.example.org"
        assert running.urls["b"].startswith("ws://127.0.0.1:")
    assert [path.name for path in tmp_path.iterdir()] == ["server-b-01.log"]


@pytest.mark.parametrize(
    ("command", "says"),
    [
        (
            ["/no/such/program"],
            r"^--b-cmd cannot be started: No such file or directory \(got '/no/such/program'\)",
        ),
        (
            python("raise SystemExit('no \\x1b[2J database')"),
            r"ended with exit status 1 instead of listening",
        ),
    ],
)
def test_a_command_that_starts_no_server_is_told_in_one_line(
    tmp_path: Path, command: list[str], says: str
) -> None:
    """What failed, the end of its output, harmless, and where the rest is; the other server is stopped."""
    with pytest.raises(InvalidSetting, match=says) as told:
        start(tmp_path, side("a", *python(LISTENS)), side("b", *command))
    assert "\n" not in str(told.value)
    assert "\x1b" not in str(told.value)
    if "exit status" in says:
        assert "no \\x1b[2J database" in str(told.value)
        assert "$PORT" in str(told.value)


def test_a_port_that_was_taken_meanwhile_is_given_up_for_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The server ends for it, and is started again elsewhere."""
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        taken = other.getsockname()[1]
        ports = iter([taken, taken, free_port()])
        monkeypatch.setattr("loadtest.duel.servers.free_port", lambda: next(ports))
        with servers(tmp_path, side("a", *python(LISTENS, "{port}"))) as running:
            assert running.urls["a"] != f"ws://127.0.0.1:{taken}"
            assert running.ended() == {}
        assert next(ports, None) is None


@pytest.mark.parametrize(("status", "taken", "tries"), [(98, True, 3), (98, False, 1), (0, True, 1)])
def test_a_server_is_started_again_only_where_its_port_was_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, status: int, taken: bool, tries: int
) -> None:
    """Thrice at most, whoever listens there; one that ends well has gone where a duel cannot watch it."""
    monkeypatch.setattr("loadtest.duel.servers._SETTLE_S", 60.0)  # it ends long before
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1] if taken else free_port()
        monkeypatch.setattr("loadtest.duel.servers.free_port", lambda: port)
        command = ("sh", "-c", f'echo try >> "$0"; exit {status}', str(tmp_path / "tries"))
        with pytest.raises(InvalidSetting, match=f"ended with exit status {status} instead of listening"):
            start(tmp_path, side("a", *command))
    assert (tmp_path / "tries").read_text().split() == ["try"] * tries


def test_a_free_port_is_one_that_a_server_can_have() -> None:
    """Connections that ended there do not matter, a listener does."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        assert not is_free(port)
        with socket.create_connection(("127.0.0.1", port)):
            server.accept()[0].close()  # the server's side ends first, and lingers in TIME_WAIT
    assert is_free(port)


def test_a_server_that_never_listens_is_given_up(tmp_path: Path) -> None:
    """After its time; it is ended."""
    command = python("import os, time; print(os.getpid(), flush=True); time.sleep(600)")
    with pytest.raises(InvalidSetting, match=r"^--a-cmd did not listen on 127.0.0.1:\d+ within 1 s \(got "):
        start(tmp_path, side("a", *command), timeout_s=1)
    for pid in (tmp_path / "server-a-01.log").read_text().split():
        assert not is_running(int(pid))


def test_a_server_that_ends_by_itself_is_noticed(tmp_path: Path) -> None:
    """With its exit status and its log."""
    code = LISTENS.replace("while True", "for _ in range(2)") + "raise SystemExit(3)"
    with servers(tmp_path, side("a", *python(code))) as running:
        check_reachable(Target.parse(running.urls["a"], Tls()))
        wait_for(running.ended, what="the server to end")
        assert "ended with exit status 3" in running.ended()["a"]
        assert "server-a-01.log" in running.ended()["a"]


ONCE = """
import os, socket, sys
from pathlib import Path
starts = Path(sys.argv[1])
starts.write_text(starts.read_text() + "x" if starts.exists() else "x")
if len(starts.read_text()) > int(sys.argv[2]):
    raise SystemExit(7)
print(os.getpid(), flush=True)
server = socket.create_server(("127.0.0.1", int(os.environ["PORT"])))
while True:
    server.accept()[0].close()
"""
"""A server that starts so many times, and then no more."""


def starts(folder: Path, role: str, times: int) -> Side:
    """Return a side whose server starts so many times."""
    return side(role, *python(ONCE, str(folder / f"starts-{role}"), str(times)))


def test_a_restart_is_another_process_with_a_port_and_a_log_of_its_own(tmp_path: Path) -> None:
    """Only of the side that is asked for; the other's keeps running."""
    with servers(tmp_path, starts(tmp_path, "a", 9), starts(tmp_path, "b", 9)) as running:
        before, urls = dict(running.logs), dict(running.urls)
        running.start("a")
        assert running.ended() == {}
        assert (running.logs["a"].name, running.logs["b"]) == ("server-a-02.log", before["b"])
        assert running.urls["b"] == urls["b"]
        first, second, other = (int(log.read_text()) for log in (before["a"], *running.logs.values()))
        assert (is_running(first), is_running(second), is_running(other)) == (False, True, True)
        for url in running.urls.values():
            check_reachable(Target.parse(url, Tls()))
    assert not is_running(second)


@pytest.mark.parametrize(
    ("role", "failed"), [("a", {"a"}), ("b", {"b"}), ("ab", {"a", "b"})], ids=["a", "b", "both"]
)
def test_a_server_that_does_not_start_again_is_told(tmp_path: Path, role: str, failed: set[str]) -> None:
    """Of both sides, whichever was restarted first: where neither starts, it is the machine."""
    sides = [starts(tmp_path, one, 1 if one in role else 9) for one in "ab"]
    with servers(tmp_path, *sides) as running:
        assert not running.not_restarted
        with pytest.raises(InvalidSetting, match="ended with exit status 7 instead of listening"):
            running.start(role[0])
        assert running.not_restarted
        assert running.ended().keys() == failed
        for message in running.ended().values():
            assert message.startswith("the server did not start again: it ended with exit status 7")
            assert "PORT" not in message  # nothing of the command
        with pytest.raises(LoadtestError):
            running.start("a")


def test_a_server_that_has_ended_is_not_hidden_by_a_restart(tmp_path: Path) -> None:
    """It ended by itself, while the other was measured, and is told so instead of being replaced."""
    with servers(tmp_path, starts(tmp_path, "a", 9), starts(tmp_path, "b", 9)) as running:
        os.kill(int(running.logs["b"].read_text()), signal.SIGKILL)
        wait_for(running.ended, what="the server to end")
        with pytest.raises(LoadtestError):
            running.start("b")
        assert "ended with exit status -9" in running.ended()["b"]
        assert not running.not_restarted
        assert len((tmp_path / "starts-b").read_text()) == 1


@pytest.mark.parametrize(
    ("output", "words"),
    [
        (r"b'\xff' * 100_000 + b'\nlast \xff\n\n  \n'", "last \N{REPLACEMENT CHARACTER}"),
        (r"b'locust: error: no such option\nDid you mean it?\n'", "locust: error: no such option"),
        (r"b''", "(nothing)"),
    ],
)
def test_last_words_are_an_error_or_the_last_that_says_anything(
    tmp_path: Path, output: str, words: str
) -> None:
    """Bounded, whatever the output holds."""
    code = f"import sys; sys.stdout.buffer.write({output})"
    with LoggedProcess(python(code), log=tmp_path / "log") as process:
        process.wait(30)
        assert process.last_words() == words


def test_a_log_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    """Before anything is started."""
    with pytest.raises(ResultsUnwritable):
        LoggedProcess(["true"], log=tmp_path / "nowhere" / "log")
