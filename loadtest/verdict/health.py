"""The item `health`: does the health endpoint answer? Only probes ask it."""

from loadtest.results.data import RunData
from loadtest.ruling import Ruling
from loadtest.verdict.evidence import HealthEvidence
from loadtest.verdict.items import Item


def judge(run: RunData) -> Item[HealthEvidence] | None:
    """Judge the health endpoint's response; return None for a run that is no probe."""
    if run.manifest.made_by != "probe":
        return None
    health = run.manifest.health
    if health is None:
        return Item(
            item="health",
            verdict=Ruling.NOT_JUDGED,
            summary="the dialect has no health endpoint: set one with --health-path",
            evidence=HealthEvidence(),
        )
    needed = "" if health.ok or health.problem else "; the status must be 200 to 299"
    return Item(
        item="health",
        verdict=Ruling.PASS if health.ok else Ruling.FAIL,
        summary=f"{health}{needed}",
        evidence=HealthEvidence(
            url=health.url, status=health.status, took_ms=health.took_ms, problem=health.problem
        ),
    )
