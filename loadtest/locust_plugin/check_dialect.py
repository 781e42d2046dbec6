"""`loadtest dialect check`: a locustfile's dialect holds one conversation with the server.

The settings are those of a run, checked as for a run; what a run does with many sessions by plans, one
session does here by a script (`loadtest.engine.scripted_session`).
"""

import os
import secrets
import shlex
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from loadtest.command_lines import public_command
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
"""Of the run to go on with: a minute of one user's sessions is enough to judge every item."""


def check_dialect(
    locustfile: Path,
    host: str | None,
    values: Mapping[str, Any],
    *,
    name: str | None = None,
    on_start: Callable[[str], None] = lambda _: None,
) -> DialectCheck:
    """Hold a conversation by the dialect of a locustfile's user class.

    Args:
        locustfile: the file.
        host: the server's URL; None for the user class's.
        values: attributes of `WebSocketUser` that replace the class's.
        name: of the user class; None for the only one.
        on_start: called with a line about what begins, once nothing is left to refuse.

    Raises:
        UsageError: the locustfile has no such class, there is no host, or a setting is wrong.
        LoadtestError: the tool itself failed.
    """
    if not locustfile.is_file():
        raise InvalidSetting("LOCUSTFILE", str(locustfile), "must be a file")
    kind = user_class(locustfile, name)
    url = host or kind.host
    if not url:
        raise UsageError(f"--host must be given: {URL_FORM}")
    settings = load_settings(overridden(kind.values(), values), url)
    check_token_command(settings.token)
    dialect, target = settings.engine.config.dialect, str(settings.engine.target)
    on_start(f"checking {type(dialect).__name__} against {target}")
    command = ("locust", "-f", str(locustfile), *_options(host, values), *RUN, *filter(None, (name,)))
    return DialectCheck(
        conversation=_conversation(settings),
        dialect=dialect,
        target=target,
        run=without_secrets(shlex.join(command), settings.secrets),
    )


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
    """Yield the options of a run for those of the check; secrets are left to the user to fill in."""
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
