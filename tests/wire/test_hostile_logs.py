"""Files of rules and logs that were made to harm, read by a process with little memory and time."""

import zlib
from pathlib import Path

from tests.support.bounded import run_bounded
from tests.support.hostile_rules import HOSTILE


def test_hostile_rules_need_little_memory(tmp_path: Path) -> None:
    """All are refused in 100 MiB more than the process needs without them."""
    for number, text in enumerate(HOSTILE.values()):
        (tmp_path / f"{number}.toml").write_text(text)
    script = f"""
import resource
from pathlib import Path
from loadtest.errors import InvalidSetting
from loadtest.serverlog.rules import load_rules
load_rules()
used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (used + (100 << 20),) * 2)
for path in sorted(Path({str(tmp_path)!r}).iterdir()):
    try:
        load_rules(path)
    except InvalidSetting:
        continue
    raise AssertionError(path)
"""
    run_bounded(script, memory_mb=2_000, seconds=60)


def test_a_bomb_ends_soon_and_in_little_memory(tmp_path: Path) -> None:
    """A file of 10 MB that holds 10 GB of zeros, or of empty lines, is given up after the free bytes."""
    path = tmp_path / "bomb.gz"
    squeeze = zlib.compressobj(9, wbits=31)
    block = squeeze.compress(bytes(1 << 24)) + squeeze.flush(zlib.Z_FULL_FLUSH)
    again = zlib.compressobj(9, wbits=-15)
    body = again.compress(bytes(1 << 24)) + again.flush(zlib.Z_FULL_FLUSH)
    path.write_bytes(block + body * 600)
    script = f"""
from pathlib import Path
from loadtest.serverlog.log_reader import LogReader, read
reader = LogReader()
assert list(read(Path({str(path)!r}), reader)) == []
assert "expand more than" in reader.counts.damage, reader.counts
"""
    run_bounded(script, memory_mb=400, seconds=20)
