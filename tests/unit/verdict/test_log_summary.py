"""What the item `server_log` says of its evidence."""

import re

import msgspec
import pytest

from loadtest.serverlog.records import Counts
from loadtest.verdict.log_evidence import ServerLogEvidence
from loadtest.verdict.log_summary import doubts, failures, unlevelled, unread


@pytest.mark.parametrize("ratio", [0.5, 0.94, 0.949, 0.9494, 0.9495, 0.9496, 0.9499])
def test_a_share_below_its_limit_reads_so(ratio: float) -> None:
    """No failure says "only 95.0% …, not 95%"."""
    evidence = msgspec.convert({"info_ratio": ratio, "departures": 10_000}, ServerLogEvidence)
    [failure] = failures(evidence)
    shown = re.match(r"only ([\d.]+)% of disconnects logged at INFO or below, 95% are needed", failure)
    assert shown is not None
    assert float(shown[1]) < 95


def test_a_share_at_its_limit_is_no_failure() -> None:
    """95% is enough."""
    assert failures(msgspec.convert({"info_ratio": 0.95, "departures": 100}, ServerLogEvidence)) == []


def test_levels_that_cannot_be_read() -> None:
    """The worse share is named, with what it is of; 5% is allowed."""
    assert unlevelled(0.05, 0.05, ["a"]) == ""
    advice = "have no readable level: log levels, or name the format [a] [b]"
    assert unlevelled(0.06, 0.05, ["a", "b"]) == f"6% of the records {advice}"
    assert unlevelled(0.06, 0.5, ["a", "b"]) == f"50% of the disconnect records {advice}"


def test_what_could_not_be_read_is_said() -> None:
    """Lines of no record may have a format of their own; damage has not."""
    assert unread(Counts(records=10, stray=10)) == ""
    assert unread(Counts(records=10, stray=30)) == (
        "75% of the log could not be read: 30 lines without a time and level belong to no record. If they "
        "have both, name the format"
    )
    damaged = unread(Counts(records=10, stray=10, broken=10, cut=10))
    assert damaged == "75% of the log could not be read: objects or lines are damaged or too long"


def test_without_drops_a_log_covers_what_there_was() -> None:
    """A share of none is no share: too few drops are told elsewhere."""
    of_none = ServerLogEvidence(drops=0, records=30, disconnect_records=1, covered_ratio=0.0)
    assert not [one for one in doubts(of_none) if "does not cover" in one]
    of_some = ServerLogEvidence(drops=20, records=30, disconnect_records=1, covered_ratio=0.0)
    assert [
        one
        for one in doubts(of_some)
        if "does not cover the run: it has no records near 100% of the drops" in one
    ]


def test_a_log_of_another_time_is_not_told_to_log_more() -> None:
    """One that ended before the run may well have INFO records of clients that left, of its own time."""
    silent = ServerLogEvidence(drops=20, records=30, covered_ratio=1.0)
    says = "the log has no records of clients that disconnected: "
    assert doubts(silent) == [says + "log disconnects at INFO"]
    elsewhere = says + "give the log of the whole run, or log disconnects at INFO"
    assert doubts(msgspec.structs.replace(silent, covered_ratio=0.0))[-1] == elsewhere
    assert doubts(msgspec.structs.replace(silent, drops_after_log=5, last_record_s=3.0))[-1] == elsewhere
