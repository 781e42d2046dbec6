"""The soak in its form of two minutes, and the same with a planted leak."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.benchmarks.soak import USER, Findings, Plan, Soaked, judge, soak
from tests.support.places import ROOT

LEAKY = f"""
import sys
sys.path.insert(0, {str(ROOT)!r})
from tests.benchmarks.soaked_user import *
from loadtest.transport.connection import Connection

kept = []
begin = Connection.__init__

def keep(self, *arguments, **named):
    begin(self, *arguments, **named)
    kept.append((self, bytearray(4096)))  # about 8 KiB

Connection.__init__ = keep
"""

pytestmark = [pytest.mark.beside, pytest.mark.timeout(300)]


def plan(locustfile: Path) -> Plan:
    """Return a plan with few sessions, dropped often: it mostly waits."""
    return Plan(
        minutes=2,
        sessions=20,
        restart_every_s=50,
        settled_s=60,
        drop_every_s=3,
        storm_every_s=40,
        locustfile=locustfile,
        sample_every_s=1,
        growth_kib=500,  # histories and caches of Locust still fill, by up to 300 KiB a minute
    )


def soaked(locustfile: Path) -> tuple[Soaked, Findings]:
    """Run one and judge it."""
    made = plan(locustfile)
    try:
        found = soak(made)
    except SystemExit as error:  # which would end pytest
        raise AssertionError(str(error)) from error
    return found, judge(found, made)


@pytest.fixture(scope="module")
def soaks(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[tuple[Soaked, Findings]]]:
    """Both, side by side."""
    leaky = tmp_path_factory.mktemp("leaky") / "leaky.py"
    leaky.write_text(LEAKY)
    with ThreadPoolExecutor() as threads:
        both = [threads.submit(soaked, locustfile) for locustfile in (USER, leaky)]
        yield [one.result() for one in both]


def test_nothing_grows_and_the_books_balance(soaks: list[tuple[Soaked, Findings]]) -> None:
    """Two restarts, storms and all kinds of drops leave no memory, no files and no open books behind."""
    seen, found = soaks[0]
    assert found.sound, found
    assert seen.restarts == 2
    assert seen.samples[-1].resumed > 300


def test_a_leak_is_seen(soaks: list[tuple[Soaked, Findings]]) -> None:
    """A list that keeps each connection fails by memory, and by nothing else."""
    seen, found = soaks[1]
    assert not found.memory_flat, found
    assert found.files_flat, found
    assert found.books_balance, seen.unaccounted
