"""The table of settings as options of Locust's parser.

An option that is not given leaves the user class's attribute unchanged, so the options default to None and
flags to False. Values from the command line, the environment and the web form all arrive as text.
"""

import argparse
import os
from typing import Any

from loadtest.options import LOGIN, SETTINGS, TABLE, overridden
from loadtest.setting import Setting
from loadtest.values import Flag

NOT_IN_WEB_FORM = tuple(row.destination for row in SETTINGS.values() if row.name and not row.in_web_form)
"""Destinations of the options that name files or commands: these keep their values from process start,
whatever a web request says."""

RUN_DESTINATION = "ws_run"
"""Option that carries a run's information from master to workers; Locust sends them all custom options."""


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
    group.add_argument(f"--{RUN_DESTINATION}", dest=RUN_DESTINATION, default="", help=argparse.SUPPRESS)


def _add(group: Any, row: Setting) -> None:
    form: dict[str, Any] = {"metavar": row.kind.metavar, "default": None}
    if isinstance(row.kind, Flag):
        form = {"action": "store_true", "default": False}
    elif row.repeatable:
        form["action"] = "append"
    action = group.add_argument(
        row.option,
        dest=row.destination,
        env_var=row.variable,
        help=f"{row.help} [default: {row.shown_default}]".replace("%", "%%"),
        **form,
    )
    if row.in_web_form:  # set by hand: Locust's parser does not set these on options in a group
        action.include_in_web_ui = True
        action.is_secret = row.secret
        action.is_required = False
        action.is_multiple = False


def forget_overridden_login(options: argparse.Namespace) -> None:
    """Remove the token of the environment if the command line has a token command, or the other way round.

    The parser does not say where a value came from.
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


def given_values(options: argparse.Namespace) -> dict[str, Any]:
    """Return {attribute: value as given} for the options that were given.

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
