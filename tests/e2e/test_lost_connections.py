"""Connections that a server ends unasked, in whole runs: told at once, judged, allowed."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest

from loadtest.results.reader import read_run
from loadtest.verdict.generator import judge_generator
from tests.support.books import assert_same_books, closes_of, final_books
from tests.support.examples import failed, stranger
from tests.support.locusts import LocustProcess, two_workers

PLAN = (
    *("--ws-dialect", "echo", "--ws-sessions", "10", "--ws-rate", "10", "--ws-drop-every", "4"),
    *("--ws-drops", "close=1,fin=1,reset=1", "--ws-backoff", "constant(0.2)", "--ws-warmup", "1"),
    *("--ws-baseline", "none"),
)


@pytest.mark.parametrize("workers", [1, 2])
def test_losses_fail_stability_and_nothing_else(workers: int, tmp_path: Path) -> None:
    """As many as the server's own books say, beside drops and over all workers; warnings come at once."""
    with stranger("counting", "1011") as url:
        given = ("--host", url.replace("http://", "ws://"), *PLAN, *(two_workers() if workers == 2 else ()))
        with LocustProcess(tmp_path, *given, seconds=9) as locust:
            finished = locust.wait()
        books = final_books(url)
    summary, _ = failed(finished, "stability")
    assert "INCONCLUSIVE" not in finished.rulings.values()
    evidence = finished.evidence("stability")
    lost = books["close 1011"]
    assert lost > 20
    losses = {name: count for name, count in finished.counts.items() if name.startswith("losses.")}
    assert losses == {"losses.1011": lost}
    assert evidence["lost"] == lost == sum(event["event"] == "lost" for event in finished.events)
    assert [(group["code"], group["count"]) for group in evidence["losses"]] == [(1011, lost)]
    assert_same_books(finished.counts, books)
    assert finished.evidence("reconnect")["closes"] == closes_of(books)
    assert f"{lost} x 1011 'enough'" in summary
    assert evidence["away"] == []
    assert (
        1
        <= len(
            re.findall(r"^\d\d:\d\d  WARNING: \d+ connections? lost: 1011 \(\d+\)$", finished.output, re.M)
        )
        <= 10
    )
    assert re.search(r"^00:0\d  .* [1-9]\d* loss(es)?\b", finished.output, re.M)
    judged = read_run(finished.run)
    sound = {name: count for name, count in judged.counts.items() if name not in losses}
    assert finished.notes == []
    assert (
        finished.verdict["generator"]["problems"] == judge_generator(replace(judged, counts=sound)).problems
    )


def test_allowed_losses_pass(tmp_path: Path) -> None:
    """The same server, with its code allowed: the run passes and says what it allowed."""
    with stranger("unstable", "1011") as url:
        given = ("--host", url.replace("http://", "ws://"), *PLAN, "--ws-allow-losses", "1011=any")
        with LocustProcess(tmp_path, *given, seconds=9) as locust:
            finished = locust.wait()
    assert finished.exit_code == 0, finished.output
    assert finished.rulings["stability"] == "PASS"
    assert "; allowed: 1011=any" in (finished.run / "verdict.json").read_text()
