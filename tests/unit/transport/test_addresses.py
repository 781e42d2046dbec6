"""Local addresses to connect from: single ones, ranges and networks, against Python's own arithmetic."""

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadtest.errors import InvalidSetting
from loadtest.transport.addresses import LIMIT, expand


@pytest.mark.parametrize(
    ("texts", "addresses"),
    [
        ([], []),
        (["127.0.0.2"], ["127.0.0.2"]),
        ([" 127.0.0.254-127.0.1.1 "], ["127.0.0.254", "127.0.0.255", "127.0.1.0", "127.0.1.1"]),
        (["127.0.1.0/29"], [f"127.0.1.{number}" for number in range(1, 7)]),
        (["127.0.0.9/32", "127.0.0.8-127.0.0.9"], ["127.0.0.9", "127.0.0.8"]),
        (["::1", "fd00::1-fd00::2", "fe80::1%br-lan"], ["::1", "fd00::1", "fd00::2", "fe80::1%br-lan"]),
    ],
    ids=str,
)
def test_what_is_meant(texts: list[str], addresses: list[str]) -> None:
    """Addresses, ranges with both ends, networks without their own and the broadcast address; each once."""
    assert expand(texts) == tuple(addresses)


@pytest.mark.parametrize(
    "text",
    [
        *("", "localhost", "127.0.0", "127.0.0.256", "127.0.0.9-127.0.0.2", "127.0.0.1-::1", "-127.0.0.1"),
        *("127.0.0.1-", "127.0.0.5/29", "127.0.0.0/33", "0.0.0.0/0", "::/0", "0.0.0.0-255.255.255.255"),
    ],
)
def test_what_is_refused(text: str) -> None:
    """What is no address, goes backwards or makes too many is told with its text, and takes no time."""
    with pytest.raises(InvalidSetting) as caught:
        expand(["127.0.0.1", text])
    assert caught.value.option == "--ws-source-ip"
    assert caught.value.value == text


@given(st.integers(0, 2**32 - 1), st.integers(0, 2 * LIMIT))
def test_a_range_has_all_its_addresses_up_to_the_limit(first: int, more: int) -> None:
    """A range is its addresses in order, or one error where they are too many."""
    last = min(first + more, 2**32 - 1)
    text = f"{ipaddress.IPv4Address(first)}-{ipaddress.IPv4Address(last)}"
    if last - first < LIMIT:
        found = expand([text])
        assert [int(ipaddress.IPv4Address(address)) for address in found] == list(range(first, last + 1))
    else:
        with pytest.raises(InvalidSetting, match=f"at most {LIMIT}"):
            expand([text])


@given(st.lists(st.text(max_size=40), max_size=3))
def test_any_text_is_addresses_or_one_error(texts: list[str]) -> None:
    """No text is any other error, and what comes out can be read again."""
    try:
        found = expand(texts)
    except InvalidSetting:
        return
    assert expand(found) == found
