"""The fields of the start form: the settings that a web request may change, by group, with their defaults.

Locust's own form shows the same fields as one long list and cannot group them. Both send the same form data
to Locust.
"""

from collections.abc import Sequence
from typing import Any

from msgspec import Struct

from loadtest.options import TABLE
from loadtest.setting import Setting, written
from loadtest.values import Choice, Flag

_WRITTEN = (str, int, float, tuple, list, dict)
"""Values that can be shown; an attribute may also be an object or a function."""


class FormField(Struct, frozen=True, kw_only=True):
    """A field.

    Args:
        name: name in the form data.
        label: label on the page.
        kind: `text`, `secret`, `flag` or `choice`.
        help: its help text.
        default: the value that applies if it is left empty.
        value: its current value; empty for a secret.
        choices: its values, if it is a choice.
    """

    name: str
    label: str
    kind: str = "text"
    help: str = ""
    default: str = ""
    value: str = ""
    choices: Sequence[str] = ()


class FormGroup(Struct, frozen=True):
    """Fields under one heading."""

    title: str
    fields: Sequence[FormField]


class StartForm(Struct, frozen=True, kw_only=True):
    """The start form.

    Args:
        groups: its fields by group; Locust's own first.
        elsewhere: why you have to start runs in Locust's own form; empty if you can start them here.
    """

    groups: Sequence[FormGroup]
    elsewhere: str = ""


def start_form(options: Any, classes: Sequence[Any], host: str | None) -> StartForm:
    """Return the form with its current values.

    Args:
        options: Locust's parsed options.
        classes: the user classes, whose attributes are the defaults.
        host: URL of the server as it is shown; None if it is not known.
    """
    ours = [
        FormGroup(group, [_field(row, options, classes) for row in rows if row.name and row.in_web_form])
        for group, rows in TABLE.items()
    ]
    return StartForm(groups=[_common(options, host), *(group for group in ours if group.fields)])


def _common(options: Any, host: str | None) -> FormGroup:
    """Return Locust's own fields."""
    fields = [
        FormField(name="user_count", label="Locust users", value=str(options.num_users or 1)),
        FormField(name="spawn_rate", label="Users per second", value=f"{options.spawn_rate or 1:g}"),
        FormField(
            name="host",
            label="Host",
            value=host or "",
            default="the reference server, started with the run",
            help="URL of the server: ws://HOST or wss://HOST, with or without a path.",
        ),
        FormField(
            name="run_time",
            label="Run time",
            value=_time(options.run_time),
            default="until stopped",
            help="For example 20, 20s, 3m, 2h or 1h20m.",
        ),
    ]
    return FormGroup("Run", fields)


def _time(given: Any) -> str:
    return f"{given:g}s" if isinstance(given, int | float) else given or ""


def _field(row: Setting, options: Any, classes: Sequence[Any]) -> FormField:
    given = getattr(options, row.destination, None)
    kind = "secret" if row.secret else "flag" if isinstance(row.kind, Flag) else "text"
    choices = row.kind.names if isinstance(row.kind, Choice) else ()
    return FormField(
        name=row.destination,
        label=row.option,
        kind="choice" if choices else kind,
        help=row.help,
        default=_default(row, given, classes),
        value="" if row.secret else written(given) if given not in (None, False) else "",
        choices=choices,
    )


def _default(row: Setting, given: Any, classes: Sequence[Any]) -> str:
    """Return the value that applies if the field is left empty: the user class's, or the one given before."""
    own = {str(getattr(kind, row.attribute, row.default)) for kind in classes}
    if row.secret:
        return "set; leave empty to keep it" if given or own != {str(row.default)} else row.shown_default
    if own == {str(row.default)}:
        return row.shown_default
    if len(own) > 1:
        return "differs by user class"
    value = getattr(classes[0], row.attribute)
    return written(value) if isinstance(value, _WRITTEN) else "set in the user class"
