"""Synthetic run directories, written with the code of real runs, for tests of reports."""

from __future__ import annotations

import random
from array import array
from collections import defaultdict
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

import msgspec

from loadtest.results.environment import utc_text
from loadtest.results.interval import PackedInterval, pack
from loadtest.results.log_file import LogWriter, read_drops
from loadtest.results.manifest import Manifest
from loadtest.results.reader import read_manifest
from loadtest.results.writer import RunWriter
from loadtest.serverlog.extract import KeptRecord, ReadStats
from loadtest.serverlog.records import Level
from loadtest.serverlog.rules import LogClass
from loadtest.session.recorder import ErrorTally, Interval, Lifecycle
from loadtest.session.schedule import NS_PER_S
from tests.support.runs import manifest

KINDS = ("close", "tab_close", "fin", "reset", "half_open", "mid_message", "mid_reply")
SESSIONS = 100
MS = 1_000_000

HOSTILE = (
    "\x1b[2J\x1b]0;owned\x07\u202eevil</script><script>alert(1)</script> | `code` ]]> "
    "[x](http://evil.example) @everyone \x00\x08 [bold red]markup[/bold red] <!-- & " + "A" * 300
)
"""Text with which a server could break a terminal, a table, a web page or an XML file."""


def write_run(
    results: Path,
    *,
    of: Manifest | None = None,
    seconds: int = 60,
    slower_ratio: float = 1.0,
    complete: bool = True,
    errors: Sequence[ErrorTally] = (),
    counts: dict[str, int] | None = None,
    lifecycle: Sequence[Lifecycle] = (),
    gauges: dict[str, float] | None = None,
) -> Path:
    """Write a run of 100 sessions with drops of all kinds in turn; return its directory.

    Args:
        results: folder of run directories.
        of: the run's manifest.
        seconds: the run's duration.
        slower_ratio: factor on all service times.
        complete: whether the run ended normally.
        errors, counts, lifecycle: added in the first second.
        gauges: gauges of every second that replace the usual ones.
    """
    of = of or manifest()
    with RunWriter(results, of) as writer:
        for second, packed in enumerate(_packed(of.run_id, seconds, slower_ratio)):
            if second == 0:
                first = _first(random.Random(of.run_id), slower_ratio)
                first.lifecycle += lifecycle
                first.errors = {(tally.item, tally.error): tally for tally in errors}
                for name, count in (counts or {}).items():
                    first.counts[name] += count
                packed = pack(first)
            writer.append(msgspec.structs.replace(packed, gauges=packed.gauges | (gauges or {})))
        if complete:
            writer.finish(utc_text(of.started_unix_ns + seconds * NS_PER_S))
        return writer.path


@lru_cache(maxsize=64)
def _packed(run_id: str, seconds: int, slower_ratio: float) -> tuple[PackedInterval, ...]:
    """Return a run's seconds; cached, since many tests write the same."""
    rng = random.Random(run_id)
    return tuple(
        pack(_second(rng, second, slower_ratio) if second else _first(rng, slower_ratio))
        for second in range(seconds)
    )


def _first(rng: random.Random, slower_ratio: float) -> Interval:
    interval = _second(rng, 0, slower_ratio)
    interval.counts["connect.attempts"] = interval.counts["connect.established"] = SESSIONS
    return interval


def write_server_log(run: Path, *, wrong_kind: str = "", reading: ReadStats | None = None) -> None:
    """Write the extract of a server log with an INFO record per drop, but two ERROR records for one kind.

    Args:
        run: the run directory.
        wrong_kind: the kind of drop that the server logs as errors; empty for none.
        reading: summary of reading the log.
    """
    start_ns = read_manifest(run).started_unix_ns
    with LogWriter(run) as writer:
        for number, drop in enumerate(read_drops(run, started_unix_ns=start_ns, ended_unix_ns=start_ns)):
            wrong = drop.kind == wrong_kind
            logged = KeptRecord(
                level=Level.ERROR if wrong else Level.INFO,
                log_class=LogClass.SEND_TO_GONE_CLIENT if wrong else LogClass.GRACEFUL,
                at_ns=drop.at_ns + 5 * MS,
                session=drop.session,
                line=10 * number + 2,
                text=f"Send error (session {drop.session})" if wrong else "",
            )
            writer.append([logged, logged] if wrong else [logged])
        writer.finish(reading or ReadStats(files=["server.log"]))


def _second(rng: random.Random, second: int, slower_ratio: float) -> Interval:
    interval = Interval(start_ns=second * NS_PER_S, stop_ns=(second + 1) * NS_PER_S)
    service = [int(rng.lognormvariate(-0.8, 0.35) * slower_ratio * MS) for _ in range(SESSIONS)]
    interval.samples["service"] = array("q", service)
    interval.samples["response"] = array("q", (ns + rng.randrange(60_000) for ns in service))
    interval.samples["send_slip"] = array("q", (rng.randrange(20_000, 90_000) for _ in service))
    interval.samples["collateral"] = array("q", service[:20])
    drops = 5 if second >= 2 else 0
    for number in range(drops):
        _drop(rng, interval, f"s-{(5 * second + number) % SESSIONS}", KINDS[(second + number) % len(KINDS)])
    if second == 0:
        interval.samples["connect"] = array("q", (rng.randrange(2 * MS, 9 * MS) for _ in range(SESSIONS)))
    interval.counts = defaultdict(int, interval.counts)
    for name in ("planned", "sent", "answered"):
        interval.counts[f"messaging.{name}"] = SESSIONS
    interval.gauges = {
        "sessions": float(SESSIONS),
        "sessions_up": float(SESSIONS - 2 * drops),
        "session_s": float(SESSIONS - 2 * drops),
        "sessions_in_outage": float(2 * drops),
        "cpu_ratio": 0.12,
        "loop_lag_max_ms": 0.2,
    }
    return interval


def _drop(rng: random.Random, interval: Interval, session: str, kind: str) -> None:
    at_ns = interval.start_ns + rng.randrange(NS_PER_S)
    detect_ns = rng.randrange(500 * MS, 2000 * MS) if kind == "half_open" else 0
    resume_ns = rng.randrange(1 * MS, 4 * MS)
    outage_ns = detect_ns + NS_PER_S + 2 * MS + resume_ns
    interval.counts[f"drops.{kind}"] += 1
    for name in ("outages", "resumed", "attempts"):
        interval.counts[f"reconnect.{name}"] += 1
    for name in ("checked", "histories"):
        interval.counts[f"persistence.{name}"] += 1
    interval.counts["persistence.acknowledged"] += 10
    interval.samples["outage"].append(outage_ns)
    interval.samples["resume"].append(resume_ns)
    interval.samples["after_resume"].append(rng.randrange(1 * MS, 3 * MS))
    interval.lifecycle += [
        Lifecycle(at_ns=at_ns, event="dropped", session=session, kind=kind, ordinal=0),
        Lifecycle(at_ns=at_ns + NS_PER_S, event="attempt", session=session, attempt=1),
        Lifecycle(
            at_ns=at_ns + outage_ns,
            event="resumed",
            session=session,
            attempt=1,
            outage_ns=outage_ns,
            detect_ns=detect_ns,
            wait_ns=NS_PER_S,
            tcp_ns=MS,
            upgrade_ns=MS,
            resume_ns=resume_ns,
        ),
    ]
