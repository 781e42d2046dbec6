"""Local addresses to connect from, as people write them: one, a range, or a network. Pure.

    192.0.2.7               one
    127.0.0.2-127.0.0.9     both ends and all between
    10.1.0.0/28             the network's hosts: without its own and the broadcast address, where it has them

One address has some 28,000 ports for connections to one target; more connections need more addresses.
Whether an address is this machine's own is for the socket to say.
"""

import ipaddress
from collections.abc import Iterable, Iterator

from loadtest.errors import InvalidSetting

LIMIT = 1024
"""Addresses in all: 28 million connections to one target."""

_OPTION = "--ws-source-ip"

Address = ipaddress.IPv4Address | ipaddress.IPv6Address


def expand(texts: Iterable[str]) -> tuple[str, ...]:
    """Return every address that is meant, in order, each once.

    Raises:
        InvalidSetting: a text is not an address, or all of them are more than `LIMIT`.
    """
    found: dict[str, None] = {}
    for text in texts:
        for address in _meant(text.strip()):
            found[str(address)] = None
            if len(found) > LIMIT:
                raise InvalidSetting(_OPTION, text, f"must be at most {LIMIT} addresses in all")
    return tuple(found)


def _meant(text: str) -> Iterator[Address]:
    first, dash, last = text.partition("-")
    try:
        if "/" in text:
            yield from ipaddress.ip_network(text).hosts()
        elif dash and "%" not in text:  # the name of an IPv6 zone may hold a dash
            yield from _between(text, ipaddress.ip_address(first), ipaddress.ip_address(last))
        else:
            yield ipaddress.ip_address(text)
    except ValueError as error:
        problem = f"must be IP, FIRST-LAST or NETWORK/BITS ({error})"
        raise InvalidSetting(_OPTION, text, problem) from None


def _between(text: str, first: Address, last: Address) -> Iterator[Address]:
    if first.version != last.version or int(first) > int(last):
        raise InvalidSetting(_OPTION, text, "must be a range from a lower to a higher address")
    for number in range(int(first), int(last) + 1):
        yield type(first)(number)
