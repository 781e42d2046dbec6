"""The verdict on a server's log."""

import random
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest

from loadtest.report.advice import item_lines
from loadtest.report.next_steps import server_log_step
from loadtest.ruling import Ruling
from loadtest.serverlog.extract import KeptRecord, ReadStats, extract
from loadtest.serverlog.known_sessions import KnownSessions
from loadtest.serverlog.log_reader import LogReader, read
from loadtest.serverlog.matching import END_OF_RUN, DropMade
from loadtest.serverlog.records import Counts, Level, LogRecord
from loadtest.serverlog.rules import LogClass, load_rules
from loadtest.serverlog.times import SECOND_NS
from loadtest.verdict import server_log
from loadtest.verdict.items import Item
from loadtest.verdict.log_evidence import KindEvidence, ServerLogEvidence
from loadtest.verdict.server_log import judge
from tests.support.places import LOGS
from tests.support.runs import gathered, interval, manifest, plan

TABLE = load_rules()
START_NS = 1_795_443_815 * SECOND_NS
END_NS = START_NS + 120 * SECOND_NS
QUIET = ("close", "tab_close", "fin", "reset", "half_open", "mid_message")

Classified = list[tuple[LogRecord, LogClass]]


def judged(
    log: Classified,
    made: list[DropMade],
    *,
    start_ns: int = START_NS,
    end_ns: int = END_NS,
    reading: ReadStats | None = None,
    known: KnownSessions | None = None,
    live: bool = False,
    **planned: Any,
) -> Item[ServerLogEvidence]:
    """The verdict on a log by what is kept of it, after a way through a file."""
    of = manifest(started_unix_ns=start_ns, run_plan=plan(**planned))
    run = gathered([interval(0, seconds=-(-(end_ns - start_ns) // SECOND_NS))], of)
    kept = msgspec.json.decode(msgspec.json.encode(extract(log, live=live)), type=list[KeptRecord])
    return judge(run, kept, made, reading=reading, known=known)


def drops(kinds: tuple[str, ...] = (*QUIET, "mid_reply"), each: int = 4) -> list[DropMade]:
    """Drops of each kind, spread over the run, each of its own session."""
    made = [kind for kind in kinds for _ in range(each)]
    random.Random(4).shuffle(made)
    step_ns = 120 * SECOND_NS // (len(made) + 1)
    return [
        DropMade(at_ns=START_NS + (number + 1) * step_ns, session=f"s-{number}", kind=kind)
        for number, kind in enumerate(made)
    ]


def line(at_ns: int, level: str, message: str) -> tuple[LogRecord, LogClass]:
    """A record as the reader and the rules give it."""
    reader = LogReader()
    (record,) = reader.feed(f"{level}:     {message}\n".encode(), read_at_ns=at_ns) + reader.finish()
    record = LogRecord(
        line=1, level=record.level, message=record.message, at_ns=at_ns, session=record.session
    )
    return record, TABLE.classify(record)


def before(drop: DropMade) -> Iterator[tuple[str, str]]:
    """What the application logged before its hotfix."""
    if drop.kind == "mid_reply":
        yield "ERROR", f"Send error (session {drop.session}) -> cleanup: "
        text = 'WebSocket is not connected. Need to call "accept" first.'
        yield "ERROR", f"WS RuntimeError session={drop.session}: {text}"
    if drop.kind == "bad_message":
        yield "ERROR", f"WS Exception session={drop.session}: Expecting value"


def after(drop: DropMade) -> Iterator[tuple[str, str]]:
    """What the application logs after its hotfix."""
    if drop.kind == "mid_reply":
        yield "INFO", f"Client disconnected during send (session={drop.session}, code=1006)"
        yield "INFO", f"Client disconnected abruptly (session={drop.session}): gone"
    elif drop.kind == "bad_message":
        yield "ERROR", f"Unexpected WebSocket error (session={drop.session}): Expecting value"
    else:
        yield "INFO", f"Client disconnected gracefully (session={drop.session}, code=1006)"


def log_of(
    made: list[DropMade], handling: object, *, uvicorn: bool = True, offset_s: float = 0
) -> Classified:
    """The log of a server that handles drops in a way, with uvicorn's own lines or without."""
    found: Classified = []
    for drop in made:
        late_s = 25 if drop.kind == "half_open" else 0.01
        at_ns = drop.at_ns + round((late_s + offset_s) * SECOND_NS)
        found += [line(at_ns, *words) for words in handling(drop)]  # type: ignore[operator]
        if uvicorn:
            found.append(line(at_ns, "INFO", "connection closed"))
            found.append(line(drop.at_ns + round((1 + offset_s) * SECOND_NS), "INFO", "connection open"))
    return found


def kind_rows(found: Item[ServerLogEvidence]) -> dict[str, KindEvidence]:
    """The table by drop kind."""
    return {row.kind: row for row in found.evidence.by_kind}


def test_before_fails_by_mid_reply_alone() -> None:
    """Before the hotfix the two ERROR lines of each mid_reply drop fail the item."""
    made = drops()
    found = judged(log_of(made, before), made)
    assert found.verdict == "FAIL"
    assert "8 ERROR records for disconnects (after mid_reply), in 4 of 28 disconnects" in found.summary
    assert found.evidence.disconnect_errors == 8
    assert found.evidence.real_errors == 0
    assert kind_rows(found)["mid_reply"].levels == {"INFO": 4, "ERROR": 8}
    assert kind_rows(found)["close"].levels == {"INFO": 4}


@pytest.mark.parametrize("uvicorn", [True, False])
def test_after_passes(uvicorn: bool) -> None:
    """After the hotfix every drop has its INFO record, whether or not uvicorn logs as well."""
    made = drops()
    found = judged(log_of(made, after, uvicorn=uvicorn), made)
    assert found.verdict == "PASS", found.summary
    assert found.evidence.info_ratio == 1
    assert all(row.drops_with_record == 4 for row in kind_rows(found).values())


@pytest.mark.parametrize("offset_s", [0.3, -2.0, 3_600.0, -28_800.0])
def test_a_server_with_another_clock_is_judged_alike(offset_s: float) -> None:
    """The clocks' difference is found, shown, and taken out before the window is laid."""
    made = drops()
    found = judged(log_of(made, after, offset_s=offset_s), made)
    assert found.verdict == "PASS", found.summary
    assert found.evidence.clock_offset_s == pytest.approx(offset_s, abs=0.1)
    assert (f"clock is {offset_s:+.0f} s off" in found.summary) is (abs(offset_s) >= 1)


def test_a_log_that_names_no_session_leaves_the_clock_unknown() -> None:
    """Then it is taken to agree, the report says so, and records are matched by time."""
    made = drops()
    nameless = log_of(made, lambda _drop: (), uvicorn=True, offset_s=0.5)
    found = judged(nameless, made)
    assert found.evidence.clock_offset_s is None
    assert (
        "clock offset is unknown (no record of a drop names its session), so it is taken as 0 s"
        in found.summary
    )
    assert found.evidence.matched_by["time"] > len(made) / 2
    assert found.evidence.matched_by["session"] == 0
    named = judged(log_of(made, after), made)
    assert "clock" not in named.summary


def test_a_record_may_name_its_session_as_the_server_does() -> None:
    """An id that the server gave names the tool's session, for the clock and for the drop."""
    made = drops()
    known = KnownSessions()
    for drop in made:
        known.add(drop.session, f"server-{drop.session}")
    log = [
        (msgspec.structs.replace(record, session=record.session and f"server-{record.session}"), log_class)
        for record, log_class in log_of(made, after, uvicorn=False, offset_s=3_600)
    ]
    found = judged(log, made, known=known)
    assert found.verdict == "PASS", found.summary
    assert found.evidence.clock_offset_s == pytest.approx(3_600, abs=0.1)
    assert found.evidence.matched_by == {"session": len(log), "time": 0, "none": 0}
    strangers = judged(log, made)
    assert strangers.evidence.clock_offset_s is None
    assert strangers.evidence.matched_by["session"] == 0


def at_the_start(errors: int, offset_s: float) -> Classified:
    """Errors of the first 3 s of a run, by a clock that is so far off."""
    return [
        line(
            START_NS + round((offset_s + 3 * number / errors) * SECOND_NS),
            "ERROR",
            "OperationalError: database is locked",
        )
        for number in range(errors)
    ]


def nameless(_drop: DropMade) -> Iterator[tuple[str, str]]:
    """What a server logs of a drop that names no session."""
    yield "INFO", "Client disconnected gracefully (code=1006)"


def test_what_is_written_during_the_run_counts_whatever_its_time() -> None:
    """A clock behind hides no error of a log that was followed; its errors' absence passes as before."""
    made = drops()
    log = log_of(made, nameless, offset_s=-6)
    broken = judged([*at_the_start(101, -6), *log], made, live=True)
    assert broken.verdict == "FAIL"
    assert broken.summary.startswith("101 real errors, 0 allowed")
    sound = judged(log, made, live=True)
    assert sound.verdict == "PASS", sound.summary


def test_errors_just_before_the_run_are_a_doubt_if_the_clock_is_unknown() -> None:
    """A log that was read afterwards may have them of the run; with a known clock they are not the run's."""
    made = drops()
    errors = at_the_start(101, -6)
    unknown = judged([*errors, *log_of(made, nameless, offset_s=-6)], made)
    assert unknown.verdict == "INCONCLUSIVE"
    assert "101 errors in the 60 s before the run may belong to the run" in unknown.summary
    sound = judged(log_of(made, nameless, offset_s=-6), made)
    assert sound.verdict == "PASS", sound.summary
    known = judged([*errors, *log_of(made, after)], made)
    assert known.verdict == "PASS", known.summary


def test_errors_just_before_a_run_without_drops_are_named() -> None:
    """Such a run is not judged, but does not hide them."""
    calm: dict[str, Any] = {"drop_every_s": 0.0, "drops": {}}
    found = judged([*at_the_start(2, -6), line(START_NS, "INFO", "connection open")], [], **calm)
    assert found.verdict == "NOT_JUDGED"
    assert "2 errors in the 60 s before the run may belong to the run" in found.summary


def accounts(made: list[DropMade]) -> tuple[KnownSessions, dict[str, str]]:
    """The ids by which a server knows the sessions in each run."""
    known = KnownSessions()
    names = {drop.session: f"account-{drop.session}" for drop in made}
    for session, name in names.items():
        known.add(session)
        known.add(session, name)
    return known, names


def by_account(log: Classified, names: dict[str, str]) -> Classified:
    """A log that names sessions by accounts."""
    renamed = []
    for record, log_class in log:
        message = record.message
        if record.session:
            message = message.replace(record.session, names[record.session])
        session = names.get(record.session, "")
        renamed.append((msgspec.structs.replace(record, session=session, message=message), log_class))
    return renamed


@pytest.mark.parametrize("other_s", [-3_600.0, 3_600.0])
def test_another_runs_records_are_not_this_runs(other_s: float) -> None:
    """One file, the same accounts and drops an hour apart: each run is judged by its own records."""
    made = drops(("mid_reply", "close"), each=10)
    known, names = accounts(made)
    other_bad = [*log_of(made, before, offset_s=other_s), *log_of(made, after)]
    sound = judged(by_account(other_bad, names), made, known=known)
    assert sound.verdict == "PASS", sound.summary
    assert sound.evidence.clock_offset_s == pytest.approx(0, abs=0.1)
    other_good = [*log_of(made, after, offset_s=other_s), *log_of(made, before)]
    broken = judged(by_account(other_good, names), made, known=known)
    assert broken.verdict == "FAIL", broken.summary
    assert broken.evidence.disconnect_errors == 20


def test_disconnects_after_the_run_that_are_of_no_drop_are_the_next_runs() -> None:
    """Two runs with the same accounts into one log: the first passes, and fails by its own records alone."""
    made = drops(("mid_reply", "close"), each=10)
    known, names = accounts(made)
    soon = [drop for drop in made if drop.at_ns < START_NS + 40 * SECOND_NS]
    assert {drop.kind for drop in soon} == {"mid_reply", "close"}
    next_bad = log_of(soon, before, offset_s=130)
    sound = judged(by_account([*log_of(made, after), *next_bad], names), made, known=known)
    assert sound.verdict == "PASS", sound.summary
    next_good = log_of(soon, after, offset_s=130)
    broken = judged(by_account([*log_of(made, before), *next_good], names), made, known=known)
    assert broken.evidence.disconnect_errors == 20


def test_what_is_surely_of_the_run_counts_after_its_end() -> None:
    """A record with the tool's own id, one written during the run, and any if the log names no session."""
    made = drops(("fin", "close"), each=10)
    known, names = accounts(made)
    late = line(END_NS + 10 * SECOND_NS, "ERROR", f"Send error (session {made[0].session}) -> cleanup: ")
    assert judged([*log_of(made, after), late], made, known=known).verdict == "FAIL"
    (by_name,) = by_account([late], names)
    log = by_account(log_of(made, after), names)
    assert judged([*log, by_name], made, known=known).verdict == "PASS"
    assert judged([*log, by_name], made, known=known, live=True).verdict == "FAIL"
    stranger = line(END_NS + 10 * SECOND_NS, "ERROR", "Send error (session 0f3) -> cleanup: ")
    assert judged([*log, stranger], made, known=known).verdict == "PASS"
    assert judged([*log_of(made, nameless), stranger], made, known=known).verdict == "FAIL"


def test_real_errors_after_the_run_with_an_account_are_a_doubt() -> None:
    """They may be its aftermath or the next run's."""
    made = drops(("fin", "close"), each=10)
    known, names = accounts(made)
    fault = line(END_NS + 10 * SECOND_NS, "ERROR", f"no disk (session {made[0].session})")
    found = judged(by_account([*log_of(made, after), fault], names), made, known=known)
    assert found.verdict == "INCONCLUSIVE"
    assert "1 real error after the run may belong to another run" in found.summary


@pytest.mark.parametrize("handling", [before, after])
@pytest.mark.parametrize("other_s", [-3_600.0, 1_234.0])
def test_a_log_of_another_run_alone_says_nothing(handling: object, other_s: float) -> None:
    """Whatever it has, good or bad."""
    made = drops(("mid_reply", "close"), each=10)
    known, names = accounts(made)
    found = judged(by_account(log_of(made, handling, offset_s=other_s), names), made, known=known)
    assert found.verdict == "INCONCLUSIVE", found.summary
    assert found.evidence.clock_offset_s is None


def test_two_runs_that_both_fit_are_named() -> None:
    """Nothing is judged by records that may be another run's, and the summary says what to do."""
    made = drops(("mid_reply",), each=20)
    known, names = accounts(made)
    log = [*log_of(made[:4], before, uvicorn=False), *log_of(made, before, offset_s=3_600, uvicorn=False)]
    found = judged(by_account(log, names), made, known=known)
    assert found.verdict == "INCONCLUSIVE"
    assert "with a clock +0 or +3600 s off, so its records may be another run's" in found.summary


def test_the_servers_names_of_sessions_make_no_shapes() -> None:
    """One fault of many accounts is one line, whatever the accounts are called and wherever they stand."""
    made = drops()
    known = KnownSessions()
    words = ("alice", "bob", "carol", "dave", "erin", "frank", "grace")
    for drop, word in zip(made, words, strict=False):
        known.add(drop.session)
        known.add(drop.session, word)
    at_ns = START_NS + 12 * SECOND_NS
    faults = [
        (msgspec.structs.replace(record, session=drop.session), log_class)
        for drop, word in zip(made, words, strict=False)
        for record, log_class in [line(at_ns, "ERROR", f"no disk for {word}, sorry")]
    ]
    called = [line(at_ns, "ERROR", f"quota (session={word}) of {word} is used up") for word in words]
    found = judged([*log_of(made, after), *faults, *called], made, known=known)
    assert [one.count for one in found.evidence.first_real_errors] == [7, 7]


@pytest.mark.parametrize("handling", [before, after])
def test_a_bad_message_is_expected_to_be_an_error(handling: object) -> None:
    """The errors that bad messages are made to cause are shown and do not count."""
    made = drops(("close", "bad_message"), each=10)
    found = judged(log_of(made, handling), made)
    assert found.evidence.real_errors == 0
    assert found.evidence.expected_errors == 10
    assert kind_rows(found)["bad_message"].levels["ERROR"] == 10
    assert found.verdict == "PASS", found.summary


def test_real_errors_count_against_the_allowance() -> None:
    """Errors that no drop was made to cause fail the item, with their first lines, unless allowed."""
    made = drops()
    log = [*log_of(made, after), line(START_NS + 60 * SECOND_NS, "ERROR", "database is locked")]
    found = judged(log, made)
    assert found.verdict == "FAIL"
    assert found.summary == "1 real error, 0 allowed"
    assert found.evidence.first_real_errors[0].text == "database is locked"
    assert judged(log, made, reading=ReadStats(allowed_errors=1)).verdict == "PASS"


def raised(at_ns: int, session: str, exception: str, message: str) -> tuple[LogRecord, LogClass]:
    """An error with the exception that its traceback ends with."""
    record = LogRecord(
        line=7, level=Level.ERROR, message=message, at_ns=at_ns, session=session, exception=exception
    )
    return record, TABLE.classify(record)


def test_errors_are_shown_by_shape_with_the_last_exception_first() -> None:
    """Of 45 errors of a cold start and seven other faults, the database is the first line, not the sixth."""
    made = drops()
    log = log_of(made, after)
    at_ns = START_NS + 12 * SECOND_NS + SECOND_NS // 2
    log += [line(at_ns + n, "ERROR", f"{word} failed") for n, word in enumerate(("login", "push", "job") * 3)]
    log += [line(at_ns, "ERROR", f"{word} failed once") for word in ("a", "b", "c", "d")]
    for number in reversed(range(45)):
        log.append(
            raised(
                at_ns + number * SECOND_NS,
                f"s-{number}",
                "sqlite3.OperationalError: database is locked",
                f"Session s-{number} could not be opened",
            )
        )
    found = judged(log, made)
    shown = found.evidence.first_real_errors
    assert found.summary == "58 real errors, 0 allowed"
    assert (shown[0].count, shown[0].session) == (45, "s-0")
    assert shown[0].first_s == pytest.approx(12.5, abs=0.1)
    assert shown[0].text == "sqlite3.OperationalError: database is locked | Session s-0 could not be opened"
    assert [one.count for one in shown] == [45, 3, 3, 3, 1]
    assert found.evidence.real_error_shapes == 8
    assert list(item_lines(found))[:2] == [
        "45 x sqlite3.OperationalError: database is locked | Session s-0 could not be opened",
        "    first at 00:12 in session s-0, line 7",
    ]
    assert list(item_lines(found))[-1] == "and 3 more, of 3 other shapes"


def test_wrong_disconnects_are_shown_by_shape_and_all_their_drops_are_named() -> None:
    """Two texts, each with its count; the kinds are those of all records, not of the shown ones."""
    made = drops(("close", "fin", "mid_reply", "reset"), each=5)
    loud = [
        line(drop.at_ns + SECOND_NS // 100, "ERROR", f"Send error (session {drop.session}) -> cleanup: ")
        for drop in made
        if drop.kind in ("fin", "reset")
    ]
    found = judged([*log_of(made, before), *loud], made)
    assert "(after fin, mid_reply, reset)" in found.summary
    assert [one.count for one in found.evidence.first_disconnect_errors] == [15, 5]
    assert found.evidence.disconnect_error_shapes == 2
    assert kind_rows(found)["mid_reply"].disconnect_errors == 10
    assert kind_rows(found)["close"].disconnect_errors == 0


def test_warnings_for_disconnects_fail_below_the_ratio() -> None:
    """More than one in twenty disconnect records at WARNING is too many."""
    made = drops(each=10)
    log = log_of(made, after, uvicorn=False)
    loud = [(record, log_class) for record, log_class in log]
    for index in range(0, len(loud), 10):
        record, log_class = loud[index]
        warned = LogRecord(
            line=1, level=Level.WARNING, message=record.message, at_ns=record.at_ns, session=record.session
        )
        loud[index] = (warned, log_class)
    found = judged(loud, made)
    assert found.verdict == "FAIL"
    assert "95% are needed" in found.summary


def three_lines(drop: DropMade) -> Iterator[tuple[str, str]]:
    """A server that logs three lines for each client, one of them at ERROR for every eighth client."""
    yield "INFO", f"Client disconnected gracefully (session={drop.session}, code=1006)"
    level = "ERROR" if int(drop.session.removeprefix("s-")) % 8 == 0 else "INFO"
    yield level, f"Client disconnected abruptly (session={drop.session}): gone"


def test_departures_are_counted_not_lines() -> None:
    """One departure in eight has one ERROR among its three lines: 87.5% are at INFO, not 95.8%."""
    made = drops(("close", "fin", "reset", "mid_reply"), each=10)
    found = judged(log_of(made, three_lines), made)
    assert found.verdict == "FAIL"
    assert (found.evidence.departures, found.evidence.wrong_departures) == (40, 5)
    assert found.evidence.departure_levels == {"INFO": 35, "ERROR": 5}
    assert found.evidence.disconnect_levels == {"INFO": 115, "ERROR": 5}
    assert found.evidence.info_ratio == 0.875
    assert "in 5 of 40 disconnects; only 87.5% of disconnects logged at INFO or below" in found.summary
    assert sum(row.departure_levels.get("ERROR", 0) for row in kind_rows(found).values()) == 5


def test_all_kinds_of_wrong_records_are_named() -> None:
    """Drop kinds, records that no drop explains, and classes: the summary leaves none out."""
    made = drops(("close", "fin"), each=5)
    stray = line(START_NS + 119 * SECOND_NS, "ERROR", "Send error (session other) -> cleanup: ")
    wrong = [
        line(drop.at_ns + SECOND_NS // 100, "ERROR", f"Send error (session {drop.session}) -> cleanup: ")
        for drop in made
    ]
    found = judged([*wrong, stray], made)
    assert found.summary.startswith(
        "11 ERROR records for disconnects (after close, fin; 1 not after a drop), in 11 of 11 disconnects"
    )
    assert found.evidence.wrong_classes == {"send_to_gone_client": 11}


def test_a_log_that_ends_before_the_run_does_is_no_proof() -> None:
    """Drops without any record after them, of kinds that are logged otherwise: what came then is open."""
    made = sorted(drops(("close", "fin"), each=30), key=lambda drop: drop.at_ns)
    for missing, verdict in ((0, "PASS"), (6, "INCONCLUSIVE")):
        kept = made[: len(made) - missing] if missing else made
        found = judged(log_of(kept, after), made)
        assert found.verdict == verdict, found.summary
        assert found.evidence.covered_ratio > 0.9
    assert "the log ends 01:47 into the run, before 3 drops" in found.summary


def step(item: Item[ServerLogEvidence]) -> str:
    """What to do about it."""
    return server_log_step(item.evidence, item.verdict)


def test_the_advice_fits_what_is_wrong() -> None:
    """Disconnects at ERROR, at WARNING, real errors, too few drops, no levels: each has its own step."""
    made = drops(each=10)
    fault = line(START_NS + 60 * SECOND_NS, "ERROR", "database is locked")
    loud = judged(log_of(made, before), made)
    assert step(loud) == "log client disconnects at INFO, starting with the first lines above"
    real = judged([*log_of(made, after), fault], made)
    assert step(real).startswith("look into the real errors, the most frequent first. To allow ")
    both = judged([*log_of(made, before), fault], made)
    assert "; also look into the real errors" in step(both)
    few = judged(log_of(made[:3], after), made[:3])
    assert step(few) == "run longer, or drop more often (--ws-drop-every)"
    dead = judged([], made[:3], reading=ReadStats(problems=["docker: the command failed"]))
    assert step(dead) == "make the log readable, then repeat the run: the summary says what went wrong"
    silent = judged(log_of(made, lambda _: [("INFO", "stored")], uvicorn=False), made)
    assert step(silent) == "log each disconnect at INFO, with its session"
    counts = ReadStats(counts=Counts(records=100, unlevelled=50))
    nameless_levels = judged(log_of(made, after), made, reading=counts)
    assert step(nameless_levels).startswith("log a level with each record")


def test_records_outside_the_run_do_not_count() -> None:
    """Yesterday's errors in the same file are not this run's."""
    made = drops()
    old = line(START_NS - 20 * 3_600 * SECOND_NS, "ERROR", "Send error (session old) -> cleanup: ")
    recent = line(START_NS - 60 * SECOND_NS, "ERROR", "database is locked")
    assert judged([old, recent, *log_of(made, after)], made).verdict == "PASS"


@pytest.mark.parametrize(
    ("made", "log", "counts", "reason"),
    [
        (drops()[:3], log_of(drops()[:3], after), None, "3 drops are too few"),
        (drops(), [], None, "no records from the run's time"),
        (drops(), log_of(drops()[:10], after), None, "does not cover the run"),
        (
            drops(QUIET),
            log_of(drops(QUIET), lambda _: [("INFO", "stored")], uvicorn=False),
            None,
            "has no records of clients that disconnected",
        ),
        (
            drops(),
            log_of(drops(), after),
            Counts(records=5, stray=50),
            "90.9% of the log could not be read: 50 lines without a time",
        ),
    ],
    ids=["few", "empty", "half", "silent", "unread"],
)
def test_what_cannot_be_judged(
    made: list[DropMade], log: Classified, counts: Counts | None, reason: str
) -> None:
    """Too few drops, a log that is empty, incomplete, silent or unreadable, is INCONCLUSIVE and says why."""
    found = judged(log, made, reading=ReadStats(counts=counts or Counts()))
    assert found.verdict == "INCONCLUSIVE"
    assert reason in found.summary


def test_too_many_records_to_judge(monkeypatch: pytest.MonkeyPatch) -> None:
    """A flood of records is bounded in memory, and then nothing is passed."""
    monkeypatch.setattr(server_log, "MAX_SIGHTINGS", 10)
    made = drops()
    found = judged(log_of(made, after), made)
    assert found.verdict == "INCONCLUSIVE"
    assert found.evidence.unjudged_records > 0


def test_what_was_seen_to_be_wrong_fails_whatever_is_missing() -> None:
    """One wrong line in a log that covers next to nothing is a FAIL."""
    made = drops(("mid_reply",), each=2)
    assert judged(log_of(made, before)[:2], made).verdict == "FAIL"


def test_a_log_without_times() -> None:
    """uvicorn's own format read afterwards is judged by sessions and by count."""
    found = [
        (LogRecord(line=1, level=record.level, message=record.message, session=record.session), log_class)
        for record, log_class in log_of(drops(), after)
    ]
    assert judged(found, drops()).verdict == "PASS"
    assert judged(found[:5], drops()).verdict == "INCONCLUSIVE"
    recorded = [(record, TABLE.classify(record)) for record in read(LOGS / "uvicorn-before.log", LogReader())]
    bad = [
        *drops(),
        DropMade(at_ns=START_NS, session="8d116ece-1738-47d9-bd9c-172411e20b8f", kind="bad_message"),
    ]
    verdict = judged(recorded, bad)
    assert (verdict.evidence.disconnect_errors, verdict.evidence.real_errors) == (2, 0)


def test_a_recorded_run() -> None:
    """A recorded log and the drops that were made while it was written: each kind has its record."""
    kinds = dict(
        zip(("65", "d2", "95", "36", "6b", "8d"), (*QUIET[:4], "mid_reply", "bad_message"), strict=True)
    )
    recorded = [
        (record, TABLE.classify(record)) for record in read(LOGS / "structlog-after.jsonl", LogReader())
    ]
    made = [
        DropMade(at_ns=record.at_ns - 2_000_000, session=record.session, kind=kinds[record.session[:2]])
        for record, log_class in recorded
        if record.session and record.at_ns and log_class is not LogClass.ABRUPT
    ]
    found = judged(recorded, made * 2, start_ns=made[0].at_ns, end_ns=made[-1].at_ns)
    assert found.verdict == "PASS", found.summary
    assert {kind: row.levels for kind, row in kind_rows(found).items()} == {
        "close": {"INFO": 2},
        "tab_close": {"INFO": 2},
        "fin": {"INFO": 2},
        "reset": {"INFO": 2},
        "mid_reply": {"INFO": 3},
        "bad_message": {"INFO": 1, "ERROR": 1},
    }


def test_a_run_without_drops_is_judged_by_its_errors_only() -> None:
    """A log without any cannot show how disconnects are logged."""
    calm: dict[str, Any] = {"drop_every_s": 0.0, "drops": {}}
    found = judged([line(START_NS, "INFO", "connection open")], [], **calm)
    assert found.verdict is Ruling.NOT_JUDGED
    assert found.summary == "no drops are planned, and no error was logged in 1 record"
    error = line(START_NS, "ERROR", "database is locked")
    assert judged([error], [], **calm).verdict is Ruling.FAIL
    allowed = judged([error], [], reading=ReadStats(allowed_errors=1), **calm)
    assert allowed.verdict is Ruling.NOT_JUDGED
    assert allowed.summary == "no drops are planned, and 1 allowed error was logged in 1 record"
    several = judged([error] * 3, [], reading=ReadStats(allowed_errors=3), **calm)
    assert several.summary == "no drops are planned, and 3 allowed errors were logged in 3 records"


def test_evidence_holds_no_secret() -> None:
    """What a log says of tokens does not reach the verdict."""
    made = drops()
    log = [*log_of(made, after), line(made[0].at_ns, "ERROR", "refused token=s3cr3t-value for /ws")]
    assert "s3cr3t-value" not in str(judged(log, made).evidence)


def test_the_runs_end_is_a_row_of_its_own() -> None:
    """Sessions that close with the run are no drops: their records do not swell the last drops' counts."""
    made = drops()
    ends = [DropMade(at_ns=END_NS, session=drop.session, kind=END_OF_RUN) for drop in made]
    closes = [
        line(END_NS - SECOND_NS // 2, "INFO", text)
        for end in ends
        for text in (
            "connection closed",
            f"Client disconnected gracefully (session={end.session}, code=1000)",
        )
    ]
    found = judged([*log_of(made, after), *closes], [*made, *ends])
    rows = kind_rows(found)
    assert found.evidence.drops == len(made)
    assert list(rows)[-1] == END_OF_RUN
    assert rows[END_OF_RUN].drops_with_record == len(ends)
    assert rows["close"].records == 8
    assert judged(closes, ends).verdict == "INCONCLUSIVE"


def test_an_extract_keeps_what_matters_and_counts_the_rest() -> None:
    """Chatter is a number a second, a disconnect is a line without text, an error has its excerpt."""
    chatter = [line(START_NS + n * SECOND_NS // 4, "INFO", "conversation of Alice") for n in range(8)]
    gone = line(START_NS, "INFO", "Client disconnected gracefully (session=s-1, code=1000)")
    wrong = line(START_NS, "ERROR", "Send error (session s-2) -> cleanup: ")
    kept = extract([*chatter, gone, wrong], file="a.log")
    assert [(one.log_class, one.count, one.session, one.text) for one in kept] == [
        ("graceful", 1, "s-1", ""),
        ("send_to_gone_client", 1, "s-2", "Send error (session s-2) -> cleanup:"),
        ("other", 4, "", ""),
        ("other", 4, "", ""),
    ]
    assert {one.at_ns for one in kept} == {START_NS, START_NS + SECOND_NS}


@pytest.mark.parametrize("at_ns", [-1, 2**62, 10**21])
def test_times_beyond_any_calendar_belong_to_no_run(at_ns: int) -> None:
    """A log may claim any time; one that no file could hold is left out."""
    assert (
        extract([(LogRecord(line=1, level=Level.ERROR, message="x", at_ns=at_ns), LogClass.REAL_ERROR)]) == []
    )


def test_what_went_wrong_with_a_source_is_a_doubt() -> None:
    """A command that failed, or records that were too many to keep, make a passing log inconclusive."""
    made = drops()
    for reading, reason in (
        (ReadStats(problems=["docker: the command ended with status 1"]), "status 1"),
        (ReadStats(left_out=3), "records to judge"),
    ):
        found = judged(log_of(made, after), made, reading=reading)
        assert found.verdict == "INCONCLUSIVE"
        assert reason in found.summary


def unlevelled(found: Classified) -> Classified:
    """The same records without levels."""
    return [(msgspec.structs.replace(record, level=None), log_class) for record, log_class in found]


@pytest.mark.parametrize(("count", "verdict"), [(5, "PASS"), (6, "INCONCLUSIVE")])
def test_a_log_without_levels_proves_nothing(count: int, verdict: str) -> None:
    """Over 5% of records whose level is unknown leave the question open, with examples of them."""
    made = drops()
    counts = Counts(records=100, unlevelled=count, examples=("line 3: no time, no level, text: client left",))
    found = judged(log_of(made, after), made, reading=ReadStats(counts=counts))
    assert found.verdict == verdict
    assert ("line 3: no time, no level" in found.summary) == (verdict == "INCONCLUSIVE")


def test_disconnects_without_levels_are_not_at_info() -> None:
    """If those of the disconnects are unknown, few others do not make the log readable."""
    made = drops()
    log = unlevelled(log_of(made, after, uvicorn=False))
    found = judged(log, made, reading=ReadStats(counts=Counts(records=10_000, unlevelled=len(log))))
    assert found.verdict == "INCONCLUSIVE"
    assert "100% of the disconnect records have no readable level" in found.summary
    assert found.evidence.info_ratio is None
    assert found.evidence.disconnect_levels == {"UNKNOWN": found.evidence.disconnect_records}


def test_an_error_fails_a_log_without_levels() -> None:
    """What is wrong is wrong, however little else can be read."""
    made = drops()
    log = unlevelled(log_of(made, after, uvicorn=False))
    wrong = line(made[0].at_ns, "ERROR", f"Client disconnected abruptly (session={made[0].session})")
    counts = Counts(records=len(log) + 1, unlevelled=len(log))
    assert judged([*log, wrong], made, reading=ReadStats(counts=counts)).verdict == "FAIL"
