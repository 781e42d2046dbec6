"""What the user has set for Locust in a duel.

It may stand in the arguments, in the environment, in Locust's configuration files or in a locustfile. The
duel itself needs two answers: how long the warm-up is, and whether a server log is named. Locust checks its
options itself, at the first run.
"""

import argparse
import contextlib
import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from loadtest.errors import UsageError
from loadtest.options import SETTINGS

WARMUP = SETTINGS["warmup_s"]
LOGS = (SETTINGS["server_logs"], SETTINGS["server_log_cmd"])
"""Settings that name a server log."""

_CONFIG_FILES = ("~/.locust.conf", "locust.conf", "pyproject.toml")
"""Where Locust looks for options, besides `--config`."""

# A line of such a file that sets an option, which Locust takes shortened too.
_SETS_WARMUP = re.compile(rf"""^\s*["']?(--)?{WARMUP.option[2:6]}""", re.MULTILINE)
_SETS_LOG = re.compile(rf"""^\s*["']?(--)?{LOGS[0].option[2:]}(-c\w*)?["']?[\s=:]""", re.MULTILINE)

_NAMES_LOG = re.compile(rf"\b({'|'.join(setting.attribute for setting in LOGS)})\b")
"""A class attribute in a locustfile."""


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise UsageError(message)


def warmup_s(arguments: Sequence[str], locustfile: Path | None) -> float:
    """Return the warm-up of each run in seconds; 0 if a locustfile or a configuration file may set it.

    Args:
        arguments: arguments for Locust.
        locustfile: a locustfile of the user's own, None for the duel's.

    Raises:
        UsageError: the option is given without a value, or with a bad one.
    """
    parser = _Parser(add_help=False)
    parser.add_argument(WARMUP.option, dest="warmup", default=os.environ.get(WARMUP.variable) or None)
    parser.add_argument("--config")
    given = parser.parse_known_args(arguments)[0]
    if given.warmup is not None:
        return float(WARMUP.read(given.warmup))
    own = locustfile is not None or _configured(_SETS_WARMUP, given.config)
    return 0.0 if own else float(WARMUP.default)


def names_log(arguments: Sequence[str], locustfile: Path | None) -> bool:
    """Return whether the user names a server log for the runs.

    Args:
        arguments: arguments for Locust.
        locustfile: a locustfile of the user's own, None for the duel's.

    Raises:
        UsageError: an option is given without a value, or shortened to what may be several.
    """
    parser = _Parser(add_help=False)
    for setting in LOGS:
        default = os.environ.get(setting.variable) or None
        parser.add_argument(setting.option, dest=setting.attribute, default=default)
    parser.add_argument("--config")
    given = parser.parse_known_args(arguments)[0]
    if any(getattr(given, setting.attribute) for setting in LOGS) or _configured(_SETS_LOG, given.config):
        return True
    return locustfile is not None and bool(_NAMES_LOG.search(_content(locustfile)))


def _configured(sets: re.Pattern[str], config: str | None) -> bool:
    """Return whether one of Locust's configuration files sets an option."""
    files = [*_CONFIG_FILES, *([config] if config else [])]
    return any(sets.search(_content(Path(file).expanduser())) for file in files)


def _content(file: Path) -> str:
    with contextlib.suppress(OSError, ValueError):  # no such file, or no text
        return file.read_text(encoding="utf-8")
    return ""
