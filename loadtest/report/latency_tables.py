"""The tables of a run's latency: percentiles of each tag with samples, grouped by what it measures."""

from collections.abc import Iterator
from types import MappingProxyType

from loadtest import text
from loadtest.report.tables import ROWS_LIMIT, Table, Untrusted, percentile_cells
from loadtest.results.data import RunData

TAGS = MappingProxyType(
    {
        "Round trips": {
            "service": "from the actual send",
            "response": "from the planned send",
            "after_resume": "first round trip after a resume",
            "waited": "messages that waited for an outage to end",
            "stalled": "in flight when a drop stopped reading",
            "first_part": "to the first part of a streamed reply",
            "part_gap": "between two parts of a streamed reply",
            "unanswered": "wait for a reply that did not arrive",
            "collateral": "service time while other sessions are in an outage",
        },
        "Connections": {
            "connect": "first connection, start to established",
            "outage": "drop or loss to established again",
            "resume": "attempt that ended an outage, start to established",
            "ping": "keepalive ping of the client to its pong",
            "cleanup_close": "close frame of a drop to the end of TCP",
            "cleanup_half_open": "silence of a half-open client to the end of TCP",
        },
        "Pushes": {
            "push": "delay above the connection's minimum",
            "push_gap": "time without a push on a connection",
        },
        "Load generator": {"send_slip": "between planned and actual send, early or late"},
    }
)
"""What each tag measures, by table and in order."""

_HEADER = ("measured", "samples", "p50", "p90", "p95", "p99", "p99.9", "max", "name")


def latency_tables(run: RunData) -> list[Table]:
    """Return a table for each group of tags; those without samples are empty."""
    found = []
    for title, tags in TAGS.items():
        rows = [
            (meaning, text.count(run.samples(tag)), *percentile_cells(run.histograms[tag]), shown)
            for tag, shown, meaning in _meanings(run, tags)
            if run.samples(tag)
        ]
        found.append(Table(_HEADER, "lrrrrrrrl", rows, title))
    return found


def _meanings(run: RunData, tags: dict[str, str]) -> Iterator[tuple[str, str, str]]:
    """Yield each tag as read and shown, with what it measures; sizes and names follow `service`."""
    for tag, meaning in tags.items():
        if tag == "response" and run.only_scripted:
            continue  # the same as `service`
        yield tag, tag, meaning
        if tag == "service":
            yield from (
                (of_size, of_size, f"of these, texts of {text.count(size)} bytes")
                for of_size, size in run.size_tags.items()
            )
            for of_name, name in list(run.name_tags.items())[:ROWS_LIMIT]:
                yield of_name, Untrusted(name), "of these, requests of this name"
