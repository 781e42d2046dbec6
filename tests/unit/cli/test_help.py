"""The help of every command."""

from collections.abc import Iterator

import click
import pytest

from loadtest.cli import main
from tests.support.commands import run

# Help.


def commands(group: click.Group, *names: str) -> Iterator[tuple[str, ...]]:
    """Yield the words that lead to every command."""
    yield names
    for name, command in group.commands.items():
        if isinstance(command, click.Group):
            yield from commands(command, *names, name)
        else:
            yield (*names, name)


@pytest.mark.parametrize("words", list(commands(main)), ids=" ".join)
@pytest.mark.parametrize("option", ["--help", "-h"])
def test_every_command_has_a_help_that_fits(words: tuple[str, ...], option: str) -> None:
    """Every command says what it does, within a terminal's width, and succeeds."""
    result = run(*words, option)
    assert result.exit_code == 0
    assert "Usage:" in result.output
    assert len(result.output.splitlines()) > 5
    assert all(len(line) <= 100 for line in result.output.splitlines())


@pytest.mark.parametrize("name", ["list", "report", "compare", "serve"])
def test_help_teaches_by_examples(name: str) -> None:
    """Each command shows a line that can be typed."""
    assert f"  loadtest {name}" in run(name, "--help").output


@pytest.mark.parametrize("words", list(commands(main)), ids=" ".join)
def test_examples_in_the_help_use_options_that_exist(words: tuple[str, ...]) -> None:
    """No example has grown stale: every option in one is an option of its command."""
    command: click.Command = main
    for word in words:
        assert isinstance(command, click.Group)
        command = command.commands[word]
    known = {text for parameter in command.params for text in parameter.opts}
    for line in (command.help or "").splitlines():
        if f"loadtest {' '.join(words)} " in f"{line} ":
            used = line.partition("|")[0].split()
            assert {word for word in used if word.startswith("--")} <= known, line
