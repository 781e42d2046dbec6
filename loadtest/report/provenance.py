"""Where a run came from: its plan, its environment, and the command that repeats it.

All of it is taken from run.json, which holds no secret; a token or a header must be given again.
"""

import shlex
from collections.abc import Iterator, Mapping

from loadtest.evidence import Evidence, Manifest, Plan
from loadtest.report import figures
from loadtest.report.tables import Foreign, Table, bounded
from loadtest.statistics import margins_text


def plan_table(plan: Plan) -> Table:
    """Return what the run was to do."""
    rows = [
        ("dialect", Foreign(plan.dialect)),
        ("path", Foreign(plan.path)),
        ("users", f"{plan.users}, {plan.spawn_rate:g} started a second"),
        ("sessions a user", str(plan.sessions_per_user)),
        ("messages a second and session", f"{plan.rate:g}, {plan.arrivals}"),
        ("bytes a message", f"about {plan.message_bytes}"),
        ("in flight at most", str(plan.in_flight or "any number")),
        ("mean seconds between drops", f"{plan.drop_every_s:g}" if plan.drop_every_s else "no drops"),
        ("drops", Foreign(_weights(plan.drops))),
        *([("storms", Foreign(_storms(plan)))] if plan.storms else []),
        ("backoff", Foreign(plan.backoff)),
        ("timeouts", f"reply {plan.reply_timeout_s:g} s, opening {plan.open_timeout_s:g} s"),
        ("seed", str(plan.seed)),
        ("warm-up", f"{plan.warmup_s:g} s"),
        ("duration", "until stopped" if plan.duration_s is None else f"{plan.duration_s:g} s"),
    ]
    return Table(("setting", "value"), "ll", rows, "Plan")


def environment_table(evidence: Evidence) -> Table:
    """Return where, when and with what the run was made."""
    manifest, host = evidence.manifest, evidence.manifest.host
    rows = [
        ("revision", Foreign(manifest.revision)),
        ("run", Foreign(manifest.run_id)),
        ("target", Foreign(manifest.target)),
        ("started", Foreign(manifest.started_at)),
        ("ended", Foreign(manifest.ended_at or "not in good order")),
        ("length", figures.clock(evidence.length_s)),
        ("processes", str(max(1, len(manifest.workers)))),
        ("host", Foreign(f"{host.system} {host.release} {host.machine}".strip())),
        ("cores, memory", f"{host.cpus}, {figures.count(host.memory_mb)} MiB"),
        ("comparability hash", Foreign(manifest.comparability_hash)),
        *((name, Foreign(version)) for name, version in manifest.versions.items()),
    ]
    return bounded("Environment", ("what", "value"), "ll", rows)


def command_lines(manifest: Manifest, *, own_server: bool = False) -> list[str]:
    """Return the command that makes such a run again, a line for each group of options.

    Args:
        manifest: of the run.
        own_server: whether the target was a reference server that Locust started for the run.
    """
    plan = manifest.plan
    head = f"locust -f locustfiles/ws.py --headless -u {plan.users} -r {plan.spawn_rate:g}"
    if plan.duration_s is not None:
        head += f" -t {plan.duration_s:g}s"
    if not own_server:
        head += f" --host {shlex.quote(manifest.target)}"
    lines = [head, *_option_lines(plan), f"  --ws-revision {shlex.quote(manifest.revision)}"]
    if margins := margins_text(manifest.gates):
        lines.append(f"  --ws-margin {shlex.quote(margins)}")
    return [f"{line} \\" for line in lines[:-1]] + lines[-1:]


def _option_lines(plan: Plan) -> Iterator[str]:
    yield f"  --ws-dialect {shlex.quote(plan.dialect)} --ws-path {shlex.quote(plan.path)}"
    yield f"  --ws-sessions {plan.sessions_per_user} --ws-rate {plan.rate:g} --ws-arrivals {plan.arrivals}"
    yield f"  --ws-in-flight {plan.in_flight} --ws-message-bytes {plan.message_bytes}"
    yield f"  --ws-drop-every {plan.drop_every_s:g} --ws-drops {shlex.quote(_weights(plan.drops))}"
    if plan.storms:
        yield f"  --ws-storm {shlex.quote(_storms(plan))}"
    yield f"  --ws-backoff {shlex.quote(plan.backoff)}"
    yield f"  --ws-reply-timeout {plan.reply_timeout_s:g} --ws-open-timeout {plan.open_timeout_s:g}"
    yield f"  --ws-seed {plan.seed} --ws-warmup {plan.warmup_s:g}"


def _storms(plan: Plan) -> str:
    return ",".join(map(str, plan.storms))


def _weights(drops: Mapping[str, float]) -> str:
    return ",".join(f"{kind}={weight:g}" for kind, weight in drops.items())
