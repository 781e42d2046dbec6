"""Runs the command of `--ws-token-cmd`, which prints a token on standard output.

The engine requests tokens from its native thread. gevent's patched `subprocess` cannot be used there, so the
command runs in a greenlet of the main thread, without a shell and with limits on its time and output. If it
fails, only the last line of standard error is kept, without words that it printed on standard output, because
they may be a token.
"""

import os
import re
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from typing import Any

import gevent

from loadtest.command_lines import command_words
from loadtest.engine.engine import EngineSettings
from loadtest.engine.shared_token import Answer, SharedToken
from loadtest.errors import LoginFailed
from loadtest.locust_plugin.gevent_bridge import GeventCalls
from loadtest.locust_plugin.load_settings import LoadSettings, TokenSettings
from loadtest.processes import PIPE, Process
from loadtest.scrubber import SHORTEST_SECRET, Secrets, without_secrets
from loadtest.text import one_line, without_likely_secrets

MOST_BYTES = 2**14
"""Longest token; a server's limit on the upgrade's headers is usually lower."""

_LAST_WORDS = 2**12
_PIPE_BYTES = 2**16
"""Capacity of a pipe on Linux."""

_LOOK_EVERY_S = 0.02
_OPTION = "--ws-token-cmd"
_TOKEN = re.compile(rf"[!-~]{{1,{MOST_BYTES}}}")
"""Visible ASCII: a token becomes part of a header."""

_PART_PRINTED = re.compile(r"[^\s\"'`,;:=(){}\[\]<>]+")
"""A word, and the parts of a word like {"token":"X"}."""


def check_token_command(settings: TokenSettings | None) -> None:
    """Check before a run that the token command, if there is one, can run.

    Raises:
        InvalidSetting: the quoting is malformed, or the program is not found.
    """
    if settings is not None:
        command_words(settings.command, _OPTION)


class TokenCommand:
    """The command that prints tokens. Create it in gevent's thread.

    Args:
        settings: the command, and how long a token may be used.
        calls: calls from the engine's thread into gevent's.
        issued: called in gevent's thread with each token, before the engine receives it.

    Attributes:
        shared: the token for the engine.

    Raises:
        InvalidSetting: the quoting is malformed, or the program is not found.
    """

    def __init__(
        self, settings: TokenSettings, calls: GeventCalls, issued: Callable[[str], None] = lambda _: None
    ) -> None:
        self._words = command_words(settings.command, _OPTION)
        self._timeout_s = settings.timeout_s
        self._calls = calls
        self._issued = issued
        self._greenlet: Any = None
        self.shared = SharedToken(self._ask, settings.ttl_s)

    def _ask(self, answered: Callable[[Answer], None]) -> None:
        """Run the command in gevent's thread; called in the engine's."""
        self._calls.call(self._start, answered)

    def _start(self, answered: Callable[[Answer], None]) -> None:
        self._greenlet = gevent.spawn(self._run_for, answered)

    def _run_for(self, answered: Callable[[Answer], None]) -> None:
        """Run the command and answer in any case: all sessions wait for the answer."""
        answer: Answer = LoginFailed("the token command could not be run")
        try:
            answer = self.run()
            if isinstance(answer, str):
                self._issued(answer)
        except Exception as error:  # the tool's own failure, too many open files for example
            self._calls.failed(error)
        finally:
            answered(answer)

    def close(self) -> None:
        """Stop the command if it is running."""
        if self._greenlet is not None:
            self._greenlet.kill()

    def run(self) -> Answer:
        """Run the command; return the token it printed, or the reason for having none."""
        out_of, into = os.pipe()
        with open(out_of, "rb", buffering=0) as errors, open(into, "wb", buffering=0) as to_errors:
            try:
                process = Process(self._words, output=PIPE, errors=to_errors)
            except OSError as error:
                return LoginFailed(f"the token command cannot be started: {error.strerror}")
            to_errors.close()
            with process:
                assert process.output is not None
                with process.output:
                    return self._answer(process, process.output.fileno(), errors.fileno())

    def _answer(self, process: Process, output: int, errors: int) -> Answer:
        os.set_blocking(output, False)
        os.set_blocking(errors, False)
        over_s = time.monotonic() + self._timeout_s
        status, printed, last_words = None, b"", b""
        while status is None:
            status = process.exit_status  # before reading: what it has printed is then in the pipe
            printed += _available(output, MOST_BYTES)
            last_words = (last_words + _available(errors, _PIPE_BYTES))[-_LAST_WORDS:]
            if len(printed) > MOST_BYTES:
                return LoginFailed(f"the token command printed more than {MOST_BYTES:,} bytes")
            if status is None:
                if time.monotonic() > over_s:
                    return LoginFailed(f"the token command did not end within {self._timeout_s:g} s")
                gevent.sleep(_LOOK_EVERY_S)
        return token_in(status, printed, last_words)


def with_token(
    settings: LoadSettings, calls: GeventCalls, issued: Callable[[str], None] = lambda _: None
) -> tuple[EngineSettings, TokenCommand | None]:
    """Return the engine's settings with the command's token, and the command; None without a command."""
    if settings.token is None:
        return settings.engine, None
    command = TokenCommand(settings.token, calls, issued)
    return replace(settings.engine, token=command.shared), command


def _available(descriptor: int, limit: int) -> bytes:
    """Return the data in a pipe, at most one byte more than the limit."""
    with suppress(BlockingIOError):
        return os.read(descriptor, limit + 1)
    return b""


def _public_words(last_words: bytes, printed: bytes) -> str:
    """Return the line of standard error that names the error, without possible secrets."""
    line = _reason_in(_whole_lines(last_words).decode(errors="replace"))
    known = printed.decode(errors="replace")
    words = {*known.split(), *_PART_PRINTED.findall(known)}
    secrets = Secrets(word for word in words if len(word) >= SHORTEST_SECRET)
    return one_line(without_likely_secrets(without_secrets(line, secrets)))


def _whole_lines(last_words: bytes) -> bytes:
    """Return the last words without a line whose beginning was cut off: half a secret is not recognised."""
    return last_words.partition(b"\n")[2] if len(last_words) == _LAST_WORDS else last_words


def _reason_in(message: str) -> str:
    """Return the line of an error message that names the error; the lines after it are advice."""
    lines = [line.strip() for line in message.splitlines() if line.strip()]
    return next((line for line in lines if line.startswith("ERROR")), lines[0] if lines else "")


def token_in(status: int, printed: bytes, last_words: bytes) -> Answer:
    """Return the token that a command printed, or the reason for having none."""
    if status:
        words = _public_words(last_words, printed)
        return LoginFailed(f"the token command ended with exit status {status}" + f": {words}" * bool(words))
    token = printed.decode(errors="replace").strip()
    if not token:
        return LoginFailed("the token command printed nothing")
    if not _TOKEN.fullmatch(token):
        return LoginFailed("the token command must print one token: visible ASCII, no spaces, one line")
    return token
