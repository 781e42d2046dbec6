"""The limits of one machine in real runs: source addresses in turn, and ports or files that run out."""

from __future__ import annotations

import asyncio
import itertools
import json
import resource
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from tests.support.locusts import LOCUSTFILE, Finished, LocustProcess
from tests.support.peers import Line, bare_server
from tests.support.places import ROOT

FILES = 200

IDLE = ("--ws-dialect", "echo", "--ws-rate", "0", "--ws-drop-every", "0")

NAMESPACE = ("unshare", "--user", "--map-root-user", "--net")
"""A command's own network, where it may set the range of ports."""

NETWORK = """
import fcntl, os, socket, struct, sys
from pathlib import Path

with socket.socket() as sock:
    UP = struct.pack("16sh14s", b"lo", 1, b"")  # IFF_UP; SIOCSIFFLAGS of netdevice(7)
    fcntl.ioctl(sock, 0x8914, UP)
Path("/proc/sys/net/ipv4/ip_local_port_range").write_text(sys.argv[1])
os.execv(sys.executable, [sys.executable, *sys.argv[2:]])
"""
"""Makes that network, with these ports, and goes on with another Python program."""

FEW_PORTS = """
import asyncio, json, sys, time
from loadtest.errors import ConnectFailed
from loadtest.events import Endpoint
from loadtest.transport.opening import Dialer
from loadtest.transport.target import Target

async def main(source_ips):
    async with await asyncio.start_server(lambda *_: None, "127.0.0.1", 30000):
        target = Target("127.0.0.1", 30000, None)
        dialer = Dialer(target, clock=time.monotonic_ns, timeout_s=1, source_ips=source_ips)

        async def cause():
            try:
                await dialer.open(Endpoint(path="/"), ())
            except ConnectFailed as failed:
                return failed.refused.cause

        print(json.dumps(await asyncio.gather(*(cause() for _ in range(6)))), flush=True)

asyncio.run(main(sys.argv[1:]))
"""
"""Six attempts at a server that never answers."""


def _in_network(ports: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run Python with these arguments in a network of its own, which has these ports."""
    subprocess.run([*NAMESPACE, "true"], check=True)  # fails where this system lets nobody make one
    command = [*NAMESPACE, sys.executable, "-c", NETWORK, ports, *arguments]
    return subprocess.run(command, check=False, stdout=subprocess.PIPE, text=True, cwd=ROOT, timeout=60)


async def _welcome(line: Line) -> None:
    line.request = await line.read()
    if line.request:  # who only looks whether anything listens does not ask
        await line.upgrade()
        await line.record()


@pytest.mark.anyio
async def test_a_run_connects_from_every_address_in_turn(tmp_path: Path) -> None:
    """Ranges and networks are expanded, and sessions come from each address alike."""
    given = ("--ws-source-ip", "127.0.0.2-127.0.0.5", "--ws-source-ip", "127.0.1.0/30")
    async with bare_server(_welcome) as server:
        arguments = (*IDLE, *given, "--ws-sessions", "12", "--host", f"ws://127.0.0.1:{server.port}")
        with LocustProcess(tmp_path, *arguments, seconds=3, users=1) as locust:
            finished = await asyncio.to_thread(locust.wait)
        upgraded = Counter(line.peer for line in server.lines if line.request)
    last = [*(f"127.0.0.{number}" for number in range(2, 6)), "127.0.1.1", "127.0.1.2"]
    assert upgraded == dict.fromkeys(last, 2), finished.output
    assert finished.rulings["connect"] == "PASS"


@pytest.mark.anyio
async def test_a_run_without_files_left_says_so(tmp_path: Path) -> None:
    """What could not be opened is not held against the server; no second of the run is lost by it."""
    async with bare_server(_welcome) as server:
        arguments = (*IDLE, "--ws-sessions", str(FILES), "--host", f"ws://127.0.0.1:{server.port}")
        with LocustProcess(tmp_path, *arguments, seconds=6, users=1) as locust:
            resource.prlimit(locust.process.pid, resource.RLIMIT_NOFILE, (FILES, FILES))
            finished = await asyncio.to_thread(locust.wait)
    assert "Traceback" not in finished.output
    assert finished.counts["connect.out_of_files"] == finished.counts["connect.failed"] > 0
    assert finished.counts["connect.established"] > 0
    assert finished.rulings["connect"] == "INCONCLUSIVE"
    assert "ulimit -n" in finished.output
    assert finished.verdict["generator"]["valid"] is False
    assert finished.exit_code == 4
    lines = (finished.run / "intervals.jsonl").read_bytes().splitlines()
    intervals = [json.loads(line) for line in lines]
    for earlier, later in itertools.pairwise(intervals):
        assert later["start_ns"] == earlier["stop_ns"]


@pytest.mark.external("unshare")
@pytest.mark.parametrize("source_ips", [(), ("127.0.0.9",)], ids=["any", "one address"])
def test_ports_run_out(source_ips: tuple[str, ...]) -> None:
    """Attempts beyond the last port fail for want of one, whoever chose their address."""
    told = _in_network("40000 40003", "-c", FEW_PORTS, *source_ips)
    assert Counter(json.loads(told.stdout)) == {"timeout": 4, "out_of_ports": 2}


@pytest.mark.external("unshare")
@pytest.mark.parametrize(
    ("source_ips", "ratio"),
    [((), 37 / 40), (("127.0.0.2", "127.0.0.3"), 37 / 80)],
    ids=["any", "two addresses"],
)
def test_a_run_says_that_ports_run_short(source_ips: tuple[str, ...], ratio: float, tmp_path: Path) -> None:
    """37 sessions of 40 ports are too many before any attempt has failed; another address mends it."""
    given = [text for address in source_ips for text in ("--ws-source-ip", address)]
    settings = (*IDLE, "--ws-sessions", "37", "--ws-warmup", "2", "--ws-results", str(tmp_path), *given)
    locust = ("-m", "locust", "-f", str(LOCUSTFILE), "--headless", "--only-summary", "-t", "7s", *settings)
    ended = _in_network("40000 40039", *locust)
    finished = Finished(ended.returncode, ended.stdout, tmp_path)
    assert finished.counts["connect.established"] == 37, finished.output
    assert finished.counts["connect.failed"] == 0
    assert finished.verdict["generator"]["figures"]["ports_ratio"] == ratio
    told = [one for one in finished.verdict["generator"]["problems"] if "--ws-source-ip" in one]
    assert len(told) == (ratio > 0.9)
    assert all(one.startswith("connections used more than 90% of the local ports") for one in told)
