"""Where things are in the source tree."""

from pathlib import Path

ROOT = Path(__file__).parents[2]
LOGS = ROOT / "tests" / "data" / "logs"
"""Logs as the programs that they are named after write them."""
VERDICTS = ROOT / "tests" / "data" / "golden" / "verdicts"
"""Verdicts on the runs of `tests.support.golden_runs`, as the code made them before evidence had types."""
