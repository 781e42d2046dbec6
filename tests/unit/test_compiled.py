"""What tests start finds the package compiled: hundreds of processes would compile it again otherwise."""

import os
import sys


def test_processes_keep_what_they_compile() -> None:
    """Also where the environment forbids it, as containers do (tests/conftest.py)."""
    assert not sys.dont_write_bytecode
    assert "PYTHONDONTWRITEBYTECODE" not in os.environ
