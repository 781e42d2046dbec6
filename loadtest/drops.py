"""Drops: the ways in which real clients lose their connection, and the seeded plan of who loses it when.

A kind is one class: what it does to the wire, as a generator that yields how many seconds to wait before
going on and `DETECTED` once the session's client has noticed. It sees the wire through `Wire`, which the
transport implements; it does no I/O of its own. A kind of a user's own subclasses `DropKind`, gives it a
`name` and is known from then on: the engine has no list of kinds.

The plan is a function of the seed, the session's number and the drop's ordinal, so it is the same on both
revisions whatever the timing was. A drop's time counts from when the session was (again) established, so a
slow reconnect shifts the plan of its session but never changes it.
"""

import math
import random
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import ClassVar, Final, Protocol

from loadtest.errors import InvalidSetting
from loadtest.events import Data, Drop


class Wire(Protocol):
    """A connection as a drop sees it: what can be done to it that a well-behaved client would not do.

    `sample` is a request as the session's dialect writes it, unknown to the ledger, for kinds that need
    the server to be busy.
    """

    sample: Data

    def send_close(self, code: int) -> None:
        """Begin the closing handshake; the server's answer ends the connection."""

    def send_message(self, data: Data) -> None:
        """Send a whole message, which the session's ledger does not know."""

    def write_raw(self, data: bytes) -> None:
        """Write bytes to the socket as they are, without framing."""

    def pause_reading(self) -> None:
        """Stop reading from the socket, so that the kernel's buffer fills."""

    def resume_reading(self) -> None:
        """Read again."""

    def go_silent(self) -> None:
        """Stop reading, writing and keepalive, and leave the socket open."""

    def fin(self) -> None:
        """Close the socket in good order: FIN, no close frame."""

    def reset(self) -> None:
        """Close the socket with RST, dropping what is unsent."""


DETECTED: Final = "detected"
"""What a kind yields once the session's client has noticed the loss."""

Steps = Iterator[float | str]

MASK: Final = bytes(4)
"""The mask of hand-made frames: RFC 6455 section 5.3 lets it be any value, and zero leaves the payload."""


class DropKind(ABC):
    """A way to lose a connection.

    Attributes:
        name: what options, files and reports call it.
        cause: the real event it stands for.
        expected_log: what a sound server logs.
        disconnects: False when the connection lives on.
    """

    name: ClassVar[str]
    cause: ClassVar[str]
    expected_log: ClassVar[str]
    disconnects: ClassVar[bool] = True

    kinds: ClassVar[dict[str, type["DropKind"]]] = {}

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        if "name" in cls.__dict__:
            DropKind.kinds[cls.name] = cls

    def times(self, rng: random.Random) -> tuple[float, float]:
        """Return (detect_s, hold_s) of one drop."""
        return (0.0, 0.0)

    @abstractmethod
    def steps(self, wire: Wire, drop: Drop) -> Steps:
        """Do it to the wire: yield seconds to wait, and DETECTED once the client has noticed."""


class CloseDrop(DropKind):
    """A logout: the closing handshake of RFC 6455 section 7."""

    name = "close"
    cause = "logout"
    expected_log = "INFO, code 1000"

    def steps(self, wire: Wire, drop: Drop) -> Steps:
        wire.send_close(1000)
        # The server's answer ends the wait; a server that never answers must not hold the session.
        yield 2.0
        yield DETECTED
        wire.fin()


class TabClose(DropKind):
    """A closed tab: browsers send 1001 and do not wait for the answer."""

    name = "tab_close"
    cause = "tab closed"
    expected_log = "INFO, code 1001"

    def steps(self, wire: Wire, drop: Drop) -> Steps:
        wire.send_close(1001)
        wire.fin()
        yield DETECTED


class Fin(DropKind):
    """A killed process: the kernel closes the socket, nobody says goodbye."""

    name = "fin"
    cause = "process killed"
    expected_log = "INFO, code 1006 or 1005"

    def steps(self, wire: Wire, drop: Drop) -> Steps:
        wire.fin()
        yield DETECTED


class Reset(DropKind):
    """A crash or a NAT table entry that is gone."""

    name = "reset"
    cause = "crash, NAT reset"
    expected_log = "INFO, code 1006 or 1005"

    def steps(self, wire: Wire, drop: Drop) -> Steps:
        wire.reset()
        yield DETECTED


class HalfOpen(DropKind):
    """A lost network: the client comes back on a new one while its old socket lingers, silent.

    The old socket is held long enough for the usual server ping (20 s and 20 s more) to time out.
    """

    name = "half_open"
    cause = "network loss, sleep"
    expected_log = "INFO, after its ping times out"

    def times(self, rng: random.Random) -> tuple[float, float]:
        return (rng.uniform(0.5, 2.0), rng.uniform(45.0, 60.0))

    def steps(self, wire: Wire, drop: Drop) -> Steps:
        wire.go_silent()
        yield drop.detect_s
        yield DETECTED
        yield drop.hold_s
        wire.reset()


class MidMessage(DropKind):
    """A network lost while sending: a frame whose second half never comes."""

    name = "mid_message"
    cause = "network loss while sending"
    expected_log = "INFO, code 1006 or 1005"

    def steps(self, wire: Wire, drop: Drop) -> Steps:
        # FIN and TEXT, masked, 16-bit length: 1000 bytes announced, 500 sent.
        wire.write_raw(b"\x81\xfe\x03\xe8" + MASK + b"x" * 500)
        yield 0.01
        wire.reset()
        yield DETECTED


class MidReply(DropKind):
    """A network lost while receiving: the server is sending as the socket goes."""

    name = "mid_reply"
    cause = "network loss while receiving"
    expected_log = 'INFO, "disconnected during send"'

    requests: ClassVar[int] = 32

    def steps(self, wire: Wire, drop: Drop) -> Steps:
        wire.pause_reading()
        # Two bursts. A server with long answers is soon stuck in a send, as nobody reads. One with short
        # answers has answered the first burst, and is at work on the second when the reset follows it in the
        # loop's next turn; 4 ms later, uvicorn would be done with it.
        for wait_s in (0.05, 0.0):
            for _ in range(self.requests):
                wire.send_message(wire.sample)
            yield wait_s
        wire.reset()
        yield DETECTED


class SlowReader(DropKind):
    """A phone in a tunnel: it stops reading for a while, then goes on."""

    name = "slow_reader"
    cause = "phone in a tunnel"
    expected_log = "nothing, or backpressure"
    disconnects = False

    def times(self, rng: random.Random) -> tuple[float, float]:
        return (0.0, rng.uniform(1.0, 4.0))

    def steps(self, wire: Wire, drop: Drop) -> Steps:
        wire.pause_reading()
        yield drop.hold_s
        wire.resume_reading()


class ProtocolErrorDrop(DropKind):
    """A broken client: a frame that RFC 6455 forbids; the server closes with 1002 or 1007."""

    name = "protocol_error"
    cause = "broken client"
    expected_log = "INFO or WARNING, close 1002/1007"

    frames: ClassVar[tuple[bytes, ...]] = (
        b"\x81\x05hello",  # unmasked (section 5.1)
        b"\x83\x80" + MASK,  # reserved opcode 3 (section 5.2)
        b"\x81\x82" + MASK + b"\xc3\x28",  # text that is not UTF-8 (section 8.1)
    )

    def steps(self, wire: Wire, drop: Drop) -> Steps:
        wire.write_raw(self.frames[drop.ordinal % len(self.frames)])
        yield 2.0
        yield DETECTED
        wire.reset()


class BadMessage(DropKind):
    """A broken client: a text that the application cannot read; a real fault for its log."""

    name = "bad_message"
    cause = "broken client"
    expected_log = "ERROR with stack: a real fault, expected"

    def steps(self, wire: Wire, drop: Drop) -> Steps:
        wire.send_message("this is not JSON")
        yield 2.0
        yield DETECTED
        wire.reset()


DEFAULT_WEIGHTS: Final[Mapping[str, float]] = {
    "close": 1.0,
    "tab_close": 1.0,
    "fin": 1.0,
    "reset": 1.0,
    "half_open": 1.0,
    "mid_message": 1.0,
    "mid_reply": 1.0,
}
"""Every kind that a sound server must take quietly; the broken clients and the slow reader are asked for."""


@dataclass(frozen=True, slots=True)
class DropPlan:
    """The drops of a run.

    Args:
        every_s: mean seconds that a session is established before it is dropped; 0 for no drops.
        weights: how often each kind comes, relative to the others.
        seed: of the run.
    """

    every_s: float = 20.0
    weights: Mapping[str, float] = field(default_factory=lambda: DEFAULT_WEIGHTS)
    seed: int = 1

    def __post_init__(self) -> None:
        if not (math.isfinite(self.every_s) and self.every_s >= 0):
            raise InvalidSetting("drop-every", self.every_s, "is no time", "Give seconds, 0 for no drops")
        for kind, weight in self.weights.items():
            if kind not in DropKind.kinds:
                raise InvalidSetting("drops", kind, "is no kind of drop", _kinds_hint())
            if not (math.isfinite(weight) and weight >= 0):
                raise InvalidSetting("drops", f"{kind}={weight}", "is no weight", "A weight is 0 or more")
        if self.every_s > 0 and not 0 < sum(self.weights.values()) < math.inf:
            raise InvalidSetting(
                "drops", dict(self.weights), "leaves no kind to draw", "Use drop-every 0 for no drops"
            )

    def drop(self, session: int, ordinal: int) -> Drop | None:
        """Return the drop of this session (from 0) with this ordinal (from 0), None if there are none."""
        if self.every_s == 0:
            return None
        rng = random.Random(f"{self.seed}/drop/{session}/{ordinal}")
        after_s = rng.expovariate(1 / self.every_s)
        kinds = sorted(self.weights)  # the order in which they were written means nothing
        kind = rng.choices(kinds, [self.weights[kind] for kind in kinds])[0]
        return _drawn(kind, ordinal, after_s, rng)


@dataclass(frozen=True, slots=True)
class OnceInTurn(DropPlan):
    """Each session is dropped once, by the kinds in turn, so that a few sessions show them all."""

    def drop(self, session: int, ordinal: int) -> Drop | None:
        """Return the only drop of this session, at about `every_s`."""
        if ordinal or self.every_s == 0:
            return None
        rng = random.Random(f"{self.seed}/once/{session}")
        kinds = sorted(kind for kind, weight in self.weights.items() if weight)
        return _drawn(kinds[session % len(kinds)], ordinal, self.every_s * rng.uniform(0.5, 1.5), rng)


def _drawn(kind: str, ordinal: int, after_s: float, rng: random.Random) -> Drop:
    detect_s, hold_s = DropKind.kinds[kind]().times(rng)
    return Drop(
        kind=kind,
        ordinal=ordinal,
        after_s=round(after_s, 6),
        detect_s=round(detect_s, 6),
        hold_s=round(hold_s, 6),
    )


def parse_weights(text: str) -> dict[str, float]:
    """Read weights as `--ws-drops` takes them: `close=2,reset=1,half_open`; a bare kind weighs 1.

    Raises:
        InvalidSetting: unknown kind, malformed or repeated weight.
    """
    weights: dict[str, float] = {}
    for part in filter(None, (part.strip() for part in text.split(","))):
        kind, equals, number = (piece.strip() for piece in part.partition("="))
        if kind in weights:
            raise InvalidSetting("drops", text, f"names {kind} twice", "Write kind=weight,kind=weight")
        try:
            weights[kind] = float(number) if equals else 1.0
        except ValueError:
            raise InvalidSetting(
                "drops", part, "has a weight that is no number", "Write kind=weight,kind=weight"
            ) from None
    if not weights:
        raise InvalidSetting("drops", text, "names no kind", _kinds_hint())
    DropPlan(weights=weights)
    return weights


def _kinds_hint() -> str:
    return f"The kinds are {', '.join(sorted(DropKind.kinds))}"
