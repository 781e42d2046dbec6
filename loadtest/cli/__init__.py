"""The command line: a command parses its options, calls the package, prints the result, and exits.

Exit codes: 0 passed, 1 failed, 2 usage error, 4 inconclusive, 5 the tool itself failed, 130 ended by Ctrl-C.
A `LoadtestError` prints one line and exits with its own code; any other exception is a bug, prints its
traceback and exits with 5. Output that cannot be written (`loadtest list | head`) is dropped. Nothing is
computed here. A command imports its modules only when it runs, so that other commands start fast.
"""

import contextlib
import signal
import traceback
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import click

from loadtest.cli.baseline_commands import baseline
from loadtest.cli.deploy_commands import check_log, probe
from loadtest.cli.dialect_commands import dialect
from loadtest.cli.duel_command import duel
from loadtest.cli.options_command import options_command
from loadtest.cli.run_commands import compare, list_command, report, trend
from loadtest.cli.serve_command import serve
from loadtest.cli.shared_options import echo, write_for_github
from loadtest.errors import LoadtestError
from loadtest.output_streams import complete_output, open_missing_streams
from loadtest.signals import exit_code_of
from loadtest.text import one_line

if TYPE_CHECKING:
    from loadtest.runs.ci_output import CiReport

_ERROR_LENGTH = 8000
"""Characters of an error: names of files, which it may quote, can hold what steers a terminal."""


class _Commands(click.Group):
    def invoke(self, ctx: click.Context) -> Any:
        open_missing_streams()
        ended = None
        with _errors_as_exit_codes(ctx):
            with complete_output():
                try:
                    return super().invoke(ctx)
                except click.exceptions.Exit as error:  # how most commands end: their output must be complete
                    ended = error
            raise ended


@contextlib.contextmanager
def _errors_as_exit_codes(ctx: click.Context) -> Iterator[None]:
    try:
        yield
    except (click.ClickException, click.exceptions.Exit):
        raise  # click handles these itself
    except (KeyboardInterrupt, click.Abort):  # click's own exit code says that something has failed
        click.echo("Aborted!", err=True)
        ctx.exit(exit_code_of(signal.SIGINT))
    except LoadtestError as error:
        echo(f"Error: {one_line(str(error), _ERROR_LENGTH)}", err=True)
        _report_failure(ctx, error)
        ctx.exit(error.exit_code)
    except Exception:
        traceback.print_exc()
        ctx.exit(LoadtestError.exit_code)


def _report_failure(ctx: click.Context, error: LoadtestError) -> None:
    """Report to GitHub Actions that there is no result, if --github was given."""

    def report() -> "CiReport":
        from loadtest.runs.ci_output import nothing_judged

        return nothing_judged(str(error))

    try:
        write_for_github(ctx, report)
    except LoadtestError as problem:
        echo(f"Error: {one_line(str(problem), _ERROR_LENGTH)}", err=True)


@click.group(
    cls=_Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100}
)
@click.version_option(package_name="loadtest-ws", message="%(prog)s %(version)s")
def main() -> None:
    """Test whether a WebSocket server accepts connections, answers, and lets clients reconnect and resume.

    Start a run with Locust: `locust -f locustfiles/ws.py --host wss://staging.example.org`. The commands here
    are for the time before and after a run.
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
