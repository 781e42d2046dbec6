"""What `loadtest dialect check` shows, as golden files, and as JSON; its exit codes."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from loadtest.dialects.base import Dialect, Push, Reply, Request
from loadtest.dialects.dialect_options import DialectOption
from loadtest.dialects.dialect_session import DialectSession
from loadtest.engine.conversation import Ending
from loadtest.events import Data
from loadtest.report.dialect_check import DialectCheck, lines, print_check
from loadtest.values import Text
from tests.support.golden import Golden
from tests.support.small_chat import Chat
from tests.support.told import Talk

RUN = "locust -f chat.py --host ws://127.0.0.1:8000 --headless -u 1 -t 60s"

WELCOME = {"type": "welcome", "session": "1b5ef97f-000000"}


def checked(talk: Talk, ending: Ending = Ending.DONE) -> DialectCheck:
    """Return the check of a conversation."""
    conversation = talk.ends(ending)
    return DialectCheck(conversation=conversation, dialect=talk.dialect, target="ws://127.0.0.1", run=RUN)


def told(check: DialectCheck, width: int) -> str:
    """Return the output for a terminal of this width."""
    return "".join(f"{line.text}\n" for line in lines(check, width))


def exchange(talk: Talk, *sequences: int) -> None:
    """Send requests, and receive their replies."""
    for sequence in sequences:
        talk.asks()
        talk.hears({"re": sequence, "text": talk.text(sequence)})


class LoggedIn(Chat):
    """The chat, with a login."""

    subprotocols = ("chat.v1",)

    async def login(self, session: DialectSession) -> None:
        session.token = "token-of-the-session"


def sound() -> DialectCheck:
    """A conversation in which all is well."""
    talk = Talk(LoggedIn())
    talk.connects(sid="cookie-of-the-session")
    talk.hears(WELCOME)
    exchange(talk, 0, 1, 2)
    talk.drops()
    talk.connects()
    talk.hears(WELCOME, {"type": "history", "texts": [talk.text(number) for number in range(3)]})
    exchange(talk, 3, 4)
    talk.transcript.closed("the client closes the connection, code 1000")
    return checked(talk)


def faulty() -> DialectCheck:
    """A conversation in which much is wrong, after all."""
    talk = Talk(Chat())
    talk.connects()
    talk.hears(WELCOME, {"type": "motd", "text": "Be kind to each other, and read the rules first."})
    talk.asks()
    talk.hears({"re": "msg-0", "text": talk.text(0)}, {"re": 0, "text": talk.text(0).replace("é", "e")})
    talk.asks()
    talk.hears(*[{"re": 1, "text": talk.text(1)}] * 2)
    talk.drops()
    talk.connects()
    talk.hears({**WELCOME, "session": "9c3a"}, {"type": "history", "texts": []})
    talk.asks()
    talk.waits(6)
    return checked(talk, Ending.NO_REPLY)


class Mistaken(Chat):
    """A dialect that expects what does not come."""

    def read(self, session: DialectSession, data: Data) -> Any:
        message = json.loads(data)
        return Reply(message["id"], message["text"])


def mistaken() -> DialectCheck:
    """A dialect that raises."""
    talk = Talk(Mistaken())
    talk.connects()
    talk.hears(WELCOME, WELCOME)
    return checked(talk, Ending.NOT_ESTABLISHED)


class Simple(Dialect):
    """A dialect that declares nothing."""

    ordered = False

    def request(self, session: DialectSession, sequence: int) -> Any:
        return Request("ping", name="event", replies=False) if sequence % 2 else "ping"

    def read(self, session: DialectSession, data: Data) -> Reply:
        return Reply(None)


def simple() -> DialectCheck:
    """A dialect that leaves nearly everything unjudged."""
    talk = Talk(Simple())
    talk.connects()
    talk.asks()
    talk.hears("pong")
    talk.asks()
    talk.drops()
    talk.connects()
    return checked(talk)


def refused() -> DialectCheck:
    """A server that refuses the upgrade."""
    talk = Talk(Chat())
    talk.attempts()
    talk.is_refused("http_403", "HTTP 403 no entry")
    return checked(talk, Ending.NOT_ESTABLISHED)


CASES: dict[str, Callable[[], DialectCheck]] = {
    "sound": sound,
    "faulty": faulty,
    "mistaken": mistaken,
    "simple": simple,
    "refused": refused,
}


@pytest.mark.parametrize("name", CASES)
def test_output(name: str, golden: Golden) -> None:
    """Transcript, findings, what is unjudged, and the result: in a narrow terminal and in a wide one."""
    check = CASES[name]()
    shown = [f"{width} columns, exit code {check.exit_code}:\n\n{told(check, width)}" for width in (80, 120)]
    golden(f"dialect-check/{name}.txt", "\n".join(shown))


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("width", [20, 60, 80, 120, 200])
def test_lines_fit(name: str, width: int) -> None:
    """No line is longer than the terminal is wide, if it is not absurdly narrow; only the command may be."""
    for line in lines(CASES[name](), width):
        assert len(line.text) <= max(width, 50) or line.text.startswith("next: ")
        assert line.text.isprintable()


@pytest.mark.parametrize(
    ("name", "exit_code"), [("sound", 0), ("simple", 0), ("faulty", 1), ("refused", 1), ("mistaken", 2)]
)
def test_exit_codes(name: str, exit_code: int) -> None:
    """Worked, failed, mistake; only what worked is followed by the command of a run."""
    check = CASES[name]()
    assert check.exit_code == exit_code
    assert (RUN in told(check, 80)) == (exit_code == 0)


def test_an_interrupted_check_has_not_worked() -> None:
    """What there is is shown; without a failure of its own, it is not a success either."""
    talk = Talk(Chat())
    talk.connects()
    check = checked(talk, Ending.INTERRUPTED)
    assert check.exit_code == 1
    assert check.headline == "Chat: interrupted"
    assert "101" in told(check, 80)


def test_messages_left_out_are_counted() -> None:
    """A server that never stops does not fill the terminal."""
    talk = Talk(Chat())
    talk.connects()
    talk.hears(*[{"type": "news", "number": number} for number in range(1300)])
    output = told(checked(talk), 80)
    assert "… and 1,100 further messages" in output
    assert len(output.splitlines()) < 250


def test_json() -> None:
    """The same for programs: everything that the terminal shows, and the counts."""
    document = json.loads(msgspec.json.encode(faulty().to_json()))
    assert document["exit_code"] == 1
    assert document["dialect"] == "Chat"
    assert document["ending"] == "no reply"
    assert document["run"] == RUN
    assert document["transcript"][0] == {
        "at_s": 0.0075,
        "what": "upgrade",
        "text": "GET /chat/1b5ef97f-000000",
        "meaning": "101",
        "bad": False,
    }
    assert {finding["level"] for finding in document["findings"]} == {"FAIL", "note"}
    assert {row["what"] for row in document["unjudged"]} == {"pushes", "heartbeat"}
    assert document["counts"]["messaging.sent"] == 3


def test_printing(capsys: pytest.CaptureFixture[str]) -> None:
    """The lines go to standard output, without colours where it is no terminal."""
    check = sound()
    print_check(check)
    assert capsys.readouterr().out == told(check, 80)


def test_a_path_without_its_token() -> None:
    """A note says which place in the path is empty, and how to fill it."""
    assert not [finding for finding in sound().findings if "{token}" in finding.what]
    held = sound().conversation
    check = DialectCheck(conversation=held, dialect=Chat(), target="", run=RUN, lacks_token=True)
    (note,) = [finding for finding in check.findings if "{token}" in finding.what]
    assert (note.level, note.hint) == ("note", "Set LOCUST_WS_TOKEN, or use --token")
    assert check.exit_code == 0


def test_a_history_that_is_no_restored_message_is_a_note() -> None:
    """A run does not judge the history then, so the check does not fail either."""
    talk = Talk(Chat())
    talk.connects()
    talk.hears(WELCOME)
    exchange(talk, 0)
    talk.drops()
    talk.connects()
    talk.hears(WELCOME)
    exchange(talk, 1)
    talk.is_left(1000, "")
    check = checked(talk)
    (finding,) = check.findings
    assert (finding.level, finding.what) == ("note", "no history was restored")
    assert check.exit_code == 0


def test_a_bundled_dialect_is_set_by_options() -> None:
    """Nobody writes Python for it; where it has no option there is nothing to advise."""

    class Bundled(Simple):
        __module__ = "loadtest.dialects.bundled_one"
        options = tuple(
            DialectOption(name, Text(), "") for name in ("ordered", "recovery", "push-number", "push-text")
        )

        def read(self, session: DialectSession, data: Data) -> Any:
            return Push()

    talk = Talk(Bundled())
    talk.connects()
    talk.hears("news")
    check = checked(talk)
    found = {row.what: row.declare for row in check.unjudged}
    assert found["order"] == "--ws-dialect-option ordered=on"
    assert found["identity"] == "--ws-dialect-option recovery=on"
    assert found["history"] == ""
    declares = {row.declare for row in check.unjudged if row.what == "pushes"}
    assert declares == {
        "",
        "--ws-dialect-option push-number=FIELD",
        "--ws-dialect-option push-text=FIELD",
    }
    assert "Set: --ws-dialect-option recovery=on" in told(check, 300)


def test_promised_pushes_that_did_not_come() -> None:
    """For how long the connections were open is said; the dialect declares them already."""

    class Pushed(Chat):
        pushes = True

    talk = Talk(Pushed())
    talk.connects()
    talk.hears(WELCOME)
    talk.waits(1.5)
    talk.transcript.closed("the client closes the connection, code 1000")
    (row,) = [row for row in checked(talk).unjudged if row.what == "pushes"]
    assert row.means.startswith("none came in the 1.5 s that the connections were open")
    assert not row.declare
