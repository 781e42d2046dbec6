"""Options of commands that are made from the table of settings."""

import click
import pytest
from click.testing import CliRunner

from loadtest.cli import main
from loadtest.cli.setting_options import given_values, named_as_typed, setting_options
from loadtest.errors import InvalidSetting
from loadtest.options import SETTINGS


@click.command()
@setting_options("path", "headers", "tls_insecure", "token", "token_cmd", "token_ttl_s")
@click.option("--refused", default="--ws-path")
@click.pass_context
def command(ctx: click.Context, /, refused: str, **values: object) -> None:
    """Show the values, or refuse one."""
    click.echo(repr(sorted(given_values(ctx, values).items(), key=str)))
    with named_as_typed(ctx):
        raise InvalidSetting(refused, "x", "is wrong", "Use --ws-header or --ws-rate")


@pytest.mark.parametrize(
    ("words", "values"),
    [
        ([], []),
        (
            ["--path", "/x", "--header", "A: 1", "--header", "B: 2", "--tls-insecure", "--token", "t"],
            [
                *(("headers", ("A: 1", "B: 2")), ("path", "/x"), ("tls_insecure", True), ("token", "t")),
                *(("token_cmd", None), ("token_ttl_s", None)),
            ],
        ),
    ],
)
def test_values_are_as_the_row_says(words: list[str], values: object) -> None:
    """One, several, or a flag; named by the attribute."""
    assert CliRunner().invoke(command, words).output == f"{values}\n"


def test_a_secret_may_be_in_the_environment() -> None:
    """Where other users of the machine cannot read it."""
    told = CliRunner().invoke(command, env={"LOCUST_WS_TOKEN": "from outside", "LOCUST_WS_PATH": "/no"})
    assert "('token', 'from outside')" in told.output
    assert "'path'" not in told.output


def test_the_token_command_may_be_in_the_environment() -> None:
    """As for a run; what is typed overrides it, and then nothing of it is left."""
    outside = {"LOCUST_WS_TOKEN_CMD": "print-token", "LOCUST_WS_TOKEN_TTL": "50"}
    told = CliRunner().invoke(command, env=outside)
    assert told.output == "[('token_cmd', 'print-token'), ('token_ttl_s', '50')]\n"
    told = CliRunner().invoke(command, ["--token", "t"], env=outside)
    assert told.output == "[('token', 't'), ('token_cmd', None), ('token_ttl_s', None)]\n"
    told = CliRunner().invoke(command, ["--token-cmd", "x"], env={"LOCUST_WS_TOKEN": "t"})
    assert told.output == "[('token', None), ('token_cmd', 'x')]\n"


def test_errors_name_options_as_typed() -> None:
    """Those that the command has; others keep Locust's names."""
    raised = CliRunner().invoke(command).exception
    assert str(raised) == "--path is wrong (got 'x'). Use --header or --ws-rate"
    raised = CliRunner().invoke(command, ["--refused", "--ws-rate"]).exception
    assert str(raised).startswith("--ws-rate is wrong")


def test_the_help_is_the_rows() -> None:
    """With the default, if there is one."""
    told = " ".join(CliRunner().invoke(command, ["--help"], terminal_width=100).output.split())
    assert f"{SETTINGS['path'].help} [default: the dialect's]" in told
    assert (
        "--header NAME:VALUE Header to add to each upgrade request. A name may occur more than once, but "
        "of Host, Origin, User-Agent and Authorization only the last one is sent. Repeatable. --tls-insecure"
        in told
    )


def test_the_margins_of_a_duel_are_those_of_a_run() -> None:
    """Its help names the same defaults."""
    told = " ".join(CliRunner().invoke(main, ["duel", "--help"], terminal_width=100).output.split())
    assert f"[default: {SETTINGS['margins'].shown_default}]" in told
