"""Every error of the tool's own, in one tree.

    LoadtestError                 exit code 5: the tool itself failed
    ├── UsageError                exit code 2: what was asked cannot be done as asked
    │   ├── InvalidSetting        an option, attribute or argument has a bad value
    │   ├── RunNotFound           no run directory by that path or revision
    │   ├── RunUnreadable         a run directory is damaged or of another schema
    │   ├── RunsNotComparable     two runs were made with unlike plans
    │   └── ResultsUnwritable     the results folder cannot be written
    ├── IllegalStep               a session was handed an event its state has no row for
    ├── ConnectFailed             one attempt to connect failed (data for the session, never fatal)
    └── ServerNotStarted          the reference server did not come up

What the server under test does wrong is data in the results, not an exception; `ConnectFailed` is
the one carrier between the transport that meets a refusal and the session that counts it.
Errors hold fields; `__str__` writes the sentence, which names the value, the limit and what to change.
"""

from pathlib import Path
from reprlib import Repr
from typing import Final

from loadtest.events import Refused

_VALUES = Repr()
_VALUES.maxstring = _VALUES.maxother = _VALUES.maxlong = 200
_VALUES.maxdict = 20
"""Writes what somebody gave; a whole file that was given by mistake is cut short."""


class LoadtestError(Exception):
    """Base of all errors raised by this package."""

    exit_code = 5


class UsageError(LoadtestError):
    """What was asked cannot be done as asked."""

    exit_code = 2


HIDDEN: Final = ...
"""In place of a value that must not be shown, or where there is none."""


class InvalidSetting(UsageError):
    """A setting has a value that it must not have.

    Args:
        option: as a person types it: `--ws-rate`, `--margin`.
        value: as it was given, or `HIDDEN`.
        problem: what the value must be, or what is wrong with it: the sentence goes on after the option.
        hint: what to do, where `problem` does not say so.
    """

    def __init__(self, option: str, value: object, problem: str, hint: str = "") -> None:
        super().__init__(option, value, problem, hint)
        self.option = option
        self.value = value
        self.problem = problem
        self.hint = hint

    def __str__(self) -> str:
        got = "" if self.value is HIDDEN else f" (got {_VALUES.repr(self.value)})"
        hint = f". {self.hint}" if self.hint else ""
        return f"{self.option} {self.problem}{got}{hint}"


class RunNotFound(UsageError):
    """There is no such run."""

    def __init__(self, wanted: str, results: Path) -> None:
        super().__init__(wanted, results)
        self.wanted = wanted
        self.results = results

    def __str__(self) -> str:
        return (
            f"no run {self.wanted!r}: neither a run directory nor a revision with a complete run "
            f"under {self.results}. `loadtest list` shows what is there"
        )


class RunUnreadable(UsageError):
    """A run directory cannot be read."""

    def __init__(self, path: Path, problem: str) -> None:
        super().__init__(path, problem)
        self.path = path
        self.problem = problem

    def __str__(self) -> str:
        return f"{self.path}: {self.problem}"


class RunsNotComparable(UsageError):
    """Two runs differ in what makes runs comparable."""

    def __init__(self, fields: list[str]) -> None:
        super().__init__(fields)
        self.fields = fields

    def __str__(self) -> str:
        return (
            f"the runs are not comparable, they differ in: {', '.join(self.fields)}. "
            "Repeat one with the other's settings"
        )


class ResultsUnwritable(UsageError):
    """The results folder cannot be written."""

    def __init__(self, path: Path, problem: str) -> None:
        super().__init__(path, problem)
        self.path = path
        self.problem = problem

    def __str__(self) -> str:
        return (
            f"cannot write results to {self.path}: {self.problem}. Choose another folder "
            "(locust: --ws-results, loadtest: --results)"
        )


class IllegalStep(LoadtestError):
    """A session was handed an event that its state does not allow; nothing was changed."""

    def __init__(self, state: str, event: str) -> None:
        super().__init__(state, event)
        self.state = state
        self.event = event

    def __str__(self) -> str:
        return f"a session in state {self.state} cannot take {self.event}"


class ConnectFailed(LoadtestError):
    """An attempt to connect failed; `refused` says how."""

    def __init__(self, refused: Refused) -> None:
        super().__init__(refused)
        self.refused = refused

    def __str__(self) -> str:
        return f"{self.refused.phase}: {self.refused.cause} ({self.refused.detail})"


class ServerNotStarted(LoadtestError):
    """The reference server did not come up."""

    def __init__(self, problem: str) -> None:
        super().__init__(problem)
        self.problem = problem

    def __str__(self) -> str:
        return f"the reference server did not start: {self.problem}"
