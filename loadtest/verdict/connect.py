"""`connect`: do sessions connect, up to the application's word that they are established?"""

from loadtest.evidence import Evidence
from loadtest.verdict.generator import own_failures, own_reason
from loadtest.verdict.items import Item, Ruling

MOST_FAILED_RATIO = 0.001
"""Failed attempts over all: clients retry, so one stray failure in a large run is no finding; in a run of
under a thousand attempts every failure is over it, because a local server has no reason to refuse any."""


def judge(evidence: Evidence) -> Item:
    """Judge first connections; attempts to reconnect belong to `reconnect`."""
    attempts, established = evidence.count("connect.attempts"), evidence.count("connect.established")
    failed, gave_up = evidence.count("connect.failed"), evidence.count("connect.gave_up")
    own = own_failures(evidence, "connect")
    # A session gives up after a failed attempt: no more than `own` did so by the generator's fault.
    if gave_up > own or failed - own > MOST_FAILED_RATIO * attempts:
        verdict = Ruling.FAIL
        summary = f"{failed} of {attempts} attempts failed, {gave_up} sessions gave up"
    elif own:
        verdict = Ruling.INCONCLUSIVE
        summary = f"{own} of {attempts} attempts could not be made: {own_reason(evidence, 'connect')}"
    elif not established:
        verdict = Ruling.INCONCLUSIVE
        summary = f"no session was established in {attempts} attempts: run longer"
    else:
        verdict = Ruling.PASS
        summary = f"{established} sessions established in {attempts} attempts, {failed} failed"
    return Item(
        item="connect",
        verdict=verdict,
        summary=summary,
        evidence={
            "counts": evidence.counts_of("connect"),
            "sessions_planned": evidence.manifest.plan.sessions,
            "limits": {"failed_ratio": MOST_FAILED_RATIO, "gave_up": 0},
            "percentiles": evidence.percentile_table(["connect"]),
            "errors": evidence.error_table("connect"),
        },
    )
