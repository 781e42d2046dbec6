"""Adds the table of settings to the options of Locust's parser.

An option that is not given leaves the user class's attribute unchanged, so options default to None and flags
to False. Values from the command line, the environment and the web form all arrive as text.
"""

import argparse
import os
import re
from typing import Any, NoReturn

from loadtest.login_options import LOGIN, overridden
from loadtest.options import SETTINGS, TABLE
from loadtest.setting import Setting
from loadtest.text import HIDDEN
from loadtest.transport.target import LOOPBACK
from loadtest.values import Flag

NOT_IN_WEB_FORM = tuple(row.destination for row in SETTINGS.values() if row.name and not row.in_web_form)
"""Destinations of the options that name files or commands: these keep their values from process start,
whatever a web request contains."""

RUN_DESTINATION = "ws_run"
"""Option that carries a run's information from master to workers; Locust sends them all custom options."""

HOST_DESTINATION = "ws_host"
"""Option with the server's URL including its secrets, here and for workers; Locust shows its own `host`."""


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options to Locust's parser."""
    group: Any = parser.add_argument_group(
        "WebSocket options",
        "Each overrides an attribute of the user class. In the environment: LOCUST_WS_… (LOCUST_WS_RATE=2).",
    )
    for rows in TABLE.values():
        for row in rows:
            if row.name:
                _add(group, row)
    for carried in (RUN_DESTINATION, HOST_DESTINATION):
        group.add_argument(f"--{carried}", dest=carried, default="", help=argparse.SUPPRESS)
    _serve_on_loopback(parser)
    _hide_values_of_typos(parser)


def _serve_on_loopback(parser: argparse.ArgumentParser) -> None:
    """Change the default of `--web-host` to this machine only."""
    parser.set_defaults(web_host=LOOPBACK)
    for action in parser._actions:
        if action.dest == "web_host":
            action.help = f"Host to bind the web interface to, '*' for all interfaces [default: {LOOPBACK}]"


_UNKNOWN = "unrecognized arguments: "
_QUOTED = re.compile(
    r"(ambiguous option: [^\s=]*=|ignored explicit argument )(?:.*(?= could match )|.*)", re.DOTALL
)


def _hide_values_of_typos(parser: argparse.ArgumentParser) -> None:
    """Show only the names of unknown options in errors: a misspelled option's value may be a token."""
    say: Any = parser.error

    def error(message: str) -> NoReturn:
        before, unknown, words = message.partition(_UNKNOWN)
        before = _QUOTED.sub(rf"\g<1>{HIDDEN}", before)
        say(before + unknown + " ".join(map(_name_only, words.split())))
        raise AssertionError("the parser's error ends the process")

    parser.error = error  # type: ignore[method-assign]  # the parser is Locust's


def _name_only(word: str) -> str:
    """Return an option without its value; hide a word that may be a value."""
    name, equals, _ = word.partition("=")
    return f"{name}{equals}{HIDDEN if equals else ''}" if name.startswith("--") else HIDDEN


class _Literal(str):
    """Help text that argparse shows unchanged: doubled percent signs would appear in Locust's start form."""

    __slots__ = ()

    def __mod__(self, _: object) -> str:
        return str(self)

    def __add__(self, more: str) -> "_Literal":
        return _Literal(f"{self!s}{more}")


def _add(group: Any, row: Setting) -> None:
    form: dict[str, Any] = {"metavar": row.kind.metavar, "default": None}
    if isinstance(row.kind, Flag):
        form = {"action": "store_true", "default": False}
    elif row.repeatable:
        form["action"] = "append"
    action = group.add_argument(
        *filter(None, (row.option, row.alias)),
        dest=row.destination,
        env_var=row.variable,
        help=_Literal(f"{row.help} [default: {row.shown_default}]"),
        **form,
    )
    if row.in_web_form:  # set by hand: Locust's parser does not set these on options in a group
        action.include_in_web_ui = True
        action.is_secret = row.secret
        action.is_required = False
        action.is_multiple = False


def forget_overridden_login(options: argparse.Namespace) -> None:
    """Remove the token from the environment if the command line has a token command, and vice versa.

    The parser does not record where a value came from.
    """
    typed: dict[str, Any] = {}
    outside: dict[str, Any] = {}
    for row in (SETTINGS[attribute] for attribute in LOGIN):
        value = getattr(options, row.destination, None)
        if value:
            source = outside if os.environ.get(row.variable) == value else typed
            source[row.attribute] = value
    for attribute, value in overridden(outside, typed).items():
        setattr(options, SETTINGS[attribute].destination, value)


def forget_empty_variables(options: argparse.Namespace) -> None:
    """Remove empty variables: with `LOCUST_WS_LIMIT=`, CI services leave an option out."""
    for row in SETTINGS.values():
        if row.name and os.environ.get(row.variable) == "" and getattr(options, row.destination, 0) == [""]:
            setattr(options, row.destination, None)


def given_values(options: argparse.Namespace) -> dict[str, Any]:
    """Return the options that were given, as {attribute: value as given}.

    Raises:
        InvalidSetting: a flag is neither on nor off.
    """
    given: dict[str, Any] = {}
    for attribute, row in SETTINGS.items():
        value = getattr(options, row.destination, None) if row.name else None
        if value in (None, "", []):
            continue
        if isinstance(row.kind, Flag) and not row.read(value):
            continue  # a flag that is not given leaves the attribute unchanged too
        given[attribute] = value
    return given
