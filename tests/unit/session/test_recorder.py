"""The recorder: everything exactly once, bounded, and under a name that has a meaning."""

import ast
import inspect
import re
from collections import Counter
from types import ModuleType

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadtest.dialects.base import Push, Reply
from loadtest.dialects.emergence import Emergence
from loadtest.events import Due, EstablishTimedOut, Started
from loadtest.session import machine, pushes, reconnecting, traffic
from loadtest.session.ledger import Outcome
from loadtest.session.recorder import COUNTS, HANGING_NS, TAGS, ErrorTally, Interval, Lifecycle, Recorder
from loadtest.session.schedule import NS_PER_S, Backoff
from tests.support.effort import effort
from tests.support.fake_link import (
    BEATING,
    EchoServer,
    FakeServer,
    HalfAnswerable,
    Link,
    dialect_session,
    frame,
    session_config,
)

ITEMS = ("connect", "stability", "messaging", "reconnect", "persistence", "cleanup", "latency")


class TestSwap:
    """An interval ends and the next begins."""

    def test_begins_with_nothing(self) -> None:
        """A new interval has every tag, and no sample, count, error or lifecycle event."""
        interval = Recorder().swap(5)
        assert (interval.start_ns, interval.stop_ns) == (0, 5)
        assert interval.samples.keys() == set(TAGS)
        assert not any(interval.samples.values())
        assert not any([interval.counts, interval.lifecycle, interval.errors])

    def test_intervals_meet(self) -> None:
        """An interval begins where the one before ended."""
        recorder = Recorder()
        stops = [recorder.swap(now_ns) for now_ns in (10, 20, 35)]
        assert [(interval.start_ns, interval.stop_ns) for interval in stops] == [(0, 10), (10, 20), (20, 35)]

    @given(st.lists(st.sampled_from([*TAGS, "count", "lifecycle", "error", "swap"]), max_size=40))
    @effort(30)
    def test_everything_once(self, writes: list[str]) -> None:
        """Whatever is written stands in exactly one interval, whenever the intervals are taken away."""
        recorder = Recorder()
        intervals = []
        for at_ns, write in enumerate(writes):
            if write == "swap":
                intervals.append(recorder.swap(at_ns))
            elif write == "count":
                recorder.counts["messaging.sent"] += 1
            elif write == "lifecycle":
                recorder.lifecycle(Lifecycle(at_ns=at_ns, event="attempt", session="s"))
            elif write == "error":
                recorder.error("connect", "refused", session="s", at_ns=at_ns)
            else:
                recorder.samples(write).append(at_ns)
        intervals.append(recorder.swap(len(writes)))
        assert self.found(intervals) == Counter(write for write in writes if write != "swap")

    @staticmethod
    def found(intervals: list[Interval]) -> Counter[str]:
        """Count what stands in the intervals."""
        found: Counter[str] = Counter()
        for interval in intervals:
            found.update({tag: len(samples) for tag, samples in interval.samples.items()})
            found["count"] += interval.counts["messaging.sent"]
            found["lifecycle"] += len(interval.lifecycle)
            found["error"] += sum(tally.count for tally in interval.errors.values())
        return found

    def test_shortcuts_are_of_the_current_interval(self) -> None:
        """The arrays and counts that the hot path writes to are those of the interval that is current."""
        recorder = Recorder()
        for _ in range(2):
            recorder.swap(1)
            for shortcut, tag in (
                (recorder.service, "service"),
                (recorder.response, "response"),
                (recorder.send_slip, "send_slip"),
                (recorder.collateral, "collateral"),
            ):
                assert shortcut is recorder.samples(tag)
            counts = recorder.counts
            assert counts is recorder.swap(2).counts


class TestErrors:
    """Errors are tallied by kind."""

    def test_first_example_is_kept(self) -> None:
        """A tally keeps session, time and example of the first."""
        recorder = Recorder()
        for at_ns in (3, 4, 5):
            recorder.error("connect", "refused", session=f"s{at_ns}", at_ns=at_ns, example=f"at {at_ns}")
        assert recorder.swap(9).errors == {
            ("connect", "refused"): ErrorTally(
                item="connect", error="refused", count=3, session="s3", at_ns=3, example="at 3"
            )
        }

    def test_bounded(self) -> None:
        """Of more kinds than are kept the later ones are tallied together; the kept ones go on counting."""
        recorder = Recorder()
        for number in range(150):
            recorder.error("connect", f"error {number}", session=f"s{number}", at_ns=number)
        recorder.error("connect", "error 7", session="s", at_ns=200)
        errors = recorder.swap(300).errors
        assert len(errors) == Recorder.ERRORS_LIMIT + 1
        assert errors["connect", "error 7"].count == 2
        assert errors["connect", "other errors"].count == 50
        assert errors["connect", "other errors"].session == "s100"

    def test_examples_are_bounded(self) -> None:
        """An example of any length is kept in part."""
        recorder = Recorder()
        recorder.error("connect", "refused", session="s", at_ns=0, example="x" * 10_000)
        (tally,) = recorder.swap(1).errors.values()
        assert len(tally.example) <= 200


def literals(module: ModuleType) -> set[str]:
    """Return the strings in a module that have the form of a count, `item.what`."""
    tree = ast.parse(inspect.getsource(module))
    texts = {
        node.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    }
    return {text for text in texts if re.fullmatch(rf"({'|'.join(ITEMS)})\.\w*[a-z]", text)}


COUNTED_ON_THE_WIRE = {
    *("connect.upgrades", "connect.opened", "connect.compressed", "connect.passed_over"),
    *("connect.resets_sent", "connect.resets_received"),
    *("messaging.wire_sent", "messaging.wire_received", "messaging.drop_sent"),
}
"""Counts of the transport, which sessions know nothing of."""


class TestCounts:
    """Every count that is written has a meaning, and every meaning is written."""

    @pytest.mark.parametrize("module", [machine, traffic, pushes], ids=["session", "traffic", "pushes"])
    def test_names_in_the_source(self, module: ModuleType) -> None:
        """The names written in the source stand in the table."""
        found = literals(module)
        assert found
        assert found <= COUNTS.keys()

    def test_outcomes(self) -> None:
        """Every outcome of a request has a count, under the item that it tells of."""
        for outcome in Outcome:
            item = "persistence" if outcome is Outcome.REDELIVERED else "messaging"
            assert f"{item}.{outcome}" in COUNTS

    def test_names_have_an_item_and_a_meaning(self) -> None:
        """A name is `item.what`, and its meaning is a phrase."""
        assert all(name.split(".")[0] in ITEMS and len(meaning) > 10 for name, meaning in COUNTS.items())

    def test_all_are_written(self) -> None:
        """Sessions taken through everything that can happen write each count in the table, and no other."""
        recorder = Recorder()
        tour(recorder)
        written = {name for name, count in recorder.swap(0).counts.items() if count}
        assert written - COUNTS.keys() == {"drops.reset", "drops.slow_reader", "losses.1006", "losses.1008"}
        elsewhere = {name for name in COUNTS.keys() - written if not name.startswith("cleanup.")}
        by_others = {"latency.clamped", "messaging.script_failed"}  # where histograms are made; by scripts
        in_rooms = {
            f"persistence.{name}" for name in ("missing_in_full", "missing_uncounted")
        }  # test_history.py
        in_rooms.add("persistence.histories_of_others")
        assert elsewhere == {*COUNTED_ON_THE_WIRE, *by_others, *in_rooms}


def tour(recorder: Recorder) -> None:
    """Take sessions through everything that can happen to them."""
    wrong_replies(Link(recorder=recorder).start())
    other_messages(Link(BEATING, recorder=recorder).start())
    unnamed_replies(Link(recorder=recorder).start().send(5))
    silent_pushes(Link(session_config(pushes_per_s=1.0), recorder=recorder).start())
    Link(session_config(dialect=HalfAnswerable()), server=EchoServer(), recorder=recorder).start().send(2)
    broken = Link(server=FakeServer(streams=True), recorder=recorder).start()
    broken.server.faults = {0: "break_off"}
    broken.send().hear().sweep(6 * NS_PER_S)
    wrong_histories(Link(recorder=recorder).start().send(3).hear())
    unresumable = type("Unresumable", (Emergence,), {"unresumable_drops": frozenset({"reset"})})()
    Link(session_config(dialect=unresumable), recorder=recorder).start().drop("reset").detect().resume()
    ways_to_end(recorder)
    Link(recorder=recorder).start().send().sweep(3 * NS_PER_S).drop().hear_these(["junk"])
    missed = Link(session_config(in_flight=1), recorder=recorder).start().drop("slow_reader")
    missed.send(traffic.Traffic.QUEUE_LIMIT + 1)
    early = Link(recorder=recorder).start()
    early.tell(Due(early.now_ns + NS_PER_S))


def wrong_replies(link: Link) -> None:
    """Get every outcome of a request; end with a request under way."""
    faults = ("refuse", "reorder", "duplicate", "corrupt", "lose", "lose", "confuse")
    link.server.faults = dict(enumerate(faults))
    link.send(7).hear().sweep(6 * NS_PER_S).send(2).drop().detect().send().resume()
    link.hear_these([link.server.again(link.identity, sequence) for sequence in (1, 4, 7)])
    link.hear_these([frame("ws:ack", echo={"payload": {"sequence": 99}}), "junk"])
    link.send().stop()
    link.lose()


def other_messages(link: Link) -> None:
    """Send a heartbeat, get a reply without a text, and pushes with holes and with wrong texts."""
    link.beat().send()
    link.session._traffic.replied(Reply(0), link.now_ns, steady=True)
    link.hear_these([frame("ws:push", push_id=number) for number in (1, 3, 3)])
    texts = [link.about.text(sequence) for sequence in (1, 0)]
    for text in (*texts, texts[0][:-1], dialect_session(99).text(0), "news"):
        link.session._traffic.heard(Push(text=text), link.now_ns)


def unnamed_replies(link: Link) -> None:
    """Get fewer replies than requests, none of which names one; let the token be rejected."""
    for _ in range(4):
        link.session._traffic.replied(Reply(None), link.now_ns, steady=True)
    link.hear_these([frame("ws:auth_required", message="expired")])
    link.drop()


def silent_pushes(link: Link) -> None:
    """Get pushes at the expected rate, then none for long."""
    for _ in range(5):
        link.now_ns += NS_PER_S
        link.session._traffic.heard(Push(), link.now_ns)
    link.now_ns += 60 * NS_PER_S
    link.drop()


def wrong_histories(link: Link) -> None:
    """Resume without history, with a wrong one, and into another session."""
    link.server.forget(link.identity)
    link.lose().resume().send().hear()
    texts = [link.about.text(sequence) for sequence in (1, 0, 0)]
    texts += [link.about.text(2)[:-1], dialect_session(99).text(0)]
    history = link.server.histories[link.identity.session_id]
    history[:] = [{"role": "user", "content": text} for text in texts]
    link.server.known_as[link.identity.session_id] = "another"
    link.lose().resume()


def ways_to_end(recorder: Recorder) -> None:
    """End sessions in every way but the good one."""
    impatient = session_config(backoff=Backoff(max_attempts=1))
    never = Link(session_config(backoff=Backoff(max_attempts=2)), recorder=recorder)
    never.tell(Started())
    never.refuse("out_of_ports", retry_after_s=9).retry().refuse("out_of_files").retry().open()
    never.tell(EstablishTimedOut())
    Link(impatient, recorder=recorder).start().lose().retry().refuse("refused", unreachable=True)
    Link(recorder=recorder).start().lose(1008)
    for hung_ns in (0, HANGING_NS):
        link = Link(recorder=recorder)
        link.tell(Started())
        link.now_ns += hung_ns
        link.stop()
    Link(recorder=recorder).start().lose().retry().open().lose(1008)
    silent = Link(recorder=recorder).start().lose().reopen()
    silent.server.faults = {0: "lose"}
    silent.send().sweep(6 * NS_PER_S).drop()
    first = Link(recorder=recorder)
    first.tell(Started())
    first.open().hear().drop()
    hanging = Link(recorder=recorder).start().lose().reopen()
    hanging.server.faults = {0: "lose"}
    hanging.send()
    hanging.now_ns += 3 * NS_PER_S
    hanging.drop()
    for failed in (0, 1, reconnecting.OVERDUE_ATTEMPTS):
        link = Link(recorder=recorder).start().lose()
        for cause in ("out_of_ports", "out_of_files", "http_503")[:failed]:
            link.retry().refuse(cause, retry_after_s=9)
        link.stop()
