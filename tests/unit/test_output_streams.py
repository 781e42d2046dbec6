"""Output that cannot be written any more: it is dropped, and what follows goes on."""

from __future__ import annotations

import errno
import io
import logging
import os
import sys

import click
import pytest

from loadtest.cli import main
from loadtest.errors import LoadtestError
from loadtest.output_streams import DroppingStream, complete_output, open_missing_streams


class Broken(io.StringIO):
    """A stream that raises this error whenever it is written."""

    def __init__(self, number: int) -> None:
        super().__init__()
        self.number = number

    def write(self, _text: str) -> int:
        """Fail."""
        raise OSError(self.number, "the system's words")

    def flush(self) -> None:
        """Fail."""
        raise OSError(self.number, "the system's words")


@pytest.mark.parametrize(("number", "problem"), [(errno.EPIPE, None), (errno.ENOSPC, "the system's words")])
def test_a_stream_that_breaks_raises_nothing(number: int, problem: str | None) -> None:
    """A reader that has gone needs no word; a full disk is a problem to tell."""
    stream = DroppingStream(Broken(number))
    assert stream.write("text") == 4
    stream.flush()
    assert stream.problem == problem
    assert stream.number == number


def test_a_sound_stream_is_written() -> None:
    """It has what was printed, and no problem."""
    sound = io.StringIO()
    stream = DroppingStream(sound)
    print("text", file=stream)
    assert (sound.getvalue(), stream.problem) == ("text\n", None)


def test_a_block_with_broken_output_runs_to_its_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """So does a log handler; afterwards the streams are as before, and a full disk is an error."""
    broken = Broken(errno.ENOSPC)
    handler = logging.StreamHandler(broken)
    logger = logging.getLogger("tests.output_streams")
    logger.addHandler(handler)
    monkeypatch.setattr(sys, "stdout", broken)
    reached = []

    def block() -> None:
        with complete_output():
            print("text")
            logger.warning("text")
            reached.append(isinstance(handler.stream, DroppingStream))

    with pytest.raises(LoadtestError, match="cannot write the output: the system's words"):
        block()
    logger.removeHandler(handler)
    assert reached == [True]
    assert sys.stdout is broken


@pytest.mark.parametrize("ended", [0, 1, None])
@pytest.mark.parametrize(("number", "told"), [(errno.ENOSPC, True), (errno.EPIPE, False)])
def test_a_command_whose_output_is_incomplete_says_so(
    ended: int | None, number: int, told: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However it ends: most exit with a code. A reader that has gone changes no code."""

    @click.command()
    def command() -> None:
        click.echo("text")
        if ended is not None:
            click.get_current_context().exit(ended)

    group = type(main)(commands={"command": command})
    errors = io.StringIO()
    monkeypatch.setattr(sys, "stdout", Broken(number))
    monkeypatch.setattr(sys, "stderr", errors)
    with pytest.raises(SystemExit) as exited:
        group(["command"])
    assert exited.value.code == (LoadtestError.exit_code if told else ended or 0)
    assert errors.getvalue() == ("Error: cannot write the output: the system's words\n" if told else "")


def test_closed_streams_lead_nowhere(monkeypatch: pytest.MonkeyPatch) -> None:
    """Cron and supervisors close them; what is printed is dropped, and the descriptors 0 to 2 are taken."""
    taken = iter((0, 2, 7))
    inherited: list[int] = []
    closed: list[int] = []
    with monkeypatch.context() as patched:
        for name in ("stdin", "stdout", "stderr"):
            patched.setattr(sys, name, None)
        patched.setattr(os, "open", lambda _path, _flags: next(taken))
        patched.setattr(os, "set_inheritable", lambda number, _may: inherited.append(number))
        patched.setattr(os, "close", closed.append)
        open_missing_streams()
        streams = sys.stdin, sys.stdout, sys.stderr
        print("lost")
    assert [stream.name for stream in streams] == [os.devnull] * 3
    assert (inherited, closed) == ([0, 2], [7])
    for stream in streams:
        stream.close()


def test_open_streams_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is replaced, and no descriptor is left open."""
    stream = io.StringIO()
    monkeypatch.setattr(sys, "stdout", stream)
    before = os.listdir("/dev/fd")
    open_missing_streams()
    assert sys.stdout is stream
    assert len(os.listdir("/dev/fd")) == len(before)
