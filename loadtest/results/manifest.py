"""The manifest of a run: the content of run.json, and what makes two runs comparable.

A manifest never holds a secret. On creation it removes userinfo, query and fragment from the target, and
every value in the path's query that is not a placeholder. The comparability hash covers the plan only:
comparing one plan across hosts, revisions or numbers of workers is the purpose of a comparison. This module
never reads the host or the clock; `loadtest.results.environment` does.
"""

from collections.abc import Mapping
from hashlib import sha256
from typing import Annotated, Any, Final, Literal

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType, field

from loadtest.dialects.base import Dialect
from loadtest.drops.kinds import disconnects
from loadtest.drops.plan import Storm
from loadtest.errors import InvalidSetting
from loadtest.results.origin import Host, WorkerShare
from loadtest.results.said_revision import SaidRevision, revision_doubt
from loadtest.session.schedule import Arrivals
from loadtest.statistics.margins import Gate, Margin, gates_with
from loadtest.statistics.time_limits import TimeLimit, limits_of
from loadtest.text import public_path, public_url
from loadtest.transport.http_health import Health
from loadtest.values import Weighted, Whole

SCHEMA: Literal[1] = 1

PLAN_VERSION = 2
"""Version of plans: runs of another sent other messages, or dropped in another way, with the same settings.

1: texts without marks; drops sent requests of the dialect. 2: marked texts; drops send the dialect's probe.
"""

UNNAMED = "unnamed"
"""Revision of a run whose server's version is not known. It may be any, so such a run is never a baseline."""

_SIZES = Weighted(Whole(1, 2**20, "bytes"), "size")

Text = Annotated[str, Meta(max_length=4096)]
Count = Annotated[int, Meta(ge=0, le=2**63 - 1)]
Amount = Annotated[float, Meta(ge=0, le=1e12)]

MAX_PLANNED = 1000
"""Storms, and drills, that are read: many times what the options admit, few enough for a quick report."""


class Plan(Struct, frozen=True, kw_only=True):
    """What a run does to a server: everything that must be alike for two runs to be comparable.

    Args:
        version: of what these settings mean on the wire, `PLAN_VERSION` when the run was made.
        dialect: name of the dialect, the application protocol the server speaks.
        dialect_options: values of the dialect's options that were given, by name.
        path: path of the endpoint, with the dialect's placeholders.
        users: number of Locust users.
        sessions_per_user: sessions of each user.
        spawn_rate: users started per second.
        rate: messages per second and session.
        arrivals: `constant`, `poisson`, or `closed` (the next message follows the reply).
        tasks: weight by task of the script that sessions run; empty if they run none.
        in_flight: maximum requests in flight per session, 0 for no limit.
        message_bytes: size of the text in a request, in bytes; several sizes with their weights as text.
        drop_every_s: mean seconds between the drops of a session, 0 for no drops.
        drops: weight by kind of drop; empty for no drops.
        storms: planned drops of a share of all sessions at once, ordered by time.
        drills_at_s: planned starts of the drills, in seconds since the run's start, in ascending order.
        backoff: the reconnect policy, as text.
        reply_timeout_s: seconds after which a message without a reply counts as lost.
        open_timeout_s: timeout of a connection attempt, in seconds.
        compression: whether compressed messages were offered: `off`, `on` or `no-takeover`.
        ping_interval_s: seconds between the clients' keepalive pings, 0 for none. Runs of versions that had
            no such setting sent one every 20 s.
        proxy: the kind of proxy that sessions connect through, as in its URL; empty for none.
        seed: seed of the drop plan and the arrivals.
        warmup_s: seconds at the start that the latency comparison leaves out.
        duration_s: planned duration in seconds, null if a person stops the run.
    """

    dialect: Text
    path: Text
    users: Count
    sessions_per_user: Count
    spawn_rate: Amount
    rate: Amount
    arrivals: Arrivals
    in_flight: Count
    message_bytes: Count | Text
    drop_every_s: Amount
    drops: dict[Text, Amount]
    storms: Annotated[tuple[Storm, ...], Meta(max_length=MAX_PLANNED)] = ()
    drills_at_s: Annotated[tuple[Amount, ...], Meta(max_length=MAX_PLANNED)] = ()
    backoff: Text
    reply_timeout_s: Amount
    open_timeout_s: Amount
    seed: int
    warmup_s: Amount
    tasks: dict[Text, Count] = {}
    dialect_options: dict[Text, Text] = {}
    compression: Text = "off"
    ping_interval_s: Amount = 0.0
    proxy: Text = ""
    duration_s: Amount | None = None
    version: Count = 1

    @property
    def sessions(self) -> int:
        """Number of sessions of all users together."""
        return self.users * self.sessions_per_user

    @property
    def sizes(self) -> tuple[int, ...]:
        """The sizes of texts in bytes, in ascending order; empty if all have one, or they are malformed."""
        try:
            weights = _SIZES.read(self.message_bytes, "message_bytes in run.json")
        except InvalidSetting:
            return ()
        return tuple(weights) if isinstance(weights, dict) else ()

    @property
    def drops_planned(self) -> bool:
        """Whether the plan drops sessions, one by one or in storms."""
        own = self.drop_every_s > 0 and any(weight > 0 for weight in self.drops.values())
        return own or bool(self.storms)

    @property
    def drops_disconnect(self) -> bool:
        """Whether drops outside storms disconnect sessions: a longer run has more of these."""
        kinds = (kind for kind, weight in self.drops.items() if weight > 0)
        return self.drop_every_s > 0 and any(map(disconnects, kinds))

    @property
    def outages_planned(self) -> bool:
        """Whether planned drops disconnect sessions; a slow reader keeps its connection."""
        return self.drops_disconnect or any(disconnects(storm.kind) for storm in self.storms)

    @property
    def messages_planned(self) -> bool:
        """Whether sessions send messages."""
        return self.rate > 0 or self.arrivals == "closed" or bool(self.tasks)

    @property
    def reconnects(self) -> bool:
        """Whether the backoff policy lets sessions reconnect."""
        return self.backoff != "none"


class Promises(Struct, frozen=True, kw_only=True):
    """What the run's dialect promises: the attributes of `loadtest.Dialect` that verdicts depend on.

    A process that makes a report later does not know the dialects of locustfiles.

    Args:
        ordered: whether replies come in the order of their requests.
        identifies: whether sessions have an identity that outlives connections.
        pushes: whether the server sends messages on its own.
        requests: whether sessions have requests to send.
        cleanup_s: seconds after which the server closes connections whose client is gone, null if unknown.
    """

    ordered: bool
    identifies: bool
    pushes: bool
    requests: bool = True
    cleanup_s: Amount | None = None


def promises_of(dialect: Dialect | type[Dialect]) -> Promises:
    """Return what a dialect promises."""
    return Promises(
        ordered=dialect.ordered,
        identifies=dialect.identifies,
        pushes=dialect.pushes,
        requests=dialect.overrides("request"),
        cleanup_s=dialect.cleanup_s,
    )


class ServerGauge(Struct, frozen=True, kw_only=True):
    """The server's own gauge of its connections, before the run, during it and after it.

    Args:
        source: where it was read, without secrets: URL#NAME.
        before: value before the first connection.
        peak: highest value seen while sessions were up, null if none was read.
        after: last value read after all sessions had ended, null if none was read.
        waited_s: seconds from the end of all sessions to the last reading.
        problem: why the last reading failed; empty if it did not.
    """

    source: Text
    before: float
    peak: float | None = None
    after: float | None = None
    waited_s: Amount = 0.0
    problem: Text = ""


class DrillRun(Struct, frozen=True, kw_only=True):
    """A command that the run executed while sessions were connected (`--ws-at`), a deploy say.

    Args:
        at_s: its planned start, in seconds since the run's start.
        command: the command, without secrets.
        started_s: when it was started, in seconds since the run's start; null if it was not.
        ended_s: when it had ended, null if it had not.
        exit_status: its exit status, null if it had not ended; negative for a signal.
        stopped: whether the run ended before it, and stopped it.
        last_words: the last line of its output, without secrets.
    """

    at_s: Amount
    command: Text
    started_s: Amount | None = None
    ended_s: Amount | None = None
    exit_status: int | None = None
    stopped: bool = False
    last_words: Text = ""


class UserClass(Struct, frozen=True, kw_only=True):
    """What a run of several user classes was to do for one of them, and what it is judged by.

    Args:
        name: name of the class.
        plan: its plan; `users` are its own.
        promises: what its dialect promises.
        cleanup_timeout_s: seconds to close half-open connections in, null for the dialect's promise.
        subprotocol_optional: whether a server could select none of the subprotocols offered.
        same_id_asked: whether all its sessions asked for the id that they share.
        own_credentials: whether each of its sessions had credentials of its own.
        margins: margins that its latency is judged by, by gate; others are the defaults.
        allowed_losses: rules for how many of its connections may be lost, as text.
        limits: limits on its times, in milliseconds by name.
        pushes_per_s: pushes that each of its sessions had to receive per second, null if none were expected.
        code: hash of the code of the class and its tasks, null if it is not known.
    """

    name: Annotated[str, Meta(min_length=1, max_length=100)]
    plan: Plan
    promises: Promises | None = None
    cleanup_timeout_s: Amount | None = None
    subprotocol_optional: bool = False
    same_id_asked: bool = False
    own_credentials: bool = False
    margins: dict[Text, Margin] = field(default_factory=dict)
    allowed_losses: tuple[Text, ...] = ()
    limits: dict[Text, Amount] = field(default_factory=dict)
    pushes_per_s: Amount | None = None
    code: Text | None = None

    def __post_init__(self) -> None:
        limits_of(self.limits)
        plan = msgspec.structs.replace(self.plan, path=public_path(self.plan.path))
        msgspec.structs.force_setattr(self, "plan", plan)


MAX_CLASSES = 50  # that are read: each has histograms of its own


class Manifest(Struct, frozen=True, kw_only=True):
    """The content of run.json.

    Args:
        schema: version of the file format.
        run_id: short unique id, usable in a folder name.
        revision: version of the server under test.
        revision_source: how the revision is known, null if it is not or an earlier version wrote the file.
        revision_said: what the server said of its revision where one was given, null if it said nothing.
        target: URL of the server, without secrets.
        proxy: URL of the proxy that sessions connected through, without its login; null for none.
        started_at: start time, ISO 8601 in UTC.
        ended_at: end time, ISO 8601 in UTC, or null.
        started_unix_ns: wall clock at the run's start in Unix time (ns), the zero of all other times.
        plan: what the run was to do.
        promises: what its dialect promises, null in files of earlier versions.
        complete: whether the run ended normally.
        versions: versions of Python, this tool and its libraries, by name.
        host: the machine that generated the load.
        workers: what each process contributed, filled in at the end.
        missing_workers: workers that did not deliver everything they recorded.
        failure: the error that ended the run, null if none did.
        usage_error: whether that was a mistake in the settings, the data or the dialect, not in the tool.
        ended_early: why the run had no prospects any more and was ended before its time, null if it was not.
        cleanup_timeout_s: seconds after which the server must have closed half-open connections, null for the
            dialect's promise.
        server_gauge: the server's gauge of its connections, null if none was given.
        subprotocol_optional: whether a server could select none of the subprotocols offered.
        same_id_asked: whether all sessions asked for the id that they share, in a value of the path's query:
            the plan's path does not show that any more.
        own_credentials: whether each session had credentials of its own, from a row of `--ws-data` that no
            other has.
        drills: the commands that ran while sessions were connected, ordered by planned start.
        drill_window_s: seconds after a drill's end in which losses still belong to it.
        made_by: what made the run, `locust` or `probe`.
        locustfile: the locustfile as given, null if it is not known.
        health: the health endpoint's response before a probe, null if there is no such endpoint.
        margins: margins that latency is judged by, by gated quantile; others are the defaults. They do not
            affect what is measured, so they are not part of the plan.
        allowed_losses: rules for how many connections may be lost (`--ws-allow-losses`), as text.
        limits: limits on the run's times, in milliseconds by name; not part of the plan either.
        pushes_per_s: pushes that each session had to receive per second, null if none were expected.
        code: hash of the code of the user class and its tasks, null if it is not known or there are several.
        user_classes: what the run was to do for each of its user classes, if there are several; `plan` is
            then what they have together (`loadtest.results.user_classes`).
        comparability_hash: hash of the plan, or the plans; always computed from it.
    """

    schema: Literal[1] = SCHEMA
    run_id: Text
    revision: Text
    target: Text
    started_at: Text
    started_unix_ns: Count
    plan: Plan
    proxy: Text | None = None
    promises: Promises | None = None
    ended_at: Text | None = None
    complete: bool = False
    revision_source: Text | None = None
    revision_said: SaidRevision | None = None
    versions: dict[Text, Text] = field(default_factory=dict)
    host: Host = field(default_factory=Host)
    workers: list[WorkerShare] = field(default_factory=list)
    missing_workers: list[Count] = field(default_factory=list)
    failure: Text | None = None
    usage_error: bool = False
    ended_early: Text | None = None
    cleanup_timeout_s: Amount | None = None
    server_gauge: ServerGauge | None = None
    subprotocol_optional: bool = False
    same_id_asked: bool = False
    own_credentials: bool = False
    drills: tuple[DrillRun, ...] = ()
    drill_window_s: Amount = 120.0
    made_by: Literal["locust", "probe"] = "locust"
    locustfile: Text | None = None
    health: Health | None = None
    margins: dict[Text, Margin] = field(default_factory=dict)
    allowed_losses: tuple[Text, ...] = ()
    limits: dict[Text, Amount] = field(default_factory=dict)
    pushes_per_s: Amount | None = None
    code: Text | None = None
    user_classes: Annotated[tuple[UserClass, ...], Meta(max_length=MAX_CLASSES)] | UnsetType = UNSET
    comparability_hash: str = ""

    def __post_init__(self) -> None:
        limits_of(self.limits)  # a limit of another version must not be overlooked: the file is refused
        plan = msgspec.structs.replace(self.plan, path=public_path(self.plan.path))
        msgspec.structs.force_setattr(self, "target", public_url(self.target))
        if self.proxy is not None:
            msgspec.structs.force_setattr(self, "proxy", public_url(self.proxy))
        msgspec.structs.force_setattr(self, "plan", plan)
        plans = {one.name: one.plan for one in self.classes}
        msgspec.structs.force_setattr(self, "comparability_hash", comparability_hash(plan, plans))

    @property
    def classes(self) -> tuple[UserClass, ...]:
        """The user classes of a run that has several; empty if it has one."""
        return () if self.user_classes is UNSET else self.user_classes

    @property
    def sessions(self) -> int:
        """Number of planned sessions of all users together."""
        return sum(one.plan.sessions for one in self.classes) if self.classes else self.plan.sessions

    @property
    def named(self) -> bool:
        """Whether the version of the server is known. Earlier versions wrote `unknown` if it was not."""
        return self.revision != UNNAMED and (self.revision != "unknown" or self.revision_source is not None)

    @property
    def revision_doubt(self) -> str:
        """How the revision that was given differs from what the server said; empty if it does not."""
        return revision_doubt(self.revision, self.revision_said)

    @property
    def gates(self) -> tuple[Gate, ...]:
        """The quantiles that latency is judged by, with their margins."""
        return gates_with(self.margins)

    @property
    def time_limits(self) -> tuple[TimeLimit, ...]:
        """The limits on the run's times."""
        return limits_of(self.limits)

    @property
    def promised(self) -> Promises | None:
        """What the dialect promises; None if an earlier version wrote the file and the dialect is unknown."""
        dialect = Dialect.dialects.get(self.plan.dialect)
        return self.promises or (None if dialect is None else promises_of(dialect))

    @property
    def cleanup_s(self) -> float | None:
        """Seconds after which the server must have closed half-open connections; None if unknown."""
        promised = self.promised
        of_dialect = None if promised is None else promised.cleanup_s
        return of_dialect if self.cleanup_timeout_s is None else self.cleanup_timeout_s

    @property
    def unended(self) -> str:
        """Why the run did not end normally, empty if it did."""
        if self.usage_error:
            return "a mistake in the settings, the dialect or the script ended the run"
        if self.failure is not None:
            return "the tool itself failed before the run's end"
        return "" if self.complete else "the run did not finish"


def comparability_hash(plan: Plan, classes: Mapping[str, Plan] | None = None) -> str:
    """Return the SHA-256, in hex, of the plan and the schema as canonical JSON (sorted keys, no whitespace).

    Of several user classes only their own plans count, by name.
    """
    of_classes = {name: _hashed(own) for name, own in (classes or {}).items()}
    content = {"classes": of_classes} if classes else {"plan": _hashed(plan)}
    canonical = msgspec.json.encode({"schema": SCHEMA, **content}, order="sorted")
    return sha256(canonical).hexdigest()


def _hashed(plan: Plan) -> dict[str, Any]:
    """Return a plan's fields as they are hashed.

    Keys that came later (`_LATER`) are left out if they have their defaults, so that runs made before these
    existed keep their hash.
    """
    left_out = {name for name, default in _LATER.items() if getattr(plan, name) == default}
    return {name: value for name, value in msgspec.to_builtins(plan).items() if name not in left_out}


_LATER: Final = {
    "storms": (),
    "drills_at_s": (),
    "tasks": {},
    "dialect_options": {},
    "compression": "off",
    "ping_interval_s": 0.0,
    "proxy": "",
    "version": 1,
}
"""Fields of plans that the first runs did not have, with the values that these had."""


def differing_fields(one: Plan, other: Plan) -> list[str]:
    """Return the names of the fields in which two plans differ, in field order."""
    return [name for name in Plan.__struct_fields__ if getattr(one, name) != getattr(other, name)]
