"""The seeded plan of drops: each session's own drops, and storms that drop many sessions at once.

A session's own drops depend only on the seed, the session's number and the drop's ordinal. They are the same
on both revisions, whatever the timing. A drop's time counts from when the session was last established, so a
slow reconnect delays drops but does not change them. Storms happen at fixed times of the run and drop the
sessions that are established then.

A storm that comes before a session's own drop replaces it: the session goes on with its next ordinal and a
new time. These times are exponential, hence memoryless, so own drops are as frequent as without storms.
"""

import random
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Annotated, Final

import msgspec
from msgspec import Meta, Struct

from loadtest.drops.kinds import DropKind, check_kind
from loadtest.errors import InvalidSetting
from loadtest.events import Drop
from loadtest.options import SETTINGS
from loadtest.values import Number, seconds

_STORM: Final = "--ws-storm"
_DROPS: Final = "--ws-drops"

MAX_STORMS: Final = 20
"""Maximum number of storms per run: each time a session is established, all of them are checked."""

LATEST_S: Final = 604_800
"""A week: longer than any run, and well within a timer's range."""

_SHARE = Number(0, 1, "(100%)", above=True)
_MOMENT = seconds(0, LATEST_S)
_WEIGHT = Number(0, 1e9)
_NO_DROPS: Final = "To turn drops off, use --ws-drop-every 0"


class Storm(Struct, frozen=True, kw_only=True, order=True):
    """A share of all sessions, dropped at one moment.

    Args:
        at_s: seconds since the run's start.
        share_ratio: share of the sessions, in (0, 1].
        kind: kind of the drop.
    """

    at_s: Annotated[float, Meta(ge=0, le=LATEST_S)]
    share_ratio: Annotated[float, Meta(gt=0, le=1)]
    kind: Annotated[str, Meta(max_length=4096)] = "reset"

    def __str__(self) -> str:
        """Return the storm in the form of `--ws-storm`."""
        share, seconds = (repr(number).removesuffix(".0") for number in (self.share_ratio, self.at_s))
        return f"{share}@{seconds}:{self.kind}"


def check_storms(storms: Sequence[Storm]) -> None:
    """Refuse too many storms, or a storm that is out of range.

    Raises:
        InvalidSetting: a storm is out of range, or there are more than `MAX_STORMS`.
    """
    if len(storms) > MAX_STORMS:
        raise InvalidSetting(_STORM, len(storms), f"must be at most {MAX_STORMS} storms")
    for storm in storms:
        _check_storm(storm, str(storm))


def _check_storm(storm: Storm, given: str) -> None:
    if not _SHARE.admits(storm.share_ratio):
        raise InvalidSetting(_STORM, given, f"share must be {_SHARE}")
    if not _MOMENT.admits(storm.at_s):
        raise InvalidSetting(_STORM, given, f"moment must be {_MOMENT}")
    check_kind(storm.kind, _STORM)


def parse_storms(texts: Iterable[str]) -> tuple[Storm, ...]:
    """Read storms in the form of `--ws-storm`: each text has any number of storms, separated by commas.

    Raises:
        InvalidSetting: a storm is malformed or out of range, or there are too many.
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
        problem = "must be SHARE@SECONDS[:KIND], for example 0.5@30 or 50%@30:fin"
        raise InvalidSetting(_STORM, text, problem) from None
    storm = Storm(at_s=at_s, share_ratio=share_ratio)
    if colon:
        storm = msgspec.structs.replace(storm, kind=kind)
    _check_storm(storm, text)
    return storm


DEFAULT_WEIGHTS: Final[Mapping[str, float]] = {
    "close": 1.0,
    "tab_close": 1.0,
    "fin": 1.0,
    "reset": 1.0,
    "half_open": 1.0,
    "mid_message": 1.0,
    "mid_reply": 1.0,
}
"""The kinds that a sound server handles without errors; broken clients and slow readers are opt-in."""


@dataclass(frozen=True, slots=True)
class DropPlan:
    """The drops of a run.

    Args:
        every_s: mean seconds that a session stays established before its own drop; 0 for no own drops.
        weights: how often each kind occurs, relative to the others.
        seed: the run's seed.
        storms: in any order; they are sorted by time and numbered from 0.
    """

    every_s: float = 20.0
    weights: Mapping[str, float] = field(default_factory=lambda: DEFAULT_WEIGHTS)
    seed: int = 1
    storms: tuple[Storm, ...] = ()

    def __post_init__(self) -> None:
        check_storms(self.storms)
        object.__setattr__(self, "storms", tuple(sorted(self.storms)))
        SETTINGS["drop_every_s"].read(self.every_s)
        for kind, weight in self.weights.items():
            check_kind(kind, _DROPS)
            _WEIGHT.read(weight, _DROPS, f"weight of {kind}")
        if self.every_s > 0 and not sum(self.weights.values()):
            problem = "must have a kind with a weight above 0"
            raise InvalidSetting(_DROPS, dict(self.weights), problem, _NO_DROPS)

    def drop(self, session: int, ordinal: int) -> Drop | None:
        """Return a session's own drop.

        Args:
            session: the session's number, from 0.
            ordinal: the drop's number within the session, from 0.

        Returns:
            The drop, or None if the session has none.
        """
        if self.every_s == 0:
            return None
        rng = random.Random(f"{self.seed}/drop/{session}/{ordinal}")
        after_s = rng.expovariate(1 / self.every_s)
        kinds = sorted(self.weights)  # the order in which the user wrote them must not matter
        kind = rng.choices(kinds, [self.weights[kind] for kind in kinds])[0]
        return self._drawn(kind, ordinal, after_s, rng)

    def next_drop(self, session: int, ordinal: int, now_s: float) -> Drop | None:
        """Return the next drop of a session established now: a storm's, if one comes before its own.

        Args:
            session, ordinal: see `drop`.
            now_s: seconds since the run's start.
        """
        drop = self.drop(session, ordinal)
        for number, storm in enumerate(self.storms):
            after_s = storm.at_s - now_s
            if drop is not None and after_s >= drop.after_s:
                break
            if after_s > 0 and self._affects(number, session):
                rng = random.Random(f"{self.seed}/storm/{number}/{session}")
                return self._drawn(storm.kind, ordinal, after_s, rng, storm=number)
        return drop

    def _drawn(
        self, kind: str, ordinal: int, after_s: float, rng: random.Random, *, storm: int | None = None
    ) -> Drop:
        detect_s, hold_s = DropKind.kinds[kind]().times(rng)
        return Drop(
            kind=kind,
            ordinal=ordinal,
            after_s=round(after_s, 6),
            detect_s=round(detect_s, 6),
            hold_s=round(hold_s, 6),
            storm=storm,
        )

    def _affects(self, number: int, session: int) -> bool:
        """Return whether a storm drops a session.

        A hash decides: this runs for every storm each time a session is established, on the loop that
        measures, and seeding a generator would take ten times as long.
        """
        text = f"{self.seed}/storm/{number}/{session}"
        drawn = int.from_bytes(blake2b(text.encode(), digest_size=8).digest(), "big")
        return drawn < self.storms[number].share_ratio * 2**64


@dataclass(frozen=True, slots=True)
class OnceInTurn(DropPlan):
    """Drops each session once, cycling through the kinds, so that a few sessions cover them all."""

    def drop(self, session: int, ordinal: int) -> Drop | None:
        """Return the session's only drop, at 0.5 to 1.5 times `every_s`."""
        if ordinal or self.every_s == 0:
            return None
        rng = random.Random(f"{self.seed}/once/{session}")
        kinds = sorted(kind for kind, weight in self.weights.items() if weight)
        after_s = self.every_s * rng.uniform(0.5, 1.5)
        return self._drawn(kinds[session % len(kinds)], ordinal, after_s, rng)


def parse_weights(text: str) -> dict[str, float]:
    """Read weights in the form of `--ws-drops`: `close=2,reset=1,half_open`; a kind without a weight has 1.

    Raises:
        InvalidSetting: a kind is unknown or repeated, a weight is malformed, or no kind has a weight above 0.
    """
    weights: dict[str, float] = {}
    for part in filter(None, (part.strip() for part in text.split(","))):
        kind, equals, number = (piece.strip() for piece in part.partition("="))
        if kind in weights:
            raise InvalidSetting(_DROPS, text, "must name each kind once")
        check_kind(kind, _DROPS)
        weights[kind] = _WEIGHT.read(number if equals else 1.0, _DROPS, f"weight of {kind}")
    if not weights:
        problem = "must be KIND=WEIGHT,KIND=WEIGHT, for example close=2,reset=1"
        raise InvalidSetting(_DROPS, text, problem, _NO_DROPS)
    DropPlan(weights=weights)
    return weights
