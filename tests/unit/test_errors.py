"""The tree of errors: where each stands, and that each message names the value, the limit and what to do."""

import inspect
import pickle
from pathlib import Path

import pytest

from loadtest import errors
from loadtest.errors import (
    MAKE_ROOM,
    NOT_SHOWN,
    AuthorMistake,
    ConnectFailed,
    DialectMistake,
    Dropped,
    FieldMistake,
    Flooded,
    GaugeUnreadable,
    IllegalStep,
    InvalidSetting,
    LoadtestError,
    LoginFailed,
    MalformedInterval,
    RecordingFailed,
    ReplyTimeout,
    RequestFailed,
    ResultsUnwritable,
    RunNotFound,
    RunsNotComparable,
    RunUnreadable,
    ScriptInterrupted,
    ScriptMistake,
    ServerNotStarted,
    UsageError,
)
from loadtest.events import Refused

MESSAGES: list[tuple[LoadtestError, int, str]] = [
    (
        InvalidSetting("--port", -1, "must be 0–65535", "0 takes a free port"),
        2,
        "--port must be 0–65535 (got -1). 0 takes a free port",
    ),
    (InvalidSetting("--ws-header", NOT_SHOWN, "must be NAME:VALUE"), 2, "--ws-header must be NAME:VALUE"),
    (
        DialectMistake("Chat.read", "raised KeyError: 'id'", '{"type":"ping"}'),
        2,
        'mistake in the dialect: Chat.read raised KeyError: \'id\' (given {"type":"ping"})',
    ),
    (
        FieldMistake("Chat.read", "returned Push(text=5); it must return Push whose text is str"),
        2,
        "mistake in the dialect: Chat.read returned Push(text=5); it must return Push whose text is str",
    ),
    (
        RunNotFound("v1", Path("results")),
        2,
        "no run or revision 'v1' in results/. Run 'loadtest list' to see what is there",
    ),
    (
        RunNotFound("0A1B", Path("results")),
        2,
        "no run or revision '0A1B' in results/ (ids are in lower case; give 4 characters or more). Run "
        "'loadtest list' to see what is there",
    ),
    (RunUnreadable(Path("a/run.json"), "is not JSON"), 2, "a/run.json: is not JSON"),
    (
        RunsNotComparable(["--ws-rate 1 → 5", "-u 5 → 9"], ["v1 = results/v1/a", "v2 = results/v2/b"]),
        2,
        "the runs are not comparable: their plans differ in --ws-rate 1 → 5, -u 5 → 9 "
        "(v1 = results/v1/a; v2 = results/v2/b). "
        "Repeat one of them with the settings of the other",
    ),
    (
        ResultsUnwritable(Path("/results"), "Permission denied"),
        2,
        "cannot write results to /results: Permission denied. Choose another folder "
        "(locust: --ws-results, loadtest: --results)",
    ),
    (
        RecordingFailed(ResultsUnwritable(Path("/results/v1/a"), "No space left on device", MAKE_ROOM)),
        5,
        "can no longer write results: No space left on device. Make room, or choose another folder "
        "(--ws-results; loadtest: --results). The data written so far is judged: /results/v1/a",
    ),
    (Flooded("one message holds 5,001 records"), 5, "one message holds 5,001 records"),
    (IllegalStep("new", "Lost"), 5, "a session in state new cannot take Lost"),
    (
        ConnectFailed(Refused(phase="tcp", cause="refused", detail="no one listens on port 1")),
        5,
        "tcp: refused (no one listens on port 1)",
    ),
    (
        ScriptMistake("ChatUser.ask", "raised KeyError: 'price'", "session 3, chat.py line 12"),
        2,
        "mistake in the script: ChatUser.ask raised KeyError: 'price' (session 3, chat.py line 12)",
    ),
    (AuthorMistake("Chat.read", "raised KeyError"), 2, "Chat.read raised KeyError"),
    (ScriptInterrupted("cut"), 5, "cut"),
    (Dropped(), 5, "the connection ended while the task was using it"),
    (ReplyTimeout("the push", 1.5), 5, "the push did not arrive within 1.5 s"),
    (RequestFailed("no room"), 5, "the server answered with an error: no room"),
    (LoginFailed("HTTP 403: wrong password"), 5, "HTTP 403: wrong password"),
    (
        MalformedInterval("it does not end"),
        5,
        "a worker sent an interval that cannot be read: it does not end. "
        "Run the same version of loadtest on the master and on all workers",
    ),
    (GaugeUnreadable("HTTP 404"), 5, "the server's metrics cannot be read: HTTP 404"),
    (ServerNotStarted("port 1 is taken"), 5, "the reference server did not start: port 1 is taken"),
]

CLASSES = [
    each for _, each in inspect.getmembers(errors, inspect.isclass) if each.__module__ == errors.__name__
]


@pytest.mark.parametrize(("error", "exit_code", "message"), MESSAGES, ids=lambda value: type(value).__name__)
def test_message(error: LoadtestError, exit_code: int, message: str) -> None:
    """An error says in one sentence what is wrong and what to change, and how the command ends."""
    assert str(error) == message
    assert "\n" not in message
    assert error.exit_code == exit_code
    assert isinstance(error, UsageError) == (exit_code == 2)


def test_every_error_has_a_message() -> None:
    """The table above knows every error that is raised."""
    assert {type(error) for error, _, _ in MESSAGES} == {*CLASSES} - {LoadtestError, UsageError}


def test_tree_in_the_docstring() -> None:
    """The tree that the module draws is the tree that it holds."""
    drawn: dict[str, str] = {}
    above: list[str] = []
    for line in (errors.__doc__ or "").splitlines():
        name = line.strip(" │├└─").split(" ", 1)[0]
        if name not in vars(errors):
            continue
        depth = (line.index(name) - 4) // 4
        above[depth:] = [name]
        drawn[name] = above[depth - 1] if depth else "Exception"
    assert drawn == {each.__name__: each.__bases__[0].__name__ for each in CLASSES}


@pytest.mark.parametrize("error", [error for error, _, _ in MESSAGES], ids=lambda error: type(error).__name__)
def test_crosses_processes(error: LoadtestError) -> None:
    """An error keeps its fields and its message on the way from a worker."""
    again = pickle.loads(pickle.dumps(error))
    assert (type(again), str(again), vars(again)) == (type(error), str(error), vars(error))
