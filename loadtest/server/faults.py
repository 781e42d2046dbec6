"""Deliberate faults of the server, used to show that a check catches them.

A fault is written `NAME` or `NAME=VALUE`. Ratio faults strike at random, each with its own generator seeded
with its name: the n-th decision of a fault is the same in every run, and adding a second fault does not
change the first. `struck` counts how often a fault struck, so a test can compare exact totals.

This module only decides; the modules that implement a fault call `strikes(...)`.
"""

import random
from collections import Counter
from collections.abc import Iterable, Mapping

from loadtest.errors import InvalidSetting
from loadtest.values import Number, seconds

_RATIO = Number(0, 1, metavar="RATIO")
_MS = Number(0, 60_000, "milliseconds", metavar="MS")
_SECONDS = seconds(0, 86_400)

KNOWN: Mapping[str, tuple[Number, ...]] = {
    "refuse_connect": (_RATIO,),
    "refuse_reconnect": (_RATIO,),
    "lose_reply": (_RATIO,),
    "corrupt_reply": (_RATIO,),
    "duplicate_reply": (_RATIO,),
    "reorder_reply": (_RATIO,),
    "foreign_reply": (_RATIO,),
    "decompose": (_RATIO,),
    "forget_session": (),
    "forget_message": (_RATIO,),
    "cut_history": (),
    "reverse_history": (),
    "foreign_history": (_RATIO,),
    "latency": (_MS,),
    "latency_tail": (_RATIO, _MS),
    "database_down": (_SECONDS,),
}

HISTORY_FAULTS = frozenset({"forget_message", "cut_history", "reverse_history", "foreign_history"})
"""Faults that only a server with a history can have."""

_TEXT_FAULTS = frozenset({"corrupt_reply", "foreign_reply", "decompose"})


def usage(name: str) -> str:
    """Return how to write the fault `name`, for example `latency_tail=RATIO:MS`."""
    numbers = ":".join(number.metavar for number in KNOWN[name])
    return f"{name}={numbers}" if numbers else name


def parse_faults(texts: Iterable[str]) -> dict[str, tuple[float, ...]]:
    """Return the values of each fault by name, in the units of its usage.

    Raises:
        InvalidSetting: a fault is unknown, given twice, or has a value out of range.
    """
    faults: dict[str, tuple[float, ...]] = {}
    for text in texts:
        name, has_value, value = text.partition("=")
        if name not in KNOWN:
            raise InvalidSetting("--fault", text, f"must be one of {', '.join(map(usage, KNOWN))}")
        if name in faults:
            raise InvalidSetting("--fault", text, "must name each fault once")
        faults[name] = _values(text, name, value.split(":") if has_value else [])
    return faults


def _values(text: str, name: str, parts: list[str]) -> tuple[float, ...]:
    numbers = KNOWN[name]
    if len(parts) != len(numbers):
        raise InvalidSetting("--fault", text, f"must be {usage(name)}")
    return tuple(
        number.read(part, "--fault", f"{name}: {number.metavar}")
        for number, part in zip(numbers, parts, strict=True)
    )


class Faults:
    """The faults of one running server: draws whether they strike, and counts."""

    def __init__(self, texts: Iterable[str] = ()) -> None:
        self._values = parse_faults(texts)
        self._randoms = {name: random.Random(name) for name in self._values}
        self.struck: Counter[str] = Counter()
        self.delays_replies = bool(self._values.keys() & {"latency", "latency_tail"})
        """Whether replies may be delayed, so that each connection needs a queue for them."""
        self.alters_replies = bool(self._values.keys() & _TEXT_FAULTS)
        """Whether the texts of replies may be altered, so that an echo must be read."""
        self.database_down_s = self._values.get("database_down", (0.0,))[0]
        """How long after its start the server reports its database as down."""

    def strikes(self, name: str) -> bool:
        """Draw whether the fault strikes now: always if it has no ratio, never if it was not requested."""
        values = self._values.get(name)
        if values is None or (values and self._randoms[name].random() >= values[0]):
            return False
        self.struck[name] += 1
        return True

    def reply_delay_s(self) -> float:
        """Draw the delay of the next reply, in seconds."""
        delay_ms = 0.0
        if "latency" in self._values:
            self.struck["latency"] += 1
            delay_ms += self._values["latency"][0]
        if self.strikes("latency_tail"):
            delay_ms += self._values["latency_tail"][1]
        return delay_ms / 1e3
