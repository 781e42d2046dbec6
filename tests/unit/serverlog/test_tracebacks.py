"""Lines under a head, and the exception they end with."""

import asyncio
import traceback
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadtest.serverlog.tracebacks import Tail


def printed(function: Callable[[], object]) -> list[str]:
    """The lines of the traceback that Python prints for what a function raises."""
    try:
        function()
    except BaseException as error:
        return "".join(traceback.format_exception(error)).rstrip("\n").split("\n")
    raise AssertionError


def tail_of(lines: list[str]) -> Tail:
    """A tail that took the lines."""
    tail = Tail()
    tail.extend(lines)
    return tail


def chained() -> None:
    """Raise from, and once more while handling."""
    try:
        try:
            raise ConnectionResetError(104, "reset by peer")
        except OSError as error:
            raise RuntimeError("client gone") from error
    except RuntimeError:
        {}["thread"]  # type: ignore[index]


async def grouped(*errors: Exception) -> None:
    """Raise a group of errors as task groups do."""

    async def fail(error: Exception) -> None:
        raise error

    async with asyncio.TaskGroup() as group:
        for error in errors:
            group.create_task(fail(error))


def test_the_last_of_a_chain_counts() -> None:
    """Of a chain of three, the exception that was raised to the top is the one."""
    tail = tail_of(printed(chained))
    assert tail.exception == "KeyError: 'thread'"
    assert "RuntimeError: client gone" in tail.text()


def chain(*errors: Exception) -> None:
    """Raise the last of these, each from the one before."""
    if len(errors) == 1:
        raise errors[0]
    try:
        chain(*errors[:-1])
    except Exception as error:
        raise errors[-1] from error


def test_the_root_cause_of_a_chain_is_kept() -> None:
    """That of `raise … from …`; what was merely being handled is no cause."""
    two = tail_of(printed(lambda: chain(OSError("locked"), RuntimeError("cannot save"))))
    assert (two.exception, two.cause) == ("RuntimeError: cannot save", "OSError: locked")
    three = tail_of(printed(lambda: chain(OSError("locked"), KeyError("a"), RuntimeError("cannot save"))))
    assert three.cause == "OSError: locked"
    assert tail_of(printed(chained)).cause == ""
    assert tail_of(printed(lambda: chain(OSError("locked")))).cause == ""


def test_a_group_of_one_is_that_one() -> None:
    """A task group around one error is that error."""
    assert tail_of(printed(lambda: asyncio.run(grouped(OSError("gone"))))).exception == "OSError: gone"


def test_a_group_of_several_stays_a_group() -> None:
    """Of several errors one may be a real fault, so none of them stands for all."""
    tail = tail_of(printed(lambda: asyncio.run(grouped(OSError("gone"), KeyError("x")))))
    assert tail.exception == "ExceptionGroup: unhandled errors in a TaskGroup (2 sub-exceptions)"


def test_a_second_traceback_is_another_records() -> None:
    """Once a traceback has ended, one that begins belongs here only if a chain announced it."""
    lines = printed(chained)
    tail = Tail()
    for line in lines:
        assert tail.expects(line)
        tail.add(line)
    assert not tail.expects(lines[0])


def test_memory_is_bounded() -> None:
    """Of a hundred thousand lines the first and the last stay, with how many are missing between."""
    tail = Tail()
    tail.add("Traceback (most recent call last):")
    for number in range(100_000):
        tail.add(f"  line {number}" + "x" * 1_000)
    tail.add("RecursionError: too deep")
    text = tail.text()
    assert tail.exception == "RecursionError: too deep"
    assert text.startswith("Traceback")
    assert "lines left out" in text
    assert text.endswith("too deep")
    assert len(text) < 4 * Tail.MAX_LINES * (Tail.MAX_LINE + 1)


@given(
    st.lists(
        st.sampled_from(
            [
                "Traceback (most recent call last):",
                " | x",
                "  + Exception Group Traceback (most recent call last):",
                "x: y",
                "",
                "  +-+--- 1 ---",
            ]
        )
        | st.text(max_size=20),
        max_size=30,
    )
)
def test_any_lines_are_survived(lines: list[str]) -> None:
    """No sequence of lines raises, and what comes out is printable."""
    tail = tail_of(lines)
    assert tail.exception.isprintable()
    assert all(line.isprintable() for line in tail.text().split("\n"))


@pytest.mark.parametrize(
    ("lines", "exception", "cause"),
    [
        (
            [
                "java.io.IOException: no",
                "\tat a.B.c(B.java:1)",
                "Caused by: java.sql.SQLException: db",
                "\tat d.E",
            ],
            "java.io.IOException: no",
            "java.sql.SQLException: db",
        ),
        (
            [
                "      System.IO.IOException: gone",
                "       ---> System.Net.Sockets.SocketException (104): reset",
                "         at System.X() in /app/x.cs:line 3",
            ],
            "System.IO.IOException: gone",
            "System.Net.Sockets.SocketException (104): reset",
        ),
        (
            ["TypeError: x is not a function", "    at foo (/app/a.js:1:2)"],
            "TypeError: x is not a function",
            "",
        ),
        (
            ["** (KeyError) key :thread not found", "    (chat 0.1.0) lib/chat.ex:12: Chat.join/2"],
            "** (KeyError) key :thread not found",
            "",
        ),
    ],
    ids=["java", "dotnet", "node", "elixir"],
)
def test_tracebacks_of_other_languages(lines: list[str], exception: str, cause: str) -> None:
    """The exception above its frames, and its root cause."""
    tail = tail_of(lines)
    assert (tail.exception, tail.cause) == (exception, cause)
    assert tail.framed
