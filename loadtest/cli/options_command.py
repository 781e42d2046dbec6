"""`loadtest options`: list the settings of a run."""

from collections.abc import Iterator
from typing import Any

import click

from loadtest.cli.shared_options import json_option, print_json
from loadtest.dialects.bundled import Described, described
from loadtest.options import TABLE
from loadtest.setting import Setting


@click.command("options")
@json_option
def options_command(as_json: bool) -> None:
    """Show the settings of a run: the --ws-... options for Locust, which Locust's own --help does not list.

    Set them on Locust's command line, in the environment (LOCUST_WS_RATE=2), in Locust's web form, or as
    attributes of the WebSocketUser class in your locustfile. Options override the environment, and both
    override attributes.

    The bundled dialects follow, each with its options for --ws-dialect-option.

    \b
    Examples:
      loadtest options
      loadtest options --json | jq -r '.[] | select(.group == "Load") | .option'
    """
    if as_json:
        print_json([_document(group, setting) for group, rows in TABLE.items() for setting in rows])
        return
    for group, rows in TABLE.items():
        click.secho(f"{group}:", bold=True)
        for setting in rows:
            click.echo("\n".join(_lines(setting)))
        click.echo()
    for dialect in described():
        click.secho(f"Options of --ws-dialect {dialect.name} ({dialect.speaks}):", bold=True)
        click.echo("\n".join(_dialect_lines(dialect)))
        click.echo()


def _lines(setting: Setting) -> Iterator[str]:
    if setting.name:
        repeatable = " (repeatable)" if setting.repeatable else ""
        yield f"  {setting.option} {setting.kind.metavar}".rstrip() + repeatable
    else:
        yield f"  {setting.attribute} (class attribute only)"
    yield f"      {setting.help}"
    allowed = f"Allowed: {setting.allowed}. " if setting.allowed else ""
    yield f"      {allowed}Default: {setting.shown_default}."
    if setting.name:
        yield f"      Environment: {setting.variable}. Attribute: {setting.attribute}."


def _dialect_lines(dialect: Described) -> Iterator[str]:
    if dialect.extra:
        yield f"  Requires: pip install 'loadtest-ws[{dialect.extra}]'"
    if not dialect.options:
        yield "  none"
    for option in dialect.options:
        yield f"  --ws-dialect-option {option.name}={option.metavar}"
        yield f"      {option.help}"
        allowed = f"Allowed: {option.allowed}. " if option.allowed else ""
        yield f"      {allowed}Default: {option.default or 'none'}."


def _document(group: str, setting: Setting) -> dict[str, Any]:
    return {
        "option": setting.option if setting.name else None,
        "environment": setting.variable or None,
        "attribute": setting.attribute,
        "group": group,
        "help": setting.help,
        "allowed": setting.allowed,
        "default": setting.default,
        "default_text": setting.shown_default,
        "repeatable": setting.repeatable,
        "secret": setting.secret,
        "in_web_form": bool(setting.name) and setting.in_web_form,
        "in_plan": setting.in_plan,
        **({"dialects": list(described())} if setting.attribute == "dialect_options" else {}),
    }
