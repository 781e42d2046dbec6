"""Runs for tests of report.html in a browser: sound, failing, killed, of two user classes, an hour long."""

from __future__ import annotations

import itertools
import json
import random
from array import array
from collections.abc import Iterator
from pathlib import Path

import msgspec

from loadtest.drops.plan import Storm
from loadtest.report.judged_run import JudgedRun
from loadtest.results.environment import utc_text
from loadtest.results.interval import pack
from loadtest.results.manifest import UserClass
from loadtest.results.user_classes import fields_of
from loadtest.results.writer import RunWriter
from loadtest.runs.publish import publish
from loadtest.session.recorder import ErrorTally, Interval, Lifecycle
from loadtest.session.schedule import NS_PER_S
from tests.support.rundirs import HOSTILE, MS, write_run, write_server_log
from tests.support.runs import manifest, plan, tally

STORMY = plan(duration_s=60.0, storms=(Storm(at_s=20.0, share_ratio=0.5),))

HOUR_S = 3600
SPIKE_S, SPIKE_MS = 1234, 900
"""The second in which each reply took so long, and how long."""

HOSTILE_CLASS = "<b>Chat</b><script>alert(2)</script>"
"""Without spaces and commas, which no tag of a histogram may have."""

_A_SECOND = 20  # round trips; real runs have more, but not more histogram slots to write


def hour_with_a_spike(results: Path) -> JudgedRun:
    """Write and publish a run of an hour whose replies take a millisecond, but for one second."""
    rng = random.Random("hour")
    of = manifest(
        run_id="hour", run_plan=plan(duration_s=float(HOUR_S), storms=(Storm(at_s=1800.0, share_ratio=0.5),))
    )
    quiet = [pack(_second(rng, MS)) for _ in range(50)]
    spike = pack(_second(rng, SPIKE_MS * MS))
    with RunWriter(results, of) as writer:
        for second in range(HOUR_S):
            packed = spike if second == SPIKE_S else quiet[second % len(quiet)]
            start_ns = second * NS_PER_S
            writer.append(msgspec.structs.replace(packed, start_ns=start_ns, stop_ns=start_ns + NS_PER_S))
        writer.finish(utc_text(of.started_unix_ns + HOUR_S * NS_PER_S))
    return publish(writer.path, results=results)


def _second(rng: random.Random, median_ns: int) -> Interval:
    recorded = Interval(start_ns=0, stop_ns=NS_PER_S)
    service = array("q", (int(rng.lognormvariate(0, 0.3) * median_ns) for _ in range(_A_SECOND)))
    recorded.samples["service"] = recorded.samples["response"] = service
    for name in ("planned", "sent", "answered"):
        recorded.counts[f"messaging.{name}"] = _A_SECOND
    kind = rng.choice(("close", "fin", "reset"))
    recorded.counts[f"drops.{kind}"] = recorded.counts["reconnect.attempts"] = rng.randrange(3)
    recorded.gauges = {"sessions": 20.0, "sessions_up": 19.0, "session_s": 19.0, "sessions_in_outage": 1.0}
    return recorded


def sound_and_failing(results: Path) -> tuple[JudgedRun, JudgedRun]:
    """Write and publish a sound run, and one of the next revision that is slower, loses, and logs ERRORs."""
    of = manifest(run_id="base", started_unix_ns=10**18, run_plan=STORMY)
    sound = publish(write_run(results, of=of), results=results)
    failing = write_run(
        results,
        of=manifest(run_id="next", revision="v2.0", run_plan=STORMY),
        slower_ratio=4.0,
        errors=[tally("messaging", "no reply in 10 s", 12, session="lt-17")],
        counts={"messaging.sent": 12, "messaging.lost": 12, "losses.1012": 1},
        lifecycle=[Lifecycle(at_ns=2 * NS_PER_S, event="lost", session="s-3", cause="1012", code=1012)],
    )
    write_server_log(failing, wrong_kind="mid_reply")
    return sound, publish(failing, results=results)


def killed(results: Path) -> JudgedRun:
    """Write and publish a run that was killed before its first second."""
    return publish(write_run(results, seconds=0, complete=False), results=results)


def hostile(results: Path) -> JudgedRun:
    """Write and publish a killed run of two user classes in which every text from outside is hostile."""
    classes = [UserClass(name=name, plan=plan(dialect=HOSTILE[:60])) for name in (HOSTILE_CLASS, "Market")]
    fields = fields_of(classes, several=True)
    of = manifest(run_id="evil", run_plan=fields.pop("plan"), versions={HOSTILE: HOSTILE}, **fields)
    errors = [
        ErrorTally(item=item, error=HOSTILE, count=3, session=HOSTILE, at_ns=3, example=HOSTILE)
        for item in ("connect", "messaging", "reconnect", "persistence")
    ]
    with RunWriter(results, of) as writer:
        for second, user in itertools.product(range(8), fields["user_classes"]):
            one = _second(random.Random(second), MS)
            one.start_ns, one.stop_ns = second * NS_PER_S, (second + 1) * NS_PER_S
            one.counts[f"drops.{HOSTILE[:150]}"] = one.counts["messaging.corrupted"] = 2
            one.lifecycle = list(_hostile_outage(second))
            one.errors = {(error.item, error.error): error for error in errors}
            writer.append(pack(one, user=user.name))
    written = json.loads((writer.path / "run.json").read_bytes())
    written |= dict.fromkeys(("revision", "target", "started_at", "failure"), HOSTILE)
    (writer.path / "run.json").write_text(json.dumps(written))
    return publish(writer.path, results=results)


def _hostile_outage(second: int) -> Iterator[Lifecycle]:
    at_ns, session = second * NS_PER_S, f"{second}{HOSTILE}"
    yield Lifecycle(at_ns=at_ns, event="lost", session=session, cause=HOSTILE, code=1011, detail=HOSTILE)
    yield Lifecycle(
        at_ns=at_ns + 9 * MS, event="resumed", session=session, attempt=1, outage_ns=9 * MS, tcp_ns=9 * MS
    )
