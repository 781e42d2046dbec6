"""The evidence of the item `server_log` in verdict.json; `loadtest.verdict.evidence` has that of the others.

What a record of the log means is decided in `loadtest.serverlog`, how the item is judged in
`loadtest.verdict.server_log`.
"""

from msgspec import Struct, field

from loadtest.serverlog.records import Counts


class LogLine(Struct, frozen=True, kw_only=True):
    """Records of the server's log that differ only in numbers and ids: the first of them, for people.

    Args:
        file: name of the log.
        line: number of the record's first line.
        level: level of the record.
        text: text of the record, truncated: the last exception of its chain, then its message.
        drop: kind of the drop that the record was matched with, null for none.
        session: session that the record names, empty for none.
        first_s: when it was logged, in seconds since the run's start on the tool's clock; null if unknown.
        count: number of these records.
        shape: the text without what varies between them.
    """

    file: str = ""
    line: int = 0
    level: str = ""
    text: str = ""
    drop: str | None = None
    session: str = ""
    first_s: float | None = None
    count: int = 1
    shape: str = ""


class KindEvidence(Struct, frozen=True, kw_only=True):
    """What the server logged about one kind of drop.

    Args:
        kind: kind of drop.
        drops: number of drops made.
        drops_with_record: number of drops with at least one record in the log.
        records: number of records about these drops.
        levels: number of these records by level.
        departure_levels: number of these drops by the worst level of their disconnect records.
        disconnect_errors: number of disconnect records at ERROR or worse.
        expected_errors: number of errors that these drops are meant to cause.
    """

    kind: str = ""
    drops: int = 0
    drops_with_record: int = 0
    records: int = 0
    levels: dict[str, int] = {}
    departure_levels: dict[str, int] = {}
    disconnect_errors: int = 0
    expected_errors: int = 0


class ServerLogEvidence(Struct, frozen=True, kw_only=True):
    """Evidence of `server_log`, if a log was given.

    Args:
        by_kind: records by kind of drop.
        cancelled_at_shutdown_errors: number of records of tasks that the server cancelled at shutdown.
        disconnect_records: number of records caused by a client's disconnect.
        disconnect_levels: number of disconnect records by level.
        departures: number of clients' departures that these records are about: of drops, of sessions that
            ended, and of others.
        departure_levels: number of departures by the worst level of their records.
        wrong_departures: number of departures with a disconnect record at ERROR or worse.
        wrong_classes: number of disconnect records at ERROR or worse by class.
        wrong_elsewhere: number of these that no drop was found for.
        disconnect_errors: number of disconnect records at ERROR or worse.
        first_disconnect_errors: the most frequent shapes of the disconnect records at ERROR or worse.
        disconnect_error_shapes: number of their shapes.
        info_ratio: share of departures at INFO or below, of those whose level is known; null without any.
        least_info_ratio: the share that is needed.
        real_errors: number of errors that neither a client's disconnect nor a drop meant to cause an error
            explains.
        first_real_errors: the most frequent shapes of the real errors.
        real_error_shapes: number of their shapes.
        expected_errors: number of errors that a drop is meant to cause.
        drops: number of drops the run made.
        records: number of records within the run.
        untimed_records: how many of these have no time.
        unjudged_records: number of records that exceeded a limit and were not judged.
        clock_offset_s: how far the server's clock is ahead, in seconds; null if unknown, and then taken as 0.
        covered_ratio: share of drops with any record near them in the log.
        last_record_s: when the last record was logged, in seconds since the run's start; null if unknown.
        drops_after_log: number of drops made after that, of kinds that the log has records of.
        matched_by: number of records matched with drops by `session`, by `time`, or not at all (`none`).
        files: names of the logs.
        reading: statistics of reading the logs.
        problems: problems with reading the logs.
        allowed_errors: number of real errors that the run allows.
    """

    disconnect_records: int = 0
    disconnect_levels: dict[str, int] = {}
    departures: int = 0
    departure_levels: dict[str, int] = {}
    wrong_departures: int = 0
    wrong_classes: dict[str, int] = {}
    wrong_elsewhere: int = 0
    disconnect_errors: int = 0
    first_disconnect_errors: list[LogLine] = []
    disconnect_error_shapes: int = 0
    info_ratio: float | None = None
    least_info_ratio: float = 0.0
    real_errors: int = 0
    expected_errors: int = 0
    first_real_errors: list[LogLine] = []
    real_error_shapes: int = 0
    cancelled_at_shutdown_errors: int = 0
    by_kind: list[KindEvidence] = []
    drops: int = 0
    records: int = 0
    untimed_records: int = 0
    unjudged_records: int = 0
    clock_offset_s: float | None = None
    covered_ratio: float = 0.0
    last_record_s: float | None = None
    drops_after_log: int = 0
    matched_by: dict[str, int] = {}
    files: list[str] = []
    reading: Counts = field(default_factory=Counts)
    problems: list[str] = []
    allowed_errors: int = 0
