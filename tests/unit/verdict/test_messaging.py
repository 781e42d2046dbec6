"""The item messaging: its rule from both sides."""

from __future__ import annotations

import pytest

from loadtest.dialects.base import Dialect
from loadtest.results.data import RunData
from loadtest.results.interval import pack
from loadtest.results.manifest import Promises
from loadtest.ruling import Ruling
from loadtest.session.schedule import NS_PER_S
from loadtest.verdict.messaging import FAILINGS, MIN_ANSWERED, OUTCOMES
from loadtest.verdict.run import judge
from tests.support.fake_link import FakeServer, Link
from tests.support.rulings import ruling, told
from tests.support.runs import gathered, interval, manifest, plan, sound

# messaging


@pytest.mark.parametrize("name", FAILINGS)
def test_one_message_is_enough_to_fail(name: str) -> None:
    """Whatever an undisturbed connection owes and does not keep fails the item, and is named."""
    counts = {f"messaging.{name}": 1}
    if name in OUTCOMES:
        counts["messaging.answered"] = 4889
    assert ruling("messaging", sound({**counts})) is Ruling.FAIL
    assert FAILINGS[name].partition(" ")[2] in told("messaging", sound({**counts}))


def test_what_a_drop_explains_is_no_failing() -> None:
    """Requests lost in an outage are reported, and pass."""
    evidence = sound({"messaging.lost_in_outage": 90, "messaging.recovered": 10})
    assert ruling("messaging", evidence) is Ruling.PASS
    assert "100 lost in an outage" in told("messaging", evidence)


def test_few_answers_are_inconclusive() -> None:
    """Under a hundred answers show too little, unless one of them already fails."""
    few = {"messaging.sent": MIN_ANSWERED - 1, "messaging.answered": MIN_ANSWERED - 1}
    few |= {"messaging.lost_in_outage": 0, "messaging.unfinished": 0}
    assert ruling("messaging", sound({**few})) is Ruling.INCONCLUSIVE
    assert ruling("messaging", sound({**few, "messaging.duplicated": 1})) is Ruling.FAIL


def test_no_messages_planned_is_not_judged() -> None:
    """A run at rate 0 is for connections only."""
    silent = sound(of=manifest(run_plan=plan(rate=0.0)), without=["messaging"])
    assert ruling("messaging", silent) is Ruling.NOT_JUDGED
    assert ruling("messaging", sound(without=["messaging"])) is Ruling.INCONCLUSIVE


FEED = manifest(
    run_plan=plan(rate=0.0, dialect="somebodys-own", duration_s=None),
    promises=Promises(ordered=False, identifies=False, pushes=True, requests=False),
)
"""A run with a dialect of a locustfile, which only listens. This process does not know the dialect."""


def test_a_dialect_that_only_listens_is_judged_by_its_pushes() -> None:
    """It passes with enough of them, also where the report is made without the locustfile."""
    for pushes, verdict in ((MIN_ANSWERED, Ruling.PASS), (MIN_ANSWERED - 1, Ruling.INCONCLUSIVE)):
        run = gathered([interval(0, counts={"messaging.pushes": pushes})], FEED)
        assert ruling("messaging", run) is verdict


@pytest.mark.parametrize("promises", [None, Promises(ordered=True, identifies=False, pushes=False)])
def test_pushes_are_judged_although_the_dialect_forgot_to_promise_them(promises: Promises | None) -> None:
    """What came is evidence; only where nothing came does the promise matter."""
    of = manifest(run_plan=plan(rate=0.0, dialect="somebodys-own", duration_s=None), promises=promises)
    for pushes, verdict in ((MIN_ANSWERED, Ruling.PASS), (0, Ruling.NOT_JUDGED)):
        run = gathered([interval(0, counts={"messaging.pushes": pushes})], of)
        assert ruling("messaging", run) is verdict


def test_the_summary_of_missing_pushes_speaks_of_pushes() -> None:
    """A dialect without requests has sent nothing that could be counted."""
    counts = {"messaging.pushes": 1409, "messaging.pushes_missing": 69}
    run = gathered([interval(0, counts=counts)], FEED)
    assert told("messaging", run) == "1,409 pushes received: 69 pushes missing"


def test_order_is_claimed_only_where_the_dialect_promises_it() -> None:
    """Also in a report made without the locustfile."""
    for ordered, claim in ((True, "intact, once and in order"), (False, "intact and once")):
        promises = Promises(ordered=ordered, identifies=False, pushes=False)
        of = manifest(run_plan=plan(dialect="somebodys-own"), promises=promises)
        assert f"messages answered, {claim};" in told("messaging", sound(of=of))


class Unanswering(Dialect):
    """A server that never replies, and does not speak on its own either."""

    name = "test-unanswering"


class Publishing(Dialect):
    """A server that never replies, but sends its clients what they publish."""

    name = "test-publishing"
    pushes = True


def _unanswered(dialect: type[Dialect], pushes: int) -> RunData:
    """A run whose 5,000 messages need no reply."""
    none = dict.fromkeys(("answered", "lost_in_outage", "unfinished"), 0)
    counts = {**none, "unanswerable": 5000, "pushes": pushes}
    of = manifest(run_plan=plan(dialect=dialect.name))
    return sound({f"messaging.{name}": count for name, count in counts.items()}, of=of)


def test_one_and_many_are_told_in_english() -> None:
    """A single failing is in the singular."""
    assert "1 push missing" in told("messaging", sound({"messaging.pushes_missing": 1}))
    assert "1,200 pushes missing" in told("messaging", sound({"messaging.pushes_missing": 1200}))
    assert "1 reply without a request (errors included)" in told(
        "messaging", sound({"messaging.unmatched": 1})
    )


def test_messages_that_need_no_reply_are_left_to_pushes() -> None:
    """Where no message needs a reply, running longer brings none: the pushes are judged, if any are due."""
    silent = _unanswered(Unanswering, 0)
    assert ruling("messaging", silent) is Ruling.NOT_JUDGED
    assert "none of 5,000 messages sent needs a reply" in told("messaging", silent)
    assert ruling("messaging", _unanswered(Publishing, 5000)) is Ruling.PASS
    assert "5,000 pushes received" in told("messaging", _unanswered(Publishing, 5000))
    assert ruling("messaging", _unanswered(Publishing, MIN_ANSWERED - 1)) is Ruling.INCONCLUSIVE


def test_messages_that_need_no_reply_are_not_counted_as_unanswered() -> None:
    """Where only some messages need a reply, answers are counted out of these."""
    some = sound({"messaging.sent": 9000, "messaging.unanswerable": 4000})
    assert "4,890 of 5,000 messages answered" in told("messaging", some)
    assert "4,000 need no reply" in told("messaging", some)
    hanging = sound({"messaging.sent": 9000, "messaging.unanswerable": 4000, "messaging.hanging": 6})
    assert "6 of 5,000 messages had waited" in told("messaging", hanging)


@pytest.fixture
def quotes(monkeypatch: pytest.MonkeyPatch) -> None:
    """A dialect of a server that only pushes: it has no requests."""
    monkeypatch.setattr(Dialect, "dialects", dict(Dialect.dialects))

    class Quotes(Dialect):
        name = "test-quotes"
        pushes = True


@pytest.mark.usefixtures("quotes")
@pytest.mark.parametrize(
    ("dialect", "pushes", "expected"),
    [
        ("test-quotes", MIN_ANSWERED, Ruling.PASS),
        ("test-quotes", MIN_ANSWERED - 1, Ruling.INCONCLUSIVE),
        ("test-quotes", 0, Ruling.INCONCLUSIVE),
        ("emergence", MIN_ANSWERED, Ruling.PASS),
        ("emergence", 0, Ruling.NOT_JUDGED),  # rate 0 was chosen, and the server may push or not
        ("echo", 0, Ruling.NOT_JUDGED),
        ("somebodys-own", 0, Ruling.NOT_JUDGED),
    ],
)
def test_without_messages_pushes_are_judged(dialect: str, pushes: int, expected: Ruling) -> None:
    """Where a server pushes and clients only listen, enough pushes without a fault pass."""
    of = manifest(run_plan=plan(dialect=dialect, rate=0.0))
    none = dict.fromkeys(("planned", "sent", "answered", "lost_in_outage", "unfinished"), 0)
    counts = {f"messaging.{name}": count for name, count in {**none, "pushes": pushes}.items()}
    listening = sound(counts, of=of)
    assert ruling("messaging", listening) is expected


@pytest.mark.parametrize(
    ("answered", "pushes", "tasks", "expected", "says"),
    [
        (
            20,
            MIN_ANSWERED,
            {"watch": 1},
            Ruling.PASS,
            "20 of 20 messages answered, intact, once and in order; 100 p",
        ),
        (
            20,
            MIN_ANSWERED - 1,
            {"watch": 1},
            Ruling.INCONCLUSIVE,
            "only 20 messages answered, 100 are needed",
        ),
        (20, MIN_ANSWERED, {}, Ruling.INCONCLUSIVE, "only 20 messages answered, 100 are needed"),
        (0, MIN_ANSWERED, {"watch": 1}, Ruling.PASS, "100 pushes received"),
        (
            0,
            MIN_ANSWERED - 1,
            {"watch": 1},
            Ruling.INCONCLUSIVE,
            "the script expects no replies, and only 99 pushes",
        ),
    ],
)
def test_a_script_that_mostly_listens(
    answered: int, pushes: int, tasks: dict[str, int], expected: Ruling, says: str
) -> None:
    """Market data are asked for once and heard for long: pushes are judged beside the few replies."""
    of = manifest(run_plan=plan(rate=0.0 if tasks else 1.0, tasks=tasks))
    none = dict.fromkeys(("lost_in_outage", "unfinished"), 0)
    some = {**none, **dict.fromkeys(("planned", "sent", "answered"), answered), "pushes": pushes}
    run = sound({f"messaging.{name}": count for name, count in some.items()}, of=of)
    assert ruling("messaging", run) is expected
    assert says in told("messaging", run)


@pytest.mark.usefixtures("quotes")
@pytest.mark.parametrize("found", ["missing", "duplicated", "altered", "foreign"])
def test_faulty_pushes_fail_without_messages(found: str) -> None:
    """A fault in the pushes fails the item though no message was sent."""
    of = manifest(run_plan=plan(dialect="test-quotes", rate=0.0))
    assert ruling("messaging", sound({f"messaging.pushes_{found}": 1}, of=of)) is Ruling.FAIL


@pytest.mark.parametrize("outcome", ["unanswerable", "failed", "broken_off", "foreign"])
def test_books_balance_with_every_outcome(outcome: str) -> None:
    """Requests with these outcomes are accounted for; without them the books do not balance."""
    counts = {"messaging.answered": 4790, f"messaging.{outcome}": 100}
    assert judge(sound(counts)).item("messaging").evidence.unaccounted == 0
    assert ruling("messaging", sound({"messaging.answered": 4790})) is Ruling.INCONCLUSIVE


def test_absent_pushes_are_mentioned_in_long_runs() -> None:
    """A server may have nothing to push, so this is a remark and no failing."""
    short = sound({"messaging.pushes": 0})
    assert "no push" not in told("messaging", short)
    long = gathered([interval(0, seconds=100, counts={"messaging.sent": 200, "messaging.answered": 200})])
    assert ruling("messaging", long) is Ruling.PASS
    assert "no pushes were received" in told("messaging", long)


@pytest.mark.parametrize("streams", [False, True], ids=["acknowledged", "streamed"])
@pytest.mark.parametrize(
    ("fault", "found"),
    [
        ("lose", "lost"),
        ("duplicate", "duplicated"),
        ("corrupt", "corrupted"),
        ("confuse", "foreign"),
        ("refuse", "failed"),
        ("break_off", "broken_off"),
    ],
)
def test_a_servers_fault_goes_from_the_wire_to_the_verdict(fault: str, found: str, streams: bool) -> None:
    """A session, its recorder, the packing and the judge agree on what a fault is called."""
    if fault == "break_off" and not streams:
        found = "lost"
    link = Link(server=FakeServer(streams=streams)).start()
    link.server.faults[199 if fault == "break_off" else 3] = fault
    link.send(200).hear().sweep(60 * NS_PER_S).stop()
    verdict = judge(gathered([pack(link.recorder.swap(link.now_ns))])).item("messaging")
    assert verdict.verdict is Ruling.FAIL
    assert verdict.evidence.counts[found] == 1
    assert verdict.evidence.unaccounted == 0
    assert verdict.evidence.errors[0].session == "session-0"


def test_messages_that_hang_until_their_connection_ends_are_inconclusive() -> None:
    """A server that loses replies does not pass because each loss met a drop before the timeout."""
    assert ruling("messaging", sound({"messaging.hanging": 5})) is Ruling.PASS
    many = sound({"messaging.hanging": 6})
    assert ruling("messaging", many) is Ruling.INCONCLUSIVE
    assert "lower --ws-reply-timeout" in told("messaging", many)


@pytest.mark.parametrize(
    ("arrears", "expected"), [(0, Ruling.PASS), (1, Ruling.PASS), (2, Ruling.INCONCLUSIVE)]
)
def test_replies_without_names_may_hide_losses(arrears: int, expected: Ruling) -> None:
    """Where connections end with fewer replies than requests, a lost reply cannot be told from a slow one."""
    counts = {"messaging.unnamed": 4800, "messaging.unnamed_ends": 90, "messaging.arrears": arrears}
    assert ruling("messaging", sound(counts)) is expected
    if expected is Ruling.INCONCLUSIVE:
        assert "2 of 90 connections had fewer replies than requests" in told("messaging", sound(counts))


def test_replies_without_names_were_only_counted() -> None:
    """Neither that each came once nor in which order is known of replies that name no request."""
    summary = told("messaging", sound({"messaging.unchecked": 4890, "messaging.unnamed": 4890}))
    assert "once" not in summary
    assert "in order" not in summary
    assert "4,890 replies do not name their request, so they were only counted" in summary


def test_what_drops_sent_is_counted() -> None:
    """Behind a real server each message may cost money: the counts have those of drops."""
    run = sound({"messaging.drop_sent": 132})
    assert judge(run).item("messaging").evidence.counts["drop_sent"] == 132
    assert "132" not in told("messaging", run)


def test_a_rejected_token_is_told() -> None:
    """A server that rejects an established session's token, and goes on, does not fail; but it is told."""
    run = sound({"messaging.rejections": 3})
    assert ruling("messaging", run) is Ruling.PASS
    assert "the token of an established session was rejected 3 times" in told("messaging", run)
