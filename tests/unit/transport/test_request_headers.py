"""The headers of a request: several of one name, those that stand once, and cookies."""

from loadtest.transport.request_headers import merged


def test_several_headers_may_have_one_name() -> None:
    """All are sent, in order."""
    given = (("X-Tag", "1"), ("Accept", "a"), ("X-Tag", "2"))
    assert merged(given) == given


def test_the_last_of_those_that_stand_once_is_sent() -> None:
    """The session's own come after the run's, whatever the case of their names."""
    given = (("authorization", "of the run"), ("Origin", "https://a"), ("Authorization", "of the session"))
    assert merged(given) == (("Origin", "https://a"), ("Authorization", "of the session"))


def test_cookies_stand_in_one_header() -> None:
    """It comes last; a later cookie replaces an earlier one of its name."""
    given = (("Cookie", "a=1; b=2"), ("Host", "h"), ("cookie", "a=3"))
    assert merged(given) == (("Host", "h"), ("Cookie", "a=3; b=2"))
