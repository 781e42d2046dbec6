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
