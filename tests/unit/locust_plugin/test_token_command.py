"""What is told of a token command that failed: never a token that it printed."""

from __future__ import annotations

import pytest

from loadtest.errors import LoginFailed
from loadtest.locust_plugin.token_command import token_in


def words_of(printed: str, said: str) -> str:
    """Return what is told of a command that printed and said this, after its exit status."""
    told = token_in(3, printed.encode(), said.encode())
    assert isinstance(told, LoginFailed)
    return told.detail.removeprefix("the token command ended with exit status 3").removeprefix(": ")


@pytest.mark.parametrize(
    ("printed", "said", "words"),
    [
        ("opaque_Zq9x1", "ERROR cannot cache opaque_Zq9x1", "ERROR cannot cache ***"),
        ("opaque_Zq9x1\n", "cannot cache key-opaque_Zq9x1, retry", "cannot cache key-***, retry"),
        ("opaque_Zq9x1", "cannot cache opaque_Zq...", "cannot cache ***..."),
        ('{"token":"opaque_Zq9x1"}', "cannot cache opaque_Zq9x1", "cannot cache ***"),
        ("token: 'opaque_Zq9x1'", "cannot cache opaque_Zq9x1", "cannot cache ***"),
        ("a:b/c=opaque", "cannot cache a:b/c=opaque", "cannot cache ***"),
        ("caches token", "cannot cache 1 token", "cannot cache 1 token"),
        ("", "no answer of https://u:pw12345678@h/login", "no answer of https://[secret removed]@h/login"),
        ("", "", ""),
    ],
)
def test_what_it_printed_is_hidden_in_its_last_words(printed: str, said: str, words: str) -> None:
    """In words of 8 characters or more, whole or as parts of JSON; shorter ones would garble the text."""
    assert words_of(printed, said) == words


def test_the_end_of_a_long_token_is_hidden() -> None:
    """Only the last of what it said is kept, which may begin within a token; a whole line after it stays."""
    token = "opaque" * 1000
    end = token[-4096 + len(" is bad") :]
    assert words_of(token, f"{end} is bad") == ""
    assert words_of(token, f"{end}\nis bad") == "is bad"
    assert words_of("", end[:4000]) != ""
