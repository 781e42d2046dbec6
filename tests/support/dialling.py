"""How tests of the transport and of the drops open a connection, outside the engine."""

import ssl
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from loadtest.errors import ConnectFailed
from loadtest.events import Endpoint, Phases, Refused
from loadtest.transport.connection import Connection
from loadtest.transport.opening import Dialer
from loadtest.transport.target import Target, Tls
from tests.support.peers import Ear


def dialer(
    port: int, tls: ssl.SSLContext | None = None, *, host: str = "localhost", **options: Any
) -> Dialer:
    """Return a dialer to this port of this machine."""
    options.setdefault("clock", time.monotonic_ns)
    return Dialer(Target(host, port, tls), **options)


def trusting(authority: Path) -> ssl.SSLContext:
    """Return the TLS context of clients that trust this authority."""
    return Tls(ca=authority).context()


@asynccontextmanager
async def opened(
    port: int,
    tls: ssl.SSLContext | None = None,
    *,
    endpoint: Endpoint | None = None,
    secret: str | None = None,
    **options: Any,
) -> AsyncIterator[tuple[Connection, Ear]]:
    """Open a connection whose messages and end an `Ear` hears, and close it at the end."""
    connection, _ = await opened_with_phases(port, tls, endpoint=endpoint, secret=secret, **options)
    ear = Ear()
    connection.attach(ear)
    try:
        yield connection, ear
    finally:
        connection.abort()


async def opened_with_phases(
    port: int,
    tls: ssl.SSLContext | None = None,
    *,
    endpoint: Endpoint | None = None,
    secret: str | None = None,
    **options: Any,
) -> tuple[Connection, Phases]:
    """Open a connection, with the time of each phase."""
    return await dialer(port, tls, **options).open(endpoint or Endpoint(path="/"), secret)


async def refused(
    port: int,
    tls: ssl.SSLContext | None = None,
    *,
    endpoint: Endpoint | None = None,
    secret: str | None = None,
    **options: Any,
) -> Refused:
    """Fail to open a connection, and return how it was refused."""
    with pytest.raises(ConnectFailed) as caught:
        await opened_with_phases(port, tls, endpoint=endpoint, secret=secret, **options)
    return caught.value.refused
