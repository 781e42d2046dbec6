"""Parses local addresses to connect from: a single address, a range, or a network. Pure.

    192.0.2.7               an address
    127.0.0.2-127.0.0.9     a range, both ends included
    10.1.0.0/28             the network's hosts, without the network and broadcast addresses if it has them

One address has about 28,000 ports for connections to one target. More connections need more addresses.
Whether an address belongs to this machine is checked elsewhere (`loadtest.transport.target.check_source`).
"""

import ipaddress
from collections.abc import Iterable, Iterator

from loadtest.errors import InvalidSetting
from loadtest.text import one_line

LIMIT = 1024
"""Maximum number of addresses: enough for 28 million connections to one target."""

_OPTION = "--ws-source-ip"

Address = ipaddress.IPv4Address | ipaddress.IPv6Address


def expand(texts: Iterable[str]) -> tuple[str, ...]:
    """Return all addresses in these texts, in order, without duplicates.

    Raises:
        InvalidSetting: a text is malformed, or there are more than `LIMIT` addresses.
    """
    found: dict[str, None] = {}
    for text in texts:
        for address in _addresses(text.strip()):
            found[str(address)] = None
            if len(found) > LIMIT:
                raise InvalidSetting(_OPTION, text, f"must be at most {LIMIT} addresses in all")
    return tuple(found)


def _addresses(text: str) -> Iterator[Address]:
    first, dash, last = text.partition("-")
    try:
        if "/" in text:
            yield from ipaddress.ip_network(text).hosts()
        elif dash and "%" not in text:  # an IPv6 zone's name may contain a dash
            yield from _between(text, ipaddress.ip_address(first), ipaddress.ip_address(last))
        else:
            yield ipaddress.ip_address(text)
    except ValueError as error:
        problem = f"must be IP, FIRST-LAST or NETWORK/BITS ({one_line(str(error))})"
        raise InvalidSetting(_OPTION, text, problem) from None


def _between(text: str, first: Address, last: Address) -> Iterator[Address]:
    if first.version != last.version or int(first) > int(last):
        raise InvalidSetting(_OPTION, text, "must be a range from a lower to a higher address")
    for number in range(int(first), int(last) + 1):
        yield type(first)(number)
