"""Forbids what unit tests must not do: use a network, start processes, or sleep.

Python reports sockets and processes to audit hooks, whatever name a module imports them under. A hook cannot
be removed, so it is installed once and checks a switch. Sleeps are not reported before Python 3.13, so they
are patched while the switch is on. C code that makes system calls itself (uvloop's connections) is not
detected.
"""

import asyncio
import socket
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

import anyio
import pytest

PROCESSES = frozenset({"subprocess.Popen", "os.fork", "os.forkpty", "os.posix_spawn", "os.system", "os.exec"})
NETWORKS = frozenset({socket.AF_INET, socket.AF_INET6})
ELSEWHERE = "belongs in tests/wire or tests/e2e"

_switch = {"on": False}


class Forbidden(BaseException):
    """A unit test did something forbidden; a BaseException, so that `except Exception` cannot hide it."""


def _audit(event: str, arguments: tuple[object, ...]) -> None:
    if not _switch["on"]:
        return
    if event in PROCESSES:
        raise Forbidden(f"{event}: a test that starts a process {ELSEWHERE}")
    if event == "socket.__new__" and arguments[1] in NETWORKS:
        raise Forbidden(f"socket.socket: a test that opens an internet socket {ELSEWHERE}")
    if event == "socket.connect" and arguments[0].family in NETWORKS:  # type: ignore[attr-defined]  # a socket
        raise Forbidden(f"socket.connect: a test that connects over a network {ELSEWHERE}")


sys.addaudithook(_audit)

_asyncio_sleep = asyncio.sleep


def _time_sleep(seconds: float) -> None:
    raise Forbidden(f"time.sleep({seconds}): a test that waits {ELSEWHERE}")


async def _sleep(delay: float, result: object = None) -> object:
    if delay > 0:
        raise Forbidden(f"asyncio.sleep({delay}): a test that waits {ELSEWHERE}")
    return await _asyncio_sleep(0, result)


async def _anyio_sleep(delay: float) -> None:
    await _sleep(delay)


@contextmanager
def forbidden() -> Iterator[None]:
    """Make every internet socket, process and sleep raise `Forbidden`, in all threads."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(time, "sleep", _time_sleep)
        patch.setattr(asyncio, "sleep", _sleep)
        patch.setattr(anyio, "sleep", _anyio_sleep)
        patch.setitem(_switch, "on", True)
        yield
