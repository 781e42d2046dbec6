"""Builds the settings of the engine and the run directory from the user class and the options.

Every invalid setting is found here, before the first connection.
"""

import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from loadtest.dialects.base import PLACEHOLDERS, Dialect, placeholders
from loadtest.dialects.bundled import dialect_named
from loadtest.dialects.dialect_options import OPTION, parsed, with_options
from loadtest.dialects.dialect_session import SizeOf
from loadtest.dialects.emergence import Emergence
from loadtest.dialects.mistakes import check_form, new_dialect
from loadtest.drops.drills import Drill, parse_drills
from loadtest.drops.plan import DEFAULT_WEIGHTS, DropPlan, parse_storms, parse_weights
from loadtest.engine.engine import EngineSettings
from loadtest.errors import NOT_SHOWN, InvalidSetting
from loadtest.locust_plugin.data_file import read_data
from loadtest.locust_plugin.request_settings import request_headers, secrets_of
from loadtest.options import SETTINGS, read_values
from loadtest.results.manifest import PLAN_VERSION, Plan
from loadtest.scrubber import Secrets
from loadtest.session.data_rows import Rows, too_few_rows
from loadtest.session.schedule import NS_PER_S, Backoff, Pace, parse_backoff
from loadtest.session.script import Script
from loadtest.session.session_config import SessionConfig
from loadtest.session.sizes import Sizes
from loadtest.statistics.margins import Gate, parse_margins
from loadtest.statistics.time_limits import TimeLimit, parse_limits
from loadtest.text import public_path
from loadtest.transport.addresses import expand
from loadtest.transport.meter import Limits
from loadtest.transport.metrics_gauge import MetricsGauge
from loadtest.transport.proxies import Proxy
from loadtest.transport.target import Target, Tls, path_in
from loadtest.verdict.allowances import Allowance, parse_allowances

ROOM_BYTES = 2**24
"""Messages of this size are accepted from any server."""

AROUND_TEXT_BYTES = 2**10
"""Room for what a server stores beside a text in a history: author, time, words of the answer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LogSettings:
    """The server's log: where it is and how it is read.

    Args:
        paths: log files; `-` is standard input.
        command: a command that prints the log.
        format: as for `loadtest.serverlog.log_reader.LogReader`.
        rules: file with the user's own rules.
        allowed_errors: number of real errors that the verdict allows.
    """

    paths: tuple[str, ...] = ()
    command: str | None = None
    format: str = "auto"
    rules: Path | None = None
    allowed_errors: int = 0

    @property
    def given(self) -> bool:
        """Whether a log was given."""
        return bool(self.paths) or self.command is not None


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenSettings:
    """A command that prints tokens.

    Args:
        command: the command.
        ttl_s: age in seconds from which a token is not used for new attempts; None for no limit.
        timeout_s: how long the command may take.
    """

    command: str
    ttl_s: float | None
    timeout_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadSettings:
    """The settings of a run, checked.

    Args:
        engine: the engine's settings.
        sessions: sessions per user.
        plan: the settings that runs must share to be comparable; users, spawn rate and duration are filled in
            later from Locust.
        drills: commands to run during the run, ordered by time.
        drill_window_s: seconds after a command's end in which losses still belong to it.
        revision: version of the server under test, None if it was not given.
        revision_header: response header in which the server names it, None if there is none.
        baseline: a run directory, a run id, a revision, `none`, or None to choose it by the rule.
        gates: the gates that latency is judged by, with their margins.
        allowances: how many connections may be lost.
        locust_events: whether Locust's event `request` is fired for each message.
        keep_going: whether a run goes on to its end when no session can work any more.
        limits: limits on the run's times.
        cleanup_timeout_s: seconds after which the server must have closed half-open connections; None for the
            dialect's own time.
        gauge: the server's gauge of its connections, None if none was given.
        results: folder of run directories.
        inconclusive_exit: exit code of an INCONCLUSIVE run.
        secrets: texts that must not appear in a file or a log.
        token: the command that prints tokens, None if none was given.
        own_credentials: whether each session has its own credentials, as far as the settings show it.
        log: the server's log.
    """

    engine: EngineSettings
    sessions: int
    plan: Plan
    drills: Sequence[Drill]
    drill_window_s: float
    revision: str | None
    revision_header: str | None
    baseline: str | None
    gates: Sequence[Gate]
    allowances: Sequence[Allowance]
    keep_going: bool
    locust_events: bool
    limits: Sequence[TimeLimit]
    cleanup_timeout_s: float | None
    gauge: MetricsGauge | None
    results: Path
    inconclusive_exit: int
    secrets: Secrets
    token: TokenSettings | None
    own_credentials: bool
    log: LogSettings


def load_settings(values: Mapping[str, Any], host: str, script: Script | None = None) -> LoadSettings:
    """Check all values and build the settings.

    Args:
        values: by attribute name of `WebSocketUser`.
        host: URL of the server; its path and query, if any, are those of the endpoint.
        script: script of the user class; None if it has none.

    Raises:
        InvalidSetting: a value is malformed or out of range, or `host` and `path` contradict each other.
    """
    values = read_values(values)
    _check_objects(values)
    data = read_data(values["data"])
    engine = _engine(values, host, data.rows, script)
    drills = parse_drills(values["drills"])
    return LoadSettings(
        engine=engine,
        sessions=values["sessions"],
        plan=_plan(values, engine, drills),
        drills=drills,
        drill_window_s=values["drill_window_s"],
        revision=(values["revision"] or "").strip() or None,
        revision_header=values["revision_header"],
        baseline=values["baseline"],
        gates=parse_margins(values["margins"]),
        allowances=parse_allowances(values["allow_losses"]),
        keep_going=values["keep_going"],
        locust_events=values["locust_events"],
        limits=parse_limits(values["limits"]),
        cleanup_timeout_s=values["cleanup_timeout_s"],
        gauge=_gauge(values),
        results=values["results"],
        inconclusive_exit=values["inconclusive_exit"],
        secrets=data.secrets.plus(secrets_of(values["token"], engine)),
        token=_token_settings(values, engine.config),
        own_credentials=_own_credentials(values, data.rows),
        log=LogSettings(
            paths=values["server_logs"],
            command=values["server_log_cmd"],
            format=values["server_log_format"],
            rules=values["server_log_rules"],
            allowed_errors=values["server_log_errors"],
        ),
    )


def _is_dialect(given: object) -> bool:
    if isinstance(given, type):
        return issubclass(given, Dialect)
    return isinstance(given, Dialect)


_OBJECTS: Final[Mapping[str, Callable[[object], bool]]] = {
    "dialect": _is_dialect,
    "token": callable,
    "drops": lambda given: isinstance(given, Mapping | DropPlan),
    "backoff": lambda given: isinstance(given, Backoff),
}
"""By attribute, whether an object may replace a setting's text."""


def _check_objects(values: Mapping[str, Any]) -> None:
    """Refuse objects of a wrong type; None is allowed for a setting whose default is None."""
    for attribute, admits in _OBJECTS.items():
        given, row = values[attribute], SETTINGS[attribute]
        if not (isinstance(given, str) or admits(given) or given is row.default):
            raise InvalidSetting(row.option, NOT_SHOWN if row.secret else given, f"must be {row.kind}")


def _engine(values: Mapping[str, Any], host: str, rows: Rows, script: Script | None) -> EngineSettings:
    tls = _tls(values)
    tls.check()
    target = Target.parse(host, tls, sni=values["sni"] or "")
    proxy = None if values["proxy"] is None else Proxy.parse(values["proxy"], tls)
    seed, token, dialect = values["seed"], values["token"], _dialect(values, path_in(host))
    _check_placeholders(dialect, values["path"], rows)
    for where, template in dialect.message_templates():
        template.check(where, rows[0] if rows else ())
    _check_arrivals(values["arrivals"], script)
    drops = _with_storms(_drops(values["drops"], values["drop_every_s"], seed), values["storms"])
    cleanup_s = values["cleanup_timeout_s"]
    return EngineSettings(
        target=target,
        config=SessionConfig(
            dialect=dialect,
            pace=_pace(dialect, values, seed),
            backoff=_backoff(values["backoff"], seed),
            reply_timeout_ns=int(values["reply_timeout_s"] * NS_PER_S),
            in_flight=values["in_flight"],
            size_of=_size_of(values, seed),
            data=rows,
            cleanup_s=dialect.cleanup_s if cleanup_s is None else cleanup_s,
            pushes_per_s=_pushes_per_s(dialect, values["pushes_per_s"]),
            renews_token=values["token_cmd"] is not None,
            script=script,
        ),
        drops=drops,
        token=token if callable(token) else lambda: token,
        headers=request_headers(values["headers"], values["origin"]),
        subprotocols=values["subprotocols"],
        subprotocol_optional=values["subprotocol_optional"],
        source_ips=expand(values["source_ips"]),
        open_timeout_s=values["open_timeout_s"],
        max_message_bytes=values["max_message_bytes"] or _largest_message(dialect, values),
        flood=Limits(
            messages_per_s=values["max_messages_per_s"],
            frames_per_s=values["max_frames_per_s"],
            bytes_per_s=values["max_bytes_per_s"],
        ),
        compression=values["compression"],
        proxy=proxy,
        ping_interval_ns=int(values["ping_interval_s"] * NS_PER_S),
        ping_timeout_ns=int(values["ping_timeout_s"] * NS_PER_S),
        connect_concurrency=values["connect_concurrency"],
    )


def _check_arrivals(arrivals: str, script: Script | None) -> None:
    if script is not None and arrivals == "closed":
        problem = "must not be closed with a script, which waits for its own replies"
        raise InvalidSetting("--ws-arrivals", NOT_SHOWN, problem)


def _token_settings(values: Mapping[str, Any], config: SessionConfig) -> TokenSettings | None:
    command, ttl_s = values["token_cmd"], values["token_ttl_s"]
    if command is None:
        if ttl_s is not None:
            raise InvalidSetting("--ws-token-ttl", ttl_s, "must be given together with --ws-token-cmd")
        return None
    if values["token"] is not None:
        raise InvalidSetting("--ws-token-cmd", NOT_SHOWN, "must not be given together with --ws-token")
    if isinstance(config.dialect, Emergence) and any(row.get("token") for row in config.data):
        problem = "must not be given together with a column `token` in --ws-data: those tokens log in"
        raise InvalidSetting("--ws-token-cmd", NOT_SHOWN, problem)
    return TokenSettings(command=command, ttl_s=ttl_s, timeout_s=values["open_timeout_s"])


def _own_credentials(values: Mapping[str, Any], rows: Rows) -> bool:
    """Return whether the rows give each session different credentials.

    A token shared by all sessions does not, unless the rows have their own tokens. For a function that
    returns tokens this is unknown.
    """
    if not rows:
        return False
    if "token" in rows[0]:
        return len({row["token"] for row in rows}) == len(rows)
    shared = values["token"] is not None or values["token_cmd"] is not None
    return not shared and len({tuple(row.values()) for row in rows}) == len(rows)


def _tls(values: Mapping[str, Any]) -> Tls:
    return Tls(
        ca=values["tls_ca"], cert=values["tls_cert"], key=values["tls_key"], insecure=values["tls_insecure"]
    )


def _gauge(values: Mapping[str, Any]) -> MetricsGauge | None:
    given = values["server_metrics"]
    return MetricsGauge.parse(given, _tls(values)) if given else None


def _largest_message(dialect: Dialect, values: Mapping[str, Any]) -> int:
    """Return the largest accepted message size: large enough for a correct server's whole history."""
    message_bytes = Sizes.of_setting(values["message_bytes"]).largest + AROUND_TEXT_BYTES
    return max(ROOM_BYTES, message_bytes * (dialect.history_window or 0))


def _plan(values: Mapping[str, Any], engine: EngineSettings, drills: Sequence[Drill]) -> Plan:
    """Return the plan without the values of Locust's own options, which are not known here."""
    config, drops = engine.config, engine.drops
    sizes = Sizes.of_setting(values["message_bytes"])
    return Plan(
        dialect=config.dialect.name,
        dialect_options=parsed(values["dialect_options"]),
        path=config.dialect.path,
        users=0,
        sessions_per_user=values["sessions"],
        spawn_rate=0,
        rate=config.pace.rate,
        arrivals=config.pace.arrivals,
        tasks={} if config.script is None else dict(config.script.weights),
        in_flight=config.in_flight,
        message_bytes=str(sizes) if sizes.fixed is None else sizes.fixed,
        drop_every_s=drops.every_s,
        drops=dict(drops.weights),
        storms=drops.storms,
        drills_at_s=tuple(drill.at_s for drill in drills),
        backoff=str(config.backoff),
        reply_timeout_s=values["reply_timeout_s"],
        open_timeout_s=values["open_timeout_s"],
        compression=values["compression"],
        ping_interval_s=values["ping_interval_s"],
        proxy="" if engine.proxy is None else engine.proxy.scheme,
        seed=values["seed"],
        warmup_s=values["warmup_s"],
        version=PLAN_VERSION,
    )


def _dialect(values: Mapping[str, Any], in_host: str | None) -> Dialect:
    """Return the dialect for the endpoint's path: from `--host`, else `--ws-path`, else the dialect's own."""
    dialect = _new_dialect(values, in_host)
    if in_host is not None and dialect.path != in_host:
        given = public_path(dialect.path)
        problem = f"has the path {public_path(in_host)}, but --ws-path or the user class has {given}"
        raise InvalidSetting("--host", NOT_SHOWN, problem, "Set the path in one place only")
    check_form(dialect)
    return dialect


def _new_dialect(values: Mapping[str, Any], in_host: str | None) -> Dialect:
    dialect, path, given = values["dialect"], values["path"], parsed(values["dialect_options"])
    if isinstance(dialect, Dialect):
        if given:
            raise InvalidSetting(OPTION, NOT_SHOWN, "cannot be used: the user class creates its own dialect")
        return dialect
    kind = with_options(dialect_named(dialect) if isinstance(dialect, str) else dialect, given)
    if path is not None and not path.startswith("/"):
        raise InvalidSetting("--ws-path", path, "must begin with a slash: /PATH[?QUERY]")
    _check_path("--ws-path", path)
    _check_path("--host", in_host)
    return new_dialect(kind, in_host if path is None else path)


def _check_placeholders(dialect: Dialect, given: str | None, rows: Rows) -> None:
    """Refuse unknown placeholders in a path, and columns with the name of a built-in placeholder."""
    if not type(dialect).endpoint.__module__.startswith("loadtest."):
        return  # a dialect that makes its own paths may have placeholders of its own
    option = "--ws-path" if given is not None else "--host or the dialect's path"
    columns = list(rows[0]) if rows else []
    for name in placeholders(dialect.path):
        if name not in (*PLACEHOLDERS, *columns):
            known = ", ".join(f"{{{one}}}" for one in (*PLACEHOLDERS, *columns))
            problem = f"has an unknown placeholder: {{{name}}}. Known placeholders: {known}"
            raise InvalidSetting(option, NOT_SHOWN, problem, "Percent-encode literal braces")
        if name in columns and name in PLACEHOLDERS and name != "token":
            problem = f"has {{{name}}}, which the tool fills in, but --ws-data has a column of the same name"
            raise InvalidSetting(option, NOT_SHOWN, problem, "Rename the column")


def _check_path(option: str, path: str | None) -> None:
    if path is not None and not (path.isascii() and path.isprintable() and " " not in path):
        problem = "must be ASCII without spaces and control characters"
        raise InvalidSetting(option, path, problem, "Percent-encode them")


def _pace(dialect: Dialect, values: Mapping[str, Any], seed: int) -> Pace:
    """Return when messages are due: never, if the dialect has no requests."""
    if not type(dialect).overrides("request"):
        return Pace(0, "constant", seed)
    return Pace(values["rate"], values["arrivals"], seed)


def _pushes_per_s(dialect: Dialect, given: float | None) -> float:
    return (dialect.pushes_per_s or 0.0) if given is None else given


def _size_of(values: Mapping[str, Any], seed: int) -> SizeOf:
    """Return the size of the requests' texts: fixed, or drawn for each."""
    sizes = Sizes.of_setting(values["message_bytes"])
    return functools.partial(sizes.of, seed) if sizes.fixed is None else sizes.fixed


def _backoff(policy: str | Backoff, seed: int) -> Backoff:
    return policy if isinstance(policy, Backoff) else parse_backoff(policy, seed=seed)


def _drops(drops: str | Mapping[str, float] | DropPlan | None, every_s: float, seed: int) -> DropPlan:
    if isinstance(drops, DropPlan):
        return drops
    if drops is None:
        return DropPlan(every_s, DEFAULT_WEIGHTS, seed)
    return DropPlan(every_s, parse_weights(drops) if isinstance(drops, str) else drops, seed)


def _with_storms(drops: DropPlan, storms: Sequence[str]) -> DropPlan:
    """Return the plan with these storms in place of its own; unchanged if there are none."""
    if not storms:
        return drops
    return replace(drops, storms=parse_storms(storms))


def check_rows(settings: LoadSettings, users: int, why: str = "") -> None:
    """Refuse a data file with fewer rows than sessions; `why` says why a run needs more rows than sessions.

    Raises:
        InvalidSetting: there are too few rows.
    """
    rows, sessions = len(settings.engine.config.data), users * settings.sessions
    if 0 < rows < sessions:
        raise too_few_rows(rows, sessions, why)
