"""The manifest of a run: what run.json holds, and what makes two runs comparable.

A manifest never holds a secret: it takes userinfo, query and fragment out of the target, and every value
out of the path's query that is no placeholder, before anything can write it. The comparability hash covers
the plan only: two runs of one plan against two hosts or revisions, or over more workers, are what a
comparison is for. Looking at the host or the clock does not belong here; `loadtest.results` fills those in.
"""

from hashlib import sha256
from typing import Annotated, Literal

import msgspec
from msgspec import Meta, Struct, field

from loadtest.dialects.base import Dialect
from loadtest.drops.kinds import disconnects
from loadtest.drops.plan import Storm
from loadtest.session.schedule import Arrivals
from loadtest.statistics.margins import Gate, Margin, gates_with
from loadtest.text import public_path, public_url

SCHEMA: Literal[1] = 1

Text = Annotated[str, Meta(max_length=4096)]
Count = Annotated[int, Meta(ge=0, le=2**63 - 1)]
Amount = Annotated[float, Meta(ge=0, le=1e12)]


class Plan(Struct, frozen=True, kw_only=True):
    """What a run does to a server: everything that must be alike for two runs to be comparable.

    Args:
        dialect: name of what the server speaks.
        path: of the endpoint, as the dialect takes it, with its placeholders.
        users, sessions_per_user: Locust users, and the sessions each holds.
        spawn_rate: users started a second.
        rate: messages a second and session.
        arrivals: `constant`, `poisson`, or `closed`: the next message follows the reply.
        in_flight: requests a session may have under way, 0 for any number.
        message_bytes: about how long a request is.
        drop_every_s: mean seconds between the drops of a session, 0 for none.
        drops: weight by drop kind; empty for none.
        storms: at which a share of all sessions is dropped, in the order of their times.
        backoff: the policy, as text.
        reply_timeout_s: after which a message without reply is lost.
        open_timeout_s: for an attempt to connect.
        seed: of the drop plan and the arrivals.
        warmup_s: seconds at the start that the latency comparison leaves out.
        duration_s: planned, None where a person ends the run.
    """

    dialect: Text
    path: Text
    users: Count
    sessions_per_user: Count
    spawn_rate: Amount
    rate: Amount
    arrivals: Arrivals
    in_flight: Count
    message_bytes: Count
    drop_every_s: Amount
    drops: dict[Text, Amount]
    storms: tuple[Storm, ...] = ()
    backoff: Text
    reply_timeout_s: Amount
    open_timeout_s: Amount
    seed: int
    warmup_s: Amount
    duration_s: Amount | None = None

    @property
    def sessions(self) -> int:
        """Sessions of all users together."""
        return self.users * self.sessions_per_user

    @property
    def drops_planned(self) -> bool:
        """Whether sessions are dropped on purpose."""
        own = self.drop_every_s > 0 and any(weight > 0 for weight in self.drops.values())
        return own or bool(self.storms)

    @property
    def drops_disconnect(self) -> bool:
        """Whether sessions lose their connections by drops of their own: a longer run has more of them."""
        kinds = (kind for kind, weight in self.drops.items() if weight > 0)
        return self.drop_every_s > 0 and any(map(disconnects, kinds))

    @property
    def outages_planned(self) -> bool:
        """Whether sessions have to come back: a slow reader keeps its connection."""
        return self.drops_disconnect or any(disconnects(storm.kind) for storm in self.storms)

    @property
    def messages_planned(self) -> bool:
        """Whether sessions send anything."""
        return self.rate > 0 or self.arrivals == "closed"

    @property
    def reconnects(self) -> bool:
        """Whether the backoff policy lets sessions come back."""
        return self.backoff != "none"

    @property
    def dialect_class(self) -> type[Dialect] | None:
        """The dialect, None where this process does not know it (a user's own, read back elsewhere)."""
        return Dialect.dialects.get(self.dialect)


class Host(Struct, frozen=True, kw_only=True):
    """The machine that made the load.

    Args:
        system, release, machine: as `uname` gives them.
        cpus: logical ones.
        memory_mb: in all.
    """

    system: Text = ""
    release: Text = ""
    machine: Text = ""
    cpus: Count = 0
    memory_mb: Count = 0


class WorkerShare(Struct, frozen=True, kw_only=True):
    """What one process contributed.

    Args:
        worker: its number, None for a run in one process.
        intervals: how many it delivered.
        sent, answered: messages.
    """

    worker: int | None
    intervals: Count
    sent: Count
    answered: Count


class Manifest(Struct, frozen=True, kw_only=True):
    """What run.json holds.

    Args:
        schema: version of this file's form.
        run_id: unique, short, fit for a folder's name.
        revision: the version of the server under test.
        target: URL; what is secret in it is taken out.
        started_at, ended_at: ISO 8601, UTC.
        started_unix_ns: the wall clock at the run's start, from which all other times count.
        complete: whether the run was ended in good order.
        versions: of this tool and its libraries, by name.
        workers: each process's share, filled in at the end.
        missing_workers: those that did not deliver all they recorded: what they did last is not known.
        failure: what made the tool itself give up, None if nothing did.
        margins: by gated quantile, what its latency is judged by; where one is missing, the default. They
            change nothing of what is measured, and are no part of the plan.
        comparability_hash: always that of the plan.
    """

    schema: Literal[1] = SCHEMA
    run_id: Text
    revision: Text
    target: Text
    started_at: Text
    started_unix_ns: Count
    plan: Plan
    ended_at: Text | None = None
    complete: bool = False
    versions: dict[Text, Text] = field(default_factory=dict)
    host: Host = field(default_factory=Host)
    workers: list[WorkerShare] = field(default_factory=list)
    missing_workers: list[Count] = field(default_factory=list)
    failure: Text | None = None
    margins: dict[Text, Margin] = field(default_factory=dict)
    comparability_hash: str = ""

    def __post_init__(self) -> None:
        plan = msgspec.structs.replace(self.plan, path=public_path(self.plan.path))
        msgspec.structs.force_setattr(self, "target", public_url(self.target))
        msgspec.structs.force_setattr(self, "plan", plan)
        msgspec.structs.force_setattr(self, "comparability_hash", comparability_hash(plan))

    @property
    def gates(self) -> tuple[Gate, ...]:
        """The quantiles that its latency is judged by, with their margins."""
        return gates_with(self.margins)

    @property
    def unended(self) -> str:
        """Why it was not made to its end, empty if it was."""
        if self.failure is not None:
            return "the tool itself failed before the run's end"
        return "" if self.complete else "the run was not ended in good order"


def comparability_hash(plan: Plan) -> str:
    """Return SHA-256 over the plan's canonical JSON (keys sorted, no blanks) and the schema, in hex.

    A plan without storms has no such key: its hash is that of runs from before there were storms.
    """
    told = msgspec.to_builtins(plan)
    if not plan.storms:
        del told["storms"]
    canonical = msgspec.json.encode({"schema": SCHEMA, "plan": told}, order="sorted")
    return sha256(canonical).hexdigest()


def differing_fields(one: Plan, other: Plan) -> list[str]:
    """Return the names of the plan's fields in which two runs differ, in the plan's order."""
    return [name for name in Plan.__struct_fields__ if getattr(one, name) != getattr(other, name)]
