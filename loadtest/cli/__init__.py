"""The command line: each command parses its options, calls the package, prints the result, and exits.

Exit codes: 0 passed, 1 failed, 2 usage error, 4 inconclusive, 5 the tool itself failed. A `LoadtestError`
prints one line and exits with its own code; any other exception is a defect, prints its traceback and exits
with 5. Nothing is computed here. A command imports what it needs only when it runs, so that the others start
fast.
"""

import contextlib
import traceback
from collections.abc import Iterator
from typing import Any

import click

from loadtest.cli.baseline_commands import baseline
from loadtest.cli.deploy_commands import check_log, probe
from loadtest.cli.dialect_commands import dialect
from loadtest.cli.duel_command import duel
from loadtest.cli.options_command import options_command
from loadtest.cli.run_commands import compare, list_command, report, trend
from loadtest.cli.serve_command import serve
from loadtest.errors import LoadtestError


class _Commands(click.Group):
    def invoke(self, ctx: click.Context) -> Any:
        with _errors_as_exit_codes(ctx):
            return super().invoke(ctx)


@contextlib.contextmanager
def _errors_as_exit_codes(ctx: click.Context) -> Iterator[None]:
    try:
        yield
    except (click.ClickException, click.Abort, click.exceptions.Exit, BrokenPipeError):
        raise  # click handles these itself
    except LoadtestError as error:
        click.echo(f"Error: {error}", err=True)
        ctx.exit(error.exit_code)
    except Exception:
        traceback.print_exc()
        ctx.exit(LoadtestError.exit_code)


@click.group(
    cls=_Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100}
)
@click.version_option(package_name="loadtest-ws", message="%(prog)s %(version)s")
def main() -> None:
    """Test whether a WebSocket server still connects, answers, takes clients back and remembers them.

    Load comes from Locust: `locust -f locustfiles/ws.py --host wss://staging.example.org`. The commands here
    are for what comes before and after a run.
    """


for _command in (
    serve,
    probe,
    dialect,
    list_command,
    report,
    compare,
    duel,
    baseline,
    trend,
    check_log,
    options_command,
):
    main.add_command(_command)
