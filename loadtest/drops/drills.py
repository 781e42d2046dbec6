"""Drills: commands that a run executes while sessions are connected, for example a deploy (`--ws-at`).

A drill makes the server end connections, not the client. The times belong to the plan; the commands do not,
because two revisions are deployed with different commands. Commands run without a shell.
"""

from collections.abc import Iterable
from typing import Annotated, Final

from msgspec import Meta, Struct

from loadtest.command_lines import public_command
from loadtest.drops.plan import LATEST_S
from loadtest.errors import InvalidSetting
from loadtest.scrubber import Secrets
from loadtest.values import seconds

AT: Final = "--ws-at"

MAX_DRILLS: Final = 20
"""Maximum number of drills per run: each is a section of the report, and a log file."""

_MOMENT = seconds(0, LATEST_S)


class Drill(Struct, frozen=True, kw_only=True):
    """A command to run at one moment of the run.

    Args:
        at_s: seconds since the run's start.
        command: split into words as a shell would.
    """

    at_s: Annotated[float, Meta(ge=0, le=LATEST_S)]
    command: str

    def public(self, secrets: Secrets) -> str:
        """Return the drill in the form of `--ws-at`, without secrets."""
        return written_drill(self.at_s, public_command(self.command, secrets))


def written_drill(at_s: float, command: str) -> str:
    """Return a drill in the form of `--ws-at`."""
    return f"{repr(float(at_s)).removesuffix('.0')}:{command}"


def parse_drills(texts: Iterable[str]) -> tuple[Drill, ...]:
    """Read drills in the form of `--ws-at`, one per text; return them ordered by time, then as given.

    Raises:
        InvalidSetting: a drill is malformed or out of range, or there are too many.
    """
    drills = tuple(sorted(map(_parsed, texts), key=lambda drill: drill.at_s))
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
        problem = (
            "must be SECONDS:COMMAND, seconds without a unit, "
            "for example 60:'kubectl rollout restart deployment/chat'"
        )
        raise InvalidSetting(AT, public_command(text), problem) from None
    if not _MOMENT.admits(at_s):
        raise InvalidSetting(AT, moment, f"moment must be {_MOMENT}")
    return Drill(at_s=at_s, command=command.strip())
