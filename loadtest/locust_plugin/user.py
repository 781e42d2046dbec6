"""`WebSocketUser`: the class that locustfiles subclass.

A user holds sessions. The engine's thread does all their work; the user's greenlet only starts and stops them
and sleeps in between. A user may have tasks of its own, for example HTTP requests.
"""

import textwrap
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, TypeVar

from locust import User, constant, events, task
from locust.env import Environment

from loadtest.dialects.base import Dialect
from loadtest.drops.plan import DropPlan
from loadtest.locust_plugin import parser, roles
from loadtest.options import SETTINGS
from loadtest.session.schedule import Backoff

_User = TypeVar("_User", bound=type)


def _with_settings(user: _User) -> _User:
    """Give a class the settings as attributes with their defaults, and describe them in its docstring."""
    lines = [user.__doc__ or "", "    Attributes:"]
    for attribute, setting in SETTINGS.items():
        setattr(user, attribute, setting.default)
        text = f"{attribute}: {setting.help} Default: {setting.shown_default}."
        lines.append(textwrap.fill(text, 110, initial_indent=" " * 8, subsequent_indent=" " * 12))
    user.__doc__ = "\n".join(lines)
    return user


@_with_settings
class WebSocketUser(User):
    """A user that holds WebSocket sessions, which talk, are dropped, reconnect and resume.

    Subclass it in a locustfile. Each attribute can be set in the class and is overridden by its option:
    `rate` by `--ws-rate`, `drop_every_s` by `--ws-drop-every`. See `loadtest options` or docs/options.md.
    """

    abstract = True
    wait_time = constant(3600)

    # For type checkers and editors; the values come from the table of settings.
    dialect: ClassVar[str | type[Dialect] | Dialect]
    path: ClassVar[str | None]
    token: ClassVar[str | Callable[[], str | Awaitable[str | None] | None] | None]
    token_cmd: ClassVar[str | None]
    token_ttl_s: ClassVar[float | None]
    headers: ClassVar[Mapping[str, str] | Sequence[tuple[str, str]]]
    data: ClassVar[str | Path | None]
    subprotocols: ClassVar[Sequence[str]]
    subprotocol_optional: ClassVar[bool]
    revision: ClassVar[str | None]
    revision_header: ClassVar[str | None]
    sessions: ClassVar[int]
    rate: ClassVar[float]
    arrivals: ClassVar[str]
    in_flight: ClassVar[int]
    message_bytes: ClassVar[int | str | Mapping[int, float]]
    reply_timeout_s: ClassVar[float]
    warmup_s: ClassVar[float]
    seed: ClassVar[int]
    keep_going: ClassVar[bool]
    drop_every_s: ClassVar[float]
    drops: ClassVar[str | Mapping[str, float] | DropPlan | None]
    storms: ClassVar[str | Sequence[str]]
    drills: ClassVar[str | Sequence[str]]
    drill_window_s: ClassVar[float]
    backoff: ClassVar[str | Backoff]
    open_timeout_s: ClassVar[float]
    connect_concurrency: ClassVar[int]
    source_ips: ClassVar[str | Sequence[str]]
    tls_ca: ClassVar[str | Path | None]
    tls_cert: ClassVar[str | Path | None]
    tls_key: ClassVar[str | Path | None]
    tls_insecure: ClassVar[bool]
    max_message_bytes: ClassVar[int]
    ping_interval_s: ClassVar[float]
    ping_timeout_s: ClassVar[float]
    pushes_per_s: ClassVar[float | None]
    baseline: ClassVar[str | None]
    cleanup_timeout_s: ClassVar[float | None]
    server_metrics: ClassVar[str | None]
    margins: ClassVar[str | Sequence[str]]
    allow_losses: ClassVar[str | Sequence[str]]
    limits: ClassVar[str | Sequence[str] | Mapping[str, str]]
    server_logs: ClassVar[str | Sequence[str]]
    server_log_cmd: ClassVar[str | None]
    server_log_format: ClassVar[str]
    server_log_rules: ClassVar[str | Path | None]
    server_log_errors: ClassVar[int]
    results: ClassVar[str | Path]

    def __init__(self, environment: Any) -> None:
        super().__init__(environment)
        self._numbers: Sequence[int] = ()

    @classmethod
    def values(cls) -> dict[str, Any]:
        """Return all settings of the class by attribute name."""
        return {name: _plain(cls, name) for name in SETTINGS}

    def on_start(self) -> None:
        """Start the sessions."""
        self._numbers = roles.lifecycle_of(self.environment).start_sessions()

    def on_stop(self) -> None:
        """Stop the sessions: wait for their last replies, then close with 1000."""
        roles.lifecycle_of(self.environment).stop_sessions(self._numbers)

    @task
    def hold(self) -> None:
        """Hold the sessions; the engine does the rest."""


def _plain(cls: type, name: str) -> Any:
    """Return a class attribute as written in the class body: a function, not a bound method."""
    for base in cls.__mro__:
        if name in vars(base):
            value = vars(base)[name]
            return value.__func__ if isinstance(value, staticmethod) else value
    raise AttributeError(name)


def _attach(environment: Environment, **_kwargs: Any) -> None:
    roles.attach(environment, WebSocketUser)


events.init_command_line_parser.add_listener(parser.add_options)
events.init.add_listener(_attach)
