"""The --ws-… options: one table, from which the parser, the environment names and the web form are made.

An option that is not given leaves the attribute of the user class as it is, so every option's default is
None. Values from the command line, the environment and the web form all arrive as text and are converted
here, once.
"""

import argparse
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from loadtest.errors import InvalidSetting


def _flag(text: object) -> bool:
    return text is True or str(text).lower() in ("true", "1", "yes", "on")


def header(text: str) -> tuple[str, str]:
    """Return name and value of a header that is written NAME:VALUE.

    Raises:
        ValueError: it is not.
    """
    name, colon, value = text.partition(":")
    if not colon or not name.strip():
        raise ValueError("no colon")
    return name.strip(), value.strip()


@dataclass(frozen=True, slots=True)
class Option:
    """One option.

    Args:
        name: without the prefix.
        attribute: of the user class that it overrides.
        convert: from text; a ValueError says that the text is wrong.
        metavar: of its value in the help.
        help: what it does; the default is that of the attribute.
        wanted: what a value must be, for the error.
        secret: whether its value is masked in the web form and kept out of every file.
        repeatable: whether it can be given more than once.
        in_web_form: whether it is shown there. What reads this machine's files or runs programs on it is not:
            such settings are those of the process's start, whatever a web request says.
    """

    name: str
    attribute: str
    convert: Callable[[str], Any]
    metavar: str
    help: str
    wanted: str = "text"
    secret: bool = False
    repeatable: bool = False
    in_web_form: bool = True

    @property
    def variable(self) -> str:
        """The name in the environment."""
        return f"LOCUST_WS_{self.name.replace('-', '_').upper()}"

    @property
    def destination(self) -> str:
        """The name in Locust's parsed options."""
        return f"ws_{self.name.replace('-', '_')}"

    def value(self, given: object) -> Any:
        """Convert what was given.

        Raises:
            InvalidSetting: it is no such value.
        """
        texts: list[Any] = given if isinstance(given, list) else [given]
        try:
            values = [self.convert(text) for text in texts]
        except (ValueError, TypeError):
            shown = "(hidden)" if self.secret else given
            hint = f"--ws-{self.name} takes {self.wanted}"
            raise InvalidSetting(f"--ws-{self.name}", shown, f"is not {self.wanted}", hint) from None
        return tuple(values) if self.repeatable else values[-1]


OPTIONS: tuple[Option, ...] = (
    Option("dialect", "dialect", str, "NAME", "What the server speaks: emergence, echo, or one of your own"),
    Option("path", "path", str, "PATH", "Path and query of the WebSocket endpoint (default: the dialect's)"),
    Option("token", "token", str, "TOKEN", "Token to log in with; asked for at every attempt", secret=True),
    Option("sessions", "sessions", int, "N", "WebSocket sessions each user holds (default 20)", "a number"),
    Option("rate", "rate", float, "R", "Messages a second and session; 0 for none (default 1)", "a number"),
    Option(
        "arrivals", "arrivals", str, "KIND", "constant (default), poisson, or closed: the next on the reply"
    ),
    Option("in-flight", "in_flight", int, "N", "Requests a session may have under way; 0: any", "a number"),
    Option(
        "message-bytes", "message_bytes", int, "N", "About how long a request is (default 64)", "a number"
    ),
    Option(
        "drop-every",
        "drop_every_s",
        float,
        "SECONDS",
        "Mean time a session is up before it is dropped; 0 for no drops (default 20)",
        "seconds",
    ),
    Option(
        "drops", "drops", str, "KIND=WEIGHT,…", "Kinds of drops and how often each (default: seven kinds)"
    ),
    Option(
        "storm",
        "storms",
        str,
        "SHARE@SECONDS[:KIND]",
        "Drop a share of all sessions at one moment of the run: 0.5@30, or 0.5@30:fin (kind: reset by "
        "default); repeatable",
        repeatable=True,
    ),
    Option(
        "backoff",
        "backoff",
        str,
        "POLICY",
        "none, constant(S) or exponential(base=1,factor=2,cap=8,jitter=none,max_attempts=50)",
    ),
    Option("reply-timeout", "reply_timeout_s", float, "SECONDS", "For a reply (default 10)", "seconds"),
    Option("open-timeout", "open_timeout_s", float, "SECONDS", "For connecting (default 10)", "seconds"),
    Option("seed", "seed", int, "N", "Of the drop plan and the arrivals (default 1)", "a whole number"),
    Option("warmup", "warmup_s", float, "SECONDS", "Left out of latency at the start (default 3)", "seconds"),
    Option("revision", "revision", str, "NAME", "Version of the server under test (default: git describe)"),
    Option(
        "baseline",
        "baseline",
        str,
        "RUN",
        "Run directory or revision to compare with, or none",
        in_web_form=False,
    ),
    Option(
        "margin",
        "margins",
        str,
        "QUANTILE=SHARE%[/TIMEms]",
        "How much slower than the baseline is still unchanged at p50, p90, p99 or outage: a share in "
        "percent, a time (p99=2ms), or the larger of both (default: 5, 10, 20, 20 percent, all 0.2ms); "
        "repeatable",
        repeatable=True,
    ),
    Option(
        "results", "results", Path, "DIR", "Where run directories go (default: results)", in_web_form=False
    ),
    Option(
        "header",
        "headers",
        header,
        "NAME:VALUE",
        "Added to each upgrade request; repeatable",
        "NAME:VALUE",
        secret=True,
        repeatable=True,
    ),
    Option("subprotocol", "subprotocols", str, "NAME", "Offered to the server; repeatable", repeatable=True),
    Option("tls-ca", "tls_ca", Path, "FILE", "Certificates to trust (PEM)", in_web_form=False),
    Option("tls-cert", "tls_cert", Path, "FILE", "Client certificate (PEM)", in_web_form=False),
    Option("tls-key", "tls_key", Path, "FILE", "Its private key (PEM)", in_web_form=False),
    Option(
        "source-ip",
        "source_ips",
        str,
        "IP",
        "Local addresses to connect from, in turn: IP, FIRST-LAST or NETWORK/BITS; repeatable",
        repeatable=True,
    ),
    Option("connect-concurrency", "connect_concurrency", int, "N", "Attempts at a time (256)", "a number"),
    Option(
        "server-log",
        "server_logs",
        str,
        "FILE",
        "The server's log, followed from the run's start and judged; - for standard input; repeatable",
        repeatable=True,
        in_web_form=False,
    ),
    Option(
        "server-log-cmd",
        "server_log_cmd",
        str,
        "COMMAND",
        "Prints the server's log: 'docker logs -f --tail 0 NAME'; ended with the run. One that ends by "
        "itself ('gcloud logging read … --format=json') is run again when the run is over",
        in_web_form=False,
    ),
    Option(
        "server-log-format",
        "server_log_format",
        str,
        "FORMAT",
        "auto (default), json, or a format string of Python's logging",
        in_web_form=False,
    ),
    Option(
        "server-log-rules",
        "server_log_rules",
        Path,
        "FILE",
        "Your own rules of what log records mean (TOML; see loadtest check-log --help)",
        in_web_form=False,
    ),
    Option(
        "server-log-errors",
        "server_log_errors",
        int,
        "N",
        "Real errors in the log that are let pass (default 0)",
        "a number",
        in_web_form=False,
    ),
)

NOT_IN_WEB_FORM = tuple(option.destination for option in OPTIONS if not option.in_web_form)
"""Where Locust's parsed options hold what names files and commands: these stay those of the process's start,
whatever a web request says."""

RUN_DESTINATION = "ws_run"
"""Where a master puts what its workers must know of a run; Locust sends all custom options to them."""


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options to Locust's parser."""
    group: Any = parser.add_argument_group(
        "WebSocket options",
        "Each overrides an attribute of the user class. In the environment: LOCUST_WS_… (LOCUST_WS_RATE=2).",
    )
    for option in OPTIONS:
        action = group.add_argument(
            f"--ws-{option.name}",
            dest=option.destination,
            metavar=option.metavar,
            help=option.help,
            env_var=option.variable,
            default=None,
            **({"action": "append"} if option.repeatable else {}),
        )
        if option.in_web_form:
            _show_in_web_form(action, secret=option.secret)
    action = group.add_argument(
        "--ws-tls-insecure",
        dest="ws_tls_insecure",
        action="store_true",
        default=False,
        help="Accept any server certificate",
        env_var="LOCUST_WS_TLS_INSECURE",
    )
    _show_in_web_form(action, secret=False)
    group.add_argument(f"--{RUN_DESTINATION}", dest=RUN_DESTINATION, default="", help=argparse.SUPPRESS)


def _show_in_web_form(action: Any, *, secret: bool) -> None:
    """Mark an option as Locust's parser marks its own, which it does not for those of a group."""
    action.include_in_web_ui = True
    action.is_secret = secret
    action.is_required = False
    action.is_multiple = False


@contextmanager
def named_as_options() -> Iterator[None]:
    """Name a bad setting by its option, as a person types it; lower layers know no options.

    Raises:
        InvalidSetting: with the option's name, where there is such an option.
    """
    try:
        yield
    except InvalidSetting as error:
        if error.name not in {option.name for option in OPTIONS}:
            raise
        raise InvalidSetting(f"--ws-{error.name}", error.value, error.problem, error.hint) from error


def given_values(options: argparse.Namespace) -> dict[str, Any]:
    """Return {attribute: value} for the options that were given.

    Raises:
        InvalidSetting: a value is not what the option takes.
    """
    given: dict[str, Any] = {}
    for option in OPTIONS:
        text = getattr(options, option.destination, None)
        if text not in (None, "", []):
            given[option.attribute] = option.value(text)
    if _flag(getattr(options, "ws_tls_insecure", False)):
        given["tls_insecure"] = True
    return given
