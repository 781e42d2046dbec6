"""Locust's table as a view of the run: how exact its times are, and that they take little memory.

In a process of its own: importing Locust patches the standard library.
"""

import json
import random
import subprocess
import sys
from typing import Any

import pytest

from tests.support.places import ROOT

SCRIPT = """
import json, sys
from locust.stats import RequestStats
from loadtest.results.interval import pack
from loadtest.locust_plugin import stats as view
from tests.support.runs import interval

stats = RequestStats()
view.install(stats)
stats.reset_all()
view.time.time = lambda: stats.start_time + second
for second, part in enumerate(json.load(sys.stdin)):
    counts = {"messaging.answered": len(part)}
    view.feed(stats, pack(interval(second, samples_us={"service": part}, counts=counts)))
row = stats.entries["round trip", view.METHOD]
at_ms = {share: row.get_response_time_percentile(share) for share in (0.01, 0.5, 0.99)}
kept = [len(entry.num_reqs_per_sec) for entry in (row, stats.total)]
kept += [len(entry.num_fail_per_sec) for entry in (row, stats.total)]
print(json.dumps([row.num_requests, len(row.response_times), at_ms, kept, row.current_rps]))
"""


def _fed(samples_us: list[list[int]]) -> list[Any]:
    """Feed a table, a list a second, in a process of its own; return what it then tells."""
    told = subprocess.run(
        [sys.executable, "-c", SCRIPT],
        input=json.dumps(samples_us),
        stdout=subprocess.PIPE,
        text=True,
        check=True,
        cwd=ROOT,
    )
    return list(json.loads(told.stdout))


def test_times_are_exact_to_two_digits_and_few() -> None:
    """However varied the times, a row keeps some hundred different ones, each within 5 % of the truth."""
    rng = random.Random(1)
    samples_us = [int(rng.lognormvariate(9, 2)) + 10 for _ in range(20_000)]
    requests, different, at_ms, *_ = _fed([samples_us[second::20] for second in range(20)])
    assert requests == len(samples_us)
    assert different < 90 * 7
    for share, found_ms in at_ms.items():
        exact_ms = sorted(samples_us)[int(float(share) * len(samples_us))] / 1000
        assert abs(found_ms / exact_ms - 1) < 0.05


LOST = """
import json, sys
from locust.stats import RequestStats
from loadtest.locust_plugin import stats as view
from loadtest.results.drill_windows import Windows
from loadtest.results.interval import pack
from loadtest.session.recorder import Lifecycle
from tests.support.runs import interval

stats = RequestStats()
view.install(stats)
lost = [Lifecycle(at_ns=0, event="lost", session="s", cause=cause) for cause in ("reset", "1011", "reset")]
windows = Windows({0: tuple(map(int, sys.argv[1:]))})
view.feed(stats, pack(interval(0, counts={"losses.reset": 2, "losses.1011": 1}, lifecycle=lost)), windows)
view.feed(stats, pack(interval(1, counts={"drops.reset": 5})))
row = stats.entries["loss", view.METHOD]
errors = {error.error: error.occurrences for error in stats.errors.values()}
print(json.dumps([row.num_requests, row.num_failures, errors]))
"""


@pytest.mark.parametrize(
    ("window_ns", "shown"),
    [((1, 2), [3, 3, {"RST": 2, "1011": 1}]), ((0, 1), [0, 0, {}])],
    ids=["before a drill", "in a drill"],
)
def test_losses_are_failures_by_cause(window_ns: tuple[int, int], shown: list[Any]) -> None:
    """What the verdict counts against the server; drops are none, nor are losses that belong to a drill."""
    told = subprocess.run(
        [sys.executable, "-c", LOST, *map(str, window_ns)],
        stdout=subprocess.PIPE,
        text=True,
        check=True,
        cwd=ROOT,
    )
    assert json.loads(told.stdout) == shown


def test_memory_does_not_grow_with_the_run() -> None:
    """Of a long run only the latest seconds are counted apart, and the present rate is right."""
    *_, kept, rate_per_s = _fed([[1000] * 5] * 200)
    assert kept == [60] * 4
    assert rate_per_s == 5
