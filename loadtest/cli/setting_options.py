"""Options of commands for settings of a run, made from the table of settings.

Such an option has the name of Locust's option without `ws-`: `--tls-ca` for `--ws-tls-ca`.
"""

import contextlib
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import click
from click.core import ParameterSource

from loadtest.errors import InvalidSetting
from loadtest.login_options import LOGIN, overridden
from loadtest.options import SETTINGS
from loadtest.setting import Setting, written
from loadtest.values import Flag


def setting_options(*attributes: str) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Return a decorator that adds the options of these settings; each has the attribute as its parameter."""

    def decorate(command: Callable[..., None]) -> Callable[..., None]:
        for attribute in reversed(attributes):  # click lists the last one first
            command = setting_option(attribute)(command)
        return command

    return decorate


def setting_option(
    attribute: str, default_text: str = ""
) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Return a decorator that adds the option of a setting.

    Its value is None, () or False unless it is given. Credentials and other secrets may also come from the
    environment.

    Args:
        attribute: attribute of the setting and name of the parameter.
        default_text: the command's own default, for the help; the setting's unless given.
    """
    row = SETTINGS[attribute]
    form: dict[str, Any] = {"metavar": row.kind.metavar, "multiple": row.repeatable}
    if isinstance(row.kind, Flag):
        form = {"is_flag": True}
    elif (row.secret or attribute in LOGIN) and not row.repeatable:
        form |= {"envvar": row.variable, "show_envvar": True}
    default = default_text or row.default_text or written(row.default)
    shown = f"  [default: {default}]" if default and "metavar" in form else ""
    repeatable = " Repeatable." if row.repeatable else ""
    return click.option(_typed(row), attribute, help=f"{row.help}{repeatable}{shown}", **form)


def given_values(ctx: click.Context, values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the values that were given; options override the environment."""
    given = {name: value for name, value in values.items() if value}
    outside = {name for name in given if ctx.get_parameter_source(name) is ParameterSource.ENVIRONMENT}
    typed = {name: value for name, value in given.items() if name not in outside}
    return overridden({name: given[name] for name in outside}, typed)


@contextlib.contextmanager
def named_as_typed(ctx: click.Context) -> Iterator[None]:
    """Make errors about a setting name the command's option."""
    options = {option for parameter in ctx.command.params for option in parameter.opts}
    names = {row.option: _typed(row) for row in SETTINGS.values() if row.name and _typed(row) in options}
    try:
        yield
    except InvalidSetting as error:
        option, problem, hint = (
            " ".join(names.get(word, word) for word in text.split(" "))
            for text in (error.option, error.problem, error.hint)
        )
        raise InvalidSetting(option, error.value, problem, hint) from None


def _typed(row: Setting) -> str:
    return f"--{row.name}"
