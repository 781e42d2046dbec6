"""Workers that yield get unit tests and nothing else; a file waits for no other one."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from tests.support.background import Scheduling, is_background

REAL = [f"tests/e2e/test_{name}.py::test_{number}" for name in "abcd" for number in range(3)]
UNIT = [f"tests/unit/test_{name}.py::test_{number}" for name in "xyz" for number in range(3)]


class Node:
    """A worker as the scheduler sees it."""

    def __init__(self, number: int, tests: list[str]) -> None:
        self.gateway = SimpleNamespace(id=f"gw{number}")
        self.files: list[str] = []
        self.to_do: list[int] = []
        self.shutting_down = False
        self._tests = tests

    def send_runtest_some(self, indices: list[int]) -> None:
        """Take work."""
        self.to_do += indices
        self.files += dict.fromkeys(self._tests[index].partition("::")[0][6:] for index in indices)

    def shutdown(self) -> None:
        """Take no more."""
        self.shutting_down = True


def distributed(tests: list[str], workers: int) -> tuple[Scheduling, list[Node]]:
    """Distribute these tests to so many workers, up to the first result."""
    config: Any = SimpleNamespace(
        option=SimpleNamespace(loadscopereorder=False), getvalue=lambda _name: [f"{workers}*popen"]
    )
    scheduling, nodes = Scheduling(config), [Node(number, tests) for number in range(workers)]
    for node in nodes:
        scheduling.add_node(node)
        scheduling.add_node_collection(node, tests)
    scheduling.schedule()
    return scheduling, nodes


def finish(scheduling: Scheduling, node: Node) -> None:
    """Report all tests that a worker has as done, one by one, up to the last that it is ever given."""
    while node.to_do:
        scheduling.mark_test_complete(node, node.to_do.pop(0))


def test_a_third_of_the_workers_yields() -> None:
    """The last ones; of few none, and neither does what replaces a worker that crashed."""
    yielding = {
        workers: [n for n in range(workers + 2) if is_background(f"gw{n}", workers)]
        for workers in (1, 2, 3, 6)
    }
    assert yielding == {1: [], 2: [], 3: [2], 6: [4, 5]}


def test_workers_that_yield_get_unit_tests_only() -> None:
    """The others get files in their order; when one has run out of unit tests, it ends."""
    scheduling, nodes = distributed([*REAL, *UNIT], 3)
    assert [node.files for node in nodes] == [["e2e/test_a.py"], ["e2e/test_b.py"], ["unit/test_x.py"]]
    finish(scheduling, nodes[2])
    assert nodes[2].files == ["unit/test_x.py", "unit/test_y.py", "unit/test_z.py"]
    assert nodes[2].shutting_down
    finish(scheduling, nodes[0])
    assert nodes[0].files == ["e2e/test_a.py", "e2e/test_c.py", "e2e/test_d.py"]
    assert scheduling.has_pending
    finish(scheduling, nodes[1])
    assert scheduling.tests_finished
    assert not scheduling.has_pending


def test_the_others_take_what_is_left_of_the_unit_tests() -> None:
    """So the end of a run has all workers."""
    scheduling, nodes = distributed([*REAL[:3], *UNIT], 3)
    assert [node.files for node in nodes] == [["e2e/test_a.py"], ["unit/test_x.py"], ["unit/test_y.py"]]
    finish(scheduling, nodes[0])
    assert nodes[0].files == ["e2e/test_a.py", "unit/test_z.py"]


def test_without_unit_tests_a_worker_that_yields_ends() -> None:
    """And the others have all of it."""
    scheduling, nodes = distributed(REAL, 3)
    assert (nodes[2].files, nodes[2].shutting_down) == ([], True)
    for node in nodes[:2]:
        finish(scheduling, node)
    assert scheduling.tests_finished


def test_a_file_does_not_wait_behind_a_long_one() -> None:
    """A worker gets its next file when it needs to know its next test, not before."""
    tests = ["tests/e2e/test_a.py::test_1", "tests/e2e/test_a.py::test_2", *REAL[3:]]
    scheduling, nodes = distributed(tests, 1)
    assert nodes[0].files == ["e2e/test_a.py"]
    scheduling.mark_test_complete(nodes[0], nodes[0].to_do.pop(0))
    assert nodes[0].files == ["e2e/test_a.py", "e2e/test_b.py"]
