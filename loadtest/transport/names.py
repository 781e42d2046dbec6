"""The addresses that the target's name stands for."""

import asyncio
import itertools
import socket
from collections.abc import Callable

from loadtest.transport.target import Target

Address = tuple[str, int]
"""Host and port of a socket."""


class Names:
    """The target's addresses: asked for once an interval, and used in turn.

    A name with several addresses stands for several front ends, among which many clients, each with its own
    DNS, would spread: so does this one, which would else aim a whole run at the first. Only addresses of the
    family that the system prefers take turns (RFC 6724); those of the other are for when all of these fail.
    """

    FRESH_S = 30.0
    """How long an answer serves, so that reconnecting crowds do not ask for each attempt."""

    def __init__(self, target: Target, clock: Callable[[], int]) -> None:
        self._target = target
        self._clock = clock
        self._answer: asyncio.Future[list[Address]] | None = None
        self._asked_ns = 0
        self._turn = itertools.count()
        self.in_turn = 1  # addresses

    async def addresses(self, source: Address | None) -> list[Address]:
        """Return the addresses that an attempt from this local one, or from any, should try, in order."""
        found = await self._fresh()
        own_family = family(found[0] if source is None else source)
        first = [address for address in found if family(address) == own_family]
        others = [address for address in found if family(address) != own_family] if source is None else []
        self.in_turn = max(1, len(first))
        at = next(self._turn) % self.in_turn
        return [*first[at:], *first[:at], *others]

    async def _fresh(self) -> list[Address]:
        """Return what DNS answers; attempts at the same time share one question. A failure is not kept."""
        now_ns = self._clock()
        stale = now_ns - self._asked_ns > self.FRESH_S * 1e9
        answer = self._answer
        if answer is None or (answer.done() and (stale or answer.exception() is not None)):
            self._asked_ns = now_ns
            answer = self._answer = asyncio.ensure_future(self._ask())
        # Shielded: an attempt that gives up must not take the answer from the others.
        return await asyncio.shield(answer)

    async def _ask(self) -> list[Address]:
        loop = asyncio.get_running_loop()
        try:
            found = await loop.getaddrinfo(self._target.host, self._target.port, type=socket.SOCK_STREAM)
        except UnicodeError:  # a label of no or more than 63 characters
            raise socket.gaierror(socket.EAI_NONAME, "this cannot be a host's name") from None
        return list(dict.fromkeys((str(address[0]), int(address[1])) for _, _, _, _, address in found))


def family(address: Address) -> bool:
    """Tell an IPv6 address from one of IPv4."""
    return ":" in address[0]
