"""Unit tests open no internet sockets, start no processes and never sleep."""

import os
from collections.abc import Iterator

import pytest

from tests.support.forbidden import forbidden


@pytest.fixture(autouse=True)
def nothing_outside() -> Iterator[None]:
    """Make internet sockets, processes and sleeps raise."""
    with forbidden():
        yield


@pytest.fixture(scope="module", autouse=True)
def _no_waiting_for_disks() -> Iterator[None]:
    """No test here has its power cut: thousands of waits for a disk would show nothing."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(os, "fsync", lambda _file: None)
        yield
