"""The first lines of report.html: whether the load generator was fit, and each reason once."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import msgspec
from markupsafe import escape

from loadtest.report.html import html
from loadtest.report.judged_run import JudgedRun
from loadtest.report.key_figures import headline
from loadtest.report.page_reasons import generator_warning, reasons, shared_reasons
from loadtest.results.data import RunData
from loadtest.ruling import Ruling
from loadtest.verdict.items import Generator
from loadtest.verdict.run import judge
from tests.support.runs import manifest, sound


def judged(run: RunData) -> JudgedRun:
    """Return a run with its verdict."""
    return JudgedRun(path=Path("results/x"), results=Path("results"), run=run, verdict=judge(run))


def with_generator(found: JudgedRun, generator: Generator) -> JudgedRun:
    """Return a run whose load generator was like this."""
    return replace(found, verdict=msgspec.structs.replace(found.verdict, generator=generator))


STALLED = Generator(
    valid=False,
    problems=["messages were sent late", "the engine could not run"],
    figures={"stall_max_ms": 4997.0, "cpu_ratio": 0.3},
    exceeded={"stall_max_ms": 1000.0},
)


def test_a_killed_run_says_so_once() -> None:
    """One line for all items that are inconclusive for it; none of them is open."""
    found = judged(replace(sound(), manifest=manifest(complete=False, ended_at=None)))
    (shared,) = [one for one in reasons(found) if len(one.items) > 1]
    assert set(shared.items) >= {"connect", "stability", "messaging"}
    assert shared.next == "repeat the run"
    assert headline(found).startswith("Incomplete run, so nothing can pass. Nothing failed")
    page = html(found)
    assert page.count('<details class="item INCONCLUSIVE"') >= 3
    assert '<details class="item INCONCLUSIVE" id="item-connect" open' not in page


def test_an_overloaded_generator_is_told_before_the_reasons() -> None:
    """It may have caused the failures itself: that is the first thing to know about them."""
    failing = with_generator(judged(sound({"messaging.lost": 50})), STALLED)
    said = "Load generator overloaded: it stalled for up to 5 s. Failures may be the tool's own"
    assert generator_warning(failing.verdict).startswith(said)
    page = html(failing)
    assert page.index(escape(said)) < page.index('<ul class="why">') < page.index('<ul class="strip">')
    passing = with_generator(judged(sound()), STALLED)
    assert "Latencies may include the tool's own delays" in generator_warning(passing.verdict)


def test_a_fit_generator_is_not_told() -> None:
    """Nor is one of which nothing is known: that stands below the items."""
    found = judged(sound())
    assert generator_warning(found.verdict) == ""
    unmeasured = Generator(valid=False, problems=["nothing was measured"])
    assert generator_warning(with_generator(found, unmeasured).verdict) == ""


def test_reasons_of_two_items_are_told_apart() -> None:
    """Only what three items share is told once; failures are never put together."""
    found = judged(sound())
    open_ = [
        msgspec.structs.replace(
            item, verdict=Ruling.INCONCLUSIVE, summary=f"cut short; otherwise: {item.item}"
        )
        for item in found.verdict.items
    ]
    assert shared_reasons(open_[:2]) == frozenset()
    assert shared_reasons(open_[:3]) == {"cut short"}
