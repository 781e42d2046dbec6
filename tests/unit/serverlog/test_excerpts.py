"""One line about a record, for a report."""

from loadtest.serverlog.log_reader import LogReader
from loadtest.serverlog.records import LogRecord, excerpt
from loadtest.serverlog.shapes import shape_of


def failed(cause: str, raised: str = "RuntimeError: cannot save", head: str = "save failed") -> LogRecord:
    """A record whose exception was raised from another one."""
    start = "Traceback (most recent call last):"
    link = "The above exception was the direct cause of the following exception:"
    lines = [f"ERROR:    {head}", start, cause, "", link, "", start, raised]
    reader = LogReader()
    (record,) = reader.feed("\n".join(lines).encode() + b"\n") + reader.finish()
    return record


def test_the_cause_follows_the_exception() -> None:
    """The last exception stays first; a message that repeats it is not shown twice."""
    expected = "RuntimeError: cannot save, caused by OperationalError: database is locked"
    assert excerpt(failed("OperationalError: database is locked")) == f"{expected} | save failed"
    repeated = failed("OperationalError: database is locked", head="RuntimeError: cannot save")
    assert excerpt(repeated) == expected


def test_the_causes_type_makes_a_shape() -> None:
    """However long the exception is that it caused."""
    long = f"RuntimeError: cannot save {'because ' * 40}"
    one, same, other = (
        shape_of(excerpt(failed(cause, long)))
        for cause in ("a.OperationalError: row 1", "a.OperationalError: row 22", "a.TimeoutError: row 1")
    )
    assert one == same != other
