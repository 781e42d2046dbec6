"""Shared by all tests: their order, event loop, and a certificate authority."""

import asyncio
import os
import ssl
from collections.abc import AsyncIterator, Generator
from dataclasses import dataclass
from pathlib import Path

import pytest
import trustme

from tests.support.peers import open_sockets, until
from tests.support.turns import turn

# On small arrays, numpy's threads in each process cost more CPU than they save. numpy reads this on import.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

SLOWEST_FIRST = ("e2e", "wire", "unit")
"""Folders in the order their files are distributed: tests that wait long must not start last."""

pytest_plugins = ["tests.support.effort", "tests.support.external", "tests.support.golden"]


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    """Run tests marked `alone` while no other test or fixture runs."""
    folder: Path = item.config._tmp_path_factory.getbasetemp()  # type: ignore[attr-defined]  # pytest's own way
    if "PYTEST_XDIST_WORKER" in os.environ:
        folder = folder.parent
    with turn(folder, alone=item.get_closest_marker("alone") is not None):
        return (yield)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the folders with real runs first; keep the order within a folder."""

    def rank(item: pytest.Item) -> int:
        folder = item.path.relative_to(Path(__file__).parent).parts[0]
        return SLOWEST_FIRST.index(folder) if folder in SLOWEST_FIRST else len(SLOWEST_FIRST)

    items.sort(key=rank)


@pytest.fixture
def anyio_backend() -> tuple[str, dict[str, bool]]:
    """Run asynchronous tests on the event loop that the engine uses."""
    return ("asyncio", {"use_uvloop": True})


@dataclass(frozen=True, slots=True)
class Certificates:
    """PEM files of a certificate authority, another authority, and a server with a certificate of the first.

    Args:
        authority: certificate of the authority that issued the server's.
        stranger: certificate of an authority that did not.
        server: the server's key and certificate chain.
    """

    authority: Path
    stranger: Path
    server: Path

    def server_context(self) -> ssl.SSLContext:
        """Return the TLS context of a server on localhost."""
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(self.server)
        return context


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    """Create the certificates once per test session."""
    folder = tmp_path_factory.mktemp("certificates")
    files = Certificates(folder / "authority.pem", folder / "stranger.pem", folder / "server.pem")
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(files.authority))
    trustme.CA().cert_pem.write_to_path(str(files.stranger))
    authority.issue_cert("localhost", "127.0.0.1").private_key_and_cert_chain_pem.write_to_path(
        str(files.server)
    )
    return files


def _tasks() -> list[str]:
    """Return the tasks of this loop except the test runner's."""
    names = [str(task.get_coro()) for task in asyncio.all_tasks()]
    return [name for name in names if "TestRunner" not in name]


@pytest.fixture
async def nothing_left(anyio_backend: object) -> AsyncIterator[None]:
    """Check that after the test there are no more sockets than before it, and no tasks."""
    sockets = open_sockets()
    yield
    await until(lambda: open_sockets() <= sockets, "all sockets to be closed")
    await until(lambda: not _tasks(), "all tasks to end")
