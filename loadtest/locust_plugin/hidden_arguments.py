"""Starts Locust with arguments that process listings do not show.

All users of a machine can read the arguments of a process. So a duel passes a run's arguments in its
environment, which only its owner can read, and shows the same arguments with possible secrets removed.
"""

import json
import sys
from collections.abc import Mapping, Sequence

from loadtest.options import SETTINGS
from loadtest.text import HIDDEN, public_host

_VARIABLE = "LOADTEST_LOCUST_ARGUMENTS"

_CODE = f"""\
import json, os, sys
from locust.main import main
sys.argv = ["locust", *json.loads(os.environ.pop("{_VARIABLE}"))]
main()
"""
"""Imports nothing before Locust, which patches the standard library."""

_COMMANDS = ("token_cmd", "drills", "server_log_cmd")
_HIDDEN = tuple(
    row.option
    for name, row in SETTINGS.items()
    if row.secret or name in (*_COMMANDS, "path", "server_metrics")
)
"""Options whose value may contain a secret."""

_MIN_LENGTH = len("--ws-x")
"""Shorter ones are ambiguous."""

_HOST, _HOST_SHORT = "--host", "-H"
_MIN_HOST_LENGTH = len("--ho")


def started_with(arguments: Sequence[str]) -> tuple[list[str], Mapping[str, str]]:
    """Return the command that runs Locust with these arguments, and the environment variables it needs."""
    return [sys.executable, "-c", _CODE, *shown(arguments)], {_VARIABLE: json.dumps(list(arguments))}


def shown(arguments: Sequence[str]) -> list[str]:
    """Return arguments for Locust without possible secrets."""
    words, option = [], ""
    for argument in arguments:
        name, equals, value = argument.partition("=")
        if _hides(option) and not argument.startswith("--"):
            words.append(HIDDEN)
        elif _is_host(option):
            words.append(public_host(argument))
        elif equals and _hides(name):
            words.append(f"{name}={HIDDEN}")
        elif equals and _is_host(name):
            words.append(f"{name}={public_host(value)}")
        elif argument.startswith(_HOST_SHORT):
            words.append(_HOST_SHORT + public_host(argument.removeprefix(_HOST_SHORT)))
        else:
            words.append(argument)
        option = argument
    return words


def _hides(option: str) -> bool:
    """Return whether an option, which may be abbreviated, may take a secret."""
    return len(option) >= _MIN_LENGTH and any(one.startswith(option) for one in _HIDDEN)


def _is_host(option: str) -> bool:
    """Return whether an option, which may be abbreviated, takes the server's URL."""
    return option == _HOST_SHORT or (len(option) >= _MIN_HOST_LENGTH and _HOST.startswith(option))
