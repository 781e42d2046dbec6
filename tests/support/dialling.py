"""Opens connections without the engine, for tests of the transport and the drops."""

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
    """Return a dialer to a port on this machine."""
    options.setdefault("clock", time.monotonic_ns)
    return Dialer(Target(host, port, tls), **options)


def trusting(authority: Path) -> ssl.SSLContext:
    """Return the TLS context of a client that trusts this authority."""
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
    """Open a connection with an `Ear` as its listener; abort it on exit."""
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
    """Open a connection; return it with the duration of each phase."""
    return await dialer(port, tls, **options).open(endpoint or Endpoint(path="/"), [secret] if secret else [])


async def refused(
    port: int,
    tls: ssl.SSLContext | None = None,
    *,
    endpoint: Endpoint | None = None,
    secret: str | None = None,
    **options: Any,
) -> Refused:
    """Try to open a connection that must be refused; return the refusal."""
    with pytest.raises(ConnectFailed) as caught:
        await opened_with_phases(port, tls, endpoint=endpoint, secret=secret, **options)
    return caught.value.refused
