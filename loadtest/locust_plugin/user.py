"""`WebSocketUser`: the class that locustfiles subclass.

A user holds sessions. The engine's thread does all their work; the user's greenlet only starts and stops them
and sleeps in between. A user may also have ordinary tasks, for example HTTP requests. Its `async def` tasks
are a script, which each of its sessions runs (`loadtest.locust_plugin.scripts`).
"""

import functools
import inspect
import textwrap
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, TypeVar

from locust import User, constant, events, task
from locust.env import Environment

from loadtest.dialects.base import Dialect
from loadtest.drops.plan import DropPlan
from loadtest.locust_plugin import admission, roles
from loadtest.locust_plugin.master_address import prepare
from loadtest.locust_plugin.parser import add_options
from loadtest.locust_plugin.scripts import ON_START, has_script, is_script, script_of
from loadtest.options import SETTINGS
from loadtest.session.schedule import Backoff
from loadtest.session.script import Script

HOLD_S = 3600.0
"""How long the task `hold` sleeps at a time."""

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
    wait_time = constant(HOLD_S)

    # For type checkers and editors; the values come from the table of settings.
    dialect: ClassVar[str | type[Dialect] | Dialect]
    dialect_options: ClassVar[str | Sequence[str]]
    path: ClassVar[str | None]
    token: ClassVar[str | Callable[[], str | Awaitable[str | None] | None] | None]
    token_cmd: ClassVar[str | None]
    token_ttl_s: ClassVar[float | None]
    headers: ClassVar[Mapping[str, str] | Sequence[tuple[str, str]]]
    origin: ClassVar[str | None]
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
    locust_events: ClassVar[bool]
    drop_every_s: ClassVar[float]
    drops: ClassVar[str | Mapping[str, float] | DropPlan | None]
    storms: ClassVar[str | Sequence[str]]
    drills: ClassVar[str | Sequence[str]]
    drill_window_s: ClassVar[float]
    backoff: ClassVar[str | Backoff]
    open_timeout_s: ClassVar[float]
    compression: ClassVar[str]
    ping_interval_s: ClassVar[float]
    ping_timeout_s: ClassVar[float]
    proxy: ClassVar[str | None]
    connect_concurrency: ClassVar[int]
    source_ips: ClassVar[str | Sequence[str]]
    tls_ca: ClassVar[str | Path | None]
    tls_cert: ClassVar[str | Path | None]
    tls_key: ClassVar[str | Path | None]
    tls_insecure: ClassVar[bool]
    sni: ClassVar[str | None]
    max_message_bytes: ClassVar[int]
    max_messages_per_s: ClassVar[int]
    max_frames_per_s: ClassVar[int]
    max_bytes_per_s: ClassVar[int]
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
    prometheus_port: ClassVar[int | None]
    github: ClassVar[bool]
    summary_file: ClassVar[str | Path | None]
    junit_file: ClassVar[str | Path | None]
    inconclusive_exit: ClassVar[int]

    scripted = False
    """Whether the class has asynchronous tasks, which its sessions run; `--tags` may leave none of them."""

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        cls.scripted = has_script(cls)
        if inspect.iscoroutinefunction(vars(cls).get("on_start")):
            setattr(cls, ON_START, cls.on_start)
            del cls.on_start
        for hook, own in (("on_start", "_start"), ("on_stop", "_stop")):
            if hook in vars(cls):
                setattr(cls, hook, _followed_by(vars(cls)[hook], own))

    def __init__(self, environment: Any) -> None:
        super().__init__(environment)
        self._numbers: Sequence[int] | None = None  # of the sessions, once they were started
        if self.scripted:  # Locust must not run these tasks; its class keeps them, for --tags and --list
            self.tasks = [task for task in self.tasks if not is_script(task)]
            if self.tasks in ([], [WebSocketUser.hold]):
                self.tasks = [WebSocketUser.hold]
                vars(self)["wait_time"] = lambda: HOLD_S

    @classmethod
    def values(cls) -> dict[str, Any]:
        """Return all settings of the class by attribute name; with a script, no other messages by default."""
        values = {name: _plain(cls, name) for name in SETTINGS}
        below = cls.__mro__[: cls.__mro__.index(WebSocketUser)]
        if cls.scripted and not any("rate" in vars(kind) for kind in below):
            values["rate"] = 0.0
        return values

    @classmethod
    def script(cls) -> Script | None:
        """Return the script of the class, as far as `--tags` leaves it; None if it has none.

        Raises:
            UsageError: a task has an invalid form, or none is left.
        """
        return script_of(cls, WebSocketUser)

    def on_start(self) -> None:
        """Start the sessions."""
        self._start()

    def on_stop(self) -> None:
        """Stop the sessions: wait for their last replies, then close with 1000."""
        self._stop()

    def _start(self) -> None:
        if self._numbers is None:
            self._numbers = roles.lifecycle_of(self.environment).start_sessions(self)

    def _stop(self) -> None:
        numbers, self._numbers = self._numbers or (), ()
        roles.lifecycle_of(self.environment).stop_sessions(numbers)

    @task
    def hold(self) -> None:
        """Hold the sessions; the engine does the rest."""


def _followed_by(hook: Callable[[Any], Any], own: str) -> Callable[[Any], Any]:
    """Return a subclass's hook that also calls the base's, because subclasses often forget to."""
    if inspect.iscoroutinefunction(hook):
        return hook  # refused later, with the class's name

    @functools.wraps(hook)
    def both(self: Any) -> None:
        hook(self)
        getattr(self, own)()

    return both


def _plain(cls: type, name: str) -> Any:
    """Return a class attribute as written in the class body: a function, not a bound method."""
    for base in cls.__mro__:
        if name in vars(base):
            value = vars(base)[name]
            return value.__func__ if isinstance(value, staticmethod) else value
    raise AttributeError(name)


def _attach(environment: Environment, **_kwargs: Any) -> None:
    roles.attach(environment, WebSocketUser)


def _prepare(parser: Any, **_kwargs: Any) -> None:
    add_options(parser)
    prepare(parser)


admission.install()
events.init_command_line_parser.add_listener(_prepare)
events.init.add_listener(_attach)
