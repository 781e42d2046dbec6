"""What counts as a secret, and what takes its place."""

from __future__ import annotations

import pytest

from loadtest.capture.redaction import Place, Redactor, is_secret_name, secrets_of_headers, secrets_of_url


@pytest.mark.parametrize(
    "name",
    ["token", "accessToken", "X-Api-Key", "password", "pwd", "jwt", "sessionToken", "auth", "otp", "key"],
)
def test_names_of_secrets(name: str) -> None:
    """However they are spelled."""
    assert is_secret_name(name)


@pytest.mark.parametrize(
    "name", ["author", "authors", "max_tokens", "tokenizer", "keyboard", "pinned", "text"]
)
def test_names_of_others(name: str) -> None:
    """Words that hold such a name by chance."""
    assert not is_secret_name(name)


def test_the_first_token_and_columns() -> None:
    """A second token, passwords and addresses are columns; one value has one place."""
    redactor = Redactor(frozenset())
    assert redactor.parts("token", "abc-123-def") == [Place("token")]
    assert redactor.parts("auth", "other-456") == [Place("auth")]
    assert redactor.parts("password", "abc-123-xyz") == [Place("password")]
    assert redactor.parts("anything", "abc-123-def") == [Place("token")]
    assert redactor.columns() == ["auth", "password"]


def test_a_secret_within_a_text() -> None:
    """What is around it stays; the scheme of a credential does, too."""
    redactor = Redactor(frozenset({"known-cookie-1"}))
    assert redactor.parts("", "use known-cookie-1 now") == ["use ", Place("token"), " now"]
    assert redactor.parts("Authorization", "Bearer abc") == ["Bearer ", Place("authorization")]


def test_uuids_and_words_are_no_secrets() -> None:
    """They name things."""
    redactor = Redactor(frozenset())
    for text in ("3f0c8e0c-7d1e-4c52-9a0b-27a1f4f4c0de", "hello there", "room:lobby", "BootNotification"):
        assert redactor.parts("room", text) == [text]
        assert redactor.public(text) == text


def test_what_the_server_issues_is_hidden() -> None:
    """Its tokens are learned, and then hidden in whatever is written."""
    redactor = Redactor(frozenset())
    redactor.learn("session_token", "issued-0815")
    assert redactor.public("told issued-0815 twice") == "told *** twice"


def test_the_beginning_of_a_secret_is_no_secret() -> None:
    """A text that ends like one begins was not cut off."""
    redactor = Redactor(frozenset({"correct-horse-7"}))
    assert redactor.public("that is correct") == "that is correct"


def test_urls_and_headers() -> None:
    """Parameters by name, and what stands in cookies, whole."""
    assert list(secrets_of_url("wss://u:pass-1@a.example/x?ticket=t-1&room=7")) == ["pass-1", "t-1"]
    headers = [
        ("Cookie", "sid=0123456789; theme=dark"),
        ("Authorization", "Bearer abc"),
        ("Origin", "https://a"),
    ]
    assert list(secrets_of_headers(headers)) == ["0123456789", "abc"]
    assert list(secrets_of_url("http://[")) == []
