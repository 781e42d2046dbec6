"""When things are due: the pace of messages and the backoff of reconnect attempts.

Both are pure functions of a seed and counters (session, message, attempt) and do not depend on earlier
events. So the same seed gives the same plan on every revision and every worker, and no session stores the
state of a random generator (2.5 KiB for Python's). Uniform draws are BLAKE2b hashes of the labels.

The pace is an open loop: messages are sent while replies are outstanding, as recommended by Schroeder,
Wierman and Harchol-Balter, "Open Versus Closed: A Cautionary Tale" (NSDI 2006). `closed` is for measuring CPU
cost.
"""

import math
import re
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Literal

from loadtest.errors import InvalidSetting
from loadtest.options import SETTINGS
from loadtest.values import Choice, Number, Whole, seconds

NS_PER_S = 1_000_000_000

Arrivals = Literal["constant", "poisson", "closed"]
Jitter = Literal["none", "full", "equal"]
Reset = Literal["worked", "established", "connected"]
RetryAfter = Literal["obey", "ignore"]

_OPTION = "--ws-backoff"
_FORM = (
    "none, constant(SECONDS) or exponential(base=1,factor=2,cap=8,jitter=none|full|equal,max_attempts=50,"
    "reset=worked|established|connected,retry_after=obey|ignore)"
)
_SECONDS, _FACTOR, _ATTEMPTS = seconds(0), Number(1), Whole(0)
_JITTER = Choice(("none", "full", "equal"))
_RESET = Choice(("worked", "established", "connected"))
_RETRY_AFTER = Choice(("obey", "ignore"))
_BACKOFF = re.compile(r"(?P<policy>[a-z]+)(?:\((?P<arguments>[^()]*)\))?")
_POSITIONAL = ("base", "factor", "cap", "jitter", "max_attempts")
_ARGUMENTS = (*_POSITIONAL, "reset", "retry_after")
_WITH_UNIT = {"base_s": "base", "cap_s": "cap"}


def uniform(seed: int, purpose: str, *counters: int) -> float:
    """Return a number in [0, 1) that depends only on these labels."""
    return _drawn(f"{seed}/{purpose}/{'/'.join(map(str, counters))}")


def _drawn(label: str) -> float:
    # 53 bits, the precision of a float: the highest 64-bit values would round to 1.
    return (int.from_bytes(blake2b(label.encode(), digest_size=8).digest(), "big") >> 11) / 2**53


@dataclass(frozen=True, slots=True)
class Pace:
    """When the messages of a session are due.

    Args:
        rate: messages per second per session, 0 for none. Ignored by `closed`.
        arrivals: `constant` (even gaps, each session at a different phase), `poisson` (exponential gaps), or
            `closed` (the next message as soon as the last is answered, so one outstanding request).
        seed: seed of the run.
    """

    rate: float
    arrivals: Arrivals = "constant"
    seed: int = 1
    _even_ns: int = field(init=False, repr=False, compare=False)  # gaps of a constant pace; 0 for another

    def __post_init__(self) -> None:
        SETTINGS["rate"].read(self.rate)
        SETTINGS["arrivals"].read(self.arrivals)
        even = self.arrivals == "constant" and self.rate != 0
        object.__setattr__(self, "_even_ns", int(NS_PER_S / self.rate) if even else 0)

    @property
    def closed(self) -> bool:
        """Whether the next message waits for the last reply."""
        return self.arrivals == "closed"

    def gap_ns(self, session: int, message: int) -> int | None:
        """Return the time from the previous message to this one; for message 0, from the start of the pace.

        Returns:
            Nanoseconds, or None if messages are not planned by time.
        """
        if message and self._even_ns:
            return self._even_ns
        if self.closed or self.rate == 0:
            return None
        if self.arrivals == "poisson":
            # Inverse transform of the exponential distribution: -ln(1 - U) / rate.
            draw = _drawn(f"{self.seed}/arrival/{session}/{message}")  # `uniform`, on the hot path
            return int(-math.log1p(-draw) / self.rate * NS_PER_S)
        return int(uniform(self.seed, "phase", session) / self.rate * NS_PER_S)


@dataclass(frozen=True, slots=True)
class Backoff:
    """When the next attempt to reconnect is due, and when to give up.

    The delay before attempt n (from 1) is base x factor^(n-1), at most `cap_s`. Jitter follows "Exponential
    Backoff And Jitter" (AWS Architecture Blog, 2015): `full` draws from [0, delay], `equal` from
    [delay/2, delay]. The defaults are those of the `emergence` application's browser client.

    Args:
        base_s: seconds before the first attempt.
        factor: growth of the delay from attempt to attempt; 1 for a constant delay.
        cap_s: longest delay in seconds.
        jitter: `none`, `full` or `equal`.
        max_attempts: attempts before giving up, not counting the first attempt of a session; 0 never
            reconnects.
        reset: when delays and attempts start over: once the session has `worked`, once it is `established`,
            or once the WebSocket is open (`connected`), as in many clients. Such a client reconnects forever
            at the base delay to a server that accepts it and closes at once.
        retry_after: whether to obey a server's Retry-After if it is longer; browsers ignore it.
        seed: seed of the run.
    """

    base_s: float = 1.0
    factor: float = 2.0
    cap_s: float = 8.0
    jitter: Jitter = "none"
    max_attempts: int = 50
    reset: Reset = "worked"
    retry_after: RetryAfter = "obey"
    seed: int = 1

    def __post_init__(self) -> None:
        _SECONDS.read(self.base_s, _OPTION, "base")
        _FACTOR.read(self.factor, _OPTION, "factor")
        _SECONDS.read(self.cap_s, _OPTION, "cap")
        _ATTEMPTS.read(self.max_attempts, _OPTION, "max_attempts")
        _JITTER.read(self.jitter, _OPTION, "jitter")
        _RESET.read(self.reset, _OPTION, "reset")
        _RETRY_AFTER.read(self.retry_after, _OPTION, "retry_after")

    def longest_s(self, attempt: int) -> float:
        """Return the longest possible delay before this attempt (from 1), in seconds."""
        try:
            return min(self.cap_s, self.base_s * self.factor ** (attempt - 1))
        except OverflowError:  # factor^n exceeds a float, and so any cap
            return self.cap_s if self.base_s else 0.0

    def delay_s(self, attempt: int, *, session: int, outage: int) -> float | None:
        """Return the seconds to wait before this attempt (from 1), or None to give up.

        Args:
            attempt: number of the attempt since the policy last started.
            session: number of the session.
            outage: number of times the policy has started for this session.
        """
        if attempt > self.max_attempts:
            return None
        longest_s = self.longest_s(attempt)
        if self.jitter == "none":
            return longest_s
        draw = uniform(self.seed, "backoff", session, outage, attempt)
        return longest_s * (draw if self.jitter == "full" else 0.5 + draw / 2)

    def __str__(self) -> str:
        if self.max_attempts == 0:
            return "none"
        return (
            f"exponential(base={_exact(self.base_s)},factor={_exact(self.factor)},cap={_exact(self.cap_s)},"
            f"jitter={self.jitter},max_attempts={self.max_attempts}{self._habits})"
        )

    @property
    def _habits(self) -> str:
        """Arguments that are written only if they differ from the defaults: plans of older runs lack them."""
        reset = "" if self.reset == "worked" else f",reset={self.reset}"
        return reset if self.retry_after == "obey" else f"{reset},retry_after={self.retry_after}"


def _exact(number: float) -> str:
    """Return a number as text that parses to the same value; equal ints and floats give the same text."""
    return repr(float(number)).removesuffix(".0")


def parse_backoff(text: str, *, seed: int = 1) -> Backoff:
    """Parse a policy in the form of `--ws-backoff`: `none`, `constant(2)`, `exponential(1,2,8,full)`.

    Arguments are given by position (base, factor, cap, jitter, max_attempts), then by name; `reset` and
    `retry_after` by name only.

    Raises:
        InvalidSetting: the text is not a policy.
    """
    match = _BACKOFF.fullmatch(text.strip().lower().replace(" ", ""))
    if match is None or match["policy"] not in ("none", "constant", "exponential"):
        raise InvalidSetting(_OPTION, text, f"must be {_FORM}")
    if match["policy"] == "none":
        if match["arguments"]:
            raise InvalidSetting(_OPTION, text, "none takes no arguments")
        return Backoff(max_attempts=0, seed=seed)
    given = _named_arguments(text, match["arguments"] or "")
    if match["policy"] == "constant":
        if given.keys() & {"factor", "cap"}:
            raise InvalidSetting(_OPTION, text, "constant must have no factor and no cap")
        given |= {"factor": "1", "cap": given.get("base", "1")}
    base_s = _SECONDS.read(given.get("base", "1"), _OPTION, "base")
    return Backoff(
        base_s=base_s,
        factor=_FACTOR.read(given.get("factor", "2"), _OPTION, "factor"),
        cap_s=_SECONDS.read(given.get("cap", max(8.0, base_s)), _OPTION, "cap"),
        jitter=given.get("jitter", "none"),  # type: ignore[arg-type]  # checked by Backoff itself
        max_attempts=_ATTEMPTS.read(given.get("max_attempts", "50"), _OPTION, "max_attempts"),
        reset=given.get("reset", "worked"),  # type: ignore[arg-type]  # likewise
        retry_after=given.get("retry_after", "obey"),  # type: ignore[arg-type]  # likewise
        seed=seed,
    )


def _named_arguments(text: str, arguments: str) -> dict[str, str]:
    given: dict[str, str] = {}
    named = ""
    for position, argument in enumerate(arguments.split(",") if arguments else ()):
        name, equals, value = argument.partition("=")
        if not argument:
            raise InvalidSetting(_OPTION, text, "has an empty argument: give a value, or remove the comma")
        if not equals:
            if named:
                problem = f"must have {argument!r} before {named!r}, or by name: NAME={argument}"
                raise InvalidSetting(_OPTION, text, problem)
            if position >= len(_POSITIONAL):
                raise InvalidSetting(_OPTION, text, f"must be {_FORM}")
            name, value = _POSITIONAL[position], argument
        else:
            named = argument
        name = _WITH_UNIT.get(name, name)
        if name not in _ARGUMENTS or name in given:
            problem = f"has an unknown or repeated argument {name!r}: it must be {_FORM}"
            raise InvalidSetting(_OPTION, text, problem)
        given[name] = value
    return given
