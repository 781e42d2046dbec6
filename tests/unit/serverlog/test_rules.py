"""The table of what records mean."""

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadtest.errors import InvalidSetting
from loadtest.serverlog.log_reader import LogReader, read
from loadtest.serverlog.records import Level, LogRecord
from loadtest.serverlog.rules import LogClass, Pattern, Rule, load_rules
from tests.support.places import LOGS

TABLE = load_rules()


def record(message: str, level: Level = Level.ERROR) -> LogRecord:
    """A record of a message."""
    return LogRecord(line=1, level=level, message=message)


@pytest.mark.parametrize("rule", TABLE.rules, ids=lambda rule: f"{rule.log_class} {rule.source[:40]}")
def test_every_rule_fits_its_own_example(rule: Rule) -> None:
    """Each rule's example, read as a log, is one record that this rule and none before it takes."""
    reader = LogReader()
    (example,) = reader.feed(rule.example.strip().encode() + b"\n") + reader.finish()
    assert TABLE.rule_for(example) is rule
    assert rule.source


@pytest.mark.parametrize(
    ("line", "log_class"),
    [
        ("ERROR: Send error (session S) -> cleanup: ", "send_to_gone_client"),
        (
            'ERROR: WS RuntimeError session=S: WebSocket is not connected. Need to call "accept" first.',
            "abrupt",
        ),
        ("ERROR: WS Exception session=S: Expecting value: line 1 column 1 (char 0)", "real_error"),
        ("INFO: Client disconnected during send (session=S, code=1006)", "send_to_gone_client"),
        ("INFO: Client disconnected abruptly (session=S): reset", "abrupt"),
        ("INFO: Client disconnected gracefully (session=S, code=1001)", "graceful"),
        ("ERROR: Unexpected WebSocket error (session=S): boom", "real_error"),
        ("INFO: WebSocket cancelled at shutdown (session=S)", "cancelled_at_shutdown"),
    ],
)
def test_the_applications_texts(line: str, log_class: str) -> None:
    """The lines that the application writes before and after its hotfix mean what they should."""
    reader = LogReader()
    (found,) = reader.feed(f"{line}\n".encode()) + reader.finish()
    assert found.session == "S"
    assert TABLE.classify(found) == log_class


@pytest.mark.parametrize(
    ("name", "classes"),
    [
        ("uvicorn-unhandled.log", ["graceful", "send_to_gone_client", "real_error"]),
        ("uvicorn-wsproto-unhandled.log", ["graceful", "abrupt", "real_error"]),
        ("uvicorn-before.log", ["send_to_gone_client", "abrupt", "real_error"]),
    ],
)
def test_recorded_errors(name: str, classes: list[str]) -> None:
    """What servers logged as ERROR when a client closed, vanished in a send, and sent rubbish."""
    errors = [found for found in read(LOGS / name, LogReader()) if found.level >= Level.ERROR]
    assert [TABLE.classify(error) for error in errors] == classes


@pytest.mark.parametrize(
    "text",
    [
        "Send error (session S) -> cleanup: Object of type datetime is not JSON serializable",
        "WS RuntimeError session=S: dictionary changed size during iteration",
        "Exception in ASGI application",
        "database is locked",
    ],
)
def test_unknown_errors_are_real(text: str) -> None:
    """An ERROR whose text no rule knows as a disconnect's is a real error."""
    assert TABLE.classify(record(text)) is LogClass.REAL_ERROR


def test_unknown_lines_below_error_are_other() -> None:
    """What no rule knows and nobody calls an error is nothing to judge."""
    assert TABLE.classify(record("database is slow", Level.WARNING)) is LogClass.OTHER


def test_a_fault_while_a_disconnect_was_handled_is_real() -> None:
    """The exception raised to the top decides, not one that was being handled."""
    fault = LogRecord(
        line=1,
        level=Level.ERROR,
        message="Exception in ASGI application",
        exception="KeyError: 'session'",
        traceback="starlette.websockets.WebSocketDisconnect: (1006, '')\nDuring\nKeyError: 'session'",
    )
    assert TABLE.classify(fault) is LogClass.REAL_ERROR


@pytest.mark.parametrize(
    ("pattern", "text", "fits"),
    [
        ("closed", "connection closed now", True),
        ("^closed", "connection closed", False),
        ("^connection", "connection closed", True),
        ("closed$", "connection closed", True),
        ("closed$", "closed connection", False),
        ("^connection closed$", "connection closed", True),
        ("^connection closed$", "connection closed!", False),
        ("a*b", "xxaxxbxx", True),
        ("a*b", "ba", False),
        ("^a*b*c$", "a b c", True),
        ("^a*a$", "a", False),
        ("^ab*ba$", "aba", False),
        ("a*b$", "a b c b", True),
        ("*", "", True),
    ],
)
def test_patterns(pattern: str, text: str, fits: bool) -> None:
    """Plain text anywhere, in order and without overlap, bound to the ends where asked."""
    assert Pattern(pattern).fits(text) is fits


@given(st.lists(st.text("ab", max_size=3), min_size=1, max_size=4), st.text("ab", max_size=12))
def test_patterns_fit_as_regular_expressions_would(parts: list[str], text: str) -> None:
    """A pattern fits exactly where the expression with `.*` for each star does."""
    body = "*".join(parts)
    expression = ".*".join(map(re.escape, parts))
    for before, after in (("", ""), ("^", ""), ("", "$"), ("^", "$")):
        wanted = re.search(f"{before}{expression}{after}", text) is not None
        assert Pattern(f"{before}{body}{after}").fits(text) is wanted


def test_a_users_rules_come_first(tmp_path: Path) -> None:
    """A user's file adds texts and overrides ours."""
    path = tmp_path / "rules.toml"
    path.write_text(
        '[[rule]]\nclass = "abrupt"\nmessage = "peer * vanished"\n'
        '[[rule]]\nclass = "other"\nmessage = ["Client disconnected gracefully"]\n'
    )
    table = load_rules(path)
    assert table.classify(record("peer 17 vanished")) is LogClass.ABRUPT
    assert table.classify(record("Client disconnected gracefully (session=S, code=1000)")) is LogClass.OTHER
    assert table.classify(record("connection closed")) is LogClass.GRACEFUL


@pytest.mark.parametrize(
    "text",
    [
        "[[rule]",
        '[[rule]]\nclass = "normal"\nmessage = "x"',
        '[[rule]]\nclass = "abrupt"',
        '[[rule]]\nclass = "abrupt"\nmessage = [""]',
        '[[rule]]\nclass = "abrupt"\nmesage = "x"',
        "rules = []",
    ],
)
def test_bad_rules_are_refused(tmp_path: Path, text: str) -> None:
    """What is no table of rules is refused with how to write one."""
    path = tmp_path / "rules.toml"
    path.write_text(text)
    with pytest.raises(InvalidSetting, match=r"\[\[rule\]\]"):
        load_rules(path)


def test_a_missing_rules_file_is_refused(tmp_path: Path) -> None:
    """A file that is not there is a usage error."""
    with pytest.raises(InvalidSetting, match="must be a file that can be read"):
        load_rules(tmp_path / "none.toml")


@given(st.text(max_size=200), st.text(max_size=200), st.text(max_size=200))
def test_any_record_has_a_class(message: str, exception: str, traceback: str) -> None:
    """No text raises, and nothing at ERROR is taken for nothing to judge unless a rule says so."""
    found = LogRecord(line=1, level=Level.ERROR, message=message, exception=exception, traceback=traceback)
    assert TABLE.classify(found) is not LogClass.OTHER
