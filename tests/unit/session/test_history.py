"""Restored histories: in pieces or at once, early or late, whole or not. The comparison is the ledger's."""

import unicodedata
from collections.abc import Sequence
from typing import Any

import pytest

from loadtest.dialects.base import Failed, Push, Reply, Restored
from loadtest.dialects.emergence import Emergence
from loadtest.session.history import History
from loadtest.session.recorder import Recorder
from loadtest.session.traffic import Traffic
from tests.support.fake_link import dialect_session, session_config


class Forgetful(Emergence):
    """An application that restores nothing."""

    keeps_history = False


class Narrow(Emergence):
    """An application that restores the newest four messages."""

    history_window = 4


class Resumed:
    """Traffic on a new connection, after some acknowledged requests on the first."""

    def __init__(self, acknowledged: int = 3, dialect: Emergence | None = None) -> None:
        self.recorder = Recorder()
        self.about = dialect_session()
        config = session_config(dialect=dialect or Emergence())
        self.traffic = Traffic(self.about, config, self.recorder)
        self.traffic.opened()
        self.talk(acknowledged)
        self.reconnect()
        self.recorder.swap(0)

    def talk(self, count: int = 1) -> None:
        """Send requests and get their replies."""
        for _ in range(count):
            (_send,) = self.traffic.due(1, 1)
            self.traffic.replied(Reply(None), 2, steady=True)

    def reconnect(self) -> None:
        """End the connection and begin the next."""
        self.traffic.disconnected(3)
        self.traffic.opened()

    def texts(self, sequences: Sequence[int]) -> list[str]:
        """Return the texts of these requests."""
        return [self.about.text(sequence) for sequence in sequences]

    def restore(self, texts: Sequence[str] = (), **fields: Any) -> None:
        """Let a history come, or a piece of it."""
        self.traffic.heard(Restored(texts=list(texts), **fields), 4)

    @property
    def found(self) -> dict[str, int]:
        """The counts of `persistence` that are not zero."""
        return {
            name.removeprefix("persistence."): count
            for name, count in self.recorder.counts.items()
            if count and name.startswith("persistence.")
        }

    def error(self) -> tuple[str, str]:
        """Return the only error of `persistence`, with its example."""
        (error,) = self.errors().items()
        return error

    def errors(self) -> dict[str, str]:
        """The errors of `persistence` with the example of each."""
        errors = self.recorder.swap(0).errors.items()
        return {error: tally.example for (item, error), tally in errors if item == "persistence"}


WHOLE = {"histories": 1, "acknowledged": 3}


class TestCompared:
    """What is found in a history."""

    @pytest.mark.parametrize("form", ["texts", "sequences"])
    def test_whole(self, form: str) -> None:
        """A whole history, of texts or of numbers, is counted with what it had to hold, once a connection."""
        resumed = Resumed()
        for _ in range(2):
            if form == "texts":
                resumed.restore(resumed.texts([0, 1, 2]))
            else:
                resumed.restore(sequences=[0, 1, 2])
        assert resumed.found == WHOLE
        assert not resumed.errors()

    def test_other_texts_are_ignored(self) -> None:
        """Answers, older history and other runs' texts are nobody's here."""
        resumed = Resumed()
        older = dialect_session(0, run_id="older").text(0)
        texts = ["Hello!", older, *resumed.texts([0]), "You're welcome.", "", *resumed.texts([1, 2]), "[x.y]"]
        resumed.restore(texts)
        assert resumed.found == WHOLE

    def test_texts_within_words(self) -> None:
        """A server may restore a text within words of its own."""
        resumed = Resumed()
        resumed.restore([f"user: {text} (10:15)" for text in resumed.texts([0, 1, 2])])
        assert resumed.found == WHOLE

    def test_missing(self) -> None:
        """What is missing is counted, and the first of it named."""
        resumed = Resumed()
        resumed.restore(resumed.texts([0]))
        assert resumed.found == {**WHOLE, "missing": 2}
        error, example = resumed.error()
        assert error == "acknowledged requests are not restored"
        assert example.startswith("2 of 3, first 1")

    def test_every_second_one_missing(self) -> None:
        """A history with holes is not excused by its newest request."""
        resumed = Resumed(10)
        resumed.restore(resumed.texts(range(1, 10, 2)))
        assert resumed.found["missing"] == 5
        assert resumed.error()[1].startswith("5 of 10, first 0")

    def test_reversed(self) -> None:
        """A history in the wrong order is whole, and out of order."""
        resumed = Resumed()
        resumed.restore(resumed.texts([2, 1, 0]))
        assert resumed.found == {**WHOLE, "reordered": 2}
        error, example = resumed.error()
        assert error == "requests restored out of order"
        assert example.startswith("2 of 3, first request 1 after request 2: ")
        assert all(text in example for text in resumed.texts([1, 2]))

    def test_repeated(self) -> None:
        """A request that stands in a history twice is counted."""
        resumed = Resumed()
        resumed.restore(resumed.texts([0, 1, 1, 2, 2]))
        assert resumed.found == {**WHOLE, "repeated": 2}
        assert resumed.errors() == {"requests restored twice": f"2 of 3, first 1: {resumed.about.text(1)}"}

    def test_a_doubled_text_in_one_entry(self) -> None:
        """An entry that holds its text twice is altered; the request stands in the history once."""
        resumed = Resumed()
        first, second, third = resumed.texts([0, 1, 2])
        resumed.restore([first, second + second, third])
        assert resumed.found == {**WHOLE, "altered": 1}
        assert resumed.error()[1] == "request 1: it contains its text 2 times"

    def test_a_second_history(self) -> None:
        """A client shows the history that came last, so a second one on a connection is compared, too."""
        resumed = Resumed()
        resumed.restore(resumed.texts([0, 1, 2]))
        resumed.talk()
        resumed.restore(resumed.texts([0, 2, 3]))
        assert resumed.found == {**WHOLE, "missing": 1}
        assert resumed.error()[1].startswith("1 of 3, first 1: ")

    def test_a_second_history_that_is_whole(self) -> None:
        """It may hold what was acknowledged since; at the end of the connection, no history is missed."""
        resumed = Resumed()
        resumed.restore(resumed.texts([0, 1, 2]))
        resumed.talk()
        resumed.restore(resumed.texts([0, 1, 2, 3]))
        resumed.reconnect()
        assert resumed.found == WHOLE
        assert not resumed.errors()

    @pytest.mark.parametrize(
        "alter",
        [lambda text: unicodedata.normalize("NFD", text), lambda text: text[:-1], lambda text: text.upper()],
        ids=["NFD", "cut off", "upper case"],
    )
    def test_altered(self, alter: Any) -> None:
        """An altered text is altered where its mark can be read, and missing where it cannot."""
        resumed = Resumed()
        first, second, third = resumed.texts([0, 1, 2])
        resumed.restore([first, alter(second), third])
        if alter(second).startswith("[run."):
            assert resumed.found == {**WHOLE, "altered": 1}
            (example,) = resumed.errors().values()
            assert example.startswith("request 1: sent")
        else:
            assert resumed.found == {**WHOLE, "missing": 1}

    def test_foreign(self) -> None:
        """Another session's text is foreign, and stands for no request of this one."""
        resumed = Resumed()
        resumed.restore([dialect_session(1).text(0), *resumed.texts([1, 2])])
        assert resumed.found == {**WHOLE, "foreign": 1, "missing": 1}
        assert resumed.errors()["foreign text in the restored history"].startswith("of another session: ")

    def test_foreign_without_acknowledgements(self) -> None:
        """A history is checked for other sessions' texts even where none is owed."""
        resumed = Resumed(0)
        resumed.restore([dialect_session(1).text(0)])
        assert resumed.found == {"foreign": 1}

    def test_empty(self) -> None:
        """An empty history after acknowledged requests has lost them all."""
        resumed = Resumed()
        resumed.restore()
        assert resumed.found == {**WHOLE, "missing": 3}
        assert resumed.error()[1].startswith("3 of 3, first 0")

    def test_stored_before_it_was_acknowledged(self) -> None:
        """A request whose reply was lost may stand in the history or not."""
        for restored in ([0, 1, 2], [0, 1, 2, 3]):
            resumed = Resumed()
            resumed.traffic.due(1, 1)
            resumed.reconnect()
            resumed.restore(resumed.texts(restored))
            assert resumed.found == WHOLE

    def test_not_what_is_acknowledged_on_this_connection(self) -> None:
        """Requests acknowledged since the resume are not expected in its history, and may be in it."""
        for restored in ([0, 1, 2], [0, 1, 2, 3]):
            resumed = Resumed()
            resumed.talk(2)
            resumed.restore(resumed.texts(restored))
            assert resumed.found == WHOLE


class TestWindow:
    """Servers that restore the newest messages only."""

    @pytest.mark.parametrize(
        ("sequences", "count", "missing"),
        [
            ([1, 2], 4, 0),  # both roles: full
            ([2], 4, 0),
            ([0, 2], 4, 1),  # a hole within the window
            ([1, 2], 3, 1),  # not full: the first is missing
            ([1, 2], None, 1),  # without a count there are only these two
            ([0, 1, 2], None, 0),
        ],
    )
    def test_window(self, sequences: list[int], count: int | None, missing: int) -> None:
        """A full window excuses what is older than the oldest in it; one that is not full excuses nothing."""
        resumed = Resumed(dialect=Narrow())
        resumed.restore(resumed.texts(sequences), count=count)
        assert resumed.found.get("missing", 0) == missing

    @pytest.mark.parametrize(
        ("pushes", "connections", "missing"), [(0, 0, 2), (8, 0, 0), (0, 2, 1), (0, 4, 0)]
    )
    def test_a_window_full_of_something_else(self, pushes: int, connections: int, missing: int) -> None:
        """It had room for all requests, unless the server keeps its pushes, or a word for each connection."""
        resumed = Resumed(dialect=type("Ten", (Emergence,), {"history_window": 10})())
        for number in range(pushes):
            resumed.traffic.heard(Push(number=number), 4)
        resumed.about.connection = connections
        resumed.restore(resumed.texts([2]), count=10)
        assert resumed.found.get("missing", 0) == missing

    def test_count_of_pieces(self) -> None:
        """The counts of a history's pieces add up; pieces without one add none."""
        for counts, missing in (((2, 2), 0), ((2, 1), 1), ((4, None), 0), ((None, 4), 0)):
            resumed = Resumed(dialect=Narrow())
            resumed.restore(resumed.texts([1]), count=counts[0], complete=False)
            resumed.restore(resumed.texts([2]), count=counts[1])
            assert resumed.found.get("missing", 0) == missing

    def test_no_window(self) -> None:
        """A server without a window owes everything, whatever it counts."""
        resumed = Resumed(dialect=type("Wide", (Emergence,), {"history_window": None})())
        resumed.restore(resumed.texts([1, 2]), count=200)
        assert resumed.found["missing"] == 1


class Room(Emergence):
    """An application whose rooms keep their newest ten messages for all members."""

    history_window = 10
    shares_history = True


Unsaid = type("Unsaid", (Room,), {"shares_history": None})
"""The same, as a dialect has it that says nothing of it."""


class TestShared:
    """Histories that also hold other sessions' messages, as a room's does."""

    def test_others_came_while_it_was_away(self) -> None:
        """Nothing tells this session how many they were: what is older than its oldest is excused."""
        resumed = Resumed(10, Room())
        resumed.restore(resumed.texts([8, 9]), count=10)
        assert resumed.found == {"histories": 1, "acknowledged": 2}

    @pytest.mark.parametrize(
        ("sequences", "count", "missing"),
        [([5, 7, 8, 9], 10, 1), ([5, 6, 7, 8], 10, 1), ([5, 6, 7, 8, 9], 9, 5), ([], 9, 10), ([], 0, 10)],
        ids=["a hole", "the newest", "a short window", "none of its own", "empty"],
    )
    def test_lost(self, sequences: list[int], count: int, missing: int) -> None:
        """A hole, the newest, or anything of a window that is not full, is lost."""
        resumed = Resumed(10, Room())
        resumed.restore(resumed.texts(sequences), count=count)
        assert resumed.found["missing"] == missing

    def test_full_of_others(self) -> None:
        """A window without any of its own is not compared, which is counted; nor is it missing."""
        resumed = Resumed(10, Room())
        for _ in range(2):
            resumed.restore((), count=10)
        resumed.talk()
        resumed.reconnect()
        assert resumed.found == {"histories_of_others": 1}
        assert not resumed.errors()

    @pytest.mark.parametrize(
        ("push", "shared"),
        [
            (Push(), True),
            (Push(text="hello"), True),
            (Push(text=dialect_session(1).text(3)), True),
            (Push(text=dialect_session().text(3)), False),
            (Push(number=7), False),
        ],
        ids=["no text", "somebody's", "another session's", "its own", "numbered"],
    )
    def test_seen_by_pushes(self, push: Push, shared: bool) -> None:
        """Where the dialect says nothing, pushes that may be others' messages show that it is shared."""
        resumed = Resumed(10, Unsaid())
        resumed.traffic.heard(push, 4)
        resumed.restore(resumed.texts([9]), count=10)
        assert resumed.found.get("missing", 0) == (0 if shared else 2)

    def test_not_shared_although_pushes_came(self) -> None:
        """A dialect that says so keeps the strict rule: a window full of fillers hides no loss."""
        own = type("Own", (Room,), {"shares_history": False})()
        resumed = Resumed(10, own)
        resumed.traffic.heard(Push(), 4)
        resumed.restore(resumed.texts([9]), count=10)
        assert resumed.found["missing"] == 2
        assert "missing_in_full" not in resumed.found, "the dialect has said it"

    def test_the_error_says_what_came(self) -> None:
        """How much, which own ones, and the window; and that it was full, for the next step."""
        resumed = Resumed(10, Unsaid())
        resumed.restore(resumed.texts([9]), count=10)
        assert resumed.found["missing"] == resumed.found["missing_in_full"] == 3
        assert resumed.error()[1].endswith("; restored 10 messages, own requests 9–9, window 10")

    def test_without_a_count(self) -> None:
        """A window that no count shows to be full excuses nothing, and the next step can say why."""
        resumed = Resumed(10, Unsaid())
        resumed.restore(resumed.texts([8, 9]))
        assert resumed.found["missing"] == resumed.found["missing_uncounted"] == 8
        assert resumed.error()[1].endswith("; restored 2 messages, own requests 8–9, window 10")


class TestPieces:
    """Histories that come in several messages."""

    def test_complete(self) -> None:
        """The pieces are compared together when the last has come, not before."""
        resumed = Resumed()
        for sequence in (0, 1):
            resumed.restore(resumed.texts([sequence]), complete=False)
        assert resumed.found == {}
        resumed.restore(resumed.texts([2]))
        assert resumed.found == WHOLE

    def test_empty_end(self) -> None:
        """The last piece may be empty: it says that the history is complete."""
        resumed = Resumed()
        resumed.restore(resumed.texts([0, 1]), complete=False)
        resumed.restore()
        assert resumed.found == {**WHOLE, "missing": 1}

    @pytest.mark.parametrize("failed", [False, True])
    def test_without_an_end(self, failed: bool) -> None:
        """Where no piece is ever the last, an answered connection's history is what came until its end."""
        resumed = Resumed()
        for sequence in (0, 1):
            resumed.restore(resumed.texts([sequence]), complete=False)
        if failed:
            resumed.traffic.due(5, 5)
            resumed.traffic.failed(Failed(None, "no"), 6, steady=True)
        else:
            resumed.talk()
        assert resumed.found == {}
        resumed.reconnect()
        assert resumed.found == {**WHOLE, "missing": 1}
        resumed.traffic.unfinished(9)
        assert resumed.found == {**WHOLE, "missing": 1}, "once a connection"

    def test_pieces_between_replies(self) -> None:
        """Replies may come between the pieces."""
        resumed = Resumed()
        for sequence in (0, 1, 2):
            resumed.restore(resumed.texts([sequence]), complete=False)
            resumed.talk()
        resumed.reconnect()
        assert resumed.found == WHOLE

    def test_cut_short(self) -> None:
        """Once a server has marked a last piece, a connection that ends before one is not compared."""
        resumed = Resumed()
        resumed.restore(resumed.texts([0]), complete=False)
        resumed.restore(resumed.texts([1, 2]))
        resumed.talk()
        resumed.reconnect()
        resumed.restore(resumed.texts([0]), complete=False)
        resumed.talk()
        resumed.reconnect()
        assert resumed.found == WHOLE, "only the first connection's history"

    def test_an_end_that_never_comes(self) -> None:
        """A server that has answered many requests since its last piece will not send the rest."""
        resumed = Resumed()
        resumed.restore(resumed.texts([0]), complete=False)
        resumed.restore(resumed.texts([1, 2]))
        resumed.talk()
        resumed.reconnect()
        resumed.restore(resumed.texts([0]), complete=False)
        resumed.talk(History.SETTLED)
        resumed.reconnect()
        assert resumed.found == {"histories": 2, "acknowledged": 7, "missing": 3}

    def test_many_pieces_cost_as_much_as_one(self) -> None:
        """Pieces are put together in place: a server may send any number of them."""
        resumed = Resumed()
        before = resumed.traffic.history
        resumed.restore(resumed.texts([0]), complete=False)
        so_far = before._sequences
        resumed.restore(resumed.texts([1]), complete=False)
        assert before._sequences is so_far

    def test_dropped_between_the_pieces(self) -> None:
        """A connection that ends before a reply and before the last piece is not compared."""
        resumed = Resumed()
        resumed.restore(resumed.texts([0]), complete=False)
        resumed.reconnect()
        assert resumed.found == {}
        resumed.restore(resumed.texts([0, 1, 2]))
        assert resumed.found == WHOLE, "the next connection begins anew"

    def test_pieces_after_the_first_reply(self) -> None:
        """Pieces that begin after the first reply are compared with the last, or at the connection's end."""
        for complete in (False, True):
            resumed = Resumed()
            resumed.talk()
            resumed.restore(resumed.texts([0]), complete=False)
            resumed.talk()
            resumed.restore(resumed.texts([1, 2]), complete=complete)
            resumed.reconnect()
            assert resumed.found == WHOLE

    def test_order_and_repeats_between_pieces(self) -> None:
        """Order and repeats are found across the pieces."""
        resumed = Resumed()
        resumed.restore(resumed.texts([2, 0]), complete=False)
        resumed.restore(resumed.texts([1, 2]))
        assert resumed.found == {**WHOLE, "reordered": 2, "repeated": 1}

    @pytest.mark.parametrize("form", ["texts", "sequences"])
    def test_bounded(self, monkeypatch: pytest.MonkeyPatch, form: str) -> None:
        """Of a history without end a bounded number is kept; it is not compared, and is not missing."""
        monkeypatch.setattr(History, "LIMIT", 10)
        resumed = Resumed()
        for _ in range(20):
            if form == "texts":
                resumed.restore(resumed.texts([0]), complete=False)
            else:
                resumed.restore(sequences=[0], complete=False)
        resumed.talk()
        resumed.reconnect()
        assert resumed.found == {}
        assert resumed.errors() == {"history too long to compare: more than 10 requests": ""}


class TestNone:
    """Resumes without a history."""

    def test_missing(self) -> None:
        """A connection that answered and ended without a history has brought none, once."""
        resumed = Resumed()
        resumed.talk(2)
        assert resumed.found == {}
        resumed.reconnect()
        assert resumed.found == {"history_missing": 1}
        assert resumed.errors() == {"no history was restored": "3 requests were acknowledged"}

    def test_missing_at_the_end_of_the_session(self) -> None:
        """The end of the session is the end of its connection."""
        resumed = Resumed()
        resumed.talk()
        resumed.traffic.unfinished(9)
        assert resumed.found == {"history_missing": 1}

    def test_after_the_first_reply(self) -> None:
        """A history that comes after the first reply is compared all the same."""
        resumed = Resumed()
        resumed.talk()
        resumed.restore(resumed.texts([0, 1, 2]))
        resumed.reconnect()
        assert resumed.found == WHOLE

    def test_without_a_reply(self) -> None:
        """A connection that ended before any reply may have been too short for a history."""
        resumed = Resumed()
        resumed.traffic.due(5, 5)
        resumed.reconnect()
        assert resumed.found == {}

    def test_old_replies_prove_nothing(self) -> None:
        """A reply to an earlier connection's request may come before the history does."""
        resumed = Resumed()
        resumed.traffic.replied(Reply(2), 5, steady=True)
        resumed.reconnect()
        assert resumed.found == {"redelivered": 1}

    @pytest.mark.parametrize(
        ("acknowledged", "dialect"), [(0, Emergence()), (3, Forgetful())], ids=["nothing said", "no history"]
    )
    def test_nothing_owed(self, acknowledged: int, dialect: Emergence) -> None:
        """A server that has acknowledged nothing, or keeps no history, owes none."""
        resumed = Resumed(acknowledged, dialect)
        resumed.restore()
        resumed.talk(2)
        resumed.traffic.unfinished(9)
        assert resumed.found == {}
