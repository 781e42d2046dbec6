"""The item `server_log`: does the server log disconnects as such, and only faults as errors?

Records caused by a client's disconnect must not be at ERROR or worse, and nearly all of them must be at INFO
or below. Real errors are counted separately; the run says how many it allows. A `bad_message` drop is meant
to cause a real error, which does not count. A wrong record is a FAIL, whatever else the log lacks. A log with
too few drops, without records near them, or that cannot be read is INCONCLUSIVE, never PASS. A run that plans
no drops can only FAIL or be NOT_JUDGED. No file is read here: the extract of the log and the drops are
arguments.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Self

import msgspec
from msgspec import Struct

from loadtest import text
from loadtest.results.data import RunData
from loadtest.ruling import Ruling
from loadtest.serverlog.extract import KeptRecord, ReadStats
from loadtest.serverlog.known_sessions import KnownSessions
from loadtest.serverlog.matching import (
    END_OF_RUN,
    EXPECTED_FAULT,
    MAX_SIGHTINGS,
    ClockOffset,
    DropMade,
    Sighting,
    clock_offset,
    covered_ratio,
    match,
)
from loadtest.serverlog.records import Level
from loadtest.serverlog.rules import DISCONNECTS, LogClass
from loadtest.serverlog.shapes import Group, Shapes, shape_of
from loadtest.serverlog.times import SECOND_NS
from loadtest.verdict.items import Item
from loadtest.verdict.log_evidence import KindEvidence, LogLine, ServerLogEvidence

INFO_RATIO = 0.95
"""Share of disconnect records that must be at INFO or below."""

MIN_DROPS = 10
"""Drops needed for PASS: with fewer, some kinds were hardly drawn once, and a clean log proves nothing."""

COVER_S = 5
MIN_COVERED_RATIO = 0.9
"""Clients reconnect within seconds of a drop, and servers log that. A log without any record within COVER_S
seconds of a drop, for more than a tenth of the drops, was not written or not read during the whole run."""

MIN_UNTIMED_RATIO = 0.5
"""A log without times covers the run if it has disconnect records for at least half of the drops."""

MAX_DAMAGED_RATIO = 0.5
GRACE_NS = 60 * SECOND_NS
"""How long after the run's end the server may still log its consequences."""

_SHOWN = 5
_MAX_CLOCK_OFFSET_NS = 15 * 3_600 * SECOND_NS  # a time without a time zone may be local to any zone


class Window(Struct, frozen=True, kw_only=True):
    """The run's start and end, in Unix time."""

    start_ns: int
    end_ns: int

    @classmethod
    def of(cls, run: RunData) -> Self:
        """Create the window of a run."""
        start_ns = run.manifest.started_unix_ns
        return cls(start_ns=start_ns, end_ns=start_ns + int(run.length_s * SECOND_NS))

    def holds(self, at_ns: int, slack_ns: int = SECOND_NS) -> bool:
        """Whether a record at this time can be about the run.

        Args:
            at_ns: Unix time.
            slack_ns: tolerance on both sides, for the offset of the server's clock.
        """
        return self.start_ns - slack_ns <= at_ns <= self.end_ns + GRACE_NS + slack_ns


class _Collected(Struct, kw_only=True):
    sightings: list[Sighting]
    seconds: set[int]
    arrival_seconds: set[int]
    records: int = 0
    untimed: int = 0
    overflow: int = 0


def judge(
    run: RunData,
    log: Iterable[KeptRecord],
    drops: Sequence[DropMade],
    *,
    reading: ReadStats | None = None,
    known: KnownSessions | None = None,
) -> Item[ServerLogEvidence]:
    """Judge a server's log against the drops that a run made.

    Args:
        run: the run; its plan says whether drops were planned.
        log: records kept from the log, in any order; iterated once. Records outside the run's time do not
            count, records without a time do.
        drops: the drops made, and the sessions' ends with the run, in any order.
        reading: statistics of reading the log, None if unknown because the run was killed.
        known: the run's sessions; None if the server has no ids of its own for them.
    """
    reading = reading or ReadStats()
    window = Window.of(run)
    known = KnownSessions() if known is None else known
    collected = _collect(log, drops, window, known)
    offset = clock_offset(collected.sightings, drops)
    _to_tool_clock(collected, offset.ns or 0)
    evidence = _evidence(collected, drops, window=window, reading=reading, offset_ns=offset.ns, known=known)
    failures, doubts = _failures(evidence), _doubts(evidence)
    if offset.doubtful_ns:  # then it is not known whose records these are
        ruling, summary = Ruling.INCONCLUSIVE, _doubtful(offset)
    elif failures:
        ruling, summary = Ruling.FAIL, "; ".join(failures)
    elif not run.manifest.plan.drops_planned:
        summary = f"no drops are planned, and {_logged(evidence)}"
        return Item(item="server_log", verdict=Ruling.NOT_JUDGED, summary=summary, evidence=evidence)
    elif doubts:
        ruling, summary = Ruling.INCONCLUSIVE, "; ".join(doubts)
    else:
        ruling, summary = Ruling.PASS, _success(evidence)
    summary += _clock(collected, window, offset)
    return Item(item="server_log", verdict=ruling, summary=summary, evidence=evidence)


def _collect(
    log: Iterable[KeptRecord], drops: Sequence[DropMade], window: Window, known: KnownSessions
) -> _Collected:
    """Return the records in the run's window in some time zone, and those with the tool's id of a session."""
    collected = _Collected(sightings=[], seconds=set(), arrival_seconds=set())
    sessions = {drop.session for drop in drops}
    for logged in log:
        at_ns = logged.at_ns
        slack_ns = SECOND_NS if logged.arrival else _MAX_CLOCK_OFFSET_NS
        session = known.session_of(logged.ids)
        own = session in logged.ids and (session in sessions or session in known)
        if at_ns is not None and not window.holds(at_ns, slack_ns) and not own:
            continue
        if session != logged.session:
            logged = msgspec.structs.replace(logged, session=session, also=logged.ids)
        collected.records += logged.count
        if at_ns is None:
            collected.untimed += logged.count
        else:
            (collected.arrival_seconds if logged.arrival else collected.seconds).add(at_ns // SECOND_NS)
        if logged.log_class in DISCONNECTS or logged.level >= Level.ERROR:
            if len(collected.sightings) < MAX_SIGHTINGS:
                collected.sightings.append(Sighting(logged, at_ns, own))
            else:
                collected.overflow += logged.count
    return collected


def _to_tool_clock(collected: _Collected, offset_ns: int) -> None:
    for sighting in collected.sightings:
        if sighting.at_ns is not None and not sighting.record.arrival:
            sighting.at_ns -= offset_ns
    shift = round(offset_ns / SECOND_NS)
    collected.seconds = {second - shift for second in collected.seconds} | collected.arrival_seconds


def _doubtful(offset: ClockOffset) -> str:
    """Return why it is not known which records are the run's."""
    fits = " or ".join(f"{ns / SECOND_NS:+.0f}" for ns in offset.doubtful_ns)
    return (
        f"the log fits the drops with a clock {fits} s off, which may be another run's records: give the log "
        "of this run alone, with times in UTC"
    )


def _clock(collected: _Collected, window: Window, offset: ClockOffset) -> str:
    """Return what to say of the server's clock; empty if it agrees or gave no times."""
    offset_ns = offset.ns
    if offset.doubtful_ns:
        return ""
    if offset_ns is not None and abs(offset_ns) >= SECOND_NS:
        return f"; the server's clock is {offset_ns / SECOND_NS:+.0f} s off, which was allowed for"
    own_ns = (s.at_ns for s in collected.sightings if s.at_ns is not None and not s.record.arrival)
    if offset_ns is None and any(map(window.holds, own_ns)):
        return (
            "; the server's clock offset is unknown (no record of a drop names its session) and taken as 0 s"
        )
    return ""


def _covered_ratio(collected: _Collected, within: list[Sighting], drops: Sequence[DropMade]) -> float:
    if collected.seconds or not drops:
        return covered_ratio(drops, collected.seconds, COVER_S)
    found = sum(sighting.record.log_class in DISCONNECTS for sighting in within)
    return min(1.0, found / len(drops) * MIN_COVERED_RATIO / MIN_UNTIMED_RATIO)


def _evidence(
    collected: _Collected,
    drops: Sequence[DropMade],
    *,
    window: Window,
    reading: ReadStats,
    offset_ns: int | None,
    known: KnownSessions,
) -> ServerLogEvidence:
    within = [s for s in collected.sightings if s.at_ns is None or window.holds(s.at_ns)]
    matched_by = match(within, drops)
    made = [drop for drop in drops if drop.kind != END_OF_RUN]
    return msgspec.structs.replace(
        _seen(within, drops, window.start_ns, known),
        drops=len(made),
        records=collected.records,
        untimed_records=collected.untimed,
        unjudged_records=collected.overflow + reading.left_out,
        clock_offset_s=None if offset_ns is None else round(offset_ns / SECOND_NS, 3),
        covered_ratio=round(_covered_ratio(collected, within, made), 4),
        matched_by=dict(matched_by),
        files=reading.files,
        reading=reading.counts,
        problems=reading.problems,
        allowed_errors=reading.allowed_errors,
    )


def _seen(
    within: list[Sighting], drops: Sequence[DropMade], start_ns: int, known: KnownSessions
) -> ServerLogEvidence:
    """Return the evidence that comes from matched records alone."""
    disconnects = [s for s in within if s.record.log_class in DISCONNECTS]
    wrong = _wrong(disconnects)
    real = [s for s in within if s.record.log_class is LogClass.REAL_ERROR and s.record.level >= Level.ERROR]
    cancelled = [s for s in within if s.record.log_class is LogClass.CANCELLED_AT_SHUTDOWN]
    _expect_untimed(real, drops)
    unexpected = [s for s in real if not s.expected]
    wrong_shapes, real_shapes = _shapes(wrong, known), _shapes(unexpected, known)
    return ServerLogEvidence(
        disconnect_records=len(disconnects),
        disconnect_levels=_by_level(disconnects),
        disconnect_errors=len(wrong),
        first_disconnect_errors=_most_frequent(wrong_shapes, drops, start_ns, known),
        disconnect_error_shapes=len(wrong_shapes),
        info_ratio=_info_ratio(disconnects),
        least_info_ratio=INFO_RATIO,
        real_errors=len(unexpected),
        expected_errors=len(real) - len(unexpected),
        first_real_errors=_most_frequent(real_shapes, drops, start_ns, known),
        real_error_shapes=len(real_shapes),
        cancelled_at_shutdown_errors=len(cancelled),
        by_kind=_by_kind(within, drops),
    )


def _wrong(sightings: Iterable[Sighting]) -> list[Sighting]:
    """Return the disconnect records at ERROR or worse."""
    return [s for s in sightings if s.record.log_class in DISCONNECTS and s.record.level >= Level.ERROR]


def _info_ratio(disconnects: list[Sighting]) -> float | None:
    quiet = sum(s.record.level <= Level.INFO for s in disconnects)
    return round(quiet / len(disconnects), 4) if disconnects else None


def _expect_untimed(real: list[Sighting], drops: Sequence[DropMade]) -> None:
    """Mark errors without time and session as expected, as many as drops are meant to cause."""
    faults = sum(drop.kind == EXPECTED_FAULT for drop in drops) - sum(s.expected for s in real)
    nameless = [s for s in real if s.at_ns is None and not s.record.session and s.drop is None]
    for sighting in nameless[: max(0, faults)]:
        sighting.expected = True


def _by_level(sightings: Iterable[Sighting]) -> dict[str, int]:
    levels = Counter(sighting.record.level for sighting in sightings)
    return {level.name: levels[level] for level in sorted(levels)}


def _by_kind(within: list[Sighting], drops: Sequence[DropMade]) -> list[KindEvidence]:
    made = Counter(drop.kind for drop in drops)
    of_kind: dict[str, list[Sighting]] = {kind: [] for kind in made}
    for sighting in within:
        if sighting.drop is not None:
            of_kind[drops[sighting.drop].kind].append(sighting)
    return [
        KindEvidence(
            kind=kind,
            drops=made[kind],
            drops_with_record=len({sighting.drop for sighting in of_kind[kind]}),
            records=len(of_kind[kind]),
            levels=_by_level(of_kind[kind]),
            disconnect_errors=len(_wrong(of_kind[kind])),
            expected_errors=sum(sighting.expected for sighting in of_kind[kind]),
        )
        for kind in sorted(made, key=lambda kind: (kind == END_OF_RUN, kind))
    ]


def _shapes(sightings: Iterable[Sighting], known: KnownSessions) -> Shapes[Sighting]:
    """Return records grouped by level and shape."""
    shapes = Shapes[Sighting]()
    for sighting in sightings:
        record = sighting.record
        shapes.add((record.level, _shape(record, known)), sighting, sighting.at_ns)
    return shapes


def _shape(record: KeptRecord, known: KnownSessions) -> str:
    return shape_of(record.text, {*known.ids_of(record.session), *record.also})


def _most_frequent(
    shapes: Shapes[Sighting], drops: Sequence[DropMade], start_ns: int, known: KnownSessions
) -> list[LogLine]:
    return [_line(group, drops, start_ns, known) for group in shapes.by_count()[:_SHOWN]]


def _line(group: Group[Sighting], drops: Sequence[DropMade], start_ns: int, known: KnownSessions) -> LogLine:
    first, record = group.first, group.first.record
    return LogLine(
        file=record.file,
        line=record.line,
        level=record.level.name,
        text=record.text,
        drop=None if first.drop is None else drops[first.drop].kind,
        session=text.without_likely_secrets(record.session),
        first_s=None if group.at_ns is None else round((group.at_ns - start_ns) / SECOND_NS, 3),
        count=group.count,
        shape=_shape(record, known),
    )


def _failures(evidence: ServerLogEvidence) -> list[str]:
    failures = []
    if evidence.disconnect_errors:
        wrong = text.counted(evidence.disconnect_errors, "ERROR record")
        failures.append(f"{wrong} for mere disconnects{_kinds(evidence)}")
    if evidence.info_ratio is not None and evidence.info_ratio < INFO_RATIO:
        percent = f"{evidence.info_ratio:.1%}"
        failures.append(f"only {percent} of the disconnect records at INFO or below, not {INFO_RATIO:.0%}")
    if evidence.real_errors > evidence.allowed_errors:
        failures.append(f"{_real_errors(evidence)}, {text.count(evidence.allowed_errors)} allowed")
    return failures


def _real_errors(evidence: ServerLogEvidence) -> str:
    return text.counted(evidence.real_errors, "real error")


def _kinds(evidence: ServerLogEvidence) -> str:
    """Return the kinds of drop that wrong records were matched with, as text."""
    kinds = [row.kind for row in evidence.by_kind if row.disconnect_errors]
    return f" (after {', '.join(kinds)})" if kinds else ""


def _doubts(evidence: ServerLogEvidence) -> list[str]:
    doubts = list(evidence.problems)
    if evidence.drops < MIN_DROPS:
        few = text.counted(evidence.drops, "drop")
        doubts.append(f"{few} {'is' if evidence.drops == 1 else 'are'} too few, {MIN_DROPS} are needed")
    if evidence.reading.damaged_ratio() > MAX_DAMAGED_RATIO:
        doubts.append(f"{evidence.reading.damaged_ratio():.0%} of the log could not be read: name its format")
    if not evidence.records:
        return [*doubts, "the log has no record in the run's time"]
    if evidence.covered_ratio < MIN_COVERED_RATIO:
        doubts.append(
            f"the log does not cover the run: no records near {1 - evidence.covered_ratio:.0%} of drops"
        )
    if not evidence.disconnect_records:
        doubts.append("the log says nothing of clients that left: log them at INFO")
    if evidence.unjudged_records:
        doubts.append(f"the log has more than {MAX_SIGHTINGS} records to judge in the run's time")
    return doubts


def _logged(evidence: ServerLogEvidence) -> str:
    """Return how many errors a log without failures has, in a run that plans no drops."""
    records = text.counted(evidence.records, "record")
    match evidence.real_errors:
        case 0:
            return f"no error was logged in {records}"
        case 1:
            return f"1 allowed error was logged in {records}"
        case errors:
            return f"{text.count(errors)} allowed errors were logged in {records}"


def _success(evidence: ServerLogEvidence) -> str:
    return (
        f"{text.counted(evidence.drops, 'drop')}: no ERROR for a mere disconnect, "
        f"{evidence.info_ratio:.1%} of {text.counted(evidence.disconnect_records, 'disconnect record')} "
        f"at INFO or below, {_real_errors(evidence)}"
    )
