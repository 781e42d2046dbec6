"""Prints Locust's own tables only with `--print-stats`, and the rest of their content at the end.

Locust prints a table of 150 columns every two seconds, and three tables at the end. For the sessions, the
progress line and the verdict show the same data. Requests of other users, such as an HttpUser, appear nowhere
else, so their rows, errors and task exceptions are printed with the verdict.

Locust reads `only_summary` after its `init` event and prints through its own logger.
"""

import logging
from collections.abc import Iterator
from typing import Any

from loadtest import text
from loadtest.histograms import carries
from loadtest.locust_plugin.stats import METHOD
from loadtest.report.tables import Table, Untrusted, bounded

_LOGGER = "locust.stats_logger"


def only_on_request(options: Any) -> None:
    """Keep Locust's tables off the terminal unless `--print-stats` asks for them.

    Args:
        options: Locust's parsed options.
    """
    if not getattr(options, "print_stats", True):  # a library's options lack it, and Locust prints nothing
        options.only_summary = True
        logging.getLogger(_LOGGER).setLevel(logging.WARNING)


def other_tables(runner: Any) -> list[Table]:
    """Return tables of requests outside the sessions, of their errors, and of users' exceptions."""
    rows = [row for (_, method), row in runner.stats.entries.items() if method != METHOD]
    errors = [error for error in runner.stats.errors.values() if error.method != METHOD]
    requests = bounded(
        "Other requests",
        ("request", "made", "failed", "p50", "p95", "p99", "max"),
        "lrrrrrr",
        (_cells(row) for row in sorted(rows, key=lambda row: (row.name, row.method or ""))),
    )
    causes = bounded(
        "Errors in other requests",
        ("times", "request", "error"),
        "rll",
        (
            (text.count(error.occurrences), _name(error), Untrusted(text.one_line(str(error.error))))
            for error in sorted(errors, key=lambda error: -error.occurrences)
        ),
    )
    raised = bounded(
        "Exceptions in user tasks",
        ("times", "exception"),
        "rl",
        (
            (text.count(seen["count"]), Untrusted(text.one_line(str(seen["msg"]))))
            for seen in sorted(runner.exceptions.values(), key=lambda seen: -int(seen["count"]))
        ),
    )
    return [table for table in (requests, causes, raised) if table]


def _name(row: Any) -> Untrusted:
    return Untrusted(text.one_line(f"{row.method or ''} {row.name}".strip()))


def _cells(row: Any) -> tuple[str, ...]:
    return (
        _name(row),
        text.count(row.num_requests),
        text.count(row.num_failures),
        *_times(row),
    )


def _times(row: Any) -> Iterator[str]:
    """Yield a row's percentiles for which it has enough requests, and the longest time."""
    timed = row.num_requests - row.num_none_requests
    for percentile in (50, 95, 99):
        carried = carries(timed, percentile)
        yield _ms(row.get_response_time_percentile(percentile / 100)) if carried else text.UNKNOWN
    yield _ms(row.max_response_time) if timed else text.UNKNOWN


def _ms(ms: float) -> str:
    return text.span(1000 * ms)
