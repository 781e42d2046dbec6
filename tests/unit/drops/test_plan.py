"""When a session is dropped: the seeded plan, the weights, and storms."""

from __future__ import annotations

import random
from collections import Counter
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadtest.drops.kinds import DropKind
from loadtest.drops.plan import (
    DEFAULT_WEIGHTS,
    LATEST_S,
    MAX_STORMS,
    DropPlan,
    OnceInTurn,
    Storm,
    parse_storms,
    parse_weights,
)
from loadtest.errors import InvalidSetting
from loadtest.events import Drop
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
            ({"every_s": -1.0}, "--ws-drop-every must be 0–1000000000 seconds (got -1.0)"),
            ({"every_s": float("inf")}, "--ws-drop-every must be 0–1000000000 seconds (got inf)"),
            ({"weights": {"closed": 1.0}}, "--ws-drops kind must be bad_message, close, "),
            ({"weights": {"close": -1.0}}, "--ws-drops weight of close must be 0–1000000000 (got -1.0)"),
            (
                {"weights": {"close": float("nan")}},
                "--ws-drops weight of close must be 0–1000000000 (got nan)",
            ),
            ({"weights": {"close": 0.0}}, "must have a kind with a weight above 0"),
            ({"weights": {"close": 1e308, "fin": 1e308}}, "weight of close must be 0–1000000000"),
            ({"weights": {}}, "To turn drops off, use --ws-drop-every 0"),
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
            ("", "must be KIND=WEIGHT,KIND=WEIGHT"),
            (" , ", "must be KIND=WEIGHT,KIND=WEIGHT"),
            ("crash", "kind must be bad_message, close, fin, half_open, mid_message, "),
            ("crash", "(got 'crash')"),
            ("close=two", "weight of close must be 0–1000000000 (got 'two')"),
            ("close=", "weight of close must be 0–1000000000 (got '')"),
            ("close=1=2", "weight of close must be 0–1000000000 (got '1=2')"),
            ("=1", "(got '')"),
            ("close,close=2", "must name each kind once (got 'close,close=2')"),
            ("close=-1", "weight of close must be 0–1000000000 (got '-1')"),
            ("close=inf", "weight of close must be 0–1000000000 (got 'inf')"),
            ("close=0", "must have a kind with a weight above 0"),
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


HALF = Storm(at_s=30.0, share_ratio=0.5)


STORMS = st.builds(
    Storm,
    at_s=st.floats(0, LATEST_S),
    share_ratio=st.floats(0, 1, exclude_min=True),
    kind=st.sampled_from(sorted(DropKind.kinds)),
)


def members(plan: DropPlan, sessions: int = 200, *, at_s: float = 30.0, now_s: float = 0.0) -> set[int]:
    """Return which of so many sessions, all established now, are dropped at this moment before all else."""
    drops = {session: plan.next_drop(session, 0, now_s) for session in range(sessions)}
    return {session for session, drop in drops.items() if drop and drop.after_s == round(at_s - now_s, 6)}


class TestParsing:
    """The text that `--ws-storm` takes."""

    @pytest.mark.parametrize(
        ("texts", "storms"),
        [
            ((), []),
            (("", " , "), []),
            (("0.5@30",), [(30, 0.5, "reset")]),
            (("50%@30:fin",), [(30, 0.5, "fin")]),
            ((" 12.5 % @ 1.5 : half_open ",), [(1.5, 0.125, "half_open")]),
            (("100%@0", "1e-3@604800"), [(0, 1, "reset"), (604800, 0.001, "reset")]),
            (("1@60,0.1@30:close,",), [(60, 1, "reset"), (30, 0.1, "close")]),
        ],
    )
    def test_storms(self, texts: tuple[str, ...], storms: list[tuple[float, float, str]]) -> None:
        """Share and moment, with a kind or without; several in a text or in texts; blanks do not matter."""
        read = [(storm.at_s, storm.share_ratio, storm.kind) for storm in parse_storms(texts)]
        assert read == storms

    @pytest.mark.parametrize(
        ("text", "problem"),
        [
            ("0.5", "--ws-storm must be SHARE@SECONDS[:KIND], for example 0.5@30 or 50%@30:fin (got '0.5')"),
            ("half@30", "must be SHARE@SECONDS[:KIND]"),
            ("0.5@30s", "must be SHARE@SECONDS[:KIND]"),
            ("0.5@", "must be SHARE@SECONDS[:KIND]"),
            ("5%0@30", "must be SHARE@SECONDS[:KIND]"),
            ("%@30", "must be SHARE@SECONDS[:KIND]"),
            ("0.5@3@0", "must be SHARE@SECONDS[:KIND]"),
            ("0@30", "--ws-storm share must be above 0 and at most 1 (100%) (got '0@30')"),
            ("50@30", "share must be above 0 and at most 1"),
            ("101%@30", "share must be above 0 and at most 1"),
            ("nan@30", "share must be above 0 and at most 1"),
            ("0.5@-1", "--ws-storm moment must be 0–604800 seconds (got '0.5@-1')"),
            ("0.5@nan", "moment must be 0–604800 seconds"),
            ("0.5@inf", "moment must be 0–604800 seconds"),
            ("0.5@30:", "--ws-storm kind must be bad_message, close, "),
            ("0.5@30:hail", "(got 'hail')"),
            (",".join(["0.5@30"] * (MAX_STORMS + 1)), "--ws-storm must be at most 20 storms (got 21)"),
        ],
    )
    def test_refused(self, text: str, problem: str) -> None:
        """A storm that cannot be is refused: the option, the value, what is wrong, and what to write."""
        with pytest.raises(InvalidSetting) as refusal:
            parse_storms([text])
        assert problem in str(refusal.value)

    @given(st.lists(STORMS, max_size=5))
    @effort(100)
    def test_what_is_written_is_read(self, storms: list[Storm]) -> None:
        """Every storm, written as text, is read as exactly itself."""
        assert parse_storms(map(str, storms)) == tuple(storms)
        assert parse_storms([",".join(map(str, storms))]) == tuple(storms)

    @given(
        st.text(max_size=30)
        | st.tuples(st.text("0.5%e-", max_size=5), st.text("30.@", max_size=5), st.text(max_size=5)).map(
            lambda parts: f"{parts[0]}@{parts[1]}:{parts[2]}"
        )
        | st.tuples(st.floats(), st.floats()).map(lambda numbers: f"{numbers[0]}@{numbers[1]}")
    )
    @effort(200)
    def test_any_text(self, text: str) -> None:
        """Whatever the text, it is storms that a plan can have, or refused as a setting."""
        try:
            storms = parse_storms([text])
        except InvalidSetting:
            return
        DropPlan(storms=storms).next_drop(0, 0, 0.0)

    def test_a_plan_checks_its_storms(self) -> None:
        """Storms that were not read from a text are checked all the same."""
        with pytest.raises(InvalidSetting, match="share must be above 0"):
            DropPlan(storms=(Storm(at_s=1.0, share_ratio=1.5),))
        with pytest.raises(InvalidSetting, match=r"kind must be .*'hail'"):
            OnceInTurn(storms=(Storm(at_s=1.0, share_ratio=0.5, kind="hail"),))


class TestMembers:
    """Who is dropped by a storm."""

    def test_known_members(self) -> None:
        """Members once drawn are those of every later version: these may never change."""
        assert members(DropPlan(0, storms=(HALF,)), 20) == {2, 3, 4, 6, 8, 9, 10, 11, 12, 13, 15, 16}

    @pytest.mark.parametrize("share_ratio", [0.01, 0.1, 0.5, 0.9, 1.0])
    def test_the_share(self, share_ratio: float) -> None:
        """About the share of the sessions are members; of the share 1 all are."""
        plan = DropPlan(0, storms=(Storm(at_s=30.0, share_ratio=share_ratio),))
        assert len(members(plan, 2000)) / 2000 == pytest.approx(share_ratio, abs=0.04 * (share_ratio < 1))

    def test_a_greater_share_has_all_members_of_a_smaller_one(self) -> None:
        """Turning the share up adds members and takes none away."""
        few, many = (DropPlan(0, storms=(Storm(at_s=30.0, share_ratio=share),)) for share in (0.3, 0.6))
        assert members(few) < members(many)

    def test_others_do_not_matter(self) -> None:
        """Whether a session is a member depends on no other session, and not on when it was established."""
        plan = DropPlan(0, storms=(HALF,))
        assert members(plan, 20) == {session for session in members(plan, 500) if session < 20}
        assert members(plan, now_s=29.5) == members(plan)

    def test_those_of_a_whole_share_are_all(self) -> None:
        """A share of 1 has every session as a member, of every storm that a run can have."""
        storms = tuple(Storm(at_s=at_s, share_ratio=1.0) for at_s in range(1, MAX_STORMS + 1))
        plan = DropPlan(0, storms=storms)
        for before_s, storm in enumerate(plan.storms):
            assert len(members(plan, at_s=storm.at_s, now_s=before_s)) == 200

    def test_to_look_for_members_seeds_no_generator(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Whoever is established on the loop that measures pays for one generator at the most, its drop's."""
        seeds: list[str] = []

        class Seeded(random.Random):
            def __init__(self, seed: str) -> None:
                seeds.append(seed)
                super().__init__(seed)

        storms = tuple(Storm(at_s=at_s, share_ratio=0.01) for at_s in range(1, MAX_STORMS + 1))
        monkeypatch.setattr("loadtest.drops.plan.random.Random", Seeded)
        drops = [DropPlan(0, storms=storms).next_drop(session, 0, 0.0) for session in range(100)]
        assert len(seeds) == sum(drop is not None for drop in drops) < 50

    def test_each_storm_and_seed_has_its_own_members(self) -> None:
        """Two storms of a run, and a storm of two seeds, meet different sessions."""
        plan = DropPlan(0, storms=(HALF, Storm(at_s=60.0, share_ratio=0.5)))
        first, second = members(plan), members(plan, at_s=60.0, now_s=45.0)
        assert 60 < len(first & second) + len({*range(200)} - first - second) < 140
        assert members(plan) != members(DropPlan(0, seed=2, storms=(HALF,)))

    def test_the_order_of_writing_means_nothing(self) -> None:
        """The same storms in another order are the same settings, so the same plan."""
        storms = parse_storms(["0.5@30,0.5@10,0.2@30:fin"])
        assert DropPlan(storms=storms) == DropPlan(storms=storms[::-1])
        assert [storm.at_s for storm in DropPlan(storms=storms).storms] == [10, 30, 30]


class TestNextDrop:
    """A session's next drop is its own, or a storm before it."""

    @given(st.integers(0, 500), st.integers(0, 20), st.floats(0, 100))
    @effort(50)
    def test_without_storms_it_is_the_sessions_own(self, session: int, ordinal: int, now_s: float) -> None:
        """A plan without storms is what it always was, whatever the time."""
        plan = DropPlan()
        assert plan.next_drop(session, ordinal, now_s) == plan.drop(session, ordinal)

    @given(
        st.integers(0, 50), st.integers(0, 5), st.floats(0, 100), st.lists(STORMS, max_size=6), st.booleans()
    )
    @effort(100)
    def test_it_is_the_earliest(
        self, session: int, ordinal: int, now_s: float, storms: list[Storm], own: bool
    ) -> None:
        """No storm changes a session's own drops; it comes before them, at its moment, or not at all."""
        plan = DropPlan(every_s=20.0 if own else 0.0, storms=tuple(storms))
        before, drop = plan.drop(session, ordinal), plan.next_drop(session, ordinal, now_s)
        assert before == DropPlan(every_s=plan.every_s).drop(session, ordinal)
        if drop == before:
            return
        assert drop is not None
        assert before is None or drop.after_s <= before.after_s
        assert drop.ordinal == ordinal
        assert (drop.kind, drop.after_s) in {(storm.kind, round(storm.at_s - now_s, 6)) for storm in storms}

    def test_a_moment_that_has_passed_is_passed_over(self) -> None:
        """Whoever is established at a storm's moment or after it is not dropped by it."""
        plan = DropPlan(0, storms=(Storm(at_s=30.0, share_ratio=1.0),))
        assert plan.next_drop(0, 0, 29.5) == Drop(kind="reset", ordinal=0, after_s=0.5, storm=0)
        assert plan.next_drop(0, 1, 30.0) is plan.next_drop(0, 1, 31.0) is None

    def test_the_next_storm_is_the_earliest_of_a_sessions(self) -> None:
        """Of several storms that a session is a member of, the first to come is its next drop."""
        plan = DropPlan(0, storms=parse_storms(["1@60:fin,1@10,1@30:half_open"]))
        drops = [plan.next_drop(0, 0, now_s) for now_s in (0, 10, 30, 60)]
        assert [drop and (drop.kind, drop.after_s) for drop in drops] == [
            ("reset", 10),
            ("half_open", 20),
            ("fin", 30),
            None,
        ]

    def test_times_of_a_kind_are_each_sessions_own(self) -> None:
        """Members of one storm are dropped at one moment, but notice it in their own time."""
        plan = DropPlan(0, storms=parse_storms(["1@30:half_open"]))
        drops = [drop for session in range(50) if (drop := plan.next_drop(session, 0, 10.0))]
        assert {drop.after_s for drop in drops} == {20.0}
        assert len({drop.detect_s for drop in drops}) == len({drop.hold_s for drop in drops}) == 50
