"""Nothing in a recording can become code: texts are joined to names, and the file is checked."""

from __future__ import annotations

import uuid
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from loadtest.capture.generated_code import ForeignCode, check_code
from loadtest.capture.python_source import Code, joined
from tests.support.conversations import Turn, converted
from tests.support.effort import effort

TRICKY = st.text(alphabet=st.sampled_from("'\"\\{}\n\r\t\0#()abc\u2028\u202e\ud83d\udc00é😀"), max_size=12)
TEXTS = st.text(st.characters(), max_size=40) | TRICKY
PAYLOAD = '\\"and(open(max(hex(0)),max(hex(0))))#'
"""Ends a carelessly written f-string, and opens a file named `x`."""

JWT = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhbm5hIn0.c2lnbmF0dXJl"


@effort(500)
@given(st.lists(TEXTS, min_size=1, max_size=4), st.sampled_from(["name", 'row["name"]', "name + 1"]))
@example(['\\"'], "name")
@example(['a"'], 'row["name"]')
@example(["{0}"], "name")
@example([PAYLOAD], "name")
@example(["\ud800"], "name")
def test_a_text_with_names_in_it_means_what_it_says(texts: list[str], name: str) -> None:
    """Whatever stands before, between and after the names."""
    code = joined([part for text in texts for part in (text, Code(name))])
    known = {"name": 7, "row": {"name": "N"}}
    value = eval(name, dict(known))
    assert eval(code, dict(known)) == "".join(f"{text}{value}" for text in texts)
    assert code.isascii()
    assert code.isprintable()
    check_code(f"name = 1\nrow = {{}}\nfound = {code}\n")


@pytest.fixture
def elsewhere(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    """An empty working directory, in which code that ran would leave a file."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def _ids(prefix: str) -> list[Turn]:
    turns: list[Turn] = [
        ("->", {"type": "hello", "id": f"{prefix}0"}),
        ("<-", {"type": "welcome", "id": f"{prefix}0"}),
    ]
    for at in range(1, 7):
        turns += [
            ("->", {"type": "say", "id": f"{prefix}{at}", "text": f"hello there {at}"}),
            ("<-", {"type": "said", "id": f"{prefix}{at}", "text": f"hello there {at}"}),
        ]
    return turns


@pytest.mark.parametrize("prefix", [PAYLOAD, '"', 'a"', "{", "}{0}", "\\", "'\"\\", "\\N{", "msg-"])
@pytest.mark.parametrize("greets", [True, False])
def test_ids_with_a_hostile_prefix(elsewhere: Any, prefix: str, greets: bool) -> None:
    """They are explained as any others, and nothing of them runs."""
    conversion = converted(*_ids(prefix)[0 if greets else 2 :])
    assert list(elsewhere.iterdir()) == []
    assert conversion.replay.wrong == 0


@pytest.mark.parametrize(
    "before", [PAYLOAD, f"{'x' * 70_000}{PAYLOAD}", '{"token":"', '"hi" to ', "{}", "'\""]
)
def test_a_text_around_a_secret(elsewhere: Any, before: str) -> None:
    """As JSON in a string: what the client says has the same text, with another secret."""
    conversion = converted(
        ("->", {"type": "login", "data": f'{before[:200]}{JWT}"}}'}),
        ("<-", {"type": "welcome"}),
        ("->", {"type": "tail", **{f"k{at}": at for at in range(200)}, "note": f"{before} {JWT}"}),
    )
    assert list(elsewhere.iterdir()) == []
    assert conversion.replay.wrong == 0
    check_code(conversion.source)


@pytest.mark.parametrize(
    "text", ["return lt", "own = ", "return None", "isinstance(data, str)", "return lt.Push() if own"]
)
@pytest.mark.parametrize("rest", [{"a": 1}, [{"a": 1}, {"b": 2}]])
def test_texts_that_look_like_lines_of_the_program(text: str, rest: Any) -> None:
    """Its lines are never edited by what they hold."""
    turns: list[Turn] = [*[("->", rest), ("<-", rest)] * 4, ("<-", text), ("<-", text)]
    check_code(converted(*turns).source)
    check_code(converted(*[("->", text), ("<-", text)] * 3).source)


@effort(80)
@given(st.lists(TEXTS, min_size=5, max_size=5))
def test_the_whole_file_has_only_what_the_tool_writes(said: list[str]) -> None:
    """Kinds of nodes, names, attributes and imports are those of an allow-list."""
    one, two, three, four, five = said
    conversion = converted(
        ("->", {"type": "hello", "token": one, "auth": f"{two}{JWT}{three}"}),
        ("<-", {"type": "welcome", four: five}),
        *_ids(five)[2:],
        ("->", four),
        ("<-", three),
        url=f"ws://a.example/{JWT}?{one}={two}",
        headers=[("sec-websocket-protocol", f"v1, {three}{JWT}")],
    )
    check_code(conversion.source)


def test_a_number_sign_in_a_text_hides_no_import() -> None:
    """What follows it on the line is code."""
    turns: list[Turn] = [
        turn
        for at in range(4)
        for turn in (
            (
                "->",
                {"type": "mark", "channel": "#general", "nonce": str(uuid.UUID(int=at * 7919**8))},
            ),
            ("<-", {"type": "marked"}),
        )
    ]
    conversion = converted(*turns)
    assert "import uuid" in conversion.source
    assert conversion.replay.wrong == 0


@pytest.mark.parametrize("name", ["pin", "token", "password", "otp"])
def test_a_secret_that_is_a_number(name: str) -> None:
    """It is one in the replay, too."""
    conversion = converted(
        ("->", {"type": "login", name: 4938271}),
        ("<-", {"type": "welcome"}),
        ("->", {"type": "say", "text": "hello there"}),
        ("<-", {"type": "said", "text": "hello there"}),
    )
    assert conversion.replay.wrong == 0
    assert "4938271" not in conversion.source


@pytest.mark.parametrize(
    "source",
    [
        "import os",
        "from os import system",
        "import loadtest as json",
        "open('x')",
        "found = open",
        "found = ().__class__",
        "found = json.load",
        "import json\nfound = json.codecs",
        "found = [f(1) for f in ()]\nx = lambda: 1",
        "def f(a=print):\n    return a",
        "@print\ndef f():\n    return 1",
        "exec('1')",
        "assert 1",
        "with a:\n    pass",
        "class A:\n    name = eval",
        "class A(metaclass=type):\n    pass",
        "found = f\"{open('x')}\"",
        "global a",
        "raise SystemExit",
        "while True:\n    pass",
        "not python (",
    ],
)
def test_anything_else_is_refused(source: str) -> None:
    """Whatever fault in the tool would have written it."""
    with pytest.raises(ForeignCode, match="which the tool never writes"):
        check_code(f"import loadtest as lt\n{source}\n")
