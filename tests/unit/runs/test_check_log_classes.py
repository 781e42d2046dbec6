"""What a check makes of classes that are neither disconnects nor faults, and of a log that ends early."""

import gzip
from pathlib import Path

import pytest

from loadtest.runs.check_log import LogReport, Selection, check
from loadtest.serverlog.rules import load_rules

PROBED = b"ERROR:    opening handshake failed\nTraceback (most recent call last):\n%s\n"
PROBE = PROBED % b"websockets.exceptions.InvalidUpgrade: missing Connection header"
FAULT = PROBED % b"KeyError: 'u-1'"
LEFT = b"INFO:     connection closed\n"


def checked(path: Path, content: bytes) -> LogReport:
    """What a check of a log finds."""
    path.write_bytes(content)
    return check([path], rules=load_rules(), selection=Selection())


@pytest.mark.parametrize(
    ("last", "real_errors", "status", "exit_code"),
    [(PROBE, 0, "OK", 0), (FAULT, 1, "DEGRADED", 1)],
)
def test_a_prober_is_neither_a_disconnect_nor_a_fault(
    tmp_path: Path, last: bytes, real_errors: int, status: str, exit_code: int
) -> None:
    """A load balancer's check at ERROR says nothing of the server; a fault in the same words does."""
    report = checked(tmp_path / "server.log", LEFT * 40 + PROBE * 3 + last)
    assert (report.disconnects, report.disconnect_errors, report.real_errors) == (40, 0, real_errors)
    assert (report.status, report.exit_code) == (status, exit_code)


@pytest.mark.parametrize(("cut", "exit_code"), [(0, 0), (5, 4)])
def test_a_gzip_file_that_ends_early_is_not_ok(tmp_path: Path, cut: int, exit_code: int) -> None:
    """The same log whole is OK; without its last bytes nobody knows what came after."""
    zipped = gzip.compress(LEFT * 1_000)
    report = checked(tmp_path / "server.log.gz", zipped[: len(zipped) - cut])
    assert report.exit_code == exit_code
    assert ("the gzip data end early" in report.doubt) == bool(cut)
