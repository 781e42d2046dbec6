"""`loadtest check-log` at the end of a pipe."""

import gzip
import json
import subprocess
import sys
from pathlib import Path

from click.testing import CliRunner, Result

from loadtest.cli import main
from tests.support.places import LOGS, ROOT

BEFORE = LOGS / "gcloud-hour-before.json"


def check(*arguments: str | Path, text: bytes | None = None) -> Result:
    """Run the command."""
    return CliRunner().invoke(main, ["check-log", *map(str, arguments)], input=text)


def test_standard_input_and_gzip(tmp_path: Path) -> None:
    """A pipe and a compressed file say the same as the file."""
    zipped = tmp_path / "log.gz"
    zipped.write_bytes(gzip.compress(BEFORE.read_bytes()))
    piped = subprocess.run(
        [sys.executable, "-m", "loadtest", "check-log", "-", "--json"],
        input=BEFORE.read_bytes(),
        capture_output=True,
        check=False,
        cwd=ROOT,
    )
    unzipped = check(zipped, "--json")
    assert (piped.returncode, unzipped.exit_code) == (1, 1)
    reports = [json.loads(output) for output in (piped.stdout, unzipped.stdout)]
    for report in reports:
        del report["timestamp"], report["files"], report["examples"]
    assert reports[0] == reports[1]
    assert reports[0]["summary"]["logs_analyzed"] == 80


def test_gzip_that_is_cut_off_is_never_ok(tmp_path: Path) -> None:
    """What came before the cut is fine; what came after it is unknown: exit 4."""
    lines = b"".join(
        b"2026-11-23 14:%02d:%02d,000 - chat - INFO - connection %d closed\n"
        % (n // 60, n % 60, n * n * 7919)
        for n in range(3_000)
    )
    zipped = gzip.compress(lines)
    (tmp_path / "whole.gz").write_bytes(zipped)
    (tmp_path / "cut.gz").write_bytes(zipped[: len(zipped) // 2])
    assert check(tmp_path / "whole.gz").exit_code == 0
    cut = check(tmp_path / "cut.gz", "--json")
    assert cut.exit_code == 4
    report = json.loads(cut.output)
    assert report["status"] == "DEGRADED"
    assert "could not be read" in report["doubt"]
    assert 0 < report["summary"]["logs_analyzed"] < 3_000


def test_the_same_outputs_as_reports() -> None:
    """Markdown for a pull request, JSON for programs, and not both."""
    after = LOGS / "gcloud-hour-after.json"
    markdown = check(BEFORE, after, "--markdown")
    assert (
        "| level | before per hour (count) | after per hour (count) | by chance | change | one of them |"
        in markdown.output
    )
    document = json.loads(check(BEFORE, after, "--json").output)
    assert document["changes"]["rates_per"] == "hour"
    assert document["changes"]["shapes"][0]["change"] == "gone"
    assert check(BEFORE, "--json", "--markdown").exit_code == 2
