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

from tests.locusts import LocustProcess
from tests.peers import Line, bare_server

FILES = 200

IDLE = ("--ws-dialect", "echo", "--ws-rate", "0", "--ws-drop-every", "0")

NAMESPACE = ("unshare", "--user", "--map-root-user", "--net")
"""A command's own network, where it may set the range of ports."""

FEW_PORTS = """
import asyncio, fcntl, json, socket, struct, sys, time
from pathlib import Path
from loadtest.errors import ConnectFailed
from loadtest.events import Endpoint
from loadtest.transport import Dialer, Target

with socket.socket() as sock:
    UP = struct.pack("16sh14s", b"lo", 1, b"")  # IFF_UP; SIOCSIFFLAGS of netdevice(7)
    fcntl.ioctl(sock, 0x8914, UP)
Path("/proc/sys/net/ipv4/ip_local_port_range").write_text("40000 40003")

async def main(source_ips):
    async with await asyncio.start_server(lambda *_: None, "127.0.0.1", 30000):
        target = Target("127.0.0.1", 30000, None)
        dialer = Dialer(target, clock=time.monotonic_ns, timeout_s=1, source_ips=source_ips)

        async def cause():
            try:
                await dialer.open(Endpoint(path="/"), None)
            except ConnectFailed as failed:
                return failed.refused.cause

        print(json.dumps(await asyncio.gather(*(cause() for _ in range(6)))), flush=True)

asyncio.run(main(sys.argv[1:]))
"""
"""Six attempts at a server that never answers, with four ports."""


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


@pytest.mark.parametrize("source_ips", [(), ("127.0.0.9",)], ids=["any", "one address"])
def test_ports_run_out(source_ips: tuple[str, ...]) -> None:
    """Attempts beyond the last port fail for want of one, whoever chose their address."""
    if subprocess.run([*NAMESPACE, "true"], capture_output=True, check=False).returncode:
        pytest.skip("this system lets nobody make a network of their own")
    command = [*NAMESPACE, sys.executable, "-c", FEW_PORTS, *source_ips]
    told = subprocess.run(
        command, check=True, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[1]
    )
    assert Counter(json.loads(told.stdout)) == {"timeout": 4, "out_of_ports": 2}
