"""The session as its dialect sees it: texts, memory, randomness, and the calls that block."""

import asyncio
from collections import Counter
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadtest.dialects.dialect_session import DialectSession
from loadtest.dialects.marks import LEAST_BYTES
from loadtest.events import Identity
from tests.support.effort import effort
from tests.support.fake_link import dialect_session


class TestTexts:
    """The text of a request."""

    @given(
        st.lists(st.integers(0, 10**7) | st.integers(0, 200), max_size=60), st.sampled_from([0, 48, 64, 500])
    )
    @effort(50)
    def test_pure(self, sequences: list[int], size: int) -> None:
        """A text depends on session and sequence alone, in whatever order texts are asked for."""
        session = dialect_session(3, size_of=size)
        for sequence in sequences:
            assert session.text(sequence) == dialect_session(3, size_of=size).text(sequence)

    def test_over_each_number_of_digits(self) -> None:
        """Where the sequence gets another digit, the size stays."""
        session = dialect_session(size_of=64)
        for digits in range(1, 8):
            for sequence in (10**digits - 1, 10**digits, 10**digits - 2, 10**digits + 1):
                assert len(session.text(sequence).encode()) == 64

    @pytest.mark.parametrize("number", [0, 1, 99_999])
    def test_usual_size(self, number: int) -> None:
        """Without a size, texts have the smallest one."""
        texts = {dialect_session(number).text(sequence) for sequence in (0, 9, 10, 99_999)}
        assert {len(text.encode()) for text in texts} == {LEAST_BYTES}

    def test_size_by_session_and_sequence(self) -> None:
        """The size may depend on session and sequence; each text has its own."""
        session = dialect_session(3, size_of=lambda number, sequence: 100 * number + 10 * sequence)
        order = [0, 1, 2, 9, 10, 11, 10, 2, 0, 99]
        assert [len(session.text(sequence).encode()) for sequence in order] == [
            300 + 10 * sequence for sequence in order
        ]

    def test_of_two_sessions_and_runs(self) -> None:
        """Sessions of a run, and runs, have different texts."""
        made = [dialect_session(number, run_id=run).text(0) for number in (0, 1) for run in ("a", "b")]
        assert len(set(made)) == 4

    def test_not_of_the_seed(self) -> None:
        """The seed changes no text: the run's id makes texts unique."""
        assert dialect_session(seed=1).text(0) == dialect_session(seed=2).text(0)


class TestSequenceOf:
    """Finding a request by its text."""

    def test_own(self) -> None:
        """An own text is found, the last one made or an earlier one, alone or within words."""
        session = dialect_session(2)
        texts = [session.text(sequence) for sequence in range(12)]
        for sequence, text in enumerate(texts):
            assert session.sequence_of(text) == sequence
            assert session.sequence_of(f"You said: {text}") == sequence

    def test_of_nobody_and_of_others(self) -> None:
        """Other texts have none; so has the empty text of a session that has sent nothing."""
        session, other = dialect_session(2), dialect_session(3).text(0)
        for said in ("hello", other, "[run.2.", f"{other}!"):
            assert session.sequence_of(said) is None
            session.text(0)

    def test_empty_before_the_first_text(self) -> None:
        """An empty text is no request's, whether any text has been made or not."""
        session = dialect_session()
        assert session.sequence_of("") is None
        session.text(0)
        assert session.sequence_of("") is None

    @given(st.text() | st.text("[].0123456789abcdefrun", max_size=60))
    @effort(50)
    def test_any_text(self, said: str) -> None:
        """Whatever a server says, the answer is a sequence number or None, before and after a request."""
        session = dialect_session()
        for _ in range(2):
            found = session.sequence_of(said)
            assert found is None or found >= 0
            session.text(0)


class TestState:
    """What a session holds."""

    def test_new(self) -> None:
        """A new session has its ids, and nothing else yet."""
        session = DialectSession(Identity(number=7, session_id="s", thread_id="t", user=3))
        assert (session.number, session.user, session.session_id, session.thread_id) == (7, 3, "s", "t")
        assert (session.connection, session.token) == (0, None)
        assert (session.headers, session.cookies, session.memory, session.data) == ({}, {}, {}, {})

    def test_memory_is_its_own(self) -> None:
        """Two sessions share no memory, headers or cookies."""
        one, other = dialect_session(0), dialect_session(1)
        for mine, its in (
            (one.memory, other.memory),
            (one.headers, other.headers),
            (one.cookies, other.cookies),
        ):
            mine["key"] = "value"
            assert its == {}

    def test_data(self) -> None:
        """A session's row is given to it as it is."""
        assert dialect_session(data={"email": "a@example.org"}).data["email"] == "a@example.org"

    def test_mistyped_attribute(self) -> None:
        """A mistyped attribute is an error, rather than something that nobody reads."""
        with pytest.raises(AttributeError):
            dialect_session().tokens = "t"  # type: ignore[attr-defined]  # the point


class TestRandom:
    """The session's random generator."""

    def numbers(self, number: int = 0, seed: int = 1) -> list[float]:
        """Return the first numbers of a session's generator."""
        session = dialect_session(number, seed=seed)
        return [session.random.random() for _ in range(5)]

    def test_repeatable(self) -> None:
        """The same seed and session give the same numbers."""
        assert self.numbers(3, seed=7) == self.numbers(3, seed=7)

    def test_differs(self) -> None:
        """Two sessions, or two seeds, give different numbers."""
        made = [self.numbers(number, seed) for number in (0, 1, 11) for seed in (0, 1, 11)]
        assert len({tuple(numbers) for numbers in made}) == 9

    def test_goes_on(self) -> None:
        """It is one generator: each use goes on where the last one ended."""
        assert len(set(self.numbers())) == 5

    def test_uniform(self) -> None:
        """Over sessions, the first numbers are spread evenly."""
        tenths = Counter(int(self.numbers(number)[0] * 10) for number in range(1000))
        assert set(tenths) == set(range(10))
        assert max(tenths.values()) < 160


class TestBlocking:
    """Calls that block."""

    def test_without_an_engine(self) -> None:
        """A session made by hand calls the function itself, with its arguments, and returns its result."""
        assert asyncio.run(dialect_session().blocking(divmod, 17, 5)) == (3, 2)

    def test_raises(self) -> None:
        """What the function raises is raised."""
        with pytest.raises(ZeroDivisionError):
            asyncio.run(dialect_session().blocking(divmod, 17, 0))

    def test_with_an_engine(self) -> None:
        """An engine says how such calls are made."""
        called: list[Any] = []

        async def elsewhere(function: Any, *arguments: Any) -> Any:
            called.append((function, arguments))
            return "result"

        session = dialect_session(blocking=elsewhere)
        assert asyncio.run(session.blocking(divmod, 17, 5)) == "result"
        assert called == [(divmod, (17, 5))]
