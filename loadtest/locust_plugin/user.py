"""`WebSocketUser`: the class that locustfiles subclass.

A user holds sessions; all their work is done by the engine's thread, never by the user's greenlet, which
only starts and stops them and sleeps in between. A user may have tasks of its own, HTTP requests for one.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

from locust import User, constant, events, task
from locust.env import Environment

from loadtest.dialects.base import Dialect
from loadtest.drops.plan import DropPlan
from loadtest.locust_plugin import options, roles
from loadtest.session.schedule import Backoff


class WebSocketUser(User):
    """A user that holds WebSocket sessions, which talk, are dropped, come back and resume.

    Subclass it in a locustfile. Every attribute can be set in the class and is overridden by the option of
    its name: `rate` by `--ws-rate`, `drop_every_s` by `--ws-drop-every`. See `loadtest options`.

    Attributes:
        dialect: what the server speaks: a name, or a subclass of `loadtest.Dialect`.
        path: of the endpoint with query, None for the dialect's own.
        token: to log in with, or a callable that is asked at each attempt and may be async. It is called
            on the engine's thread: it must not block, and not use gevent.
        sessions: that each user holds.
        rate: messages a second and session.
        arrivals: `constant`, `poisson` or `closed`.
        in_flight: requests a session may have under way, 0 for any number.
        message_bytes: about how long a request is.
        drop_every_s: mean seconds a session is up before it is dropped, 0 for no drops.
        drops: weight by kind of drop, as mapping or text, or a plan of your own; None for the seven kinds
            a sound server must take quietly.
        storms: moments at which a share of all sessions is dropped, as `--ws-storm` takes them: `0.5@30`,
            or several of such texts.
        backoff: policy of reconnecting, as text or `loadtest.Backoff`.
        reply_timeout_s: after which a request without reply is lost.
        open_timeout_s: for an attempt to connect.
        seed: of the drop plan and the arrivals.
        warmup_s: seconds at the start that latency leaves out.
        margins: how much slower than the baseline is still unchanged, as `--ws-margin` takes it:
            `p50=8%,p99=15%/2ms`, or several of such texts. Quantiles that are not named have the default.
        max_message_bytes: the largest message that is accepted.
        ping_interval_s, ping_timeout_s: of keepalive.
        server_logs: files with the server's log, `-` for standard input.
        server_log_cmd: command that prints the server's log.
        server_log_format, server_log_rules: how to read it, and a file of rules of your own.
        server_log_errors: real errors in it that are let pass.
    """

    abstract = True
    wait_time = constant(3600)

    dialect: ClassVar[str | type[Dialect] | Dialect] = "emergence"
    path: ClassVar[str | None] = None
    token: ClassVar[str | Callable[[], str | Awaitable[str | None] | None] | None] = None
    sessions: ClassVar[int] = 20
    rate: ClassVar[float] = 1.0
    arrivals: ClassVar[str] = "constant"
    in_flight: ClassVar[int] = 0
    message_bytes: ClassVar[int] = 64
    drop_every_s: ClassVar[float] = 20.0
    drops: ClassVar[str | Mapping[str, float] | DropPlan | None] = None
    storms: ClassVar[str | Sequence[str]] = ()
    backoff: ClassVar[str | Backoff] = "exponential(1,2,8)"
    reply_timeout_s: ClassVar[float] = 10.0
    open_timeout_s: ClassVar[float] = 10.0
    seed: ClassVar[int] = 1
    warmup_s: ClassVar[float] = 3.0
    revision: ClassVar[str | None] = None
    baseline: ClassVar[str | None] = None
    margins: ClassVar[str | Sequence[str]] = ()
    results: ClassVar[str | Path] = "results"
    headers: ClassVar[Mapping[str, str] | Sequence[tuple[str, str]]] = ()
    subprotocols: ClassVar[Sequence[str]] = ()
    tls_ca: ClassVar[Path | None] = None
    tls_cert: ClassVar[Path | None] = None
    tls_key: ClassVar[Path | None] = None
    tls_insecure: ClassVar[bool] = False
    source_ips: ClassVar[Sequence[str]] = ()
    connect_concurrency: ClassVar[int] = 256
    max_message_bytes: ClassVar[int] = 2**20
    ping_interval_s: ClassVar[float] = 20.0
    ping_timeout_s: ClassVar[float] = 20.0
    server_logs: ClassVar[Sequence[str]] = ()
    server_log_cmd: ClassVar[str | None] = None
    server_log_format: ClassVar[str] = "auto"
    server_log_rules: ClassVar[Path | None] = None
    server_log_errors: ClassVar[int] = 0

    def __init__(self, environment: Any) -> None:
        super().__init__(environment)
        self._numbers: Sequence[int] = ()

    @classmethod
    def values(cls) -> dict[str, Any]:
        """Return all settings of the class by attribute name."""
        names = (*(option.attribute for option in options.OPTIONS), *_WITHOUT_OPTION)
        return {name: _plain(cls, name) for name in names}

    def on_start(self) -> None:
        """Start the sessions."""
        self._numbers = roles.lifecycle_of(self.environment).start_sessions()

    def on_stop(self) -> None:
        """Stop the sessions: close 1000, after their last replies."""
        roles.lifecycle_of(self.environment).stop_sessions(self._numbers)

    @task
    def hold(self) -> None:
        """Hold the sessions; the engine does the rest."""


_WITHOUT_OPTION = ("tls_insecure", "max_message_bytes", "ping_interval_s", "ping_timeout_s")
"""Attributes that no option with a value overrides."""


def _plain(cls: type, name: str) -> Any:
    """Return a class attribute as it was written: a function, not a method of the class."""
    for base in cls.__mro__:
        if name in vars(base):
            value = vars(base)[name]
            return value.__func__ if isinstance(value, staticmethod) else value
    raise AttributeError(name)


def _attach(environment: Environment, **_kwargs: Any) -> None:
    roles.attach(environment, WebSocketUser)


events.init_command_line_parser.add_listener(options.add_options)
events.init.add_listener(_attach)
