"""The item `connect`: do sessions connect, up to the point where the application confirms them?"""

from loadtest import text
from loadtest.results.data import RunData
from loadtest.ruling import Ruling
from loadtest.session.recorder import HANGING_NS
from loadtest.verdict.causes import why
from loadtest.verdict.evidence import ConnectEvidence
from loadtest.verdict.generator import own_failures, own_reason
from loadtest.verdict.items import Item, errors_seen, imbalance, unaccounted
from loadtest.verdict.shared_identity import leak

MAX_FAILED_RATIO = 0.001
"""Share of attempts that may fail. Clients retry, so one stray failure in a large run is acceptable. In a run
of fewer than 1,000 attempts every failure exceeds the limit, because a local server has no reason to refuse
any."""

ENDINGS = ("established", "unproven", "failed", "cut_short", "unresolved")
"""Every attempt ends with exactly one of these outcomes."""

ID_OF_ANOTHER = "id_of_another"
"""Count in the evidence: sessions that were given the session id of another."""


def judge(run: RunData) -> Item[ConnectEvidence]:
    """Judge first connections; attempts to reconnect belong to `reconnect`."""
    verdict, summary = _ruling(run)
    if leaked := leak(run):
        summary = f"{leaked}; {summary}" if verdict is Ruling.FAIL else leaked
        verdict = Ruling.FAIL
    return Item(
        item="connect",
        verdict=verdict,
        summary=summary,
        evidence=ConnectEvidence(
            counts=run.counts_of("connect") | _strays(run),
            unaccounted=unaccounted(run, "connect", "attempts", ENDINGS),
            explained_by_losses=run.explained_by_losses.get("connect", 0),
            sessions_planned=run.manifest.sessions,
            limits={"failed_ratio": MAX_FAILED_RATIO, "gave_up": 0},
            percentiles=run.percentile_table(["connect"]),
            errors=errors_seen(run, "connect"),
        ),
    )


def _strays(run: RunData) -> dict[str, int]:
    """Return how many sessions were given the id of another, as a further count if there are any."""
    shared = run.shared_identities
    return {} if shared is None else {ID_OF_ANOTHER: shared.strays}


def _ruling(run: RunData) -> tuple[Ruling, str]:
    attempts = run.count("connect.attempts")
    established = run.count("connect.established") + run.count("connect.unproven")
    failed, gave_up = run.count("connect.failed"), run.count("connect.gave_up")
    own, unresolved = own_failures(run, "connect"), run.count("connect.unresolved")
    # Each session gives up after a failed attempt, so the load generator caused at most `own` of these.
    explained = own + run.explained_by_losses.get("connect", 0)
    if gave_up > own or failed - explained > MAX_FAILED_RATIO * attempts:
        return Ruling.FAIL, _failure(run)
    if own:
        reason = own_reason(run, "connect")
        tried = text.counted(attempts, "attempt")
        return Ruling.INCONCLUSIVE, f"{text.count(own)} of {tried} could not be made: {reason}"
    if unresolved and not established:
        plan = run.manifest.plan
        return Ruling.INCONCLUSIVE, (
            f"no session was established in {run.length_s:.0f} s: {text.count(unresolved)} of "
            f"{text.counted(attempts, 'attempt')} had no answer yet. Run longer than --ws-open-timeout "
            f"({plan.open_timeout_s:g} s), or lower it"
        )
    if unresolved > MAX_FAILED_RATIO * attempts:
        return Ruling.INCONCLUSIVE, (
            f"{text.count(unresolved)} of {text.counted(attempts, 'attempt')} had no answer for over "
            f"{text.span(HANGING_NS / 1000)} when the run ended: run longer"
        )
    if not established:
        return (
            Ruling.INCONCLUSIVE,
            f"no session was established in {text.counted(attempts, 'attempt')}: run longer"
            if attempts
            else "no connection was attempted: run longer",
        )
    if left := unaccounted(run, "connect", "attempts", ENDINGS):
        return Ruling.INCONCLUSIVE, imbalance(left, text.counted(attempts, "attempt"))
    return Ruling.PASS, (
        f"{text.counted(established, 'session')} established in {text.counted(attempts, 'attempt')}, "
        f"{text.count(failed)} failed"
    )


def _failure(run: RunData) -> str:
    """Return how many attempts failed, and most of them why."""
    failed, gave_up = run.count("connect.failed"), run.count("connect.gave_up")
    told = f"{text.count(failed)} of {text.counted(run.count('connect.attempts'), 'attempt')} failed"
    if gave_up:
        told += f", {text.counted(gave_up, 'session')} gave up"
    return told + why(run, "connect")
