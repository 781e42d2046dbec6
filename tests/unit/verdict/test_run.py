"""A run as a whole: the worst of its items; killed, empty and short runs; several runs together."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadtest.results.data import RunData
from loadtest.results.said_revision import SaidRevision
from loadtest.ruling import Ruling
from loadtest.session.recorder import COUNTS
from loadtest.verdict.items import ITEMS, Item, Verdict, whole
from loadtest.verdict.log_evidence import ServerLogEvidence
from loadtest.verdict.messaging import FAILINGS
from loadtest.verdict.run import judge
from tests.support.rulings import ruling, told
from tests.support.runs import SOUND_COUNTS, SOUND_GAUGES, gathered, interval, manifest, plan, sound

# The whole.


def test_a_sound_run_passes_whatever_is_judged() -> None:
    """What is not judged, such as latency without a baseline, counts for nothing."""
    verdict = judge(sound())
    assert {item.item: item.verdict for item in verdict.items} == {
        "connect": Ruling.PASS,
        "stability": Ruling.PASS,
        "messaging": Ruling.PASS,
        "reconnect": Ruling.PASS,
        "persistence": Ruling.PASS,
        "cleanup": Ruling.NOT_JUDGED,
        "latency": Ruling.NOT_JUDGED,
        "server_log": Ruling.NOT_JUDGED,
    }
    assert (verdict.verdict, verdict.exit_code) == (Ruling.PASS, 0)
    assert [item.item for item in verdict.items] == list(ITEMS)


def test_the_worst_item_is_the_run() -> None:
    """FAIL before INCONCLUSIVE before PASS, and a run of which nothing was judged is INCONCLUSIVE."""

    def of(*rulings: Ruling) -> Ruling:
        return whole(Item(item="connect", verdict=one, summary="") for one in rulings)

    assert of(Ruling.PASS, Ruling.FAIL, Ruling.INCONCLUSIVE) is Ruling.FAIL
    assert of(Ruling.PASS, Ruling.INCONCLUSIVE, Ruling.NOT_JUDGED) is Ruling.INCONCLUSIVE
    assert of(Ruling.PASS, Ruling.NOT_JUDGED) is Ruling.PASS
    assert of(Ruling.NOT_JUDGED) is Ruling.INCONCLUSIVE
    assert of() is Ruling.INCONCLUSIVE


def test_the_server_logs_item_counts_like_any_other() -> None:
    """The item is judged elsewhere and handed in."""
    summary = "3 ERROR lines for normal disconnects"
    log_item = Item(
        item="server_log",
        verdict=Ruling.FAIL,
        summary=summary,
        evidence=ServerLogEvidence(disconnect_errors=3),
    )
    verdict = judge(sound(), log_item=log_item)
    assert verdict.item("server_log") is log_item
    assert (verdict.verdict, verdict.exit_code) == (Ruling.FAIL, 1)


def test_an_empty_run_is_inconclusive() -> None:
    """No data is never PASS."""
    verdict = judge(gathered([]))
    assert (verdict.verdict, verdict.exit_code) == (Ruling.INCONCLUSIVE, 4)
    assert Ruling.PASS not in {item.verdict for item in verdict.items}


def test_a_killed_run_says_so() -> None:
    """What there is of it is judged, and nothing passes; what was under way is no error."""
    killed = manifest(complete=False)
    verdict = judge(sound({"messaging.unfinished": 0}, of=killed))
    assert verdict.verdict is Ruling.INCONCLUSIVE
    assert Ruling.PASS not in {item.verdict for item in verdict.items}
    summary = verdict.item("messaging").summary
    assert summary.startswith("the run did not finish; until then: 4,890 of 5,000 messages answered")
    assert judge(sound({"messaging.lost": 1}, of=killed)).verdict is Ruling.FAIL
    assert any("did not finish" in note for note in verdict.notes)


def test_another_revision_than_was_given_is_noted_and_changes_no_verdict() -> None:
    """A server that says what was given is no note."""
    source = "version in GET /api/health"
    same, other = (
        judge(sound(of=manifest(revision="9.9.9", revision_said=SaidRevision(name=name, source=source))))
        for name in ("9.9.9", "1.2.3")
    )
    assert same.notes == []
    assert other.notes == [f"--ws-revision is 9.9.9, but the server says 1.2.3 ({source})"]
    assert other.verdict is Ruling.PASS
    assert other.items == same.items


def test_clamped_samples_are_told() -> None:
    """Values beyond the histograms' range are never passed over in silence."""
    assert any("3 latency samples" in note for note in judge(sound({"latency.clamped": 3})).notes)


def test_a_verdict_is_plain_data() -> None:
    """verdict.json can be read back, and its keys are those of the design."""
    verdict = judge(sound(), sound(of=manifest(revision="v0.9")))
    written = msgspec.json.encode(verdict)
    assert msgspec.json.decode(written, type=Verdict) == verdict
    plain = msgspec.json.decode(written)
    assert {"schema", "revision", "baseline", "items", "generator", "verdict"} <= plain.keys()
    assert (plain["revision"], plain["baseline"], plain["schema"]) == ("v1.0", "v0.9", 1)
    assert {"item", "verdict", "summary", "evidence"} == plain["items"][0].keys()


@given(st.dictionaries(st.sampled_from(sorted(COUNTS)), st.integers(0, 10_000)))
def test_any_counts_get_a_verdict(counts: dict[str, int]) -> None:
    """No combination of counts is an error, and a count that must be zero is never PASS."""
    verdict = judge(gathered([interval(0, counts=counts)]))
    assert verdict.exit_code in (0, 1, 4)
    for name in FAILINGS:
        if counts.get(f"messaging.{name}"):
            assert verdict.item("messaging").verdict is Ruling.FAIL


def of_length(seconds: int, planned_s: float | None, **changes: Any) -> RunData:
    """Return a sound run that was to last so long and lasted this long."""
    of = manifest(run_plan=plan(duration_s=planned_s), **changes)
    return gathered([interval(0, seconds=seconds, counts=SOUND_COUNTS, gauges=SOUND_GAUGES)], of)


@pytest.mark.parametrize(
    ("seconds", "planned_s", "ruling", "notes"),
    [
        (60, 60.0, Ruling.PASS, []),
        (15, 30.0, Ruling.PASS, ["the run was cut short: 15 s of 30 s"]),
        (14, 30.0, Ruling.INCONCLUSIVE, ["the run was cut short: 14 s of 30 s"]),
        (4, 8.0, Ruling.PASS, []),
        (3, 8.0, Ruling.INCONCLUSIVE, ["the run was cut short: 3 s of 8 s"]),
        (1, 3.0, Ruling.PASS, []),  # Locust's own start takes two seconds
        (8, None, Ruling.PASS, []),
    ],
)
def test_nothing_passes_before_half_of_the_planned_time(
    seconds: int, planned_s: float | None, ruling: Ruling, notes: list[str]
) -> None:
    """What the rest of the run would have shown is unknown; from half on a note says how much there was."""
    verdict = judge(of_length(seconds, planned_s))
    assert (verdict.verdict, verdict.notes) == (ruling, notes)
    passed = [item.item for item in verdict.items if item.verdict is Ruling.PASS]
    downgraded = [item.item for item in verdict.items if item.summary.startswith("the run was cut short; ")]
    assert bool(passed) == (ruling is Ruling.PASS)
    assert bool(downgraded) == (ruling is Ruling.INCONCLUSIVE)


def test_what_fails_before_half_of_the_planned_time_fails() -> None:
    """However short the run, a reply that was lost is lost."""
    cut = manifest(run_plan=plan(duration_s=600.0))
    verdict = judge(sound({"messaging.lost": 1}, of=cut))
    failed = [item.item for item in verdict.items if item.verdict is Ruling.FAIL]
    assert (verdict.verdict, failed) == (Ruling.FAIL, ["messaging"])


def test_a_run_that_ended_otherwise_is_not_cut_short() -> None:
    """A run that was killed, or that the tool ended, has a reason of its own."""
    for changes in ({"complete": False}, {"failure": "OSError: full"}, {"ended_early": "no session left"}):
        verdict = judge(of_length(8, 600.0, **changes))
        assert verdict.verdict is Ruling.INCONCLUSIVE
        assert "the run was cut short" not in str(verdict)


def test_nothing_passes_in_a_run_that_the_tool_gave_up() -> None:
    """What was seen up to then stands, a FAIL too, but no PASS."""
    gave_up = manifest(complete=False, failure="OSError: full")
    assert ruling("connect", sound()) is Ruling.PASS
    assert ruling("connect", sound(of=gave_up)) is Ruling.INCONCLUSIVE
    assert "the tool itself failed before the run's end" in told("connect", sound(of=gave_up))
    assert ruling("connect", sound({"connect.gave_up": 1}, of=gave_up)) is Ruling.FAIL


def test_nothing_fails_by_the_users_mistake() -> None:
    """A dialect that cannot read replies makes any server look as if it lost them all."""
    mistake: dict[str, Any] = {
        "complete": False,
        "failure": "mistake in the dialect: Chat.read raised KeyError: 'id'",
    }
    lost = {"messaging.lost": 1}
    assert judge(sound(lost, of=manifest(**mistake))).verdict is Ruling.FAIL
    verdict = judge(sound(lost, of=manifest(**mistake, usage_error=True)))
    assert verdict.verdict is Ruling.INCONCLUSIVE
    assert not {item.verdict for item in verdict.items} & {Ruling.PASS, Ruling.FAIL}
    said = "a mistake in the settings, the dialect or the script ended the run; until then: "
    assert verdict.item("messaging").summary.startswith(said)


def test_a_mistake_in_the_dialect_excuses_no_lost_connection() -> None:
    """What ends TCP, or leaves it open, does not depend on what the dialect reads."""
    mistake = manifest(complete=False, failure="mistake in the dialect", usage_error=True)
    left_open = {"cleanup.close_watched": 9, "cleanup.close_not_closed": 9}
    verdict = judge(sound({"messaging.lost": 1, **left_open}, of=mistake))
    failed = [item.item for item in verdict.items if item.verdict is Ruling.FAIL]
    assert failed == ["cleanup"]
