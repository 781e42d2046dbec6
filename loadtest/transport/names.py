"""The addresses that the target's name stands for.

DNS is no part of what is tested, and clients, each with an answer of its own, do not all fail with one
resolver. So attempts wait for it, and fail with it, only until it has answered for the first time.
"""

import asyncio
import itertools
import socket
from collections.abc import Callable

from loadtest.transport.target import Target

Address = tuple[str, int]
"""Host and port of a socket."""


class Names:
    """The target's addresses: asked for once an interval, and used in turn.

    Once an answer is known, it serves until DNS has given the next: who asks again does not wait for it, and
    where the question fails it is put again an interval later.

    A name with several addresses stands for several front ends, among which many clients, each with its own
    DNS, would spread: so does this one, which would else aim a whole run at the first. Only addresses of the
    family that the system prefers take turns (RFC 6724); those of the other are for when all of these fail.
    """

    FRESH_S = 30.0
    """How long an answer serves, so that reconnecting crowds do not ask for each attempt."""

    def __init__(self, target: Target, clock: Callable[[], int]) -> None:
        self._target = target
        self._clock = clock
        self._known: list[Address] = []  # the latest answer
        self._question: asyncio.Future[None] | None = None
        self._asked_ns = 0
        self._turn = itertools.count()
        self.in_turn = 1  # addresses

    async def addresses(self, source: Address | None) -> list[Address]:
        """Return the addresses that an attempt from this local one, or from any, should try, in order."""
        found = await self._found()
        wanted = is_ipv6(found[0] if source is None else source)
        first = [address for address in found if is_ipv6(address) == wanted]
        others = [address for address in found if is_ipv6(address) != wanted] if source is None else []
        self.in_turn = max(1, len(first))
        at = next(self._turn) % self.in_turn
        return [*first[at:], *first[:at], *others]

    async def _found(self) -> list[Address]:
        """Return the latest answer, and see to it that DNS is asked again in time; wait for the first one."""
        now_ns = self._clock()
        fresh = bool(self._known) and now_ns - self._asked_ns <= self.FRESH_S * 1e9
        question = self._question
        if question is None or (question.done() and not fresh):
            self._asked_ns = now_ns
            question = self._question = asyncio.ensure_future(self._ask())
        if not self._known:
            # Shielded: an attempt that gives up must not take the answer from the others.
            await asyncio.shield(question)
        return self._known

    async def _ask(self) -> None:
        loop = asyncio.get_running_loop()
        try:
            found = await loop.getaddrinfo(self._target.host, self._target.port, type=socket.SOCK_STREAM)
        except UnicodeError:  # a label of no or more than 63 characters
            raise socket.gaierror(socket.EAI_NONAME, "this cannot be a host's name") from None
        except OSError:
            if not self._known:
                raise
        else:
            self._known = list(dict.fromkeys((str(at[0]), int(at[1])) for _, _, _, _, at in found))


def is_ipv6(address: Address) -> bool:
    """Tell an IPv6 address from one of IPv4."""
    return ":" in address[0]
