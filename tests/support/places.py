"""Paths in the source tree."""

from pathlib import Path

ROOT = Path(__file__).parents[2]
LOGS = ROOT / "tests" / "data" / "logs"
LOG_CLASSES = ROOT / "tests" / "data" / "log_classes"
"""Logs written by the programs they are named after."""
VERDICTS = ROOT / "tests" / "data" / "golden" / "verdicts"
"""Verdicts on the runs of `tests.support.golden_runs`, from before evidence had types."""
SERVER_LOGS = ROOT / "tests" / "data" / "server_logs"
