"""The summary of the item `server_log`, from its evidence: failures, doubts, or success."""

import math
from collections.abc import Sequence

from loadtest import text
from loadtest.serverlog.matching import MAX_SIGHTINGS
from loadtest.serverlog.records import NO_LEVEL, Counts
from loadtest.verdict.log_evidence import ServerLogEvidence

INFO_RATIO = 0.95
"""Share of disconnect records that must be at INFO or below."""

MIN_DROPS = 10
"""Drops needed for PASS: with fewer, some kinds were hardly drawn once, and a clean log proves nothing."""

MAX_DAMAGED_RATIO = 0.5

MAX_UNREAD_RATIO = 0.05
"""Share of records, and of disconnect records, that may have no level. With more, a log proves nothing."""

MIN_DROPS_AFTER = 2
"""Drops without any record after them, at the end of a log, that show that it ends before the run does."""

MIN_COVERED_RATIO = 0.9
"""Clients reconnect within seconds of a drop, and servers log that. A log without any record near more than a
tenth of the drops was not written or not read during the whole run."""


def failures(evidence: ServerLogEvidence) -> list[str]:
    """Return what the log shows to be wrong, one sentence each."""
    found = []
    if evidence.disconnect_errors:
        wrong = text.counted(evidence.disconnect_errors, "ERROR record")
        of = f"{text.count(evidence.wrong_departures)} of {text.counted(evidence.departures, 'disconnect')}"
        found.append(f"{wrong} for disconnects{_kinds(evidence)}, in {of}")
    if evidence.info_ratio is not None and evidence.info_ratio < INFO_RATIO:
        percent = _below(evidence.info_ratio, INFO_RATIO)
        warned = "" if evidence.disconnect_errors else _kinds_above_info(evidence)
        found.append(
            f"only {percent} of disconnects logged at INFO or below{warned}, {INFO_RATIO:.0%} are needed"
        )
    if evidence.real_errors > evidence.allowed_errors:
        found.append(f"{_real_errors(evidence)}, {text.count(evidence.allowed_errors)} allowed")
    return found


def _below(ratio: float, limit: float) -> str:
    """Write a ratio, with as many decimals as show that it is below a limit."""
    return f"{ratio:.1%}" if round(ratio, 3) < limit else f"{ratio:.2%}"


def _real_errors(evidence: ServerLogEvidence) -> str:
    return text.counted(evidence.real_errors, "real error")


def _kinds(evidence: ServerLogEvidence) -> str:
    """Return the kinds of drop that all wrong records were matched with, as text."""
    kinds = [row.kind for row in evidence.by_kind if row.disconnect_errors]
    after = [f"after {', '.join(kinds)}"] if kinds else []
    if evidence.wrong_elsewhere:
        after.append(f"{text.count(evidence.wrong_elsewhere)} not after a drop")
    return f" ({'; '.join(after)})" if after else ""


def _kinds_above_info(evidence: ServerLogEvidence) -> str:
    kinds = [
        row.kind for row in evidence.by_kind if row.departure_levels.keys() - {"DEBUG", "INFO", NO_LEVEL}
    ]
    return f" (after {', '.join(kinds)})" if kinds else ""


def _advice_on_silence(evidence: ServerLogEvidence) -> str:
    """Return what to do about a log without disconnects: another part of it may well have them."""
    if evidence.covered_ratio < MIN_COVERED_RATIO or evidence.drops_after_log >= MIN_DROPS_AFTER:
        return "give the log of the whole run, or log disconnects at INFO"
    return "log disconnects at INFO"


def doubts(evidence: ServerLogEvidence) -> list[str]:
    """Return why the log proves nothing, one sentence each."""
    found = list(evidence.problems)
    if evidence.drops < MIN_DROPS:
        few = text.counted(evidence.drops, "drop")
        found.append(f"{few} {'is' if evidence.drops == 1 else 'are'} too few, {MIN_DROPS} are needed")
    if evidence.reading.damage:
        found.append(f"the rest of the log could not be read: {evidence.reading.damage}")
    if problem := unread(evidence.reading):
        found.append(problem)
    nameless = evidence.disconnect_levels.get(NO_LEVEL, 0)
    of_disconnects = nameless / evidence.disconnect_records if nameless else 0.0
    if problem := unlevelled(evidence.reading.unlevelled_ratio(), of_disconnects, evidence.reading.examples):
        found.append(problem)
    if not evidence.records:
        return [*found, "the log has no records from the run's time"]
    if evidence.drops and evidence.covered_ratio < MIN_COVERED_RATIO:
        found.append(
            f"the log does not cover the run: it has no records near {1 - evidence.covered_ratio:.0%} of "
            "the drops"
        )
    if evidence.drops_after_log >= MIN_DROPS_AFTER:
        found.append(
            f"the log ends {text.clock(evidence.last_record_s or 0.0)} into the run, before "
            f"{text.counted(evidence.drops_after_log, 'drop')}"
        )
    if not evidence.disconnect_records:
        found.append(f"the log has no records of clients that disconnected: {_advice_on_silence(evidence)}")
    if evidence.unjudged_records:
        found.append(f"the log has more than {MAX_SIGHTINGS} records to judge in the run's time")
    return found


def unread(reading: Counts) -> str:
    """Return the doubt about a log of which too much could not be read; empty if it could."""
    ratio = reading.damaged_ratio()
    if ratio <= MAX_DAMAGED_RATIO:
        return ""
    if reading.stray > reading.broken + reading.cut:
        lines = text.counted(reading.stray, "line")
        why = f"{lines} without a time and level belong to no record. If they have both, name the format"
    else:
        why = "objects or lines are damaged or too long"
    return f"{text.share(ratio)} of the log could not be read: {why}"


def unlevelled(of_records: float, of_disconnects: float, examples: Sequence[str]) -> str:
    """Return the doubt about a log whose levels cannot be read; empty if they can.

    Args:
        of_records: share of the records that have no level.
        of_disconnects: share of the records of disconnects that have none.
        examples: records without a level, and what was understood of them.
    """
    share = max(of_records, of_disconnects)
    if share <= MAX_UNREAD_RATIO:
        return ""
    what = "disconnect records" if of_disconnects > of_records else "records"
    problem = f"{text.share(share)} of the {what} have no readable level"
    return f"{problem}: log levels, or name the format" + "".join(f" [{example}]" for example in examples)


def logged(evidence: ServerLogEvidence) -> str:
    """Return how many errors a log without failures has, in a run that plans no drops."""
    records = text.counted(evidence.records, "record")
    match evidence.real_errors:
        case 0:
            return f"no error was logged in {records}"
        case 1:
            return f"1 allowed error was logged in {records}"
        case errors:
            return f"{text.count(errors)} allowed errors were logged in {records}"


def _quiet(evidence: ServerLogEvidence) -> str:
    """Write the share of disconnects at INFO or below; one that is not whole is never `100%`."""
    ratio = evidence.info_ratio or 0.0
    return "100%" if ratio == 1 else f"{math.floor(1000 * ratio) / 10:.1f}%"


def success(evidence: ServerLogEvidence) -> str:
    """Return what a log without failures shows."""
    return (
        f"{text.counted(evidence.drops, 'drop')}: no disconnect logged as ERROR, "
        f"{_quiet(evidence)} of {text.counted(evidence.departures, 'disconnect')} "
        f"at INFO or below, {_real_errors(evidence)}"
    )
