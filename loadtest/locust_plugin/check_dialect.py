"""`loadtest dialect check`: one conversation with the server, to test the dialect of a locustfile.

It uses and checks the same settings as a run. One scripted session (`loadtest.engine.scripted_session`) does
what a run does with many sessions and plans.
"""

import os
import secrets
import shlex
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from loadtest.command_lines import public_command
from loadtest.dialects.base import Dialect
from loadtest.engine.conversation import Conversation
from loadtest.engine.scripted_session import ScriptedSession
from loadtest.errors import InvalidSetting, UsageError
from loadtest.locust_plugin.gevent_bridge import GeventCalls, start_native_thread
from loadtest.locust_plugin.load_locustfile import user_class
from loadtest.locust_plugin.load_settings import LoadSettings, load_settings
from loadtest.locust_plugin.token_command import check_token_command, with_token
from loadtest.login_options import overridden
from loadtest.options import SETTINGS
from loadtest.report.dialect_check import DialectCheck
from loadtest.scrubber import without_secrets
from loadtest.setting import Setting, written
from loadtest.text import HIDDEN
from loadtest.transport.target import URL_FORM
from loadtest.values import FilePath, Flag

RUN = ("--headless", "-u", "1", "-t", "60s")
"""Options of the suggested next run: a minute of one user's sessions is enough to judge every item."""


def check_dialect(
    locustfile: Path,
    host: str | None,
    values: Mapping[str, Any],
    *,
    name: str | None = None,
    on_start: Callable[[str], None] = lambda _: None,
) -> DialectCheck:
    """Hold a conversation with the dialect of a locustfile's user class.

    Args:
        locustfile: the file.
        host: the server's URL; None for the user class's.
        values: attributes of `WebSocketUser` that replace the class's.
        name: name of the user class; None for the only one.
        on_start: called with a line about the conversation, after all settings have been checked.

    Raises:
        UsageError: the locustfile has no such class, there is no host, or a setting is wrong.
        LoadtestError: the tool itself failed.
    """
    if not locustfile.is_file():
        raise InvalidSetting("LOCUSTFILE", str(locustfile), "must be a file")
    if locustfile.suffix == ".toml":
        raise UsageError(_of_template(locustfile, host))
    kind = user_class(locustfile, name)
    url = host or kind.host
    if not url:
        raise UsageError(f"--host must be given: {URL_FORM}")
    all_values = overridden(kind.values(), values)
    settings = load_settings(all_values, url)
    check_token_command(settings.token)
    dialect, target = settings.engine.config.dialect, str(settings.engine.target)
    on_start(f"checking {type(dialect).__name__} against {target}")
    command = ("locust", "-f", str(locustfile), *_options(host, values), *RUN, *filter(None, (name,)))
    return DialectCheck(
        conversation=_conversation(settings),
        dialect=dialect,
        target=target,
        run=without_secrets(shlex.join(command), settings.secrets),
        lacks_token=_lacks_token(dialect, all_values),
    )


def _of_template(file: Path, host: str | None) -> str:
    """Return what to do about the file of a protocol in place of a locustfile."""
    options = (
        "--dialect",
        "template",
        "--dialect-option",
        f"file={file}",
        "--host",
        host or "ws://HOST:PORT",
    )
    command = shlex.join(("loadtest", "dialect", "check", "locustfiles/ws.py", *options))
    return f"{file} is not a locustfile. To check a protocol for the dialect template, run: {command}"


def _lacks_token(dialect: Dialect, values: Mapping[str, Any]) -> bool:
    """Return whether the path has a place for a token and nothing can give one."""
    given = values["token"] or values["token_cmd"] or dialect.overrides("login")
    return "{token}" in dialect.path and not given


def _conversation(settings: LoadSettings) -> Conversation:
    """Hold the conversation; the token command runs in this thread meanwhile."""
    failures: list[BaseException] = []
    calls = GeventCalls(failures.append)
    engine, command = with_token(settings, calls)
    scripted = ScriptedSession(
        engine,
        run_id=secrets.token_hex(4),
        start_thread=start_native_thread,
        start_blocking=calls.start,
    )
    try:
        held = scripted.hold(settings.secrets)
    finally:
        if command is not None:
            command.close()
        calls.close()
    if failures:
        raise failures[0]
    return held


def _options(host: str | None, values: Mapping[str, Any]) -> Iterator[str]:
    """Yield the options of a run that correspond to those of the check, without the values of secrets."""
    if host is not None:
        yield from ("--host", host)
    for attribute, value in values.items():
        row = SETTINGS[attribute]
        outside = os.environ.get(row.variable)
        for one in value if row.repeatable else filter(None, (value,)):
            if outside and (row.secret or one == outside):
                continue  # Locust reads it too
            yield row.option
            if not isinstance(row.kind, Flag):
                yield _public(row, one)


def _public(row: Setting, value: Any) -> str:
    if row.attribute == "headers":
        return f"{str(value).partition(':')[0].strip()}: …"
    if row.secret and not isinstance(row.kind, FilePath):
        return HIDDEN
    return public_command(value) if row.attribute == "token_cmd" else written(value)
