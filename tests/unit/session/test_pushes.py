"""Pushes: what the server sends on its own, without the session around it."""

import math
import unicodedata
from typing import Any

import pytest

from loadtest.dialects.base import Dialect, Push
from loadtest.dialects.emergence import Emergence
from loadtest.dialects.marks import LEAST_BYTES, Marker
from loadtest.session.proof import QUIET_NS
from loadtest.session.pushes import MAX_PUSH_GAP, MAX_PUSH_NS, SETTLING_NS, Pushes
from loadtest.session.recorder import Recorder
from loadtest.session.schedule import NS_PER_S
from tests.support.fake_link import MS, Link, dialect_session, frame, session_config


class Unordered(Emergence):
    """An application whose pushes may overtake each other."""

    ordered = False


class Connection:
    """Pushes of one session, with the counts of their recorder at hand."""

    def __init__(
        self, dialect: Dialect | None = None, expected_per_s: float = 0.0, size_of: int = LEAST_BYTES
    ) -> None:
        self.recorder = Recorder()
        self.about = dialect_session(size_of=size_of)
        self.pushes = Pushes(self.about, dialect or Emergence(), self.recorder, expected_per_s)

    @property
    def counts(self) -> dict[str, int]:
        """The counts of `messaging` that are not zero, without `unnumbered`."""
        counts = self.recorder.counts.items()
        return {
            name.removeprefix("messaging."): count
            for name, count in counts
            if count and name != "messaging.pushes_unnumbered"
        }

    @property
    def unnumbered(self) -> int:
        """The number of pushes without a number."""
        return self.recorder.counts["messaging.pushes_unnumbered"]

    def push(self, now_ns: int, **fields: Any) -> None:
        """Let a push come."""
        self.pushes.received(Push(**fields), now_ns)

    def samples(self, tag: str) -> list[int]:
        """The samples of a histogram."""
        return list(self.recorder.samples(tag))

    def errors(self) -> dict[str, str]:
        """The errors with the example of each."""
        return {error: tally.example for (_, error), tally in self.recorder.swap(0).errors.items()}


class TestPushes:
    """What the server sends on its own."""

    def test_numbers(self) -> None:
        """A skipped number is a missing push, an old one came again; each connection counts anew."""
        connection = Connection()
        for number in (4, 5, 8, 8, 9):
            connection.push(1, number=number)
        connection.pushes.opened()
        connection.push(2, number=1)
        assert connection.counts == {"pushes": 6, "pushes_missing": 2, "pushes_duplicated": 1}
        assert connection.errors() == {
            "push missing": "push 8 came after push 5",
            "push received twice or out of order": "push 8 came after push 8",
        }

    def test_delay_above_the_smallest(self) -> None:
        """Of two clocks that do not agree, the delay above the smallest of the connection is recorded."""
        connection = Connection()
        for now_ms, sent_at_ms in ((10, 5000.0), (23, 5010.0), (31, 5022.0)):
            connection.push(now_ms * MS, sent_at_ms=sent_at_ms)
        connection.pushes.opened()
        connection.push(99 * MS, sent_at_ms=0.0)
        assert connection.samples("push") == [0, 3 * MS, 0, 0]

    @pytest.mark.parametrize("clock_ms", [-1e308, 1e308, 1e18, math.inf, -math.inf, math.nan])
    def test_hostile_clock(self, clock_ms: float) -> None:
        """A server's clock may say anything: no sample is negative, and each fits the recording."""
        connection = Connection()
        for sent_at_ms in (clock_ms, 0.0, -clock_ms, clock_ms):
            connection.push(1, sent_at_ms=sent_at_ms)
        assert all(0 <= sample <= MAX_PUSH_NS for sample in connection.samples("push"))
        assert connection.counts == {"pushes": 4}

    def test_pushes_without_a_number_are_counted(self) -> None:
        """Of them, nothing shows which are missing; 0 is a number."""
        connection = Connection()
        for number in (None, 0, 1, None):
            connection.push(1, number=number)
        assert connection.unnumbered == 2

    def test_texts(self) -> None:
        """A push may hold own texts, if they are intact, and texts of no session; not those of another."""
        connection = Connection()
        own, other = connection.about.text(0), dialect_session(1).text(0)
        for text in (
            own,
            f"{own} and {connection.about.text(1)}",
            "news",
            "",
            dialect_session(0, run_id="old").text(0),
        ):
            connection.push(1, text=text)
        assert connection.counts == {"pushes": 5, "pushes_unmarked": 3}
        connection.push(2, text=f"news: {other}")
        connection.push(3, text=own[:-1])
        connection.push(4, text=unicodedata.normalize("NFD", own))
        assert connection.counts == {
            "pushes": 8,
            "pushes_unmarked": 3,
            "pushes_foreign": 1,
            "pushes_altered": 2,
        }
        errors = connection.errors()
        assert errors["foreign text in a push"].startswith('of another session: sent "[run.0.')
        assert 'got "[run.1.' in errors["foreign text in a push"]
        assert errors["altered text in a push"].startswith("request 0: sent")

    def test_a_long_text_that_is_cut(self) -> None:
        """A text cut at 64 KiB fails, and what was sent and what came stand side by side."""
        connection = Connection(size_of=100_000)
        text = connection.about.text(0)
        connection.push(1, text=text.encode()[: 2**16].decode(errors="ignore"))
        assert connection.counts == {"pushes": 1, "pushes_altered": 1}
        example = connection.errors()["altered text in a push"]
        assert example.startswith('request 0: sent "…xxxx')
        assert ', got "…xxxx' in example
        connection.push(2, text=text)
        assert connection.counts == {"pushes": 1}

    def test_hostile_text(self) -> None:
        """Whatever a push holds, the error's example is bounded."""
        connection = Connection()
        connection.push(1, text=Marker("run", 1).head + "0." + "x" * 100_000)
        assert all(len(example) <= 200 for example in connection.errors().values())

    def test_hostile_number(self) -> None:
        """A push number may be anything: no gap counts for more than a bounded number of pushes."""
        connection = Connection()
        for number in (0, 10**4000, -(10**4000), 2**64):
            connection.push(1, number=number)
        assert connection.counts["pushes_missing"] == 2 * MAX_PUSH_GAP
        assert all(len(example) <= 200 for example in connection.errors().values())

    def test_a_doubled_push(self) -> None:
        """A text that comes twice in one push is altered."""
        connection = Connection()
        connection.push(1, text=connection.about.text(0) * 2)
        assert connection.counts == {"pushes": 1, "pushes_altered": 1}

    @pytest.mark.parametrize("sent_at_ms", [10**400, -(10**400), float("inf"), float("nan")])
    def test_an_impossible_clock(self, sent_at_ms: float) -> None:
        """A server may say any time; such a one tells no delay."""
        connection = Connection()
        connection.push(1, sent_at_ms=sent_at_ms)
        assert connection.counts == {"pushes": 1}
        assert connection.samples("push") == []


class TestPushedTexts:
    """Texts of the session's own requests that come back in pushes."""

    def test_in_order(self) -> None:
        """Later requests' texts come later; one may come twice, if a server pushes it for two reasons."""
        connection = Connection()
        for sequence in (0, 1, 1, 3):
            connection.push(1, text=connection.about.text(sequence))
        assert connection.counts == {"pushes": 4}

    def test_out_of_order(self) -> None:
        """An earlier request's text is too late, on the same connection."""
        connection = Connection()
        connection.push(1, text=connection.about.text(2))
        connection.push(2, text=connection.about.text(1))
        assert connection.counts == {"pushes": 2, "pushes_reordered": 1}
        connection.pushes.opened()
        connection.push(3, text=connection.about.text(0))
        assert connection.counts == {"pushes": 3, "pushes_reordered": 1}
        assert connection.errors() == {
            "push out of order": "the text of request 1 came after that of request 2"
        }

    def test_a_server_that_promises_no_order(self) -> None:
        """Where replies may overtake each other, pushes may too."""
        connection = Connection(Unordered())
        connection.push(1, text=connection.about.text(2))
        connection.push(2, text=connection.about.text(1))
        assert connection.counts == {"pushes": 2}


class TestStretches:
    """The time on a connection over which pushes are counted, at 10 a second."""

    PERIOD_NS = NS_PER_S // 10

    def link(self, **changes: Any) -> Link:
        """Return a session that works, after the time that is not counted."""
        link = Link(session_config(**{"pushes_per_s": 10.0, **changes})).start()
        link.now_ns += QUIET_NS + SETTLING_NS
        return link

    def pushed(self, link: Link, count: int) -> Link:
        """Let so many pushes come, one after each period."""
        for _ in range(count):
            link.now_ns += self.PERIOD_NS - MS
            link.hear_these([frame("ws:push")])
        return link

    def found(self, link: Link) -> dict[str, int]:
        """Return what was counted of the rate."""
        names = ("pushes_expected", "pushes_arrived", "push_stretches", "push_silences")
        return {name: link.counted("messaging").get(name, 0) for name in names}

    @pytest.mark.parametrize("kind", ["reset", "slow_reader"])
    def test_a_drop_ends_one(self, kind: str) -> None:
        """A stretch is counted exactly from its first push to its last; less than a period is open."""
        link = self.pushed(self.link(), 21)
        link.now_ns += self.PERIOD_NS // 2
        link.drop(kind)
        assert self.found(link) == self.counted(expected=20, arrived=20, stretches=1)

    @staticmethod
    def counted(*, expected: int, arrived: int = 0, stretches: int = 0, silences: int = 0) -> dict[str, int]:
        """Return counts as `found` does."""
        return {
            "pushes_expected": expected,
            "pushes_arrived": arrived,
            "push_stretches": stretches,
            "push_silences": silences,
        }

    def test_a_stall_is_not_counted(self) -> None:
        """While a session does not read, nothing is expected; the burst after that makes up for nothing."""
        link = self.pushed(self.link(), 21).drop("slow_reader")
        link.now_ns += 10 * NS_PER_S
        link.recover()
        burst = self.pushed(link.hear_these([frame("ws:push")] * 100), 1)
        burst.now_ns += SETTLING_NS
        self.pushed(burst, 11).drop()
        assert self.found(link) == self.counted(expected=30, arrived=30, stretches=2)

    def test_the_end_of_the_run_ends_one(self) -> None:
        """What is missing by the end counts; what comes while the session waits for replies does not."""
        link = self.pushed(self.link(), 11)
        link.now_ns += 2 * NS_PER_S
        link.send().stop()
        assert self.found(link) == self.counted(expected=10 + 14, arrived=10, stretches=1)
        self.pushed(link, 5)
        assert self.found(link)["pushes_arrived"] == 10

    def test_a_loss_ends_one(self) -> None:
        """A silence before a loss is explained by it, and neither counted nor sampled."""
        link = self.pushed(self.link(), 11)
        link.now_ns += 30 * NS_PER_S
        gaps = len(link.samples_ms("push_gap"))
        link.lose()
        assert self.found(link) == self.counted(expected=10, arrived=10, stretches=1)
        assert len(link.samples_ms("push_gap")) == gaps

    def test_a_session_that_does_not_work(self) -> None:
        """Until a session has worked on its connection, missing pushes are the fault of the reconnect."""
        link = self.link().drop().detect().reopen().send()
        link.now_ns += 30 * NS_PER_S
        before = self.found(link)
        link.drop()
        assert self.found(link) == before

    def test_silence(self) -> None:
        """A silence of 20 periods and 5 s is named, with its length; so it is if no push follows."""
        link = self.pushed(self.link(), 1)
        for silent_s in (4.5, 5.5, 30.0):
            link.now_ns += int(silent_s * NS_PER_S)
            link.hear_these([frame("ws:push")])
        link.now_ns += 6 * NS_PER_S
        link.drop()
        assert self.found(link)["push_silences"] == 3
        assert link.errors("messaging") == {"no push for too long": "for 5.5 s; 10 per second are expected"}

    @pytest.mark.parametrize("seldom_s", [60.0, 90.0])
    def test_silence_where_pushes_are_rare(self, seldom_s: float) -> None:
        """At one push in 4 s a silence is longer than 80 s."""
        link = self.link(pushes_per_s=0.25)
        link.now_ns += int(seldom_s * NS_PER_S)
        link.drop()
        assert self.found(link)["push_silences"] == (seldom_s > 80)

    def test_nothing_expected(self) -> None:
        """Without an expectation nothing is counted, however long no push comes."""
        link = self.pushed(self.link(pushes_per_s=0.0), 11)
        link.now_ns += 300 * NS_PER_S
        link.drop()
        assert self.found(link) == self.counted(expected=0)


class TestGaps:
    """The histogram of the time without a push."""

    def test_gaps(self) -> None:
        """Each push ends a gap, and so does the tool, so a stall shows though no push follows."""
        connection = Connection()
        connection.pushes.began(0)
        for at_s in (1, 2, 5):
            connection.push(at_s * NS_PER_S)
        connection.pushes.ended(9 * NS_PER_S)
        assert [gap_ns // NS_PER_S for gap_ns in connection.samples("push_gap")] == [1, 1, 3, 4]

    def test_no_push_at_all(self) -> None:
        """A session that never had a push is none that waits for one, unless pushes are expected."""
        for expected_per_s, gaps in ((0.0, []), (1.0, [9 * NS_PER_S])):
            connection = Connection(expected_per_s=expected_per_s)
            connection.pushes.began(0)
            connection.pushes.ended(9 * NS_PER_S)
            assert connection.samples("push_gap") == gaps

    def test_none_after_a_resume(self) -> None:
        """Where pushes have come once, a later connection without any has one long gap."""
        connection = Connection()
        connection.pushes.began(0)
        connection.push(NS_PER_S)
        connection.pushes.lost()
        connection.pushes.opened()
        connection.pushes.began(5 * NS_PER_S)
        connection.pushes.ended(9 * NS_PER_S)
        assert connection.samples("push_gap") == [NS_PER_S, 4 * NS_PER_S]

    def test_outside_a_stretch(self) -> None:
        """Pushes to a session that is dropped, stalled or not yet established end no gap."""
        connection = Connection()
        connection.push(NS_PER_S)
        connection.pushes.ended(2 * NS_PER_S)
        connection.pushes.began(3 * NS_PER_S)
        connection.pushes.lost()
        connection.push(4 * NS_PER_S)
        assert connection.samples("push_gap") == []
