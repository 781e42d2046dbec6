"""`loadtest dialect`: commands that help to write a dialect."""

import functools
from pathlib import Path
from typing import Any

import click

from loadtest.cli.setting_options import given_values, named_as_typed, setting_options
from loadtest.cli.shared_options import echo, json_option, print_json


@click.group()
def dialect() -> None:
    """Write a dialect: the protocol of your application over WebSocket.

    See docs/dialects.md. `loadtest dialect check` tries a dialect before its first run.
    """


@dialect.command()
@click.argument("locustfile", type=click.Path(path_type=Path), metavar="LOCUSTFILE")
@click.argument("user_class", required=False, metavar="[USER_CLASS]")
@click.option("--host", metavar="URL", help="ws://HOST[:PORT][/PATH] or wss://…  [default: the user class's]")
@setting_options(
    *(
        "dialect",
        "dialect_options",
        "path",
        "token",
        "token_cmd",
        "token_ttl_s",
        "headers",
        "data",
        "subprotocols",
        "subprotocol_optional",
        "open_timeout_s",
        "reply_timeout_s",
    ),
    *("origin", "compression", "proxy", "tls_ca", "tls_cert", "tls_key", "tls_insecure", "sni"),
)
@json_option
@click.pass_context
def check(
    ctx: click.Context,
    /,
    locustfile: Path,
    user_class: str | None,
    host: str | None,
    as_json: bool,
    **given: Any,
) -> None:
    """Try the dialect of a locustfile, or a bundled one, with one session, and show the conversation.

    The session logs in, connects, sends three requests one after the other, closes, reconnects, resumes,
    sends two more requests and closes. This takes a few seconds and uses the same code as a run. Then you see
    each message with the dialect's interpretation, the problems, and the items that a run with this dialect
    would not judge.

    USER_CLASS is needed only if the locustfile has several. Known and likely secrets are hidden.

    Exit code: 0 the conversation worked, 1 it failed, 2 mistake in the dialect or usage error, 5 the tool
    itself failed.

    \b
    Examples:
      loadtest dialect check chat.py --host ws://127.0.0.1:8000
      loadtest dialect check locustfiles/ws.py --dialect socketio --host ws://127.0.0.1:3000
      loadtest dialect check chat.py --host wss://staging.example.org --path /ws/{session_id}
      LOCUST_WS_TOKEN=… loadtest dialect check chat.py ChatUser --host wss://chat.example.org
      loadtest dialect check chat.py --host ws://127.0.0.1:8000 --json | jq '.findings'
    """
    from loadtest.locust_plugin.check_dialect import check_dialect
    from loadtest.report.dialect_check import print_check

    values = given_values(ctx, given)
    begin = functools.partial(click.echo, err=True)
    with named_as_typed(ctx):
        checked = check_dialect(locustfile, host, values, name=user_class, on_start=begin)
    if as_json:
        print_json(checked.to_json())
    else:
        print_check(checked)
    ctx.exit(checked.exit_code)


@dialect.command("from")
@click.argument("recording", type=click.Path(path_type=Path), metavar="FILE.har")
@click.option(
    "-o",
    "output",
    required=True,
    type=click.Path(path_type=Path),
    metavar="FILE.py",
    help="The new locustfile.",
)
@click.option(
    "--connection",
    "number",
    type=click.IntRange(min=1),
    metavar="N",
    help="Number of the connection, if the recording has several. Without this option they are listed.",
)
@click.option(
    "--format",
    "form",
    type=click.Choice(["auto", "json", "msgpack", "text"]),
    default="auto",
    show_default=True,
    help="Format of the messages.",
)
@json_option
@click.pass_context
def from_recording(
    ctx: click.Context, /, recording: Path, output: Path, number: int | None, form: str, as_json: bool
) -> None:
    """Generate a locustfile from a recorded WebSocket connection.

    Export FILE.har from Chrome or Edge (DevTools), Playwright (a .zip works, too) or mitmproxy. The tool
    infers the meaning of its messages: ids and replies, the established session, pushes, heartbeats, streams.
    The locustfile has a dialect, a script with the recorded pauses, and a comment for each guess. The
    recording is then replayed through the dialect. Tokens, passwords and addresses are removed: give yours
    with --ws-token and --ws-data.

    docs/from-a-recording.md shows how to record and what to check.

    Exit code: 0 the dialect explains at least half of the server's messages, 1 it explains fewer, 2 the
    recording cannot be read or a connection must be chosen.

    \b
    Examples:
      loadtest dialect from chat.har -o locustfile.py
      loadtest dialect from page.har --connection 3 -o locustfile.py
      loadtest dialect from game.zip --format msgpack -o locustfile.py
    """
    from loadtest.capture.conversion import ConnectionNotChosen, converted, write_new

    try:
        conversion = converted(recording, number=number, form=form)
    except ConnectionNotChosen as error:
        for line in error.table:
            echo(line, err=True)
        raise
    write_new(output, conversion.source)
    if as_json:
        print_json(conversion.to_json())
    else:
        for line in conversion.lines(str(output)):
            echo(line)
    ctx.exit(conversion.exit_code)
