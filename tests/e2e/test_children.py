"""What the tests' child processes inherit."""

import signal
import subprocess
from collections.abc import Iterator

import pytest

from tests.support.children import heed_in_children, python


@pytest.fixture
def _ignored() -> Iterator[None]:
    """SIGHUP is ignored, as under `nohup`."""
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    yield
    signal.signal(signal.SIGHUP, before)


def _of_a_child() -> str:
    """Return what a child process does on SIGHUP."""
    code = "import signal; print(signal.getsignal(signal.SIGHUP).name)"
    return subprocess.run(python(code), capture_output=True, text=True, check=True, timeout=30).stdout.strip()


@pytest.mark.usefixtures("_ignored")
def test_children_heed_a_signal_that_the_tests_ignore() -> None:
    """They would inherit it ignored; the process that runs the tests survives the signal all the same."""
    assert _of_a_child() == "SIG_IGN"
    heed_in_children(signal.SIGHUP)
    assert _of_a_child() == "SIG_DFL"
    signal.raise_signal(signal.SIGHUP)


def test_a_signal_that_is_not_ignored_stays_as_it_is() -> None:
    """Nothing changes for a suite that its terminal may end."""
    before = signal.getsignal(signal.SIGHUP)
    assert before is not signal.SIG_IGN
    heed_in_children(signal.SIGHUP)
    assert signal.getsignal(signal.SIGHUP) is before
