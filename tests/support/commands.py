"""Commands run as a shell would run them, in this process."""

from pathlib import Path

from click.testing import CliRunner, Result

from loadtest.cli import main


def run(*arguments: str | Path) -> Result:
    """Run a command as a shell would, with a narrow terminal."""
    return CliRunner(env={"COLUMNS": "80"}).invoke(
        main, [str(argument) for argument in arguments], prog_name="loadtest"
    )
