"""Pushes: what the server sends on its own, without the session around it."""

import math
import unicodedata
from typing import Any

import pytest

from loadtest.dialects.base import Dialect, Push
from loadtest.dialects.emergence import Emergence
from loadtest.dialects.marks import LEAST_BYTES, Marker
from loadtest.session.pushes import MAX_PUSH_GAP, MAX_PUSH_NS, Pushes
from loadtest.session.recorder import Recorder
from tests.support.fake_link import MS, dialect_session


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
        """The counts of `messaging` that are not zero."""
        counts = self.recorder.counts.items()
        return {name.removeprefix("messaging."): count for name, count in counts if count}

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
            "push again or out of order": "push 8 came after push 8",
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
