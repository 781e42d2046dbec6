"""The table of what records mean."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadtest.errors import InvalidSetting
from loadtest.serverlog.log_reader import LogReader, read
from loadtest.serverlog.records import Level, LogRecord, is_error
from loadtest.serverlog.rules import LogClass, Rule, RuleTable, listed, load_rules, parse_rules
from tests.support.places import LOGS, ROOT

TABLE = load_rules()


def record(message: str, level: Level = Level.ERROR) -> LogRecord:
    """A record of a message."""
    return LogRecord(line=1, level=level, message=message)


def read_one(text: str) -> LogRecord:
    """A record from its text as it appears in a log."""
    reader = LogReader()
    (found,) = reader.feed(text.strip("\n").encode() + b"\n") + reader.finish()
    return found


EXAMPLES = [
    pytest.param(rule, text, id=f"{rule.log_class} {rule.source[:30]} {number}")
    for rule in TABLE.rules
    for number, text in enumerate(filter(None, listed(rule.example)))
]
UNLIKES = [
    pytest.param(rule, text, id=f"{rule.log_class} {rule.source[:30]} {number}")
    for rule in TABLE.rules
    for number, text in enumerate(filter(None, listed(rule.unlike)))
]


@pytest.mark.parametrize(("rule", "text"), EXAMPLES)
def test_every_rule_fits_its_own_examples(rule: Rule, text: str) -> None:
    """Each example of a rule, read as a log, is one record that this rule and none before it takes."""
    assert TABLE.rule_for(read_one(text)) is rule


@pytest.mark.parametrize(("rule", "text"), UNLIKES)
def test_no_rule_fits_what_only_looks_alike(rule: Rule, text: str) -> None:
    """What a rule names as unlike is not of its class, and at ERROR it is a real error."""
    found = read_one(text)
    expected = LogClass.REAL_ERROR if is_error(found.level) else LogClass.OTHER
    assert TABLE.classify(found) is expected


@pytest.mark.parametrize("rule", TABLE.rules, ids=lambda rule: f"{rule.log_class} {rule.source[:40]}")
def test_every_rule_says_who_writes_it_and_shows_how(rule: Rule) -> None:
    """A rule without an example or a source cannot be checked by a reader."""
    assert rule.source
    assert any(listed(rule.example))
    if rule.ambiguous:
        assert any(listed(rule.unlike)), "an ambiguous rule shows a record that it must leave alone"


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
    errors = [found for found in read(LOGS / name, LogReader()) if is_error(found.level)]
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
        "",
        "harmless = []",
    ],
)
def test_bad_rules_are_refused(tmp_path: Path, text: str) -> None:
    """What is no table of rules is refused with how to write one."""
    path = tmp_path / "rules.toml"
    path.write_text(text)
    with pytest.raises(InvalidSetting, match=r"\[\[rule\]\]"):
        load_rules(path)


@pytest.mark.parametrize(
    ("text", "choices"),
    [
        ('[[rule]]\nclass = "foo"\nmessage = "x"', "classes are graceful, abrupt, send_to_gone_client, "),
        ('[[rule]]\nclass = "abrupt"\nmesage = "x"', "fields are class, message, exception, text, frames, "),
        ('harmles = ["x"]', "fields are rule, harmless, elsewhere, "),
    ],
)
def test_a_wrong_name_is_refused_with_the_right_ones(tmp_path: Path, text: str, choices: str) -> None:
    """Nobody has to look them up."""
    path = tmp_path / "rules.toml"
    path.write_text(text)
    with pytest.raises(InvalidSetting, match=choices):
        load_rules(path)


def test_a_file_may_have_no_rule(tmp_path: Path) -> None:
    """Only more of what may stand beside a disconnect."""
    path = tmp_path / "rules.toml"
    path.write_text('harmless = ["chat.errors.PeerGone"]')
    assert len(load_rules(path).rules) == len(load_rules(None).rules)


def test_a_missing_rules_file_is_refused(tmp_path: Path) -> None:
    """A file that is not there is a usage error."""
    with pytest.raises(InvalidSetting, match="must be a file that can be read"):
        load_rules(tmp_path / "none.toml")


@given(st.text(max_size=200), st.text(max_size=200), st.text(max_size=200))
def test_any_record_has_a_class(message: str, exception: str, traceback: str) -> None:
    """No text raises, and nothing at ERROR is taken for nothing to judge unless a rule says so."""
    found = LogRecord(line=1, level=Level.ERROR, message=message, exception=exception, traceback=traceback)
    assert TABLE.classify(found) is not LogClass.OTHER


def test_the_pages_own_rules_are_read() -> None:
    """The rules that docs/server-log-rules.md shows are right, and do what it says."""
    page = (ROOT / "docs" / "server-log-rules.md").read_text(encoding="utf-8")
    shown = parse_rules(page.split("```toml\n")[1].split("```")[0], "page", option="--rules")
    table = RuleTable(shown)
    assert table.classify(record("peer 17 hung up")) is LogClass.GRACEFUL
    gone = LogRecord(line=1, level=Level.ERROR, message="x", exception="chat.errors.PeerGone: 17")
    assert table.classify(gone) is LogClass.ABRUPT


def test_a_users_file_adds_to_the_guards(tmp_path: Path) -> None:
    """`harmless`, `elsewhere` and `frames_elsewhere` of a user's file count for the built-in rules too."""
    wrapped = LogRecord(
        line=1, level=Level.ERROR, message="client disconnected", exception="chat.errors.PeerGone"
    )
    ledger = record("ledger's websocket disconnected")
    framed = LogRecord(
        line=1, level=Level.ERROR, message="client disconnected", traceback="  /ledger_client/x.py"
    )
    assert [TABLE.classify(one) for one in (wrapped, ledger, framed)] == [
        "real_error",
        "graceful",
        "graceful",
    ]
    path = tmp_path / "rules.toml"
    path.write_text(
        'harmless = ["chat.errors.PeerGone"]\n'
        'elsewhere = ["ledger"]\nframes_elsewhere = ["/ledger_client/"]\n'
        '[[rule]]\nclass = "other"\nmessage = "nothing"\n'
    )
    table = load_rules(path)
    assert [table.classify(one) for one in (wrapped, ledger, framed)] == [
        "graceful",
        "real_error",
        "real_error",
    ]


def test_what_is_remembered_is_the_whole_record() -> None:
    """Two records with the same message and other exceptions are told apart."""
    mere, fault = (
        LogRecord(line=1, level=Level.ERROR, message="client disconnected", exception=exception)
        for exception in ("starlette.websockets.WebSocketDisconnect: (1001, '')", "KeyError: 'x'")
    )
    assert [TABLE.classify(one) for one in (mere, fault, mere, fault)] == ["graceful", "real_error"] * 2
