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
    LATE_KINDS,
    MAX_SIGHTINGS,
    ClockOffset,
    DropMade,
    Sighting,
    clock_offset,
    covered_ratio,
    match,
)
from loadtest.serverlog.records import Level, is_error, level_name
from loadtest.serverlog.rules import DISCONNECTS, LogClass
from loadtest.serverlog.shapes import Group, Shapes, shape_of
from loadtest.serverlog.times import SECOND_NS
from loadtest.verdict import log_summary
from loadtest.verdict.departures import departures, worst_level
from loadtest.verdict.items import Item
from loadtest.verdict.log_evidence import KindEvidence, LogLine, ServerLogEvidence

COVER_S = 5
"""How near to a drop a record must be to show that the log covers it."""

MIN_UNTIMED_RATIO = 0.5
"""A log without times covers the run if it has disconnect records for at least half of the drops."""

GRACE_NS = 60 * SECOND_NS
"""How long after the run's end the server may still log its consequences."""

BEHIND_NS = 60 * SECOND_NS
"""If it is unknown how far the server's clock is off, errors this much before the run may be the run's."""

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

    def shortly_before(self, sighting: Sighting) -> bool:
        """Whether a record is from before the run, by the server's clock, by no more than `BEHIND_NS`."""
        at_ns = sighting.at_ns
        if at_ns is None or sighting.record.arrival or sighting.record.live or self.holds(at_ns):
            return False
        return self.start_ns - BEHIND_NS <= at_ns <= self.start_ns


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
    unplaced = _unplaced(collected, window, evidence)
    ruling, summary = _rule(evidence, offset, unplaced, drops_planned=run.manifest.plan.drops_planned)
    if ruling is not Ruling.NOT_JUDGED:
        summary += _clock(collected, window, offset)
    return Item(item="server_log", verdict=ruling, summary=summary, evidence=evidence)


def _rule(
    evidence: ServerLogEvidence, offset: ClockOffset, unplaced: list[str], *, drops_planned: bool
) -> tuple[Ruling, str]:
    """Return the verdict and the summary; `unplaced` are doubts about errors that may be another run's."""
    if offset.doubtful_ns:  # then it is not known whose records these are
        return Ruling.INCONCLUSIVE, _doubtful(offset)
    if failures := log_summary.failures(evidence):
        return Ruling.FAIL, "; ".join(failures)
    if not drops_planned:
        logged = f"no drops are planned, and {log_summary.logged(evidence)}"
        return Ruling.NOT_JUDGED, "; ".join((logged, *unplaced))
    if doubts := [*log_summary.doubts(evidence), *unplaced]:
        return Ruling.INCONCLUSIVE, "; ".join(doubts)
    return Ruling.PASS, log_summary.success(evidence)


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
        own = logged.live or (session in logged.ids and (session in sessions or session in known))
        if at_ns is not None and not window.holds(at_ns, slack_ns) and not own:
            continue
        if session != logged.session:
            logged = msgspec.structs.replace(logged, session=session, also=logged.ids)
        collected.records += logged.count
        if at_ns is None:
            collected.untimed += logged.count
        else:
            (collected.arrival_seconds if logged.arrival else collected.seconds).add(at_ns // SECOND_NS)
        if logged.log_class in DISCONNECTS or is_error(logged.level):
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
        f"the log matches the drops only with a clock {fits} s off, so its records may be another run's: "
        "give the log of this run alone, with times in UTC"
    )


def _clock(collected: _Collected, window: Window, offset: ClockOffset) -> str:
    """Return what to say of the server's clock; empty if it agrees or gave no times."""
    offset_ns = offset.ns
    if offset.doubtful_ns:
        return ""
    if offset_ns is not None and abs(offset_ns) >= SECOND_NS:
        return f"; the server's clock is {offset_ns / SECOND_NS:+.0f} s off (corrected)"
    own_ns = (s.at_ns for s in collected.sightings if s.at_ns is not None and not s.record.arrival)
    if offset_ns is None and any(map(window.holds, own_ns)):
        return (
            "; the server's clock offset is unknown (no record of a drop names its session), so it is "
            "taken as 0 s"
        )
    return ""


def _within(collected: _Collected, window: Window) -> list[Sighting]:
    """Return the records in the run's time, and those that are surely of the run."""
    return [s for s in collected.sightings if s.at_ns is None or s.record.live or window.holds(s.at_ns)]


def _of_a_later_run(sighting: Sighting, window: Window, *, named: bool) -> bool:
    """Whether a record after the run's end names a session, but is of none of the run's drops.

    Args:
        sighting: the record, matched.
        window: the run's time.
        named: whether the log names sessions of the run, so that one without a drop is another's.
    """
    after = sighting.at_ns is not None and sighting.at_ns > window.end_ns
    return named and after and not sighting.own and bool(sighting.record.session) and sighting.drop is None


def _unplaced(collected: _Collected, window: Window, evidence: ServerLogEvidence) -> list[str]:
    """Return doubts about errors that may be the run's or not; the records are matched."""
    doubts = []
    named = evidence.matched_by["session"] > 0
    errors = [s for s in collected.sightings if is_error(s.record.level) and s.at_ns is not None]
    before = sum(map(window.shortly_before, errors)) if evidence.clock_offset_s is None else 0
    if before:
        counted = text.counted(before, "error")
        doubts.append(
            f"{counted} in the {BEHIND_NS // SECOND_NS} s before the run may belong to the run: the server's "
            "clock offset is unknown"
        )
    real = (s for s in errors if s.record.log_class is LogClass.REAL_ERROR)
    after = sum(_of_a_later_run(s, window, named=named) and window.holds(s.at_ns or 0) for s in real)
    if after:
        doubts.append(
            f"{text.counted(after, 'real error')} after the run may belong to another run: give the log of "
            "this run alone"
        )
    return doubts


def _covered_ratio(collected: _Collected, within: list[Sighting], drops: Sequence[DropMade]) -> float:
    if collected.seconds or not drops:
        return covered_ratio(drops, collected.seconds, COVER_S)
    found = sum(sighting.record.log_class in DISCONNECTS for sighting in within)
    return min(1.0, found / len(drops) * log_summary.MIN_COVERED_RATIO / MIN_UNTIMED_RATIO)


def _made_after(made: Sequence[DropMade], last: int, kinds: Sequence[KindEvidence]) -> int:
    """Return how many drops came well after the log's last second, of kinds that the log has records of."""
    logged = {row.kind for row in kinds if row.drops_with_record} - LATE_KINDS
    return sum(drop.at_ns // SECOND_NS > last + COVER_S and drop.kind in logged for drop in made)


def _evidence(
    collected: _Collected,
    drops: Sequence[DropMade],
    *,
    window: Window,
    reading: ReadStats,
    offset_ns: int | None,
    known: KnownSessions,
) -> ServerLogEvidence:
    within = _within(collected, window)
    matched_by = match(within, drops)
    within = [s for s in within if not _of_a_later_run(s, window, named=matched_by["session"] > 0)]
    made = [drop for drop in drops if drop.kind != END_OF_RUN]
    seen = _seen(within, drops, window.start_ns, known)
    return msgspec.structs.replace(
        _with_end(seen, collected, made, window),
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


def _with_end(
    seen: ServerLogEvidence, collected: _Collected, made: Sequence[DropMade], window: Window
) -> ServerLogEvidence:
    """Add when the log ends, if it has times."""
    if not collected.seconds:
        return seen
    last = max(collected.seconds)
    return msgspec.structs.replace(
        seen,
        last_record_s=max(0.0, round(last - window.start_ns / SECOND_NS, 3)),
        drops_after_log=_made_after(made, last, seen.by_kind),
    )


def _seen(
    within: list[Sighting], drops: Sequence[DropMade], start_ns: int, known: KnownSessions
) -> ServerLogEvidence:
    """Return the evidence that comes from matched records alone."""
    classes = Counter(s.record.log_class for s in within)
    left = departures(disconnects := _about_leaving(within))
    wrong = _wrong(disconnects)
    real = _real_errors(within, drops)
    unexpected = [s for s in real if not s.expected]
    wrong_shapes, real_shapes = _shapes(wrong, known), _shapes(unexpected, known)
    return ServerLogEvidence(
        disconnect_records=len(disconnects),
        disconnect_levels=_by_level(disconnects),
        departures=len(left),
        departure_levels=_named(map(worst_level, left)),
        wrong_departures=sum(is_error(worst_level(one)) for one in left),
        wrong_classes=dict(sorted(Counter(str(s.record.log_class) for s in wrong).items())),
        wrong_elsewhere=sum(s.drop is None for s in wrong),
        disconnect_errors=len(wrong),
        first_disconnect_errors=_most_frequent(wrong_shapes, drops, start_ns, known),
        disconnect_error_shapes=len(wrong_shapes),
        info_ratio=_info_ratio(left),
        least_info_ratio=log_summary.INFO_RATIO,
        real_errors=len(unexpected),
        expected_errors=len(real) - len(unexpected),
        first_real_errors=_most_frequent(real_shapes, drops, start_ns, known),
        real_error_shapes=len(real_shapes),
        cancelled_at_shutdown_errors=classes[LogClass.CANCELLED_AT_SHUTDOWN],
        by_kind=_by_kind(within, drops),
    )


def _about_leaving(sightings: Iterable[Sighting]) -> list[Sighting]:
    return [s for s in sightings if s.record.log_class in DISCONNECTS]


def _wrong(sightings: Iterable[Sighting]) -> list[Sighting]:
    """Return the disconnect records at ERROR or worse."""
    return [s for s in sightings if s.record.log_class in DISCONNECTS and is_error(s.record.level)]


def _info_ratio(left: list[list[Sighting]]) -> float | None:
    """Return the share at INFO or below of the departures whose level is known."""
    levels = [level for level in map(worst_level, left) if level is not None]
    return round(sum(level <= Level.INFO for level in levels) / len(levels), 4) if levels else None


def _real_errors(within: list[Sighting], drops: Sequence[DropMade]) -> list[Sighting]:
    """Return the real errors; those that drops are meant to cause are marked as expected."""
    real = [s for s in within if s.record.log_class is LogClass.REAL_ERROR and is_error(s.record.level)]
    _expect_untimed(real, drops)
    return real


def _expect_untimed(real: list[Sighting], drops: Sequence[DropMade]) -> None:
    """Mark errors without time and session as expected, as many as drops are meant to cause."""
    faults = sum(drop.kind == EXPECTED_FAULT for drop in drops) - sum(s.expected for s in real)
    nameless = [s for s in real if s.at_ns is None and not s.record.session and s.drop is None]
    for sighting in nameless[: max(0, faults)]:
        sighting.expected = True


def _by_level(sightings: Iterable[Sighting]) -> dict[str, int]:
    return _named(sighting.record.level for sighting in sightings)


def _named(found: Iterable[Level | None]) -> dict[str, int]:
    levels = Counter(found)
    return {level_name(level): levels[level] for level in (*Level, None) if levels[level]}


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
            departure_levels=_named(map(worst_level, departures(_about_leaving(of_kind[kind])))),
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
        level=level_name(record.level),
        text=record.text,
        drop=None if first.drop is None else drops[first.drop].kind,
        session=text.without_likely_secrets(record.session),
        first_s=None if group.at_ns is None else round((group.at_ns - start_ns) / SECOND_NS, 3),
        count=group.count,
        shape=_shape(record, known),
    )
