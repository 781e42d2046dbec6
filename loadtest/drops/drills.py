"""Drills: commands that a run executes while sessions are connected, a deploy say (`--ws-at`).

The server then ends connections, not the client: a storm of the server's making. The moments belong to the
plan; the commands do not, since two revisions are deployed by two commands. No shell runs a command. What
may be a secret in one is hidden here, before a file or a log sees it.
"""

import re
from collections.abc import Iterable
from typing import Annotated, Final

from msgspec import Meta, Struct

from loadtest.drops.plan import LATEST_S
from loadtest.errors import InvalidSetting
from loadtest.text import HIDDEN, NO_SECRETS, Secrets, one_line, without_likely_secrets, without_secrets
from loadtest.values import seconds

AT: Final = "--ws-at"

MAX_DRILLS: Final = 20
"""Maximum number of drills per run: each is a section of the report, and a log file."""

COMMAND_LENGTH: Final = 1000
"""Characters kept of a command: enough to recognize it, and to fit a report."""

_MOMENT = seconds(0, LATEST_S)

_SECRET_OPTION = re.compile(
    r"(?i)((?:--?[\w-]*(?:token|secret|passw(?:or)?d|key|auth|cookie|credential)s?[ =]+"
    r"|\w*(?:token|secret|passw(?:or)?d|key|cookie|credential)s?="
    r"|://)(?=\S))"
    r"(?:(?<=://)[^/\s@'\"]+(?=@)|(?<!://)(?:'[^']*'|\"[^\"]*\"|[^\s'\"]+))"
)
"""What may be a secret in a command line: `--token X`, `DB_PASSWORD=X`, `https://USER:X@host`."""


class Drill(Struct, frozen=True, kw_only=True, order=True):
    """A command to run at one moment of the run.

    Args:
        at_s: seconds since the run's start.
        command: split into words as a shell would.
    """

    at_s: Annotated[float, Meta(ge=0, le=LATEST_S)]
    command: str

    def __str__(self) -> str:
        """Return the drill as `--ws-at` takes it, without secrets."""
        return written_drill(self.at_s, public_command(self.command))


def written_drill(at_s: float, command: str) -> str:
    """Return a drill as `--ws-at` takes it."""
    return f"{repr(float(at_s)).removesuffix('.0')}:{command}"


def parse_drills(texts: Iterable[str]) -> tuple[Drill, ...]:
    """Read drills as `--ws-at` takes them, one a text; return them ordered by time.

    Raises:
        InvalidSetting: a drill is malformed or out of range, or there are too many.
    """
    drills = tuple(sorted(map(_parsed, texts)))
    if len(drills) > MAX_DRILLS:
        raise InvalidSetting(AT, len(drills), f"must be at most {MAX_DRILLS} drills")
    return drills


def _parsed(text: str) -> Drill:
    moment, colon, command = text.partition(":")
    try:
        at_s = float(moment)
        if not (colon and command.strip()):
            raise ValueError
    except ValueError:
        problem = "must be SECONDS:COMMAND, for example 60:'kubectl rollout restart deployment/chat'"
        raise InvalidSetting(AT, public_command(text), problem) from None
    if not _MOMENT.admits(at_s):
        raise InvalidSetting(AT, moment, f"moment must be {_MOMENT}")
    return Drill(at_s=at_s, command=command.strip())


def public_command(command: str, secrets: Secrets = NO_SECRETS, limit: int = COMMAND_LENGTH) -> str:
    """Return a command as one line that is safe to store: what is, or may be, a secret is hidden."""
    known = without_likely_secrets(without_secrets(command, secrets))
    return one_line(_SECRET_OPTION.sub(rf"\g<1>{HIDDEN}", known), limit)
