"""Paths in the source tree."""

from pathlib import Path

ROOT = Path(__file__).parents[2]
LOGS = ROOT / "tests" / "data" / "logs"
"""Logs written by the programs they are named after."""
VERDICTS = ROOT / "tests" / "data" / "golden" / "verdicts"
"""Verdicts on the runs of `tests.support.golden_runs`, from before evidence had types."""
