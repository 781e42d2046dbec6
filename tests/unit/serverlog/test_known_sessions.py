"""A record names a session of the run wherever it has one of the ids that the run knows."""

import json
from urllib.parse import quote, unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadtest.serverlog import known_sessions as module
from loadtest.serverlog.known_sessions import KnownSessions
from loadtest.serverlog.log_reader import LogReader
from loadtest.serverlog.records import LogRecord

OWN = "ab12cd34-000007"
GIVEN = "8d116ece-1738-47d9-bd9c-172411e20b8f"


def read(*lines: str) -> LogRecord:
    """The one record of these lines."""
    reader = LogReader()
    (record,) = reader.feed("".join(f"{line}\n" for line in lines).encode()) + reader.finish()
    return record


def named(*lines: str, known: KnownSessions | None = None) -> str:
    """The session that the record of these lines names, in a run with two sessions."""
    if known is None:
        known = KnownSessions()
        known.add(OWN, GIVEN)
        known.add(OWN)
        known.add("ab12cd34-000008")
    return known.session_of(known.ids_in(read(*lines)))


@pytest.mark.parametrize(
    "lines",
    [
        ("INFO:     Client disconnected gracefully (session=ab12cd34-000007, code=1000)",),
        (f"INFO:     Client disconnected gracefully (session={GIVEN}, code=1000)",),
        ("ERROR:    peer ab12cd34-000007: gone",),
        (f"ERROR:    [{GIVEN}] gone",),
        ('INFO:     127.0.0.1:42428 - "WebSocket /ws/ab12cd34-000007?thread_id=t7" [accepted]',),
        ("ERROR:    Task ws-ab12cd34-000007 failed",),
        ("ERROR:    session=other lost to ab12cd34-000007",),
        (json.dumps({"severity": "ERROR", "message": "gone", "peer": GIVEN}),),
        (json.dumps({"severity": "ERROR", "message": "gone", "context": {"ids": [1, {"ws": OWN}]}}),),
        (json.dumps({"severity": "ERROR", "message": "gone", "note": f"line\n{OWN}"}),),
        (json.dumps({"severity": "ERROR", "message": "gone", "session": GIVEN}),),
        (json.dumps({"severity": "ERROR", "jsonPayload": {"message": "gone", "conn": OWN}}),),
        ("INFO:     GET /ws/x%2Fab12cd34-000007 HTTP/1.1",),
        ("INFO:     GET /ws?to=ab12cd34%2D000007&x=100%25",),
        ("ERROR:    ab12cd34-000007-> gone",),
        ("ERROR:    failed", "Traceback (most recent call last):", f"ConnectionError: to {OWN} lost"),
        (
            "ERROR:    failed",
            "Traceback (most recent call last):",
            f"KeyError: '{OWN}'",
            "During handling of the above exception, another exception occurred:",
            "Traceback (most recent call last):",
            "RuntimeError: gone",
        ),
    ],
)
def test_an_id_counts_wherever_it_stands(lines: tuple[str, ...]) -> None:
    """In text, a URL, a task's name, a field at any depth, an exception, and under either id."""
    assert named(*lines) == OWN


@pytest.mark.parametrize(
    ("line", "session"),
    [
        ("ERROR:    gone", ""),
        ("ERROR:    gone session=somebody", "somebody"),
        ("ERROR:    ab12cd34-0000071 gone", ""),
        ("ERROR:    xab12cd34-000007 gone", ""),
        ("ERROR:    ab12cd34 gone", ""),
        ("ERROR:    ab12cd34-000007-other gone", ""),
        ("ERROR:    ab12cd34-000007_x gone", ""),
        ("ERROR:    ab12cd34-000007--x gone", ""),
        (f"ERROR:    {GIVEN}-2 gone", ""),
        ("INFO:     GET /ws/ab12cd34-000007%2Dother", ""),
        ("ERROR:    ab12cd34-000009 gone", ""),
    ],
)
def test_what_is_no_id_of_the_run_names_no_session_of_it(line: str, session: str) -> None:
    """Other clients keep the name that the record gives them; a part of a word is no id."""
    assert named(line) == session


def test_the_record_itself_says_first_whose_it_is() -> None:
    """Of several ids, `session=` decides, then the one that comes first."""
    assert named("ERROR:    ab12cd34-000008 replaced by session=ab12cd34-000007") == OWN
    assert named("ERROR:    ab12cd34-000008 replaced by ab12cd34-000007") == "ab12cd34-000008"


def test_a_runs_own_ids_are_known_in_advance() -> None:
    """While a run goes on, its events come after the server's records: the run's id is enough."""
    known = KnownSessions("ab12cd34")
    assert named("ERROR:    peer ab12cd34-000007: gone", known=known) == OWN
    assert named("ERROR:    peer ab12cd34-1000007: gone", known=known) == "ab12cd34-1000007"
    assert named("ERROR:    first ab12cd34-000008 (session=ab12cd34-000007)", known=known) == OWN
    assert named("ERROR:    peer ab12cd35-000007: gone", known=known) == ""
    assert named("ERROR:    peer ab12cd34-00007: gone", known=known) == ""
    assert OWN in known
    assert "ab12cd34-7" not in known


def test_a_short_id_counts_only_where_a_record_calls_it_a_session() -> None:
    """A number stands for many things."""
    known = KnownSessions()
    known.add(OWN, "1006")
    assert named("ERROR:    closed with code 1006", known=known) == ""
    assert named("ERROR:    closed (session=1006, code=1001)", known=known) == OWN


def test_an_id_that_several_sessions_were_given_names_none() -> None:
    """Then the tool's own ids are what tells them apart."""
    known = KnownSessions()
    known.add(OWN, GIVEN)
    known.add("ab12cd34-000008", GIVEN)
    known.add(OWN)
    assert GIVEN not in known
    assert named(f"ERROR:    {GIVEN} gone", known=known) == ""
    assert named(f"ERROR:    gone session={GIVEN}", known=known) == ""
    assert named(f"ERROR:    gone session={GIVEN} as {OWN}", known=known) == OWN


def test_a_log_that_was_followed_is_judged_as_one_read_afterwards() -> None:
    """Who shares an id comes out later than the records, so they keep ids and are named afterwards."""
    lines = [
        f"ERROR:    {GIVEN} gone",
        f"ERROR:    gone session={GIVEN}",
        f"ERROR:    session=a-b lost to {GIVEN} as ab12cd34-000008",
        f"ERROR:    {GIVEN} replaced by {OWN}",
    ]
    live = KnownSessions("ab12cd34")
    live.add(OWN, GIVEN)
    whole = KnownSessions()
    for session in (OWN, "ab12cd34-000008"):
        whole.add(session)
        whole.add(session, GIVEN)
    kept = [live.ids_in(read(one)) for one in lines]
    assert kept == [whole.ids_in(read(one)) for one in lines]
    assert [whole.session_of(ids) for ids in kept] == ["", "", "ab12cd34-000008", OWN]


def test_ids_of_a_record_are_few() -> None:
    """However many stand in it, and however often."""
    known = KnownSessions("ab12cd34")
    text = " ".join([*[OWN] * 5, *(f"ab12cd34-00000{n}" for n in range(9))])
    assert known.ids_in(read(f"ERROR:    {text}")) == (OWN, *(f"ab12cd34-00000{n}" for n in range(3)))


def test_all_ids_of_a_session() -> None:
    """The tool's and the server's, a bounded number of them."""
    known = KnownSessions()
    known.add(OWN)
    for number in range(100):
        known.add(OWN, f"guest-{number}")
    assert known.ids_of(OWN)[:2] == (OWN, "guest-0")
    assert len(known.ids_of(OWN)) == 1 + module._MAX_OF_SESSION


@pytest.mark.parametrize("given", ["chat:42:alice", "user@example.org", "/room/17", "süd-ost-1", "{room.b}"])
def test_ids_of_any_form_are_found(given: str) -> None:
    """Punctuation is part of an id wherever it stands in it."""
    known = KnownSessions()
    known.add(OWN, given)
    assert named(f"ERROR:    lost {given}", known=known) == OWN
    assert named(f"ERROR:    lost {given}, again", known=known) == OWN
    assert named(f"ERROR:    lost {quote(given, safe='')}, again", known=known) == OWN


def test_ids_that_begin_alike_are_told_apart() -> None:
    """The longest id that fits is the one that stands there."""
    known = KnownSessions()
    known.add("one", "guest-alpha")
    known.add("two", "guest-alpha-2")
    assert named("ERROR:    guest-alpha-2 gone", known=known) == "two"
    assert named("ERROR:    guest-alpha gone", known=known) == "one"


def test_what_is_kept_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """A server may give a new id with each connection, of any length and form."""
    monkeypatch.setattr(module, "MAX_KNOWN", 20)
    known = KnownSessions()
    for number in range(100):
        known.add("s", f"guest-{'x' * number}")
    assert "guest-xxxxx" in known
    assert "guest-" + "x" * 30 not in known
    assert len(known._shapes["guest"]) == module._MAX_SHAPES
    known.add("t", "x" * 201)
    assert "x" * 201 not in known


@given(st.text(), st.text(min_size=1), st.lists(st.text(min_size=1), max_size=5))
def test_no_text_breaks_the_search(text: str, session: str, given_ids: list[str]) -> None:
    """Whatever stands in a record and whatever ids there are: what is found stands there."""
    known = KnownSessions("ab12cd34")
    known.add(session)
    for given_id in given_ids:
        known.add(session, given_id)
    record = LogRecord(line=1, level=10, message=text, frame=text.encode(errors="replace"))  # type: ignore[arg-type] # any level
    found = known.session_of(known.ids_in(record))
    assert found in ("", session) or found in unquote(text)
    if found == session:
        assert any(one in text for one in (session, *given_ids))
