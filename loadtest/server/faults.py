"""Deliberate faults of the server, used to show that a check catches them.

A fault is written `NAME` or `NAME=VALUE`. Ratio faults strike at random, each with its own generator seeded
with its name: the n-th decision of a fault is the same in every run, and adding a second fault does not
change the first. `struck` counts how often a fault struck, so a test can compare exact totals.

This module only decides; the modules that implement a fault call `strikes(...)`.
"""

import difflib
import random
from collections import Counter
from collections.abc import Iterable, Mapping

from loadtest.errors import InvalidSetting
from loadtest.values import Number, Whole, seconds

_RATIO = Number(0, 1, metavar="RATIO")
_MS = Number(0, 60_000, "milliseconds", metavar="MS")
_SECONDS = seconds(0, 86_400)
_BYTES = Whole(1, 2**20, "bytes", metavar="BYTES")


class _CloseCode(Whole):
    """A valid close code for a server."""

    __slots__ = ()

    def admits(self, value: float) -> bool:
        """Return whether a close frame may have this code (RFC 6455, section 7.4)."""
        return super().admits(value) and not (1003 < value < 1007 or 1014 < value < 3000)

    def __str__(self) -> str:
        return "a close code: 1000–1003, 1007–1014 or 3000–4999"


_CODE = _CloseCode(1000, 4999, metavar="CODE")

KNOWN: Mapping[str, tuple[Number, ...]] = {
    "refuse_connect": (_RATIO,),
    "refuse_reconnect": (_RATIO,),
    "close_connect": (_RATIO,),
    "close_reconnect": (_RATIO,),
    "share_identity": (_RATIO,),
    "late_connect": (_MS,),
    "late_reconnect": (_MS,),
    "mute_reconnect": (_RATIO,),
    "no_subprotocol": (),
    "close": (_RATIO, _CODE),
    "abort": (_RATIO,),
    "bad_frame": (_RATIO,),
    "lose_reply": (_RATIO,),
    "corrupt_reply": (_RATIO,),
    "duplicate_reply": (_RATIO,),
    "reorder_reply": (_RATIO,),
    "foreign_reply": (_RATIO,),
    "decompose": (_RATIO,),
    "cut_reply": (_BYTES,),
    "lose_push": (_RATIO,),
    "foreign_push": (_RATIO,),
    "late_push": (_RATIO, _MS),
    "stop_pushes": (_SECONDS,),
    "forget_session": (),
    "forget_message": (_RATIO,),
    "corrupt_history": (_RATIO,),
    "cut_history": (),
    "empty_history": (),
    "reverse_history": (),
    "foreign_history": (_RATIO,),
    "keep_sockets": (),
    "latency": (_MS,),
    "latency_tail": (_RATIO, _MS),
    "database_down": (_SECONDS,),
}

HISTORY_FAULTS = frozenset({"forget_message"} | {name for name in KNOWN if name.endswith("_history")})
"""Faults that only a server with a history can have."""

_TEXT_FAULTS = frozenset({"corrupt_reply", "foreign_reply", "decompose", "cut_reply"})


def usage(name: str) -> str:
    """Return the syntax of the fault `name`, for example `latency_tail=RATIO:MS`."""
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
            similar = difflib.get_close_matches(name, KNOWN, n=1)
            meant = f"is unknown: did you mean {similar[0]}? It " if similar else ""
            raise InvalidSetting("--fault", text, f"{meant}must be one of {', '.join(map(usage, KNOWN))}")
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
    """The faults of one running server: decides at random whether they strike, and counts."""

    def __init__(self, texts: Iterable[str] = ()) -> None:
        self._values = parse_faults(texts)
        self._randoms = {name: random.Random(name) for name in self._values}
        self.struck: Counter[str] = Counter()
        self.delays_replies = bool(self._values.keys() & {"latency", "latency_tail"})
        """Whether replies may be delayed, so that each connection needs a queue for them."""
        self.alters_replies = bool(self._values.keys() & _TEXT_FAULTS)
        """Whether the texts of replies may be altered, so that an echo must be read."""

    def requested(self, name: str) -> bool:
        """Return whether the fault was requested."""
        return name in self._values

    def strikes(self, name: str) -> bool:
        """Decide whether the fault strikes now: always if it has no ratio, never if it was not requested."""
        values = self._values.get(name)
        if values is None or (_RATIO in KNOWN[name] and self._randoms[name].random() >= values[0]):
            return False
        self.struck[name] += 1
        return True

    def value(self, name: str) -> float:
        """Return the last value of a fault, 0 if it was not requested."""
        return self._values[name][-1] if name in self._values else 0.0

    def delay_s(self, *names: str) -> float:
        """Decide which of these faults strike, and return the delay that they cause in seconds."""
        return sum(self.value(name) for name in names if self.strikes(name)) / 1e3
