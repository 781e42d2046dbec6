"""The client's heartbeats, and its immediate answers: pongs and acknowledgements. Pure."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import median
from typing import Final

from loadtest.capture.message_ids import Answering
from loadtest.capture.message_kinds import Kind, Record
from loadtest.capture.trees import MISSING, Path, at, leaves
from loadtest.text import counted

BEATS: Final = re.compile(r"\b(?:ping|heart ?beat|keep ?alive|hb|alive|noop)\b")
"""Names of heartbeats."""

PONGS: Final = re.compile(r"\b(?:pong|heart ?beat(?: ack)?|keep ?alive|hb|alive|noop)\b")

_DEFAULT_BEAT_S: Final = 25.0
_LONG_BEAT_S: Final = 5.0
"""From here on what is sent in regular intervals is a heartbeat, whatever its name."""


_SAMPLE: Final = 100
"""Answers that are compared with what they answer."""


@dataclass(frozen=True, slots=True)
class Beat:
    """Heartbeats of the client.

    Args:
        kind: kind of the message.
        every_s: seconds between two.
        why: the evidence.
    """

    kind: Kind
    every_s: float
    why: str


def find_beat(kinds: Sequence[Kind], answering: set[Kind]) -> Beat | None:
    """Return the client's heartbeats, None if it sends none."""
    beats = []
    for kind in kinds:
        if kind.sent and kind not in answering:
            beat = _beat(kind)
            if beat is not None:
                beats.append(beat)
    return max(beats, key=lambda beat: beat.kind.count, default=None)


def _beat(kind: Kind) -> Beat | None:
    times = [record.at_s for record in kind.records if record.at_s is not None]
    gaps = [after - before for before, after in pairwise(times)]
    every_s = round(median(gaps), 1 if median(gaps) < 10 else 0) if gaps else 0.0
    if kind.says(BEATS):
        if every_s <= 0:
            return Beat(
                kind,
                _DEFAULT_BEAT_S,
                f"its name; sent {counted(kind.count, 'time')}, so the interval is a guess",
            )
        return Beat(kind, every_s, f"its name; sent {kind.count} times, every {every_s:g} s")
    regular = len(gaps) >= 3 and all(abs(gap - every_s) <= 0.1 * every_s for gap in gaps)
    if regular and every_s >= _LONG_BEAT_S and len({str(record.tree)[:200] for record in kind.records}) == 1:
        return Beat(kind, every_s, f"the same message {kind.count} times, every {every_s:g} s")
    return None


def answers_without_ids(records: Sequence[Record], taken: set[Kind]) -> dict[Kind, Kind]:
    """Return the client's kinds that immediately answer one of the server's, by their names: pong to ping.

    Args:
        records: records of the conversation.
        taken: kinds with another meaning.
    """
    before: dict[Kind, list[Kind | None]] = {}
    last: Record | None = None
    for record in records:
        if record.sent and record.kind not in taken:
            before.setdefault(record.kind, []).append(last.kind if last else None)
        if not record.sent:
            last = record
    found: dict[Kind, Kind] = {}
    for kind, askings in before.items():
        asking = askings[0]
        if asking is None or any(one is not asking for one in askings) or kind.count > asking.count:
            continue
        is_pong, is_ping = kind.says(PONGS) or kind.plain == "3", asking.says(BEATS) or asking.plain == "2"
        packets = ("packet",) in dict(asking.constants) and kind.label == "3" and asking.label == "2"
        if (is_pong and is_ping) or packets or (kind.count >= 2 and (is_pong or is_ping)):
            found[kind] = asking
    return found


def copies_of(kind: Kind, asked: Kind, known: Sequence[tuple[Path, Path]]) -> list[tuple[Path, Path]]:
    """Return the values that an answer copies from the message it answers: own path, path there.

    Args:
        kind: kind of the answers.
        asked: kind of the messages that they answer.
        known: the copied value that matches an answer to its message, if there is one.
    """
    pairs = list(_pairs(kind, asked, known))
    taken = {own for own, _ in known}
    found = list(known)
    for own, value in () if not pairs or pairs[0][0].plain else leaves(pairs[0][0].tree):
        if own in taken or own in dict(kind.constants) or isinstance(value, bool) or value is None:
            continue
        same = [
            there
            for there, other in leaves(pairs[0][1].tree)
            if other == value
            and there not in dict(asked.constants)
            and all(at(one.tree, own) == at(two.tree, there) is not MISSING for one, two in pairs)
        ]
        if same and (len(pairs) > 1 or _is_telling(value) or own in same):
            found.append((own, own if own in same else same[0]))
    return found


def _is_telling(value: object) -> bool:
    """Return whether two equal values of this kind are unlikely by chance."""
    return (isinstance(value, str) and len(value) >= 4) or (isinstance(value, int | float) and value >= 1000)


def _pairs(kind: Kind, asked: Kind, known: Sequence[tuple[Path, Path]]) -> Iterator[tuple[Record, Record]]:
    for record in kind.records[:_SAMPLE]:
        before = (
            one for one in reversed(asked.records) if one.order < record.order and _agree(record, one, known)
        )
        found = next(before, None)
        if found is not None and not found.plain:
            yield record, found


def _agree(record: Record, asked: Record, known: Sequence[tuple[Path, Path]]) -> bool:
    return all(at(record.tree, own) == at(asked.tree, there) for own, there in known)


def answering_set(answering: dict[Kind, Answering], plain: dict[Kind, Kind]) -> set[Kind]:
    """Return the kinds of answers, and of the messages they answer."""
    asked = {answer.asked for answer in answering.values()} | set(plain.values())
    return {*answering, *plain, *asked}
