"""Drops: the seeded plan, the weights, and what each kind does to the wire in which order."""

from collections import Counter
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadtest.drops import (
    DEFAULT_WEIGHTS,
    DETECTED,
    DropKind,
    DropPlan,
    OnceInTurn,
    ProtocolErrorDrop,
    Steps,
    Wire,
    parse_weights,
)
from loadtest.errors import InvalidSetting
from loadtest.events import Data, Drop
from tests.support.effort import effort

EVERY_KIND = dict.fromkeys(DropKind.kinds, 1.0)


def plan_bytes(plan: DropPlan, *, sessions: int = 20, ordinals: int = 10) -> bytes:
    """Return the plan's drops, session by session, as they are written to a file."""
    return msgspec.json.encode(
        [plan.drop(n, ordinal) for n in range(sessions) for ordinal in range(ordinals)]
    )


def drops_of(plan: DropPlan, count: int) -> list[Drop]:
    """Return this many drops of many sessions."""
    drops = [plan.drop(session, 0) for session in range(count)]
    return [drop for drop in drops if drop is not None]


class TestPlan:
    """Who loses the connection when."""

    def test_same_seed_same_plan(self) -> None:
        """The same seed and settings give the same plan, byte for byte."""
        plan, again = (DropPlan(seed=3, weights=EVERY_KIND) for _ in range(2))
        assert plan_bytes(plan) == plan_bytes(again)

    def test_order_of_asking_means_nothing(self) -> None:
        """A drop is the same whichever drops were asked for before it."""
        plan = DropPlan()
        forwards = [plan.drop(session, ordinal) for session in range(5) for ordinal in range(5)]
        backwards = [plan.drop(4 - session, 4 - ordinal) for session in range(5) for ordinal in range(5)]
        assert forwards == backwards[::-1]

    def test_order_of_weights_means_nothing(self) -> None:
        """The same weights written in another order are the same settings, so the same plan."""
        turned = dict(reversed(list(DEFAULT_WEIGHTS.items())))
        assert plan_bytes(DropPlan()) == plan_bytes(DropPlan(weights=turned))

    def test_a_session_does_not_depend_on_others(self) -> None:
        """A session's drops are the same whether others ask or not: more sessions change no one's plan."""
        few = plan_bytes(DropPlan(), sessions=5)
        assert plan_bytes(DropPlan(), sessions=50).startswith(few[:-1])

    def test_known_plan(self) -> None:
        """A plan once made is the plan of every later version: these drops may never change."""
        plan, half_open = DropPlan(), DropPlan(weights={"half_open": 1.0})
        known = [plan.drop(0, 0), plan.drop(7, 2), half_open.drop(0, 0)]
        assert known == [
            Drop(kind="mid_message", ordinal=0, after_s=17.226812),
            Drop(kind="tab_close", ordinal=2, after_s=6.798495),
            Drop(kind="half_open", ordinal=0, after_s=17.226812, detect_s=1.095508, hold_s=50.194818),
        ]

    def test_another_seed_another_plan(self) -> None:
        """Another seed gives another plan."""
        assert plan_bytes(DropPlan(seed=1)) != plan_bytes(DropPlan(seed=2))

    def test_times(self) -> None:
        """Drops come after exponential times: the mean is as set, and a share of 1/e comes later than it."""
        after_s = [drop.after_s for drop in drops_of(DropPlan(every_s=20.0), 2000)]
        assert sum(after_s) / 2000 == pytest.approx(20, rel=0.05)
        assert sum(each > 20 for each in after_s) / 2000 == pytest.approx(0.368, abs=0.03)

    def test_kinds(self) -> None:
        """Kinds come as often as their weights say, and a kind of weight 0 never."""
        weights = {"close": 3.0, "reset": 1.0, "fin": 0.0}
        seen = Counter(drop.kind for drop in drops_of(DropPlan(weights=weights), 2000))
        assert seen.keys() == {"close", "reset"}
        assert seen["close"] / 2000 == pytest.approx(0.75, abs=0.03)

    @pytest.mark.parametrize(
        ("kind", "detect_s", "hold_s"),
        [("half_open", (0.5, 2.0), (45.0, 60.0)), ("slow_reader", (0, 0), (1.0, 4.0))],
    )
    def test_times_of_a_kind(
        self, kind: str, detect_s: tuple[float, float], hold_s: tuple[float, float]
    ) -> None:
        """A kind that takes time has times of its own, drawn from the plan."""
        drops = drops_of(DropPlan(weights={kind: 1.0}), 200)
        assert all(detect_s[0] <= drop.detect_s <= detect_s[1] for drop in drops)
        assert all(hold_s[0] <= drop.hold_s <= hold_s[1] for drop in drops)
        assert len({drop.hold_s for drop in drops}) == 200

    def test_default_kinds(self) -> None:
        """By default every kind is drawn that a sound server takes quietly."""
        assert DEFAULT_WEIGHTS.keys() == EVERY_KIND.keys() - {"bad_message", "protocol_error", "slow_reader"}

    def test_no_drops(self) -> None:
        """With no time between drops there are none, whatever the weights."""
        assert DropPlan(every_s=0, weights={}).drop(0, 0) is None

    @pytest.mark.parametrize(
        ("changes", "problem"),
        [
            ({"every_s": -1.0}, "drop-every: -1.0 is no time. Give seconds, 0 for no drops"),
            ({"every_s": float("inf")}, "drop-every: inf is no time"),
            (
                {"weights": {"closed": 1.0}},
                "drops: 'closed' is no kind of drop. The kinds are bad_message, close, ",
            ),
            ({"weights": {"close": -1.0}}, "drops: 'close=-1.0' is no weight. A weight is 0 or more"),
            ({"weights": {"close": float("nan")}}, "drops: 'close=nan' is no weight"),
            ({"weights": {"close": 0.0}}, "leaves no kind to draw. Use drop-every 0 for no drops"),
            ({"weights": {"close": 1e308, "fin": 1e308}}, "leaves no kind to draw"),
            ({"weights": {}}, "leaves no kind to draw"),
        ],
    )
    def test_refused(self, changes: dict[str, Any], problem: str) -> None:
        """A plan that cannot be drawn is refused: the value, what is wrong, and what to give."""
        with pytest.raises(InvalidSetting) as refusal:
            DropPlan(**changes)
        assert problem in str(refusal.value)


class TestOnceInTurn:
    """The plan of a probe."""

    def test_each_session_is_dropped_once(self) -> None:
        """As many sessions as kinds show each kind once, at about the time that was asked for."""
        plan = OnceInTurn(every_s=4.0, weights={**DEFAULT_WEIGHTS, "bad_message": 0.0})
        drops = drops_of(plan, 2 * len(DEFAULT_WEIGHTS))
        assert Counter(drop.kind for drop in drops) == dict.fromkeys(DEFAULT_WEIGHTS, 2)
        assert all(2.0 <= drop.after_s <= 6.0 for drop in drops)
        assert [plan.drop(session, 1) for session in range(20)] == [None] * 20

    def test_it_is_seeded_and_checked_like_any_plan(self) -> None:
        """The same seed gives the same plan; bad weights are refused and no drops are none."""
        plan, again, other = OnceInTurn(4.0), OnceInTurn(4.0), OnceInTurn(4.0, seed=2)
        assert plan_bytes(plan) == plan_bytes(again) != plan_bytes(other)
        assert OnceInTurn(0.0).drop(0, 0) is None
        with pytest.raises(InvalidSetting):
            OnceInTurn(4.0, {"closed": 1.0})


class TestParseWeights:
    """The text that `--ws-drops` takes."""

    @pytest.mark.parametrize(
        ("text", "weights"),
        [
            ("close", {"close": 1.0}),
            ("close=2,reset=0.5,half_open", {"close": 2.0, "reset": 0.5, "half_open": 1.0}),
            (" close = 2 , , fin ,", {"close": 2.0, "fin": 1.0}),
            ("close=0,fin=1", {"close": 0.0, "fin": 1.0}),
        ],
    )
    def test_weights(self, text: str, weights: dict[str, float]) -> None:
        """Kinds with weights; a bare kind weighs 1, and blanks do not matter."""
        assert parse_weights(text) == weights

    @pytest.mark.parametrize(
        ("text", "problem"),
        [
            ("", "names no kind. The kinds are bad_message, close"),
            (" , ", "names no kind"),
            (
                "crash",
                "'crash' is no kind of drop. The kinds are bad_message, close, fin, half_open, mid_message",
            ),
            ("close=two", "'close=two' has a weight that is no number. Write kind=weight,kind=weight"),
            ("close=", "has a weight that is no number"),
            ("close=1=2", "has a weight that is no number"),
            ("=1", "'' is no kind of drop"),
            ("close,close=2", "names close twice"),
            ("close=-1", "is no weight"),
            ("close=inf", "is no weight"),
            ("close=0", "leaves no kind to draw"),
        ],
    )
    def test_refused(self, text: str, problem: str) -> None:
        """Weights that cannot be are refused: the text, what is wrong with it, and how to write it."""
        with pytest.raises(InvalidSetting) as refusal:
            parse_weights(text)
        assert problem in str(refusal.value)

    @given(
        st.text(max_size=30)
        | st.lists(
            st.sampled_from(sorted(EVERY_KIND)).flatmap(
                lambda kind: st.floats().map(lambda weight: f"{kind}={weight}") | st.just(kind)
            ),
            max_size=4,
        ).map(",".join)
    )
    @effort(50)
    def test_any_text(self, text: str) -> None:
        """Whatever the text, it is weights from which a drop can be drawn, or refused as a setting."""
        try:
            weights = parse_weights(text)
        except InvalidSetting:
            return
        drop = DropPlan(weights=weights).drop(0, 0)
        assert drop is not None
        assert weights[drop.kind] > 0


class Recording:
    """A wire that writes down what is done to it."""

    sample: Data = '{"sequence":-1}'

    def __init__(self) -> None:
        self.done: list[Any] = []

    def send_close(self, code: int) -> None:
        self.done.append(f"close {code}")

    def send_message(self, data: Data) -> None:
        self.done.append(data)

    def write_raw(self, data: bytes) -> None:
        self.done.append(data)

    def pause_reading(self) -> None:
        self.done.append("pause")

    def resume_reading(self) -> None:
        self.done.append("resume")

    def go_silent(self) -> None:
        self.done.append("silence")

    def fin(self) -> None:
        self.done.append("fin")

    def reset(self) -> None:
        self.done.append("reset")


def steps_of(kind: str, **times: Any) -> list[Any]:
    """Return what a kind does to the wire and what it yields, in one list, in order."""
    wire = Recording()
    drop = Drop(kind=kind, after_s=0.0, **{"ordinal": 0, "detect_s": 0.7, "hold_s": 50.0} | times)
    for step in DropKind.kinds[kind]().steps(wire, drop):
        wire.done.append(step)
    return wire.done


BURST = [Recording.sample] * 32
MID_MESSAGE = b"\x81\xfe\x03\xe8\0\0\0\0" + b"x" * 500
"""RFC 6455 section 5.2: FIN and text, masked, 16-bit length 1000, mask 0; and half of it."""


class TestKinds:
    """What each kind does, in which order."""

    @pytest.mark.parametrize(
        ("kind", "done"),
        [
            ("close", ["close 1000", 2.0, DETECTED, "fin"]),
            ("tab_close", ["close 1001", "fin", DETECTED]),
            ("fin", ["fin", DETECTED]),
            ("reset", ["reset", DETECTED]),
            ("half_open", ["silence", 0.7, DETECTED, 50.0, "reset"]),
            ("mid_message", [MID_MESSAGE, 0.01, "reset", DETECTED]),
            ("mid_reply", ["pause", *BURST, 0.05, *BURST, 0.0, "reset", DETECTED]),
            ("slow_reader", ["pause", 50.0, "resume"]),
            ("bad_message", ["this is not JSON", 2.0, DETECTED, "reset"]),
            ("protocol_error", [b"\x81\x05hello", 2.0, DETECTED, "reset"]),
        ],
    )
    def test_steps(self, kind: str, done: list[Any]) -> None:
        """A kind does to the wire what the table of the design says, in that order."""
        assert steps_of(kind) == done

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
