"""The guard of a process's children: which groups are left to end when the process is gone."""

from __future__ import annotations

import os
import threading

import pytest

from loadtest import processes
from loadtest.orphan_guard import left_over


def test_what_was_added_and_not_removed_is_left() -> None:
    """In any order, each as often as it was said."""
    assert left_over([]) == set()
    assert left_over(["+12\n", "+13\n", "-12\n"]) == {13}
    assert left_over(["+12\n", "-12\n", "+12\n", "-99\n"]) == {12}


def test_threads_that_start_the_first_children_at_once_share_a_guard(monkeypatch: pytest.MonkeyPatch) -> None:
    """The second one waits until the guard can be told, else its child would be lost."""
    guard = processes._Guard()
    reading, writing = os.pipe()
    second = threading.Thread(target=guard.tell, args=("+", 13))
    started = []

    def pipe() -> tuple[int, int]:
        """Let the second thread go as far as it can while the first one starts the guard."""
        second.start()
        second.join(0.1)
        return os.dup(reading), writing

    monkeypatch.setattr(os, "pipe", pipe)
    monkeypatch.setattr(os, "posix_spawn", lambda *_given, **_options: started.append(1))
    guard.tell("+", 12)
    second.join()
    assert started == [1]
    assert sorted(os.read(reading, 100).decode().split()) == ["+12", "+13"]
    os.close(reading)
    os.close(writing)
