"""The clients of the benchmarks work: each is measured for a moment, and no figure decides anything."""

import json
import os
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.benchmarks import go_client, k6_client, ours
from tests.benchmarks.certificates import Certificates, certificates
from tests.benchmarks.locust_process import ROOT, echo_server
from tests.benchmarks.work import Seen, Work

NEEDS_GO = pytest.mark.skipif(go_client.missing() is not None, reason=go_client.missing() or "")

SESSIONS = 5
PER_S = 100


@pytest.fixture(scope="module")
def made() -> Iterator[Certificates]:
    """Make the certificates."""
    with certificates() as made:
        yield made


def planned(seen: Seen) -> bool:
    """Whether it sent at the planned rate, and took its times."""
    times = seen.slip_us, seen.service_us
    return 0 < seen.per_s < 1.5 * PER_S and all(each is not None and each[0] <= each[1] for each in times)


@NEEDS_GO
@pytest.mark.parametrize("secure", [False, True], ids=["ws", "wss"])
def test_the_go_client_echoes_in_both_loops(made: Certificates, *, secure: bool) -> None:
    """It checks each echo itself, and ends with an error where another text comes back."""
    ca = made.ca if secure else None
    with echo_server(tls=made.server if secure else None) as port:
        closed = go_client.measure(port, Work(sessions=SESSIONS, seconds=1, ca=ca), warmup_s=0.1)
        opened = go_client.measure(port, Work(sessions=SESSIONS, seconds=1, per_s=PER_S, ca=ca), warmup_s=0.1)
    assert closed.cpu_us > 0
    assert closed.per_s > 2 * PER_S
    assert closed.slip_us is None
    assert planned(opened)


@NEEDS_GO
def test_the_go_client_trusts_only_the_benchmarks_certificate(made: Certificates) -> None:
    """Another authority's certificate ends it: what it measures is TLS with verification."""
    with (
        certificates() as other,
        echo_server(tls=other.server) as port,
        pytest.raises(subprocess.CalledProcessError),
    ):
        go_client.measure(port, Work(sessions=1, seconds=1, ca=made.ca))


def test_this_tool_is_measured_over_wss(made: Certificates) -> None:
    """A whole Locust process: CPU, rate and times are those of its run."""
    with echo_server(tls=made.server) as port:
        assert planned(ours.measure(port, Work(sessions=SESSIONS, seconds=1, per_s=PER_S, ca=made.ca)))


STAND_IN = """\
#!{python}
# k6's command line, and what the script's handleSummary prints: 1,000 messages a second.
import json, os, pathlib, sys
if sys.argv[1:] == ["version"]:
    print("k6 v1.1.0 (commit/0123456789, go1.24.3, linux/amd64)")
    sys.exit()
assert sys.argv[1] == "run", sys.argv
given = dict(value.split("=", 1) for option, value in zip(sys.argv, sys.argv[1:]) if option == "--env")
given["trusted"] = os.environ.get("SSL_CERT_FILE")
given["experimental"] = '"k6/experimental/websockets"' in pathlib.Path(sys.argv[-1]).read_text()
pathlib.Path({told!r}).write_text(json.dumps(given))
rate = float(given["RATE"])
answered = 1000 * int(given["SECONDS"])
print(json.dumps(dict(answered=answered, slip_ms=[1, 2.5] if rate else None, service_ms=[2, 7])))
"""


@pytest.fixture
def k6(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Put a stand-in for k6 first on PATH; return the file in which it says what it was given."""
    told = tmp_path / "told.json"
    program = tmp_path / "k6"
    program.write_text(STAND_IN.format(python=sys.executable, told=str(told)), encoding="utf-8")
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.delenv("SSL_CERT_FILE", raising=False)
    return told


@pytest.mark.parametrize("rate", [0, 20])
def test_k6_is_told_the_work_and_read(k6: Path, made: Certificates, rate: int) -> None:
    """A stand-in, for the interface alone: the short run's messages are taken off, times are k6's own."""
    assert k6_client.missing() is None
    work = Work(sessions=SESSIONS, seconds=3, per_s=rate * SESSIONS, ca=made.ca if rate else None)
    seen = k6_client.measure(4711, work)
    assert (seen.per_s, seen.slip_us, seen.service_us) == (1000, [1000, 2500] if rate else None, [2000, 7000])
    assert json.loads(k6.read_text(encoding="utf-8")) == {
        "URL": f"{'wss' if rate else 'ws'}://127.0.0.1:4711/",
        "SESSIONS": "5",
        "SECONDS": "5",
        "RATE": str(float(rate)),
        "trusted": str(made.ca) if rate else None,
        "experimental": True,
    }


def test_the_table_is_printed_kept_and_compared(tmp_path: Path) -> None:
    """The shortest of the benchmarks, from the command line."""
    kept = str(tmp_path / "table.json")
    lines = benchmarks("--quick", "--json", kept, "compression").splitlines()
    assert lines[0] == "| figure | client | median | least to most | ratio |"
    again = benchmarks("--compare", kept, kept).splitlines()
    assert len(again) == len(lines) == 8
    assert all(line.endswith(" 1.00 |") for line in again[2:])


def benchmarks(*arguments: str) -> str:
    """Return what `python -m tests.benchmarks` prints."""
    command = [sys.executable, "-m", "tests.benchmarks", "--markdown", *arguments]
    return subprocess.run(command, check=True, cwd=ROOT, stdout=subprocess.PIPE, text=True).stdout
