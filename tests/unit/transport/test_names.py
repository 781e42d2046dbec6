"""Several addresses: the next one on failure or silence, the first connection wins, nothing is left over."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from loadtest.transport import names
from loadtest.transport.names import Address, first_to_connect

pytestmark = pytest.mark.anyio

SILENT, REFUSING, OPEN = "silent", "refusing", "open"


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Try the next address in the next turn of the loop."""
    monkeypatch.setattr(names, "NEXT_AFTER_S", 0.0)


async def turns() -> None:
    """Let the loop take some turns."""
    for _ in range(4):
        await asyncio.sleep(0)


class Network:
    """Hosts that answer as they are called."""

    def __init__(self) -> None:
        self.tried: list[str] = []
        self.left: list[str] = []
        self.discarded: list[str] = []

    async def connect(self, address: Address) -> str:
        """Connect, fail, or hang."""
        host, _ = address
        self.tried.append(host)
        try:
            if host.startswith(SILENT):
                await asyncio.Event().wait()
            if host.startswith(REFUSING):
                raise ConnectionRefusedError(host)
        except asyncio.CancelledError:
            self.left.append(host)
            if host.endswith("late"):
                return host  # it has connected in the very moment in which it was given up
            raise
        return host

    async def first(self, hosts: Sequence[str]) -> tuple[str, int]:
        """Return what connected first, once the other attempts have ended."""
        found = await first_to_connect([(host, 80) for host in hosts], self.connect, self.discarded.append)
        await turns()
        return found


async def test_one_address_needs_no_race() -> None:
    """It is connected to, or its failure is raised."""
    assert await Network().first([OPEN]) == (OPEN, 0)
    with pytest.raises(ConnectionRefusedError):
        await Network().first([REFUSING])


async def test_the_next_address_on_failure() -> None:
    """At once, and none beyond the first that accepts."""
    network = Network()
    assert await network.first([REFUSING, OPEN, "open too"]) == (OPEN, 1)
    assert network.tried == [REFUSING, OPEN]


async def test_the_next_address_on_silence() -> None:
    """Beside the one that is silent, which is given up when another has connected."""
    network = Network()
    assert await network.first([SILENT, REFUSING, OPEN]) == (OPEN, 2)
    assert network.left == [SILENT]
    assert network.discarded == []


async def test_a_connection_that_comes_second_is_closed() -> None:
    """Nothing is left open that nobody uses."""
    network = Network()
    assert await network.first(["silent, late", OPEN]) == (OPEN, 1)
    assert network.discarded == ["silent, late"]


async def test_all_fail() -> None:
    """The last failure is raised."""
    with pytest.raises(ConnectionRefusedError, match="refusing 3"):
        await Network().first([f"{REFUSING} {number}" for number in (1, 2, 3)])


async def test_given_up_from_outside() -> None:
    """All attempts end with who wanted them."""
    network = Network()
    racing = asyncio.ensure_future(network.first([f"{SILENT} {number}" for number in (1, 2)]))
    while len(network.tried) < 2:
        await asyncio.sleep(0)
    racing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await racing
    await turns()
    assert sorted(network.left) == ["silent 1", "silent 2"]


@pytest.mark.parametrize("cancels", [1, 2, 3])
@pytest.mark.parametrize("later", range(8))
async def test_a_connection_at_the_end_of_the_attempt_is_closed(later: int, cancels: int) -> None:
    """It is returned or discarded, in whichever turn of the loop the time is up."""
    arrives: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    connected: list[str] = []
    discarded: list[str] = []

    async def connect(address: Address) -> str:
        await arrives
        connected.append(address[0])
        return address[0]

    racing = asyncio.ensure_future(first_to_connect([("one", 1), ("two", 2)], connect, discarded.append))
    await turns()
    arrives.set_result(None)
    for _ in range(later):
        await asyncio.sleep(0)
    for _ in range(cancels):  # anyio cancels in each turn until the scope is left
        racing.cancel()
        await asyncio.sleep(0)
    (won,) = await asyncio.gather(racing, return_exceptions=True)
    await turns()
    kept = [] if isinstance(won, BaseException) else [won[0]]
    assert sorted(kept + discarded) == sorted(connected)
