"""The item `persistence`: is a session the same after a reconnect, with nothing forgotten or repeated?

It is judged by what the server sends when a session resumes: the session's identity, and the history of the
requests that it had acknowledged. If the dialect has no history, only the identity is judged, and the
summary says so. If no resume of the run restored any, nor of the baseline, the server keeps none, and the
item is not judged. An empty history after acknowledged requests fails it.
"""

from loadtest import text
from loadtest.results.data import RunData
from loadtest.ruling import Ruling
from loadtest.verdict.evidence import PersistenceEvidence
from loadtest.verdict.items import Item, errors_seen, failing
from loadtest.verdict.reconnect import more_outages

FAILINGS = {
    "identity_changed": "resumes as another session",
    "history_missing": "resumes without a history",
    "missing": "requests acknowledged but missing from the restored history",
    "redelivered": "replies delivered again",
    "repeated": "requests twice in the restored history",
    "reordered": "requests out of order in the restored history",
    "altered": "texts altered in the restored history",
    "foreign": "texts of another session in the restored history",
}
"""Findings of which one is enough for FAIL: an acknowledgement must survive a drop or a restart."""

MIN_CHECKED = 10
"""Checked resumes needed for PASS, as many as `reconnect` needs: fewer prove too little. Where the server
keeps a history, so many histories are needed, too."""


def judge(run: RunData, baseline: RunData | None = None) -> Item[PersistenceEvidence]:
    """Judge the identity and history that the server sent to resumed sessions.

    Args:
        run: the run's data.
        baseline: the run to compare with, if any: a server that kept a history must still keep one.
    """
    verdict, summary = _ruling(run, baseline)
    return Item(
        item="persistence",
        verdict=verdict,
        summary=summary,
        evidence=PersistenceEvidence(
            counts=run.counts_of("persistence"),
            judged_by="identity and history" if _histories(run) else "identity only",
            limits={**dict.fromkeys(FAILINGS, 0), "least_checked": MIN_CHECKED},
            errors=errors_seen(run, "persistence"),
        ),
    )


def _ruling(run: RunData, baseline: RunData | None) -> tuple[Ruling, str]:
    plan, checked = run.manifest.plan, run.count("persistence.checked")
    failings = [
        failing(count, meaning)
        for name, meaning in FAILINGS.items()
        if (count := run.count(f"persistence.{name}"))
        and not (name == "history_missing" and _keeps_none(run))
    ]
    if failings:
        of = f"{text.counted(checked, 'resume')}: " if checked else ""
        return Ruling.FAIL, f"{of}{', '.join(failings)}"
    restored_before = 0 if baseline is None else baseline.count("persistence.histories")
    if _keeps_none(run) and restored_before:
        return Ruling.FAIL, (
            f"none of {text.counted(run.count('persistence.history_missing'), 'resume')} restored a history, "
            f"but {text.count(restored_before)} of the baseline did"
        )
    promised = run.manifest.promised
    if not (checked if promised is None else promised.identifies):
        return Ruling.NOT_JUDGED, f"sessions of the dialect {plan.dialect} have no identity"
    if not checked and not (plan.outages_planned and plan.reconnects):
        return Ruling.NOT_JUDGED, "no session resumed, and none was planned to"
    if not checked and (resumed := run.count("reconnect.resumed")) >= MIN_CHECKED:
        return Ruling.INCONCLUSIVE, (
            f"none of {text.counted(resumed, 'resume')} could be checked: the dialect read no session id "
            "from the server's messages"
        )
    if checked < MIN_CHECKED:
        return Ruling.INCONCLUSIVE, (
            f"{text.only(checked, 'resume')} could be checked, {MIN_CHECKED} are needed: {more_outages(plan)}"
        )
    compared = run.count("persistence.histories")
    if 0 < compared < MIN_CHECKED:
        return Ruling.INCONCLUSIVE, (
            f"{text.only(compared, 'restored history', 'restored histories')} could be compared, "
            f"{MIN_CHECKED} are needed: {more_outages(plan)}; all "
            f"{text.counted(checked, 'resume')} had the same identity"
        )
    if _keeps_none(run):
        return Ruling.NOT_JUDGED, (
            f"the server keeps no history: none of "
            f"{text.counted(run.count('persistence.history_missing'), 'resume')} "
            f"restored any; all {text.counted(checked, 'resume')} had the same identity"
        )
    return Ruling.PASS, _success(run, checked)


def _histories(run: RunData) -> int:
    return run.count("persistence.histories") + run.count("persistence.history_missing")


def _keeps_none(run: RunData) -> bool:
    """Return whether no resume restored any history: then the server does not keep one."""
    return bool(run.count("persistence.history_missing")) and not run.count("persistence.histories")


def _success(run: RunData, checked: int) -> str:
    if not _histories(run):
        return f"{text.counted(checked, 'resume')} with the same identity; no history to compare"
    histories, acknowledged = run.count("persistence.histories"), run.count("persistence.acknowledged")
    return (
        f"{text.counted(checked, 'resume')} with the same identity; "
        f"{text.counted(histories, 'restored history', 'restored histories')} held all "
        f"{text.counted(acknowledged, 'acknowledged request')}"
    )
