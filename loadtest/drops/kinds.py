"""The kinds of drop: the ways real clients lose their connection.

A kind is one class with a generator. It acts on the connection, yields the seconds to wait before it goes on,
and yields `DETECTED` once the client has noticed. It acts through `Wire`, which the transport implements, and
does no I/O of its own. To add a kind, subclass `DropKind` and set its `name`; defining the class registers
it. Which session is dropped when does not belong here.
"""

import random
from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import ClassVar, Final, Protocol

from loadtest.events import Data, Drop
from loadtest.values import Choice


class Wire(Protocol):
    """A connection as a drop sees it, with operations that a well-behaved client does not use.

    Attributes:
        probe: a message that makes the server answer, for kinds with `probes`; None if the dialect has none.
    """

    probe: Data | None

    def send_close(self, code: int) -> None:
        """Begin the closing handshake; the server's answer ends the connection."""

    def send_message(self, data: Data) -> None:
        """Send a whole message that is not in the session's ledger."""

    def write_raw(self, data: bytes) -> None:
        """Write bytes to the socket as they are, without framing."""

    def pause_reading(self) -> None:
        """Stop reading from the socket, so that the kernel's receive buffer fills."""

    def has_unread(self) -> bool:
        """Return whether the server has sent anything since reading was paused."""

    def resume_reading(self) -> None:
        """Resume reading."""

    def hold_back(self) -> None:
        """Hold back data from now on, so that it leaves together with the FIN of `end_writing`."""

    def end_writing(self) -> None:
        """Send the held data and FIN, in one packet if they fit; the connection can still read."""

    def go_silent(self) -> None:
        """Stop writing and keepalive, discard incoming data, and leave the socket open."""

    def fin(self) -> None:
        """Close the TCP connection with FIN, without a close frame."""

    def reset(self) -> None:
        """Close the TCP connection with RST, discarding unsent data."""


DETECTED: Final = "detected"
"""Yielded by a kind once the session's client has noticed the loss."""

Steps = Iterator[float | str]

BEYOND_S: Final = 5.0
"""How long a half-open connection is held after the server should have closed it, to distinguish a late close
from none."""

MASK: Final = bytes(4)
"""The mask of hand-made frames. RFC 6455 section 5.3 allows any value; zero leaves the payload as it is."""


class DropKind(ABC):
    """A way to lose a connection.

    Attributes:
        name: the kind's name in options, files and reports.
        disconnects: False if the connection survives.
        probes: whether the kind sends the dialect's probe; other kinds do not receive it.
    """

    name: ClassVar[str]
    disconnects: ClassVar[bool] = True
    probes: ClassVar[bool] = False

    kinds: ClassVar[dict[str, type["DropKind"]]] = {}

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        if "name" in cls.__dict__:
            DropKind.kinds[cls.name] = cls

    def times(self, rng: random.Random) -> tuple[float, float]:
        """Return (detect_s, hold_s) of one drop in seconds; see `loadtest.events.Drop`."""
        return (0.0, 0.0)

    @abstractmethod
    def steps(self, wire: Wire, drop: Drop) -> Steps:
        """Perform the drop: yield seconds to wait, and DETECTED once the client has noticed."""


CLOSE_S: Final = 10.0
"""How long a server may take to end TCP after a close frame. RFC 6455 section 7.1.1 has it do so first and at
once; 10 s is the longest that common servers wait for their own last writes."""


class CloseDrop(DropKind):
    """A logout: the closing handshake of RFC 6455 section 7.

    The session goes on once the server has answered; the old socket stays open until the server closes it.
    """

    name = "close"

    answer_s: ClassVar[float] = 2.0

    def steps(self, wire: Wire, drop: Drop) -> Steps:
        wire.send_close(1000)
        # The server's answer ends the wait early; a server that never answers must not block the session.
        yield self.answer_s
        yield DETECTED
        yield CLOSE_S - self.answer_s
        wire.fin()


class TabClose(DropKind):
    """A closed browser tab: browsers send 1001 and do not wait for the answer."""

    name = "tab_close"

    def steps(self, wire: Wire, drop: Drop) -> Steps:
        wire.send_close(1001)
        wire.fin()
        yield DETECTED


class Fin(DropKind):
    """A killed process: the kernel closes the socket, without a close frame."""

    name = "fin"

    def steps(self, wire: Wire, drop: Drop) -> Steps:
        wire.fin()
        yield DETECTED


class Reset(DropKind):
    """A crash, or a NAT table entry that expired."""

    name = "reset"

    def steps(self, wire: Wire, drop: Drop) -> Steps:
        wire.reset()
        yield DETECTED


class HalfOpen(DropKind):
    """A lost network: the client reconnects while its old socket stays open and silent.

    The old socket is held open long enough for the usual server ping (after 20 s, with a timeout of 20 s) to
    time out. If the server's own time is known, the engine holds it until slightly after that.
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
    """A network lost while sending: the second half of a frame never arrives."""

    name = "mid_message"

    def steps(self, wire: Wire, drop: Drop) -> Steps:
        # FIN and TEXT, masked, 16-bit length: 1000 bytes announced, 500 sent.
        wire.write_raw(b"\x81\xfe\x03\xe8" + MASK + b"x" * 500)
        yield 0.01
        wire.reset()
        yield DETECTED


class MidReply(DropKind):
    """A network lost while receiving: the socket closes while the server is answering.

    FIN is in the packet with the requests, and RST follows in the loop's next iteration. So the server finds
    its client gone when it sends the first answer, however distant or fast it is. RST alone may be too late:
    on a busy machine the server may answer before this process sends it. Waiting for the first byte of an
    answer is too late for a distant server. Without requests, RST follows the server's next unrequested data.
    """

    name = "mid_reply"
    probes = True

    requests: ClassVar[int] = 4

    looks: ClassVar[int] = 20
    """Number of checks, 10 ms apart, for data from the server if the dialect has no probe."""

    def steps(self, wire: Wire, drop: Drop) -> Steps:
        wire.pause_reading()
        if wire.probe is None:
            for _ in range(self.looks):
                if wire.has_unread():
                    break
                yield 0.01
        else:
            wire.hold_back()
            for _ in range(self.requests):
                wire.send_message(wire.probe)
            wire.end_writing()
            yield 0.0
        wire.reset()
        yield DETECTED


class SlowReader(DropKind):
    """A phone in a tunnel: it stops reading for a while, then resumes."""

    name = "slow_reader"
    disconnects = False

    def times(self, rng: random.Random) -> tuple[float, float]:
        return (0.0, rng.uniform(1.0, 4.0))

    def steps(self, wire: Wire, drop: Drop) -> Steps:
        wire.pause_reading()
        yield drop.hold_s
        wire.resume_reading()


class ProtocolErrorDrop(DropKind):
    """A broken client: it sends a frame that RFC 6455 forbids; the server closes with 1002 or 1007."""

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
    """A broken client: it sends text that the application cannot parse, a real error in the server's log."""

    name = "bad_message"

    def steps(self, wire: Wire, drop: Drop) -> Steps:
        wire.send_message("this is not JSON")
        yield 2.0
        yield DETECTED
        wire.reset()


def check_kind(kind: str, option: str) -> None:
    """Refuse an option's value that is not a known kind.

    Raises:
        InvalidSetting: the kind is unknown.
    """
    Choice(sorted(DropKind.kinds)).read(kind, option, "kind")


def disconnects(kind: str | None) -> bool:
    """Return whether a drop begins an outage; True for a kind unknown to this process."""
    known = None if kind is None else DropKind.kinds.get(kind)
    return known is None or known.disconnects
