"""Verdict and summary of one item of a synthetic run."""

from __future__ import annotations

from loadtest.results.data import RunData
from loadtest.ruling import Ruling
from loadtest.verdict.run import judge
from tests.support.runs import manifest, plan

NO_DROPS = manifest(run_plan=plan(drop_every_s=0.0, drops={}))


def ruling(item: str, run: RunData) -> Ruling:
    """Return the verdict of one item."""
    return judge(run).item(item).verdict


def told(item: str, run: RunData) -> str:
    """Return the summary of one item."""
    return judge(run).item(item).summary
