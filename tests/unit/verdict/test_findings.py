"""What a server did wrong besides the outcomes of requests, as figures and time series have it."""

from loadtest.verdict.findings import findings
from loadtest.verdict.messaging import FAILINGS, OUTCOMES
from tests.support.runs import manifest, plan


def found(**counts: int) -> set[tuple[str, str]]:
    """Return what was found more than never, in a run without a cleanup time."""
    given = {name.replace("__", "."): count for name, count in counts.items()}
    return {key for key, count in findings(given, manifest()).items() if count}


def test_each_failing_of_messages_is_an_outcome_or_a_finding() -> None:
    """None is in neither, so none has only zeros."""
    names = {name for item, name in findings({}, manifest()) if item == "messaging"}
    assert names | set(OUTCOMES) >= set(FAILINGS)
    assert not names & set(OUTCOMES)


def test_a_server_without_histories_forgets_none() -> None:
    """One restored history shows that it keeps them."""
    assert found(persistence__history_missing=3) == set()
    key = ("persistence", "history_missing")
    assert found(persistence__history_missing=3, persistence__histories=1) == {key}


def test_a_half_open_connection_is_open_too_long_by_a_promise_only() -> None:
    """A connection after a closing handshake needs none: RFC 6455 says it."""
    counts = {"cleanup.half_open_not_closed": 2, "cleanup.close_not_closed": 1}
    left_open = {key for key, count in findings(counts, manifest()).items() if count}
    assert left_open == {("cleanup", "close_not_closed")}
    promised = findings(counts, manifest(run_plan=plan(), cleanup_timeout_s=5.0))
    assert promised["cleanup", "half_open_not_closed"] == 2
