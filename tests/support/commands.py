"""Runs `loadtest` commands in this process."""

from pathlib import Path

from click.testing import CliRunner, Result

from loadtest.cli import main


def run(*arguments: str | Path) -> Result:
    """Run a command as from a shell with an 80-column terminal."""
    return CliRunner(env={"COLUMNS": "80"}).invoke(
        main, [str(argument) for argument in arguments], prog_name="loadtest"
    )
