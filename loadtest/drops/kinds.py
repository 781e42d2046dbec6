"""The ways in which real clients lose their connection.

A kind is one class: what it does to the wire, as a generator that yields how many seconds to wait before
going on and `DETECTED` once the session's client has noticed. It sees the wire through `Wire`, which the
transport implements; it does no I/O of its own. A kind of a user's own subclasses `DropKind`, gives it a
`name` and is known from then on: the engine has no list of kinds. Who is dropped when does not belong here.
"""

import random
from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import ClassVar, Final, Protocol

from loadtest.events import Data, Drop
from loadtest.values import Choice


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
        disconnects: False when the connection lives on.
    """

    name: ClassVar[str]
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

    def steps(self, wire: Wire, drop: Drop) -> Steps:
        wire.send_close(1000)
        # The server's answer ends the wait; a server that never answers must not hold the session.
        yield 2.0
        yield DETECTED
        wire.fin()


class TabClose(DropKind):
    """A closed tab: browsers send 1001 and do not wait for the answer."""

    name = "tab_close"

    def steps(self, wire: Wire, drop: Drop) -> Steps:
        wire.send_close(1001)
        wire.fin()
        yield DETECTED


class Fin(DropKind):
    """A killed process: the kernel closes the socket, nobody says goodbye."""

    name = "fin"

    def steps(self, wire: Wire, drop: Drop) -> Steps:
        wire.fin()
        yield DETECTED


class Reset(DropKind):
    """A crash or a NAT table entry that is gone."""

    name = "reset"

    def steps(self, wire: Wire, drop: Drop) -> Steps:
        wire.reset()
        yield DETECTED


class HalfOpen(DropKind):
    """A lost network: the client comes back on a new one while its old socket lingers, silent.

    The old socket is held long enough for the usual server ping (20 s and 20 s more) to time out.
    """

    name = "half_open"

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

    def steps(self, wire: Wire, drop: Drop) -> Steps:
        # FIN and TEXT, masked, 16-bit length: 1000 bytes announced, 500 sent.
        wire.write_raw(b"\x81\xfe\x03\xe8" + MASK + b"x" * 500)
        yield 0.01
        wire.reset()
        yield DETECTED


class MidReply(DropKind):
    """A network lost while receiving: the server is sending as the socket goes."""

    name = "mid_reply"

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

    def steps(self, wire: Wire, drop: Drop) -> Steps:
        wire.send_message("this is not JSON")
        yield 2.0
        yield DETECTED
        wire.reset()


def check_kind(kind: str, option: str) -> None:
    """Refuse an unknown kind as the value of an option.

    Raises:
        InvalidSetting: it is unknown.
    """
    Choice(sorted(DropKind.kinds)).read(kind, option, "kind")


def disconnects(kind: str | None) -> bool:
    """Tell whether a drop begins an outage; of a kind that this process does not know, it is taken to."""
    known = None if kind is None else DropKind.kinds.get(kind)
    return known is None or known.disconnects
