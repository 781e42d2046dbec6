"""nginx before the server, with and without TLS: reloaded while a run goes on, or cutting what is idle."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from loadtest.ruling import Ruling
from loadtest.runs.publish import publish
from loadtest.server.server_process import ServerProcess
from tests.conftest import Certificates
from tests.support.examples import failed
from tests.support.locusts import BRISK, LocustProcess, written_intervals
from tests.support.particular_server import ParticularServer, particular
from tests.support.ports import free_port
from tests.support.serverclient import wait_for

CONFIGURATION = """
daemon off;
pid {folder}/nginx.pid;
error_log {folder}/error.log;
worker_processes 1;
worker_shutdown_timeout 1s;
events {{ worker_connections 512; }}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    server {{
        listen 127.0.0.1:{port}{tls};
        location / {{
            proxy_pass {upstream};
            proxy_http_version 1.1;
            proxy_set_header Upgrade $http_upgrade;
            proxy_set_header Connection upgrade;
            proxy_read_timeout {idle_s}s;
        }}
    }}
}}
"""

DROPS = ("--ws-drop-every", "8", "--ws-drops", "close=1,fin=1,reset=1")

pytestmark = pytest.mark.external("nginx")


@contextmanager
def nginx(
    folder: Path, upstream: str, *, certificate: Path | None = None, idle_s: int = 60
) -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    """Run nginx as a proxy before a server; yield its URL and the process.

    Args:
        folder: for its files.
        upstream: the server's URL.
        certificate: its key and certificate chain, None for no TLS.
        idle_s: how long the server may say nothing.
    """
    folder.mkdir()
    port = free_port()
    file = folder / "nginx.conf"
    tls = f" ssl; ssl_certificate {certificate}; ssl_certificate_key {certificate}" if certificate else ""
    file.write_text(CONFIGURATION.format(folder=folder, port=port, upstream=upstream, tls=tls, idle_s=idle_s))
    process = subprocess.Popen(("nginx", "-p", folder, "-e", folder / "error.log", "-c", file))
    try:
        wait_for(lambda: _listens(port), what="nginx")
        yield f"wss://localhost:{port}" if certificate else f"ws://127.0.0.1:{port}", process
    finally:
        process.terminate()
        process.wait()


def upstream(server: ServerProcess) -> str:
    """Return the reference server's URL as nginx wants it."""
    return server.url.replace("ws://", "http://")


def _listens(port: int) -> bool:
    with suppress(OSError):
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
        return True
    return False


@pytest.mark.parametrize("secure", [False, True])
def test_a_reload_in_mid_run_fails_stability_and_nothing_else(
    tmp_path: Path, secure: bool, certificates: Certificates
) -> None:
    """All connections of the old worker are lost, named by cause and time; with `any` the run passes."""
    results = tmp_path / "results"
    certificate = certificates.server if secure else None
    trust = ("--ws-tls-ca", str(certificates.authority)) if secure else ()
    with (
        ServerProcess() as server,
        nginx(tmp_path / "nginx", upstream(server), certificate=certificate) as (url, process),
        LocustProcess(results, *BRISK, *DROPS, "--host", url, *trust) as locust,
    ):
        wait_for(lambda: len(written_intervals(results)) >= 5, what="five seconds of the run")
        process.send_signal(signal.SIGHUP)
        finished = locust.wait()
    summary, _ = failed(finished, "stability")
    assert "INCONCLUSIVE" not in finished.rulings.values()
    evidence = finished.evidence("stability")
    # A worker that closes a socket with unread bytes sends RST instead of FIN (RFC 1122, section 4.2.2.13).
    groups = {group["cause"]: group for group in evidence["losses"]}
    assert groups.keys() - {"reset"} == {"eof"}
    assert {group["code"] for group in groups.values()} == {1006}
    assert sum(group["count"] for group in groups.values()) == evidence["lost"] > 5
    first_s = min(group["first_at_s"] for group in groups.values())
    assert max(group["last_at_s"] for group in groups.values()) - first_s < 1
    assert f"{groups['eof']['count']} x FIN" in summary
    assert "; first at 00:0" in summary
    assert evidence["away"] == []
    run_json = finished.run / "run.json"
    run_json.write_text(json.dumps(finished.manifest | {"allowed_losses": ["any"]}))
    assert publish(finished.run, results=results).verdict.verdict is Ruling.PASS


IDLE = (
    *("--ws-dialect", "echo", "--ws-sessions", "3", "--ws-rate", "0", "--ws-drop-every", "0"),
    *("--ws-warmup", "0", "--ws-backoff", "constant(0.3)", "--ws-baseline", "none"),
)


@pytest.mark.parametrize("pings", [False, True])
def test_idle_connections_are_cut_unless_clients_ping(
    tmp_path: Path, pings: bool, certificates: Certificates
) -> None:
    """A proxy that waits 5 s for the server's next byte cuts quiet sessions; a ping every 2 s keeps them."""
    trust = ("--ws-tls-ca", str(certificates.authority))
    ping = ("--ws-ping", "2") if pings else ()
    with (
        particular(ParticularServer()) as server,
        nginx(
            tmp_path / "nginx",
            server.url.replace("ws://", "http://"),
            certificate=certificates.server,
            idle_s=5,
        ) as (url, _),
        LocustProcess(tmp_path / "results", *IDLE, "--host", url, *trust, *ping, seconds=9) as locust,
    ):
        finished = locust.wait()
    if pings:
        assert finished.rulings["stability"] == "PASS", finished.output
        assert finished.counts["losses.eof"] == 0
        assert "keepalive ping of the client" in finished.page
    else:
        assert finished.rulings["stability"] == "FAIL"
        assert finished.counts["losses.eof"] == finished.evidence("stability")["lost"] >= 6
