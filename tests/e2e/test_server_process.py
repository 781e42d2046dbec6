"""The process around the reference server: its start, its end, its log, and `loadtest serve`."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner
from websockets.exceptions import ConnectionClosed

from loadtest.cli import main
from loadtest.errors import InvalidSetting, ResultsUnwritable, ServerNotStarted
from loadtest.server import service
from loadtest.server.server_process import ServerProcess, _options
from loadtest.server.server_settings import ServerSettings
from tests.support.children import is_running
from tests.support.serverclient import (
    PATIENCE_S,
    RawClient,
    counters,
    frame,
    get,
    joined,
    message,
    opened,
    wait_for,
)

LARGE = frame('{"type":"chat_message","payload":{"text":"%s","agent_id":"a"}}' % ("x" * 50_000))


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("implementation", ["websockets", "wsproto"])
def test_a_signal_ends_it_gracefully(number: int, implementation: str, tmp_path: Path) -> None:
    """Clients are closed with 1012, the exit status is 0, and the log has no error and no traceback."""
    log_path = tmp_path / "server.log"
    with ServerProcess(ws_implementation=implementation, log_path=log_path) as process:
        with joined(process.url, "busy") as client, opened(process.url + "/echo") as echo:
            client.ask(message("x"))
            os.kill(process.pid, number)
            for websocket in (client.websocket, echo):
                with pytest.raises(ConnectionClosed):
                    websocket.recv(timeout=PATIENCE_S)
                assert websocket.close_code == 1012
        assert process.stop() == 0
    log = log_path.read_text()
    assert "INFO loadtest.server: Client disconnected gracefully (session=busy, code=1012)" in log
    assert not re.search("ERROR|WARNING|Traceback", log)


@pytest.mark.parametrize("implementation", ["websockets", "wsproto"])
def test_a_client_that_does_not_read_cannot_stop_it_from_ending(implementation: str, tmp_path: Path) -> None:
    """Its handler is cancelled, which is an INFO line and no traceback, and the exit status is 0."""
    log_path = tmp_path / "server.log"
    with (
        ServerProcess(ws_implementation=implementation, log_path=log_path) as process,
        RawClient(process.url, "deaf") as client,
    ):
        client.flood(LARGE)
        assert process.stop() == 0
    log = log_path.read_text()
    assert "INFO loadtest.server: WebSocket cancelled at shutdown (session=deaf)" in log
    assert not re.search("ERROR|WARNING|Traceback", log)


def test_text_log_lines_have_time_level_and_name(tmp_path: Path) -> None:
    """Every line of an undisturbed server is one record of Python logging's usual format."""
    log_path = tmp_path / "server.log"
    with ServerProcess(log_path=log_path) as process:
        get(process.url, "/api/health")
        with joined(process.url, "logged") as client:
            client.ask(message("x"))
    for line in log_path.read_text().splitlines():
        assert re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3} INFO [a-z.]+: .+", line)


def test_json_log_lines_are_what_cloud_run_reads(tmp_path: Path) -> None:
    """Each line is an object with time, severity, message and session; a traceback is a field."""
    log_path = tmp_path / "server.log"
    with ServerProcess(log_format="json", log_path=log_path) as process:
        with joined(process.url, "good"):
            pass
        with joined(process.url, "bad") as client:
            client.send("rubbish")
            with pytest.raises(ConnectionClosed):
                client.next()
    records = [json.loads(line) for line in log_path.read_text().splitlines()]
    assert all({"timestamp", "severity", "logger", "message"} <= record.keys() for record in records)
    tagged = {record["session"]: record for record in records if "session" in record}
    assert tagged["good"]["severity"] == "INFO"
    assert tagged["bad"]["severity"] == "ERROR"
    assert tagged["bad"]["stack_trace"].startswith("Traceback (most recent call last):\n")
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}\+00:00", tagged["good"]["timestamp"])


def test_nothing_a_client_sends_forges_a_log_line(tmp_path: Path) -> None:
    """Line breaks and escapes in a request arrive in the log escaped, in one bounded line."""
    log_path = tmp_path / "server.log"
    forged = "2026-01-01 00:00:00,000 ERROR loadtest.server: forged"
    with ServerProcess(log_path=log_path) as process:
        target = f"/ws/x%0A{forged.replace(' ', '%20')}?thread_id=\x1b[31m" + "y" * 5000
        with socket.create_connection(("127.0.0.1", process.port), timeout=PATIENCE_S) as client:
            client.sendall(
                f"GET {target} HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n".encode()
            )
            while client.recv(65536):
                pass
        with joined(process.url, "honest"):
            pass
    lines = log_path.read_text().splitlines()
    assert not any(line.startswith(forged[:20]) for line in lines)
    assert max(len(line) for line in lines) < 2200
    assert "\x1b" not in log_path.read_text()


def test_it_does_not_outlive_a_killed_parent() -> None:
    """A parent that is killed has no chance to stop it; it sees that by itself."""
    parent = subprocess.Popen(
        [
            sys.executable,
            "-c",
            "import time\nfrom loadtest.server.server_process import ServerProcess\n"
            "server = ServerProcess()\nprint(server.pid, flush=True)\ntime.sleep(600)",
        ],
        stdout=subprocess.PIPE,
    )
    with parent:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        assert is_running(pid)
        parent.kill()
    wait_for(lambda: not is_running(pid), what="the server to end")


def test_it_starts_and_stops_in_a_process_that_gevent_has_patched() -> None:
    """Locust patches the standard library; a server is started from its greenlets all the same."""
    script = (
        "from gevent import monkey; monkey.patch_all()\n"
        "import gevent, urllib.request\n"
        "from loadtest.server.server_process import ServerProcess\n"
        "def use():\n"
        "    with ServerProcess() as server:\n"
        "        url = server.url.replace('ws://', 'http://') + '/api/health'\n"
        "        print(urllib.request.urlopen(url).status)\n"
        "gevent.spawn(use).get()\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.stdout, done.returncode) == ("200\n", 0), done.stderr


def test_two_servers_have_two_ports_and_kill_is_a_crash() -> None:
    """Port 0 is a free one each time; `kill` gives the status of SIGKILL."""
    with ServerProcess() as one, ServerProcess() as two:
        assert one.port != two.port
        assert one.url == f"ws://127.0.0.1:{one.port}"
        assert two.kill() == -signal.SIGKILL
        assert two.stop() == -signal.SIGKILL
        assert counters(one.url)["connections_open"] == 0


def test_it_listens_on_ipv6_loopback() -> None:
    """The address in the URL is bracketed; where there is no IPv6, it ends with the reason."""
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError as error:
        with pytest.raises(ServerNotStarted, match=os.strerror(error.errno or 0)), ServerProcess(host="::1"):
            pass
        return
    with ServerProcess(host="::1") as process:
        assert process.url.startswith("ws://[::1]:")
        assert get(process.url, "/api/health")[0] == 200


def test_a_port_in_use_is_one_clear_line() -> None:
    """The second server on a port says so, names the way out, and exits with 2."""
    with ServerProcess() as process:
        done = subprocess.run(
            [sys.executable, "-m", "loadtest", "serve", "--port", str(process.port)],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 2
        assert re.fullmatch(
            rf"Error: --port must be free .*in use.* \(got {process.port}\)\. .*0 for a free one\n",
            done.stderr,
        )
        assert done.stdout == ""
        with pytest.raises(ServerNotStarted, match=r"exit status 2.*in use"):
            ServerProcess(port=process.port)


def test_a_setting_that_cannot_be_is_refused_before_anything_starts() -> None:
    """The child's settings are checked in the parent; arguments of its own are the child's to refuse."""
    with pytest.raises(InvalidSetting, match="--fault"):
        ServerProcess(faults=("explode",))
    with pytest.raises(ServerNotStarted, match="No such option"):
        ServerProcess("--no-such-option")


@pytest.mark.parametrize(
    "arguments",
    [
        ["--host", "0.0.0.0"],
        ["--host", "example.org"],
        ["--port", "70000"],
        ["--port", "x"],
        ["--fault", "explode"],
        ["--handling", "maybe"],
        ["--mode", "maybe"],
        ["--push-every", "-1"],
        ["--ping-timeout", "0"],
        ["--inactivity-timeout", "nan"],
        ["--database", "/no/such/folder/x.db"],
        ["--token", "white space"],
        ["--log-format", "xml"],
    ],
    ids=" ".join,
)
def test_an_impossible_option_is_a_usage_error(arguments: list[str]) -> None:
    """Exit code 2, and the message names the option."""
    result = CliRunner().invoke(main, ["serve", *arguments])
    assert result.exit_code == 2
    assert arguments[0] in result.stderr
    assert "Traceback" not in result.stderr


def test_a_secret_is_in_no_message() -> None:
    """A token that cannot be used is not shown, and neither is one in a record of settings."""
    result = CliRunner().invoke(main, ["serve"], env={"LOADTEST_SERVE_TOKEN": "se cret"})
    assert result.exit_code == 2
    assert "se cret" not in result.output + result.stderr
    assert "secret" not in repr(ServerSettings(token="secret"))


def test_the_childs_options_are_those_of_the_command_line(monkeypatch: pytest.MonkeyPatch) -> None:
    """What `ServerProcess` hands to its child is read there as the same settings."""
    served: list[ServerSettings] = []
    monkeypatch.setattr(service, "serve", served.append)
    unusual = ServerSettings(
        host="::1",
        port=1234,
        database=Path("some where.db"),
        mode="ack",
        handling="before",
        faults=("lose_reply=0.5", "forget_session"),
        token="t0ken",
        push_every_s=1.5,
        inactivity_timeout_s=0.0,
        ping_interval_s=2.5,
        ping_timeout_s=3.5,
        ws_implementation="wsproto",
        log_format="json",
        parent_pid=4711,
    )
    for settings in (ServerSettings(), unusual):
        result = CliRunner().invoke(
            main, ["serve", *_options(settings)], env={"LOADTEST_SERVE_TOKEN": settings.token}
        )
        assert (result.exit_code, served.pop()) == (0, settings)
    assert not any("t0ken" in option for option in _options(unusual))
    assert ServerSettings() == replace(ServerSettings())


def test_errors_become_exit_codes(monkeypatch: pytest.MonkeyPatch) -> None:
    """The package's own errors are one line and their exit code; anything else is a defect and 5."""

    def invoke(error: Exception) -> tuple[int, str]:
        def fail(_: ServerSettings) -> None:
            raise error

        monkeypatch.setattr(service, "serve", fail)
        result = CliRunner().invoke(main, ["serve"])
        return result.exit_code, result.stderr

    assert invoke(ResultsUnwritable(Path("x"), "full")) == (
        2,
        "Error: cannot write results to x: full. Choose another folder "
        "(locust: --ws-results, loadtest: --results)\n",
    )
    assert invoke(ServerNotStarted("reason")) == (5, "Error: the reference server did not start: reason\n")
    code, text = invoke(ZeroDivisionError("defect"))
    assert code == 5
    assert text.startswith("Traceback")
    assert text.endswith("ZeroDivisionError: defect\n")


@pytest.mark.parametrize("arguments", [["--help"], ["serve", "--help"], ["--version"]], ids=" ".join)
def test_help_and_version_work(arguments: list[str]) -> None:
    """They print and leave with 0."""
    result = CliRunner().invoke(main, arguments, prog_name="loadtest")
    assert result.exit_code == 0
    assert "loadtest" in result.output
