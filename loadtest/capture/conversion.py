"""`loadtest dialect from`: convert a recording to a locustfile, and replay it through the dialect."""

import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from loadtest.capture.generated_code import check_code
from loadtest.capture.har_file import read_recording
from loadtest.capture.inference import infer
from loadtest.capture.inferred import Inferred
from loadtest.capture.known_protocols import recognised
from loadtest.capture.locustfile_source import Locustfile, locustfile, not_checked
from loadtest.capture.recorded import Connection, Recording
from loadtest.capture.redaction import Redactor
from loadtest.capture.replay import Replay, replayed
from loadtest.errors import InvalidSetting, UsageError
from loadtest.regular_files import create
from loadtest.text import clock, counted, one_line, public_url


class ConnectionNotChosen(UsageError):
    """A recording has several connections, and none was chosen.

    Args:
        file: name of the recording.
        table: its connections, one per line, for people.
    """

    def __init__(self, file: str, table: tuple[str, ...]) -> None:
        super().__init__(file, table)
        self.file = file
        self.table = table

    def __str__(self) -> str:
        return f"{self.file} has {counted(len(self.table) - 1, 'connection')}: choose one with --connection N"


@dataclass(frozen=True, slots=True, kw_only=True)
class Conversion:
    """A converted recording.

    Args:
        inferred: the conversation.
        locustfile: the generated locustfile.
        replay: the result of replaying the recording through its dialect.
    """

    inferred: Inferred
    locustfile: Locustfile
    replay: Replay

    @property
    def source(self) -> str:
        """The locustfile."""
        return self.locustfile.source

    @property
    def guesses(self) -> int:
        """Number of guesses in its comments."""
        return self.source.count("# guess: ")

    @property
    def exit_code(self) -> int:
        """0 if the dialect explains at least half of the server's messages and the session, else 1."""
        good = self.replay.wrong * 2 <= self.replay.received and not self.replay.unestablished
        return 0 if good else 1

    def lines(self, output: str) -> list[str]:
        """Return the lines to print after the file is written.

        Args:
            output: name of the file, as typed.
        """
        known = recognised(self.inferred)
        protocol = known[0].title if known is not None else self.inferred.form.name
        redactor = self.inferred.redactor
        guesses = counted(self.guesses, "guess", "guesses")
        return [
            f"{one_line(output)}: {protocol}; {guesses} to check, each in a comment",
            self.inferred.redactor.public(str(self.replay), 2_000),
            *([str(self.replay.said)] if self.replay.said.wrong else []),
            *(redactor.public(text, 300) for text in not_checked(self.inferred)),
            f"next: {self._next(output)}",
        ]

    def _next(self, output: str) -> str:
        redactor = self.inferred.redactor
        parts = urlsplit(self.inferred.connection.url)
        scheme = {"http": "ws", "https": "wss"}.get(parts.scheme, parts.scheme)
        host = redactor.public(f"{scheme}://{parts.netloc.rpartition('@')[2]}", 200)
        command = ["loadtest", "dialect", "check", output, "--host", host]
        command += ["--token", "TOKEN"] if redactor.has_token else []
        command += ["--data", "FILE"] if redactor.columns() else []
        return one_line(shlex.join(command), 400)

    def to_json(self) -> dict[str, Any]:
        """Return the result for JSON."""
        redactor = self.inferred.redactor
        known = recognised(self.inferred)
        return {
            "schema": 1,
            "connection": self.inferred.connection.number,
            "protocol": known[0].title if known is not None else None,
            "form": self.inferred.form.name,
            "guesses": self.guesses,
            "received": self.replay.received,
            "explained": self.replay.received - self.replay.wrong,
            "unexplained": [
                {"message": one.message, "kind": one.label, "reason": one.reason}
                for one in self.replay.unexplained
            ],
            "not_checked": [redactor.public(text, 300) for text in not_checked(self.inferred)],
            "unanswered": self.replay.unanswered,
            "established": not self.replay.unestablished,
            "said": self.replay.said.messages,
            "as_recorded": self.replay.said.messages - self.replay.said.wrong,
            "differences": self.replay.said.differences,
            "token": redactor.has_token,
            "columns": redactor.columns(),
        }


def converted(path: Path, *, number: int | None = None, form: str = "auto") -> Conversion:
    """Return the locustfile for a recording, with the result of the replay.

    Args:
        path: path of the recording.
        number: number of the connection; None for the only one with messages.
        form: format of its messages, one of `form_detection.FORMATS`.

    Raises:
        UsageError: the recording cannot be read, or no connection was chosen.
    """
    recording = read_recording(path)
    connection = _chosen(recording, number, path.name)
    later = [
        other
        for other in recording.connections
        if other.number > connection.number and other.frames and other.endpoint == connection.endpoint
    ]
    inferred = infer(connection, Redactor(recording.secrets), wanted=form, later=later)
    written = locustfile(
        inferred, file=path.name, creator=recording.creator, others=len(recording.connections) - 1
    )
    check_code(written.source)
    return Conversion(inferred=inferred, locustfile=written, replay=replayed(inferred, written))


def _chosen(recording: Recording, number: int | None, file: str) -> Connection:
    spoken = [connection for connection in recording.connections if connection.frames]
    if number is None:
        if len(spoken) > 1:
            raise ConnectionNotChosen(file, connection_table(recording))
        return spoken[0]
    chosen = next((connection for connection in recording.connections if connection.number == number), None)
    if chosen is None:
        raise InvalidSetting("--connection", number, f"must be 1 to {len(recording.connections)} for {file}")
    if not chosen.frames:
        raise InvalidSetting(
            "--connection", number, f"must be a connection with messages: this connection of {file} has none"
        )
    return chosen


def connection_table(recording: Recording) -> tuple[str, ...]:
    """Return the connections of a recording, one per line, below a heading."""
    redactor = Redactor(recording.secrets)
    rows = [
        (
            str(connection.number),
            f"{sum(frame.sent for frame in connection.frames):,}",
            f"{sum(not frame.sent for frame in connection.frames):,}",
            clock(connection.duration_s),
            redactor.public(public_url(connection.url), 100),
        )
        for connection in recording.connections
    ]
    return _aligned([("N", "sent", "received", "time", "URL"), *rows])


def _aligned(rows: Sequence[tuple[str, ...]]) -> tuple[str, ...]:
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]) - 1)]
    return tuple(
        "  ".join([*(cell.rjust(width) for cell, width in zip(row, widths, strict=False)), row[-1]])
        for row in rows
    )


def write_new(path: Path, source: str) -> None:
    """Write a new file; refuse to overwrite one, because the user may have edited it.

    Raises:
        InvalidSetting: the file exists, or cannot be written.
    """
    try:
        with create(path) as file:
            file.write(source.encode())
    except FileExistsError:
        problem = "must be a new file: this one exists and may have your changes"
        raise InvalidSetting("-o", str(path), problem) from None
    except OSError as error:
        raise InvalidSetting("-o", str(path), f"cannot be written: {error.strerror}") from None
