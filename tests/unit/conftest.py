"""Unit tests talk to nobody, start nothing and wait for nothing."""

from collections.abc import Iterator

import pytest

from tests.support.forbidden import forbidden


@pytest.fixture(autouse=True)
def nothing_outside() -> Iterator[None]:
    """Let internet sockets, processes and sleeps raise."""
    with forbidden():
        yield
