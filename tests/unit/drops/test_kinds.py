"""What each kind of drop does to the wire, in which order."""

from collections.abc import Iterator
from typing import Any

import pytest

from loadtest.drops.kinds import DETECTED, DropKind, ProtocolErrorDrop, Steps, Wire
from loadtest.drops.plan import DropPlan, parse_weights
from loadtest.events import Data, Drop

PROBE = '{"type":"probe"}'


class Recording:
    """A wire that writes down what is done to it."""

    def __init__(self, probe: Data | None = PROBE, unread_after: int = 0) -> None:
        self.probe = probe
        self.unread_after = unread_after
        self.done: list[Any] = []

    def send_close(self, code: int) -> None:
        self.done.append(f"close {code}")

    def send_message(self, data: Data) -> None:
        self.done.append(data)

    def write_raw(self, data: bytes) -> None:
        self.done.append(data)

    def pause_reading(self) -> None:
        self.done.append("pause")

    def has_unread(self) -> bool:
        self.unread_after -= 1
        return self.unread_after < 0

    def resume_reading(self) -> None:
        self.done.append("resume")

    def hold_back(self) -> None:
        self.done.append("hold back")

    def end_writing(self) -> None:
        self.done.append("end writing")

    def go_silent(self) -> None:
        self.done.append("silence")

    def fin(self) -> None:
        self.done.append("fin")

    def reset(self) -> None:
        self.done.append("reset")


def steps_of(kind: str, *, probe: Data | None = PROBE, unread_after: int = 0, **times: Any) -> list[Any]:
    """Return what a kind does to the wire and what it yields, in one list, in order."""
    wire = Recording(probe, unread_after)
    drop = Drop(kind=kind, after_s=0.0, **{"ordinal": 0, "detect_s": 0.7, "hold_s": 50.0} | times)
    for step in DropKind.kinds[kind]().steps(wire, drop):
        wire.done.append(step)
    return wire.done


MID_MESSAGE = b"\x81\xfe\x03\xe8\0\0\0\0" + b"x" * 500
"""RFC 6455 section 5.2: FIN and text, masked, 16-bit length 1000, mask 0; and half of it."""


class TestKinds:
    """What each kind does, in which order."""

    @pytest.mark.parametrize(
        ("kind", "done"),
        [
            ("close", ["close 1000", 2.0, DETECTED, 8.0, "fin"]),
            ("tab_close", ["close 1001", "fin", DETECTED]),
            ("fin", ["fin", DETECTED]),
            ("reset", ["reset", DETECTED]),
            ("half_open", ["silence", 0.7, DETECTED, 50.0, "reset"]),
            ("mid_message", [MID_MESSAGE, 0.01, "reset", DETECTED]),
            ("mid_reply", ["pause", "hold back", *[PROBE] * 4, "end writing", 0.0, "reset", DETECTED]),
            ("slow_reader", ["pause", 50.0, "resume"]),
            ("bad_message", ["this is not JSON", 2.0, DETECTED, "reset"]),
            ("protocol_error", [b"\x81\x05hello", 2.0, DETECTED, "reset"]),
        ],
    )
    def test_steps(self, kind: str, done: list[Any]) -> None:
        """A kind does to the wire what the table of the design says, in that order."""
        assert steps_of(kind) == done

    @pytest.mark.parametrize(("unread_after", "waits"), [(0, 0), (3, 3), (1000, 20)])
    def test_mid_reply_without_a_probe(self, unread_after: int, waits: int) -> None:
        """Where the dialect has no message for drops, none is sent: RST follows what the server says by
        itself, and comes after 0.2 s if it says nothing.
        """
        done = steps_of("mid_reply", probe=None, unread_after=unread_after)
        assert done == ["pause", *[0.01] * waits, "reset", DETECTED]

    def test_every_kind_is_tested(self) -> None:
        """The ten kinds of the design are all there are."""
        marks = TestKinds.test_steps.pytestmark
        assert {case[0] for case in marks[0].args[1]} == DropKind.kinds.keys()
        assert len(DropKind.kinds) == 10

    def test_detection_is_said_once(self) -> None:
        """A kind that disconnects says once that the client has noticed, and one that does not never."""
        for kind, known in DropKind.kinds.items():
            assert steps_of(kind).count(DETECTED) == (1 if known.disconnects else 0)

    def test_protocol_errors_take_turns(self) -> None:
        """A session's broken frames are, drop by drop, unmasked, of a reserved opcode, and not UTF-8."""
        frames = [steps_of("protocol_error", ordinal=ordinal)[0] for ordinal in range(4)]
        assert frames == [*ProtocolErrorDrop.frames, ProtocolErrorDrop.frames[0]]
        unmasked, reserved, text = frames[:3]
        assert unmasked[1] & 0x80 == 0
        assert (reserved[0] & 0x0F, text[0] & 0x0F) == (3, 1)
        with pytest.raises(UnicodeDecodeError):
            text[6:].decode()

    def test_own_kind(self, forgotten_kinds: None) -> None:
        """A kind of a user's own is a subclass with a name, known from then on in plans and texts."""

        class Unplugged(DropKind):
            name = "unplugged"

            def steps(self, wire: Wire, drop: Drop) -> Steps:
                wire.go_silent()
                yield DETECTED

        assert parse_weights("unplugged=2") == {"unplugged": 2.0}
        drop = DropPlan(weights={"unplugged": 1.0}).drop(0, 0)
        assert drop is not None
        assert (drop.kind, drop.detect_s, drop.hold_s) == ("unplugged", 0, 0)
        assert steps_of("unplugged") == ["silence", DETECTED]

    @pytest.fixture
    def forgotten_kinds(self) -> Iterator[None]:
        """Forget the kinds that a test defines."""
        known = dict(DropKind.kinds)
        yield
        DropKind.kinds.clear()
        DropKind.kinds.update(known)
