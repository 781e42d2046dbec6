"""Unit tests open no internet sockets, start no processes and never sleep."""

from collections.abc import Iterator

import pytest

from tests.support.forbidden import forbidden


@pytest.fixture(autouse=True)
def nothing_outside() -> Iterator[None]:
    """Make internet sockets, processes and sleeps raise."""
    with forbidden():
        yield
