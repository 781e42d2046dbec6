"""Resolves a host and connects to one of its addresses: which to try, in which order, and when.

A name may have several addresses, some of them dead. As in browsers ("happy eyeballs", RFC 8305), the next
address is tried as soon as one has failed, or in parallel once one has not answered within 250 ms. The first
connection wins.
"""

import asyncio
import itertools
import socket
from collections.abc import Awaitable, Callable, Sequence
from typing import Final, TypeVar

Address = tuple[str, int]
"""Host and port of a socket."""

NEXT_AFTER_S: Final = 0.25
"""How long an address has before the next one is tried beside it (RFC 8305, section 8)."""

Connected = TypeVar("Connected")


class Names:
    """The addresses of a host, resolved at most once every `FRESH_S` and used in turn.

    The known answer is used until DNS has returned the next one: attempts do not wait for a refresh. A failed
    refresh is repeated after `FRESH_S`.

    A name with several addresses usually has several front ends, and real clients spread over them. Attempts
    do the same; otherwise the whole run would go to the first address. Only addresses of the system's
    preferred family are used in turn (RFC 6724); the others are tried when all of these fail.

    Args:
        host, port: host and port of the server or a proxy.
        clock: returns monotonic nanoseconds.
    """

    FRESH_S = 30.0
    """How long an answer is used, so that a mass reconnect does not resolve the name for each attempt."""

    def __init__(self, host: str, port: int, clock: Callable[[], int]) -> None:
        self._host = host
        self._port = port
        self._clock = clock
        self._known: list[Address] = []  # the latest answer
        self._question: asyncio.Future[None] | None = None
        self._asked_ns = 0
        self._turn = itertools.count()
        self.in_turn = 1  # number of addresses used in turn

    async def addresses(self, source: Address | None) -> list[Address]:
        """Return the addresses that an attempt should try, in order.

        Args:
            source: the local address, which determines the family of the addresses; None for any.

        Raises:
            OSError: the name cannot be resolved.
        """
        found = await self._found()
        wanted = is_ipv6(found[0] if source is None else source)
        first = [address for address in found if is_ipv6(address) == wanted]
        others = [address for address in found if is_ipv6(address) != wanted] if source is None else []
        self.in_turn = max(1, len(first))
        at = next(self._turn) % self.in_turn
        return [*first[at:], *first[:at], *others]

    async def _found(self) -> list[Address]:
        """Return the latest answer. Wait only for the first one; refresh an old one in the background."""
        now_ns = self._clock()
        fresh = bool(self._known) and now_ns - self._asked_ns <= self.FRESH_S * 1e9
        question = self._question
        if question is None or (question.done() and not fresh):
            self._asked_ns = now_ns
            question = self._question = asyncio.ensure_future(self._ask())
        if not self._known:
            # Shielded: an attempt that times out must not cancel the query of the others.
            await asyncio.shield(question)
        return self._known

    async def _ask(self) -> None:
        loop = asyncio.get_running_loop()
        try:
            found = await loop.getaddrinfo(self._host, self._port, type=socket.SOCK_STREAM)
        except UnicodeError:  # a label is empty or longer than 63 characters
            raise socket.gaierror(socket.EAI_NONAME, "not a valid host name") from None
        except OSError:
            if not self._known:
                raise
        else:
            self._known = list(dict.fromkeys((str(at[0]), int(at[1])) for _, _, _, _, at in found))


def is_ipv6(address: Address) -> bool:
    """Return whether an address is IPv6 rather than IPv4."""
    return ":" in address[0]


async def first_to_connect(
    addresses: Sequence[Address],
    connect: Callable[[Address], Awaitable[Connected]],
    discard: Callable[[Connected], None],
) -> tuple[Connected, int]:
    """Connect to one of several addresses.

    Args:
        addresses: in the order in which to try them; at least one.
        connect: connects to an address.
        discard: closes a surplus connection.

    Returns:
        The connection and the position of its address.

    Raises:
        OSError: no address accepted a connection; this is the last failure.
    """
    if len(addresses) == 1:  # nearly always
        return await connect(addresses[0]), 0
    waiting = iter(enumerate(addresses))
    trying: dict[asyncio.Task[Connected], int] = {}
    failure = OSError("no address")
    try:
        while True:
            if (following := next(waiting, None)) is not None:
                position, address = following
                trying[asyncio.ensure_future(connect(address))] = position
            elif not trying:
                raise failure
            after_s = NEXT_AFTER_S if following is not None else None
            done, _ = await asyncio.wait(trying, timeout=after_s, return_when=asyncio.FIRST_COMPLETED)
            for task in sorted(done, key=trying.__getitem__):
                position = trying.pop(task)
                try:
                    return task.result(), position
                except OSError as error:
                    failure = error
    finally:
        for task in trying:
            _give_up(task, discard)


def _give_up(task: "asyncio.Task[Connected]", discard: Callable[[Connected], None]) -> None:
    """Cancel an attempt, and discard its connection if it has one nevertheless.

    Waiting for its end here could be cancelled too, which would leave connections open forever.
    """

    def ended(ended_task: "asyncio.Task[Connected]") -> None:
        if not ended_task.cancelled() and ended_task.exception() is None:
            discard(ended_task.result())

    task.cancel()
    task.add_done_callback(ended)
