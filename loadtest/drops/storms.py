"""Storms: a share of all sessions that lose their connections at one moment of the run.

That is what a restarting load balancer or a failing mobile network does, and what takes servers down is the
herd that comes back. A storm has one cause, so one kind of drop for all its members; a reset by default,
which clients notice at once. Who is a member says the plan, by the seed and the numbers of storm and session.
"""

from collections.abc import Iterable, Sequence
from typing import Annotated, Final

from msgspec import Meta, Struct

from loadtest.drops.kinds import check_kind
from loadtest.errors import InvalidSetting

OPTION: Final = "--ws-storm"

MOST: Final = 20
"""Storms a run can have: whenever a session is established, it looks through those to come."""

LATEST_S: Final = 604_800
"""A week: beyond the end of any run, and far within what a timer can be set to."""

_HINT = "Write SHARE@SECONDS[:KIND], as in 0.5@30 or 50%@30:fin"


class Storm(Struct, frozen=True, kw_only=True, order=True):
    """A share of all sessions, dropped at one moment.

    Args:
        at_s: since the run's start.
        share_ratio: of the sessions, in (0, 1].
        kind: of the drop.
    """

    at_s: Annotated[float, Meta(ge=0, le=LATEST_S)]
    share_ratio: Annotated[float, Meta(gt=0, le=1)]
    kind: Annotated[str, Meta(max_length=4096)] = "reset"

    def __str__(self) -> str:
        """Return what `--ws-storm` takes for exactly this storm."""
        share, seconds = (repr(number).removesuffix(".0") for number in (self.share_ratio, self.at_s))
        return f"{share}@{seconds}:{self.kind}"


def check_storms(storms: Sequence[Storm]) -> None:
    """Refuse storms that cannot be.

    Raises:
        InvalidSetting: too many, or one with a value out of its range.
    """
    if len(storms) > MOST:
        raise InvalidSetting(OPTION, len(storms), "storms are too many", f"Give {MOST} or fewer")
    for storm in storms:
        if not 0 < storm.share_ratio <= 1:
            raise InvalidSetting(
                OPTION, str(storm), "has no share of the sessions", "A share is above 0, up to 1 or 100%"
            )
        if not 0 <= storm.at_s <= LATEST_S:
            raise InvalidSetting(
                OPTION, str(storm), "comes at no time of a run", f"Give 0 to {LATEST_S} seconds"
            )
        check_kind(storm.kind, OPTION)


def parse_storms(texts: Iterable[str]) -> tuple[Storm, ...]:
    """Read storms as `--ws-storm` takes them: a text is one, several with commas between them, or blank.

    Raises:
        InvalidSetting: one is malformed, or cannot be.
    """
    parts = (part.strip() for text in texts for part in text.split(","))
    storms = tuple(_parsed(part) for part in parts if part)
    check_storms(storms)
    return storms


def _parsed(text: str) -> Storm:
    share, _, rest = text.partition("@")
    seconds, colon, kind = (piece.strip() for piece in rest.partition(":"))
    share, percent, excess = (piece.strip() for piece in share.partition("%"))
    try:
        if excess:
            raise ValueError
        share_ratio, at_s = float(share) / (100 if percent else 1), float(seconds)
    except ValueError:
        raise InvalidSetting(OPTION, text, "is no storm", _HINT) from None
    if colon:
        return Storm(at_s=at_s, share_ratio=share_ratio, kind=kind)
    return Storm(at_s=at_s, share_ratio=share_ratio)
