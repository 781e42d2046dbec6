"""The tool's own exceptions, in one tree.

    LoadtestError                 exit code 5: the tool itself failed
    ├── UsageError                exit code 2: the request cannot be carried out as given
    │   ├── InvalidSetting        an option, attribute or argument has a bad value
    │   ├── AuthorMistake         a mistake in code that a user wrote
    │   │   ├── DialectMistake    a method of a user's dialect raised, or returned a wrong value
    │   │   │   └── FieldMistake  a result of `read` has a field of the wrong type, often from the server
    │   │   └── ScriptMistake     a task of a user class raised, or made a call that cannot be made
    │   ├── RunNotFound           no run directory, run id or revision has that name
    │   ├── RunUnreadable         a file of a run is damaged or has another schema
    │   ├── RunsNotComparable     two runs were made with different plans
    │   └── ResultsUnwritable     the results folder cannot be written
    ├── RecordingFailed           a run in progress can no longer be written: the disk is full, for example
    ├── IllegalStep               a session got an event that its state does not allow
    ├── Flooded                   the server sent too much in one message (data for the session, never fatal)
    ├── ConnectFailed             a connection attempt failed (data for the session, never fatal)
    ├── LoginFailed               a dialect's login was refused (data for the session, never fatal)
    ├── ScriptInterrupted         a script's call was interrupted (data, never fatal)
    │   ├── Dropped               the connection ended
    │   ├── ReplyTimeout          no reply, stream part or push arrived in time
    │   └── RequestFailed         the server answered with an error
    ├── GaugeUnreadable           the server's metrics cannot be read (data, except before a run)
    ├── MalformedInterval         a worker sent bytes that cannot be read
    └── ServerNotStarted          the reference server did not start

The target's failures are data in the results, not exceptions; `ConnectFailed` only carries a refusal from
the transport to the session, which counts it. Exceptions of other libraries are translated where they enter.
Errors hold fields, so that they can be pickled and tested. `__str__` writes one line: what is wrong with
which value, what is allowed, and what to do. Raise UsageError itself, with that line, for a mistake that no
code needs to distinguish.
"""

import re
from pathlib import Path
from reprlib import Repr
from typing import Final

from loadtest.events import Refused

_VALUES = Repr()
_VALUES.maxstring = _VALUES.maxother = _VALUES.maxlong = 200
_VALUES.maxdict = 20
"""Writes the values given by users, shortened in case someone passed a whole file by mistake."""


class LoadtestError(Exception):
    """Base of all errors that this package raises.

    Attributes:
        exit_code: exit code of a command that ends with this error.
    """

    exit_code = 5


class UsageError(LoadtestError):
    """The request cannot be carried out as given."""

    exit_code = 2


NOT_SHOWN: Final = ...
"""Stands in `InvalidSetting.value` for a secret value, or for no value."""


class InvalidSetting(UsageError):
    """A setting has an invalid value.

    Args:
        option: as the user types it: `--ws-rate`, `--margin`.
        value: as given, or `NOT_SHOWN`.
        problem: what the value must be, or what is wrong with it; continues the sentence after the option.
        hint: what to do, if `problem` does not say it.
    """

    def __init__(self, option: str, value: object, problem: str, hint: str = "") -> None:
        super().__init__(option, value, problem, hint)
        self.option = option
        self.value = value
        self.problem = problem
        self.hint = hint

    def __str__(self) -> str:
        got = "" if self.value is NOT_SHOWN else f" (got {_VALUES.repr(self.value)})"
        hint = f". {self.hint}" if self.hint else ""
        return f"{self.option} {self.problem}{got}{hint}"


DIALECT_MISTAKE: Final = "mistake in the dialect"
"""How the text of a DialectMistake begins, in run.json too."""


class AuthorMistake(UsageError):
    """There is a mistake in code that a user wrote; its author must fix it.

    Args:
        where: class and method: `Chat.request`.
        problem: what is wrong; continues the sentence after the method.
        given: details that help to find it, as described in each subclass; empty if the code was not called.
    """

    def __init__(self, where: str, problem: str, given: str = "") -> None:
        super().__init__(where, problem, given)
        self.where = where
        self.problem = problem
        self.given = given

    def __str__(self) -> str:
        return f"{self.where} {self.problem}"


class DialectMistake(AuthorMistake):
    """A method of a user's dialect raised an exception or returned a wrong value.

    Args:
        where: class and method: `Chat.request`.
        problem: what is wrong; continues the sentence after the method.


        given: the method's argument: a request's number or an excerpt of a message; empty if there is none.
    """

    def __str__(self) -> str:
        given = f" (given {self.given})" if self.given else ""
        return f"{DIALECT_MISTAKE}: {super().__str__()}{given}"


class FieldMistake(DialectMistake):
    """A result of `Dialect.read` has a field of the wrong type.

    Dialects pass on values from the server, so the message counts as unreadable; it rarely ends the run.
    """


class ScriptMistake(AuthorMistake):
    """A task of a user class raised an exception or cannot be run; its author must fix it.

    Args:
        where: class and method: `ChatUser.ask`.
        problem: what is wrong; continues the sentence after the method.
        given: the session and the line of the file; empty if it was not called.
    """

    def __str__(self) -> str:
        given = f" ({self.given})" if self.given else ""
        return f"mistake in the script: {super().__str__()}{given}"


class ScriptInterrupted(LoadtestError):
    """A script's call was interrupted before its reply or push arrived.

    A task need not catch it: the task then ends, and the session continues with another one. The run's ledger
    has already recorded it, as for planned messages.
    """


class Dropped(ScriptInterrupted):
    """The connection ended while a script was using it: a drop of the plan, or a loss."""

    def __str__(self) -> str:
        return "the connection ended while the task was using it"


class ReplyTimeout(ScriptInterrupted):
    """No reply, stream part or push arrived in time.

    Args:
        awaited: the reply, stream part or push that the call waited for.
        timeout_s: for how long, in seconds.
        recorded: whether the ledger counts a lost request for it; a missing push is not in the ledger.
        discarded: number of pushes discarded unread since the task began; the awaited one may be among them.
    """

    def __init__(self, awaited: str, timeout_s: float, *, recorded: bool = True, discarded: int = 0) -> None:
        super().__init__(awaited, timeout_s)
        self.awaited = awaited
        self.timeout_s = timeout_s
        self.recorded = recorded
        self.discarded = discarded

    def __str__(self) -> str:
        before = f"; {self.discarded:,} pushes had been discarded unread" if self.discarded else ""
        return f"{self.awaited} did not arrive within {self.timeout_s:g} s{before}"


class RequestFailed(ScriptInterrupted):
    """The server answered a request with an error.

    Args:
        detail: the server's words.
    """

    def __init__(self, detail: str) -> None:
        super().__init__(detail)
        self.detail = detail

    def __str__(self) -> str:
        return f"the server answered with an error: {self.detail}"


class LoginFailed(LoadtestError):
    """A login was refused. Raise it in `Dialect.login`; the attempt to connect then counts as failed.

    Args:
        detail: the reason, for people: "HTTP 403: wrong password". It must not contain a secret.
    """

    def __init__(self, detail: str) -> None:
        super().__init__(detail)
        self.detail = str(detail)


class GaugeUnreadable(LoadtestError):
    """A gauge among the server's metrics cannot be read.

    Args:
        problem: why.
    """

    def __init__(self, problem: str) -> None:
        super().__init__(problem)
        self.problem = problem

    def __str__(self) -> str:
        return f"the server's metrics cannot be read: {self.problem}"


_MISTYPED_ID = re.compile(r"[0-9A-Fa-f]{1,3}|(?=.*[A-F])[0-9A-Fa-f]{4,8}")
"""The beginning of a run id that is too short or in upper case."""


class RunNotFound(UsageError):
    """No run directory, run id or revision has this name.

    Args:
        wanted: the name as typed.
        results: the folder that was searched.
    """

    def __init__(self, wanted: str, results: Path) -> None:
        super().__init__(wanted, results)
        self.wanted = wanted
        self.results = results

    def __str__(self) -> str:
        mistyped = _MISTYPED_ID.fullmatch(self.wanted)
        hint = " (ids are in lower case; give 4 characters or more)" if mistyped else ""
        where = f"{self.wanted!r} in {self.results}/{hint}"
        return f"no run or revision {where}. Run 'loadtest list' to see what is there"


class RunUnreadable(UsageError):
    """A file of a run cannot be read.

    Args:
        path: the file.
        problem: why, written after the path and a colon.
    """

    def __init__(self, path: Path, problem: str) -> None:
        super().__init__(path, problem)
        self.path = path
        self.problem = problem

    def __str__(self) -> str:
        return f"{self.path}: {self.problem}"


class RunsNotComparable(UsageError):
    """Two runs were made with different plans.

    Args:
        fields: options that differ between the plans, with both values, or just `version`.
        runs: the runs to compare, and how each was chosen.
        alike: a sentence that names other runs of these revisions with one plan; empty if there are none.
    """

    def __init__(self, fields: list[str], runs: list[str], alike: str = "") -> None:
        super().__init__(fields, runs, alike)
        self.fields = fields
        self.runs = runs
        self.alike = alike

    def __str__(self) -> str:
        taken = "; ".join(self.runs)
        if self.fields == ["version"]:
            return (
                "the runs are not comparable: one was made by an older version of loadtest, which sent "
                "different messages ({taken}). Repeat it with this version"
            )
        return (
            f"the runs are not comparable: their plans differ in {', '.join(self.fields)} ({taken}). "
            f"{self.alike}Repeat one of them with the settings of the other"
        )


ANOTHER_FOLDER = "Choose another folder (locust: --ws-results, loadtest: --results)"
MAKE_ROOM = "Make room, or choose another folder (--ws-results; loadtest: --results)"


class ResultsUnwritable(UsageError):
    """The results folder, or a file in it, cannot be written.

    Args:
        path: the folder or file.
        problem: the system's error message.
        advice: what to do, a sentence without a full stop.
    """

    def __init__(self, path: Path, problem: str, advice: str = ANOTHER_FOLDER) -> None:
        super().__init__(path, problem, advice)
        self.path = path
        self.problem = problem
        self.advice = advice

    def __str__(self) -> str:
        return f"cannot write results to {self.path}: {self.problem}. {self.advice}"


class RecordingFailed(LoadtestError):
    """A run in progress can no longer be written.

    Args:
        cause: what could not be written, and why.
    """

    def __init__(self, cause: ResultsUnwritable) -> None:
        super().__init__(cause)
        self.path, self.problem, self.advice = cause.path, cause.problem, cause.advice

    def __str__(self) -> str:
        return (
            f"can no longer write results: {self.problem}. {self.advice}. The data written so far is "
            f"judged: {self.path}"
        )


class IllegalStep(LoadtestError):
    """A session got an event that its state does not allow; nothing was changed.

    Args:
        state: name of the state.
        event: class name of the event.
    """

    def __init__(self, state: str, event: str) -> None:
        super().__init__(state, event)
        self.state = state
        self.event = event

    def __str__(self) -> str:
        return f"a session in state {self.state} cannot take {self.event}"


class Flooded(LoadtestError):
    """A message from the server exceeds a limit of the session; its connection is closed.

    Args:
        reason: the exceeded limit, with the value.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason

    def __str__(self) -> str:
        return self.reason


class ConnectFailed(LoadtestError):
    """A connection attempt failed.

    Args:
        refused: the phase and the cause.
        set_cookies: the Set-Cookie headers of the server's response, if there was one.
    """

    def __init__(self, refused: Refused, set_cookies: tuple[str, ...] = ()) -> None:
        super().__init__(refused, set_cookies)
        self.refused = refused
        self.set_cookies = set_cookies

    def __str__(self) -> str:
        return f"{self.refused.phase}: {self.refused.cause} ({self.refused.detail})"


class MalformedInterval(LoadtestError):
    """A worker sent an interval that cannot be read.

    Args:
        problem: what is wrong with the bytes.
    """

    def __init__(self, problem: str) -> None:
        super().__init__(problem)
        self.problem = problem

    def __str__(self) -> str:
        return (
            f"a worker sent an interval that cannot be read: {self.problem}. "
            "Run the same version of loadtest on the master and on all workers"
        )


class ServerNotStarted(LoadtestError):
    """The reference server did not start.

    Args:
        problem: why, with the last lines of its log.
    """

    def __init__(self, problem: str) -> None:
        super().__init__(problem)
        self.problem = problem

    def __str__(self) -> str:
        return f"the reference server did not start: {self.problem}"
