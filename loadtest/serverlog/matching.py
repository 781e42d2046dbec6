"""Matches log records with the drops that caused them.

A drop has a time on the tool's clock. Its record has a time on the server's clock, later by the time the
server took to notice. If records name sessions, a drop and its records must have the same session and be
close in time; otherwise closeness in time alone decides. The offset between the clocks is not known in
advance. Correct pairs of drop and record all lie about one offset apart, while wrong pairs are spread out: so
the offset is the median of the densest two seconds of all pairs' distances. It includes the server's time to
notice, some milliseconds. Only a drop and a record of the same session make a pair. Kinds of drop that a
server may notice late are left out, and so are the records that came with the session's end, since both
would look like a clock that is ahead.

A log may hold other runs, except what was written while this one went on. The tool's own ids occur in one
run only, so a record with one of them is this run's, whatever its time. An id that the server gave, an
account say, may occur in each, and with the same seed at the same times. So a record that has no other id
counts from the first drop on, and clocks that agree are preferred. A large offset must then be that of a
time zone, and the only one that fits. Pure: no clock, no files.
"""

from bisect import bisect_left, bisect_right
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence, Set
from statistics import median_low

from msgspec import Struct

from loadtest.serverlog.extract import KeptRecord
from loadtest.serverlog.records import is_error
from loadtest.serverlog.rules import DISCONNECTS, LogClass
from loadtest.serverlog.times import SECOND_NS

LATE_KINDS = frozenset({"half_open"})
"""The server notices these only through its own ping, so up to a ping's interval and timeout later."""

UNCERTAIN_KINDS = LATE_KINDS | {"bad_message"}
"""Kinds that do not show the clock offset. A server may leave the connection open after a bad message; then
the disconnect comes when the client gives up, some seconds later."""

END_OF_RUN = "end of the run"
"""Used as the kind of drop for a session closed at the end of the run."""

EXPECTED_FAULT = "bad_message"
"""The kind of drop on which a correct server logs a real error."""

EARLY_NS = 2 * SECOND_NS
"""How much earlier than its drop a record may appear: clocks differ, and some logs have whole seconds."""

REACH_NS = 5 * SECOND_NS
LATE_REACH_NS = 60 * SECOND_NS
"""How long after a drop its record may come; uvicorn gives up a silent client after 20 + 20 s."""

BURST_NS = SECOND_NS
"""A drop's records follow each other within this time; the application logs a failed send twice."""

AGREEING_NS = 10 * SECOND_NS
"""Clocks that differ by less agree: those of machines that synchronize theirs differ by far less."""

ZONE_NS = 900 * SECOND_NS
"""Time zones differ by whole quarters of an hour."""

_RIVAL_RATIO = 1 / 3
"""An offset that explains this share of the drops that the best one does may be the right one: some servers
name their sessions only in errors."""

_CHANCE_RATIO = 1 / 10
"""An offset that explains less than this share may do so by chance."""

_DENSE_NS = 2 * SECOND_NS
_MAX_PAIRS = 200_000
_MAX_PER_DROP = 200
_MAX_NEAR = 64


class DropMade(Struct, frozen=True, kw_only=True):
    """A drop made by the tool, or the close of a session at the end of the run; `at_ns` is Unix time."""

    at_ns: int
    session: str
    kind: str


class Sighting(Struct, gc=False):
    """A record that the verdict depends on.

    Args:
        record: what was kept of the record.
        at_ns: its time on the tool's clock, None without one.
        own: whether it is surely this run's: it has the tool's own id of its session, or was written during
            the run.
        drop: index of its drop, None without one.
        expected: whether it is a real error that its drop should cause.
    """

    record: KeptRecord
    at_ns: int | None
    own: bool = True
    drop: int | None = None
    expected: bool = False


class ClockOffset(Struct, frozen=True, kw_only=True):
    """How far the server's clock is ahead.

    Args:
        ns: in nanoseconds; None if that is unknown.
        doubtful_ns: offsets that fit the drops, but may be those of other runs in the log; none is used.
    """

    ns: int | None = None
    doubtful_ns: tuple[int, ...] = ()


class _Fit(Struct, frozen=True):
    """An offset, and how many drops have a record at it."""

    offset_ns: int
    drops: int


def clock_offset(sightings: Iterable[Sighting], drops: Sequence[DropMade]) -> ClockOffset:
    """Return how far the server's clock is ahead; unknown if no record of a drop names its session."""
    timed = [
        s
        for s in sightings
        if s.at_ns is not None and not s.record.arrival and s.record.log_class in DISCONNECTS
    ]
    found = _fit([s for s in timed if s.own], drops)
    if found is not None:
        return ClockOffset(ns=found.offset_ns)
    return _offset_by_given_ids(timed, drops)


def _offset_by_given_ids(timed: list[Sighting], drops: Sequence[DropMade]) -> ClockOffset:
    """Return the offset by records of which any may be another run's."""
    if not drops:
        return ClockOffset()
    first_ns = min(drop.at_ns for drop in drops) - AGREEING_NS
    last_ns = max(drop.at_ns for drop in drops) + AGREEING_NS
    later = [s for s in timed if s.at_ns is not None and first_ns <= s.at_ns]
    within = [s for s in later if s.at_ns is not None and s.at_ns <= last_ns]
    agreeing = _fit(within, drops, lambda ns: abs(ns) <= AGREEING_NS)
    far = _fit(later, drops, lambda ns: abs(ns) > AGREEING_NS)
    if far is None:
        return ClockOffset(ns=None if agreeing is None else agreeing.offset_ns)
    beyond_ns = abs(far.offset_ns) % ZONE_NS
    of_a_zone = min(beyond_ns, ZONE_NS - beyond_ns) <= AGREEING_NS
    if agreeing is not None and _rivals(agreeing, far, _RIVAL_RATIO if of_a_zone else _CHANCE_RATIO):
        return ClockOffset(ns=agreeing.offset_ns)
    other = _fit(_unexplained(later, drops, far), drops)
    rivals = [
        one
        for one, least_ratio in ((agreeing, _CHANCE_RATIO), (other, _RIVAL_RATIO))
        if one is not None and _rivals(one, far, least_ratio)
    ]
    if rivals or not of_a_zone:
        return ClockOffset(doubtful_ns=tuple(sorted({one.offset_ns for one in (far, *rivals)})))
    return ClockOffset(ns=far.offset_ns)


def _rivals(one: _Fit, far: _Fit, least_ratio: float) -> bool:
    return one.drops >= far.drops * least_ratio


def _unexplained(sightings: list[Sighting], drops: Sequence[DropMade], fit: _Fit) -> list[Sighting]:
    """Return the records that have no drop of their session at an offset."""
    of_session: defaultdict[str, list[int]] = defaultdict(list)
    for drop in sorted(drops, key=lambda drop: drop.at_ns):
        of_session[drop.session].append(drop.at_ns)

    def explained(sighting: Sighting) -> bool:
        assert sighting.at_ns is not None  # only records with times are fitted
        made_ns = of_session.get(sighting.record.session, [])
        caused_ns = sighting.at_ns - fit.offset_ns
        near = bisect_left(made_ns, caused_ns - _DENSE_NS)
        return near < len(made_ns) and made_ns[near] <= caused_ns + _DENSE_NS

    return [sighting for sighting in sightings if not explained(sighting)]


def _any_offset(_offset_ns: int) -> bool:
    return True


def _fit(
    sightings: list[Sighting], drops: Sequence[DropMade], takes: Callable[[int], bool] = _any_offset
) -> _Fit | None:
    """Return the offset that explains most drops; None without a pair.

    Args:
        sightings: records with times.
        drops: the drops.
        takes: whether the distance of a pair, in nanoseconds, counts.
    """
    prompt = [drop for drop in drops if drop.kind not in UNCERTAIN_KINDS and drop.kind != END_OF_RUN]
    times = _times_of_drops(sightings, drops)
    stride = 1 + len(prompt) * _MAX_PER_DROP // _MAX_PAIRS
    found = _densest(
        [
            (at_ns - drop.at_ns, index)
            for index, drop in enumerate(prompt[::stride])
            for at_ns in times.get(drop.session, ())
            if takes(at_ns - drop.at_ns)
        ]
    )
    whole_seconds = all(at_ns % SECOND_NS == 0 for of_session in times.values() for at_ns in of_session)
    if found is None or not whole_seconds:
        return found
    # The log's times are cut to seconds, so on average half a second early.
    return _Fit(found.offset_ns + SECOND_NS // 2, found.drops)


def _times_of_drops(sightings: list[Sighting], drops: Sequence[DropMade]) -> dict[str, list[int]]:
    """Return the times of each session's records, `_MAX_PER_DROP` at most, without those of its end.

    A session's last records are of its end. Those of a drop that the server notices late may come after it,
    so as many more are left out as there are such drops.
    """
    last = Counter(drop.session for drop in drops if drop.kind in LATE_KINDS or drop.kind == END_OF_RUN)
    ended = {drop.session for drop in drops if drop.kind == END_OF_RUN}
    times: defaultdict[str, list[int]] = defaultdict(list)
    for sighting in sightings:
        if sighting.record.session and sighting.at_ns is not None:
            times[sighting.record.session].append(sighting.at_ns)
    for session in ended & times.keys():
        times[session] = _without_last(sorted(times[session]), last[session])
    return {session: of_session[:_MAX_PER_DROP] for session, of_session in times.items()}


def _without_last(times: list[int], bursts: int) -> list[int]:
    """Return sorted times without so many of the last bursts."""
    kept = len(times)
    for _ in range(bursts):
        while kept > 1 and times[kept - 1] - times[kept - 2] <= BURST_NS:
            kept -= 1
        kept = max(0, kept - 1)
    return times[:kept]


def _densest(pairs: list[tuple[int, int]]) -> _Fit | None:
    """Return the two seconds that hold pairs of most drops; of equals, most pairs, then closest to zero.

    Args:
        pairs: the distance of each, and the index of its drop.
    """
    if not pairs:
        return None
    pairs.sort()
    best = (0, 0, 0, 0)  # how many drops, how many pairs, minus how far from zero, where
    first = 0
    held: Counter[int] = Counter()
    for last, (distance, index) in enumerate(pairs):
        held[index] += 1
        while distance - pairs[first][0] > _DENSE_NS:
            gone = pairs[first][1]
            held[gone] -= 1
            if not held[gone]:
                del held[gone]
            first += 1
        best = max(best, (len(held), last - first + 1, -abs(distance), first))
    drops, number, _, first = best
    return _Fit(median_low(distance for distance, _ in pairs[first : first + number]), drops)


def match(sightings: Sequence[Sighting], drops: Sequence[DropMade]) -> Counter[str]:
    """Set each sighting's `drop` and `expected`.

    Args:
        sightings: records, with times already on the tool's clock.
        drops: the drops to match them with.

    Returns:
        How many were matched by `session`, by `time`, and not at all (`none`).
    """
    matcher = _Matcher(drops)
    by: Counter[str] = Counter(session=0, time=0, none=0)
    for sighting in sorted(sightings, key=lambda s: s.at_ns if s.at_ns is not None else 0):
        by[matcher.place(sighting)] += 1
    return by


class _Timeline:
    """Drops sorted by time, to find those that a record may belong to."""

    def __init__(self, drops: Sequence[DropMade], indexes: Iterable[int]) -> None:
        self.indexes = sorted(indexes, key=lambda index: drops[index].at_ns)
        self._times = [drops[index].at_ns for index in self.indexes]

    def before(self, at_ns: int, reach_ns: int) -> list[int]:
        """Return the latest drops, _MAX_NEAR at most, that a record of this time may belong to."""
        first = bisect_left(self._times, at_ns - reach_ns)
        last = bisect_right(self._times, at_ns + EARLY_NS)
        return self.indexes[max(first, last - _MAX_NEAR) : last]


class _Matcher:
    def __init__(self, drops: Sequence[DropMade]) -> None:
        self._drops = drops
        of_session: defaultdict[str, list[int]] = defaultdict(list)
        for index, drop in enumerate(drops):
            of_session[drop.session].append(index)
        self._of_session = {session: _Timeline(drops, indexes) for session, indexes in of_session.items()}
        late = {index for index, drop in enumerate(drops) if drop.kind in LATE_KINDS}
        self._late = _Timeline(drops, late)
        self._prompt = _Timeline(drops, set(range(len(drops))) - late)
        self._taken: Counter[tuple[int, bool]] = Counter()
        self._last: dict[str, tuple[int, int]] = {}  # a session's last matched record: its time and drop

    def place(self, sighting: Sighting) -> str:
        """Match one sighting; return how: `session`, `time` or `none`."""
        named = sighting.record.session in self._of_session
        index = self._choose(sighting, self._candidates(sighting))
        if index is None:
            return "none"
        sighting.drop = index
        self._taken[index, named] += 1
        if named and sighting.at_ns is not None:
            self._last[sighting.record.session] = (sighting.at_ns, index)
        fault = sighting.record.log_class is LogClass.REAL_ERROR and is_error(sighting.record.level)
        sighting.expected = fault and self._drops[index].kind == EXPECTED_FAULT
        return "session" if named else "time"

    def _candidates(self, sighting: Sighting) -> list[int]:
        own = self._of_session.get(sighting.record.session)
        if own is not None:
            return own.indexes if sighting.at_ns is None else own.before(sighting.at_ns, LATE_REACH_NS)
        if sighting.record.session or sighting.at_ns is None:
            return []  # another client's session, or no time to match by
        late = self._late.before(sighting.at_ns, LATE_REACH_NS)
        return late + self._prompt.before(sighting.at_ns, REACH_NS)

    def _choose(self, sighting: Sighting, indexes: list[int]) -> int | None:
        """Return the drop that a record most likely belongs to.

        A real error belongs to a nearby drop that should cause one, if there is one. Any other record shortly
        after another one of its session belongs to the same drop. Otherwise it belongs to the nearest drop
        without a record so far, with the end of the run as last choice; otherwise to the nearest drop, except
        that a real error without a session then stays unmatched.
        """
        near = [index for index in indexes if self._near(sighting, self._drops[index])]
        if sighting.record.log_class is LogClass.REAL_ERROR:
            faults = [index for index in near if self._drops[index].kind == EXPECTED_FAULT]
            return self._latest(faults or near, sighting, repeat=bool(sighting.record.session))
        last = self._last.get(sighting.record.session)
        if last and sighting.at_ns is not None and last[1] in near and sighting.at_ns - last[0] <= BURST_NS:
            return last[1]
        return self._latest(near, sighting, repeat=True)

    def _latest(self, indexes: list[int], sighting: Sighting, *, repeat: bool) -> int | None:
        named = sighting.record.session in self._of_session
        free = [index for index in indexes if not self._taken[index, named]]
        chosen = free or (indexes if repeat else [])
        if sighting.at_ns is None:
            return chosen[0] if chosen else None
        at_ns = sighting.at_ns

        def distance(index: int) -> tuple[bool, int]:
            drop = self._drops[index]
            return bool(free) and drop.kind == END_OF_RUN, abs(at_ns - drop.at_ns)

        return min(chosen, key=distance, default=None)

    def _near(self, sighting: Sighting, drop: DropMade) -> bool:
        if sighting.at_ns is None:
            return True
        reach_ns = LATE_REACH_NS if drop.kind in LATE_KINDS else REACH_NS
        return -EARLY_NS <= sighting.at_ns - drop.at_ns <= reach_ns


def covered_ratio(drops: Sequence[DropMade], seconds: Set[int], within_s: int) -> float:
    """Return the share of drops near which the log has any record; 0 without drops.

    Args:
        drops: the drops, on the tool's clock.
        seconds: the Unix seconds with a record, on the tool's clock.
        within_s: how many seconds before or after a drop count as near.
    """
    covered = 0
    for drop in drops:
        second = drop.at_ns // SECOND_NS
        covered += any(near in seconds for near in range(second - within_s, second + within_s + 1))
    return covered / len(drops) if drops else 0.0


MAX_SIGHTINGS = 200_000
