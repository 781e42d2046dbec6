"""Departures: all log records about one client that left.

A server that logs one ERROR and three INFO lines for each client would have "75% at INFO or below", though
every client's departure is an ERROR. So records are put together: those of one drop or end of a session; of
the others, those of one session that follow each other within a second. The worst level of its records
counts. A record that names no session and belongs to no drop is a departure of its own.
"""

from collections import defaultdict
from collections.abc import Hashable, Iterable, Sequence

from loadtest.serverlog.matching import BURST_NS, Sighting
from loadtest.serverlog.records import Level


def departures(disconnects: Iterable[Sighting]) -> list[list[Sighting]]:
    """Return disconnect records, which are matched with drops, by departure."""
    groups: defaultdict[Hashable, list[Sighting]] = defaultdict(list)
    latest: dict[str, tuple[int, int]] = {}  # by session: the time of its last record, and its departure
    for number, sighting in enumerate(sorted(disconnects, key=lambda one: one.at_ns or 0)):
        session = sighting.record.session
        if sighting.drop is not None:
            groups["drop", sighting.drop].append(sighting)
        elif not session:
            groups["alone", number].append(sighting)
        else:
            at_ns = sighting.at_ns or 0
            before_ns, known = latest.get(session, (0, number))
            one = known if at_ns - before_ns <= BURST_NS else number
            latest[session] = at_ns, one
            groups["session", one].append(sighting)
    return list(groups.values())


def worst_level(departure: Sequence[Sighting]) -> Level | None:
    """Return the worst level of a departure; None if no record is worse than INFO and one has no level."""
    levels = [sighting.record.level for sighting in departure]
    worst = max((level for level in levels if level is not None), default=None)
    unknown = None in levels and (worst is None or worst <= Level.INFO)
    return None if unknown else worst
