"""Shared by all tests: their order, event loop, and a certificate authority."""

import asyncio
import os
import signal
import ssl
import sys
from collections.abc import AsyncIterator, Generator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import trustme

from tests.support import background
from tests.support.children import heed_in_children
from tests.support.peers import open_sockets, until
from tests.support.turns import turn

# On small arrays, numpy's threads in each process cost more CPU than they save. numpy reads this on import.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

# Hundreds of processes import the package. Containers often forbid Python to keep what it has compiled: each
# process would then spend a second of CPU on compiling it again.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False

# A shell that starts the suite in the background has it ignore SIGINT, and what the tests start would inherit
# that and ignore Ctrl-C. Of a signal that is handled, children get the default.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

SLOWEST_FIRST = ("e2e", "wire", "unit")
"""Folders in the order their files are distributed: tests that wait long must not start last."""

LONGEST = {"test_calibration.py", "test_duel.py"}
"""Files whose tests compute for half a minute: first in their folder, or they end long after all others."""

pytest_plugins = ["tests.support.effort", "tests.support.external", "tests.support.golden"]


def pytest_configure() -> None:
    """Let a worker of unit tests yield to everything else."""
    if background.here():
        background.give_way()


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> background.Scheduling | None:
    """Distribute whole files, unit tests also to the workers that yield."""
    return background.Scheduling(config, log) if config.getoption("dist") == "loadfile" else None


@pytest.fixture(scope="session", autouse=True)
def _closed_terminals() -> None:
    """Let what the tests start heed SIGHUP under `nohup`, too.

    Only processes that run tests have fixtures: the processes that pytest itself starts keep ignoring it, and
    the suite goes on when its terminal is closed.
    """
    heed_in_children(signal.SIGHUP)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    """Run tests marked `alone` while no other test or fixture runs, except where it yields.

    These are the tests marked `beside`, and those of the workers that run unit tests in the background.
    """
    if item.get_closest_marker("beside") is not None or background.here():
        return (yield)
    folder: Path = item.config._tmp_path_factory.getbasetemp()  # type: ignore[attr-defined]  # pytest's own way
    if "PYTEST_XDIST_WORKER" in os.environ:
        folder = folder.parent
    with turn(folder, alone=item.get_closest_marker("alone") is not None):
        return (yield)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put what mostly waits first, then files with tests that run alone, then the folders with real runs.

    A test that runs alone waits until all others have ended, and none starts meanwhile. If such tests come
    first in their files, and these first of all, most of them follow on each other; spread over the suite,
    each idles workers. So files in which nothing else is come before those in which something is.
    """
    alone = {item.path for item in items if item.get_closest_marker("alone")}
    shared = {item.path for item in items if item.path in alone and not item.get_closest_marker("alone")}

    def rank(item: pytest.Item) -> tuple[bool, bool, bool, int, bool]:
        folder = item.path.relative_to(Path(__file__).parent).parts[0]
        place = SLOWEST_FIRST.index(folder) if folder in SLOWEST_FIRST else len(SLOWEST_FIRST)
        short = item.path.name not in LONGEST
        waits = item.get_closest_marker("beside") is not None
        return (not waits, item.path not in alone, item.path in shared, place, short)

    items.sort(key=rank)
    # Within a file, in its own place of the order: those that run alone before the others.
    positions: dict[Path, list[int]] = {}
    for position, item in enumerate(items):
        if item.path in alone:
            positions.setdefault(item.path, []).append(position)
    for places in positions.values():
        first = sorted(places, key=lambda place: items[place].get_closest_marker("alone") is None)
        for place, item in zip(places, [items[place] for place in first], strict=True):
            items[place] = item
    if background.here():
        for item in items:
            if item.get_closest_marker("timeout") is None:
                item.add_marker(pytest.mark.timeout(background.PATIENCE_S))


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
        strangers_client: key and certificate chain of a client, issued by the stranger.
    """

    authority: Path
    stranger: Path
    server: Path
    strangers_client: Path

    def server_context(self) -> ssl.SSLContext:
        """Return the TLS context of a server on localhost."""
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(self.server)
        return context


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    """Create the certificates once per test session."""
    folder = tmp_path_factory.mktemp("certificates")
    names = ("authority", "stranger", "server", "client")
    files = Certificates(*(folder / f"{name}.pem" for name in names))
    authority, stranger = trustme.CA(), trustme.CA()
    authority.cert_pem.write_to_path(str(files.authority))
    stranger.cert_pem.write_to_path(str(files.stranger))
    client = stranger.issue_cert("client.example").private_key_and_cert_chain_pem
    client.write_to_path(str(files.strangers_client))
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
