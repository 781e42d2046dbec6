"""`loadtest check-log` at the end of a pipe."""

import gzip
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
        [sys.executable, "-m", "loadtest", "check-log", "-"],
        input=BEFORE.read_bytes(),
        capture_output=True,
        check=False,
        cwd=ROOT,
    )
    assert (piped.returncode, check(zipped).exit_code) == (1, 1)
    shown = [output.splitlines()[1:-8] for output in (piped.stdout.decode(), check(zipped).output)]
    assert shown[0] == shown[1]
