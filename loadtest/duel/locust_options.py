"""The settings that the user has made for Locust in a duel.

They may be in the arguments, in the environment, in Locust's configuration files or in a locustfile. The duel
needs only two of them: the load of a run, and whether a server log is given. Locust checks its options
itself, at the first run.
"""

import argparse
import contextlib
import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn

from loadtest.errors import UsageError
from loadtest.options import SETTINGS
from loadtest.setting import Setting

WARMUP = SETTINGS["warmup_s"]
LOGS = (SETTINGS["server_logs"], SETTINGS["server_log_cmd"])
"""Settings that name a server log."""

_CONFIG_FILES = ("~/.locust.conf", "locust.conf", "pyproject.toml")
"""Where Locust looks for options, besides `--config`."""

_SETS = r"""^\s*["']?(--)?{}"""
"""A line of such a file with an option, of which Locust takes the beginning, too."""

_SETS_LOG = re.compile(rf"""^\s*["']?(--)?{LOGS[0].option[2:]}(-c\w*)?["']?[\s=:]""", re.MULTILINE)

_NAMES_LOG = re.compile(rf"\b({'|'.join(setting.attribute for setting in LOGS)})\b")
"""A class attribute in a locustfile."""


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise UsageError(message)


def known(setting: Setting, arguments: Sequence[str], locustfile: Path | None) -> Any:
    """Return the value of a setting in the runs, as given for Locust or in the environment.

    Args:
        setting: the setting.
        arguments: arguments for Locust.
        locustfile: the user's locustfile, None for the duel's.

    Returns:
        The value, or None if a locustfile or a configuration file of Locust may set it.

    Raises:
        UsageError: the option is given without a value, or with a bad one.
    """
    parser = _Parser(add_help=False)
    parser.add_argument(setting.option, dest="texts", action="append")
    parser.add_argument("--config")
    given = parser.parse_known_args(arguments)[0]
    in_environment = os.environ.get(setting.variable)
    if texts := given.texts or ([in_environment] if in_environment else []):
        return setting.read(texts if setting.repeatable else texts[-1])
    sets = re.compile(_SETS.format(setting.option[2:6]), re.MULTILINE)
    own = locustfile is not None or _configured(sets, given.config)
    return None if own else setting.default


def names_log(arguments: Sequence[str], locustfile: Path | None) -> bool:
    """Return whether the user names a server log for the runs.

    Args:
        arguments: arguments for Locust.
        locustfile: the user's locustfile, None for the duel's.

    Raises:
        UsageError: an option is given without a value, or its abbreviation is ambiguous.
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
