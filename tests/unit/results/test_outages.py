"""Outages by kind: what they were spent in adds up to their length."""

import math
from collections import defaultdict

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadtest.results.outages import (
    FAILED_ATTEMPTS,
    OUTAGE_PHASES,
    PHASES,
    PREPARE,
    OutageGathering,
    OutageGroup,
)
from loadtest.session.recorder import Lifecycle

MS = 1_000_000
LENGTHS = st.integers(0, 3_600_000 * MS)
OUTAGES = st.lists(
    st.tuples(
        st.sampled_from([("dropped", "close"), ("dropped", "reset"), ("lost", "1006")]),
        st.fixed_dictionaries({f"{phase}_ns": LENGTHS for phase in PHASES}),
        LENGTHS,  # that no phase has
        st.integers(1, 3),  # attempts
    ),
    min_size=1,
    max_size=20,
)


def gathered(*events: Lifecycle) -> list[OutageGroup]:
    """Return the groups of these events."""
    gathering = OutageGathering(1000)
    for event in events:
        gathering.event(event)
    return gathering.groups()


def outage(number: int, event: str, name: str, **resumed: int) -> list[Lifecycle]:
    """Return the events of an outage."""
    began = Lifecycle(
        at_ns=0,
        event=event,
        session=f"s-{number}",
        kind=name if event == "dropped" else None,
        cause=name if event == "lost" else None,
    )
    ended = Lifecycle(at_ns=1, event="resumed", session=f"s-{number}")
    return [began, msgspec.structs.replace(ended, **resumed)]


@given(OUTAGES)
def test_phases_add_up_to_the_mean_outage(
    outages: list[tuple[tuple[str, str], dict[str, int], int, int]],
) -> None:
    """By kind, each phase is the mean over the kind's outages; what is left has a phase of its own."""
    events, expected = list[Lifecycle](), defaultdict[str, list[dict[str, float]]](list)
    for number, ((event, name), phases_ns, rest_ns, attempts) in enumerate(outages):
        length_ns = sum(phases_ns.values()) + rest_ns
        events += outage(number, event, name, outage_ns=length_ns, attempt=attempts, **phases_ns)
        left = FAILED_ATTEMPTS if attempts > 1 else PREPARE
        spent = {phase: phases_ns[f"{phase}_ns"] / 1000 for phase in PHASES} | {left: rest_ns / 1000}
        expected[name].append({**spent, "": length_ns / 1000})
    for group in gathered(*events):
        of_kind = expected[group.name]
        assert group.resumed == group.begun == len(of_kind)
        assert list(group.phases_us) == list(OUTAGE_PHASES)
        for phase, mean_us in group.phases_us.items():
            assert mean_us == pytest.approx(sum(one.get(phase, 0.0) for one in of_kind) / len(of_kind))
        mean_us = sum(one[""] for one in of_kind) / len(of_kind)
        assert math.fsum(group.phases_us.values()) == pytest.approx(mean_us)


def test_an_outage_that_did_not_end_has_no_phases() -> None:
    """Nothing is known of how it was spent."""
    (group,) = gathered(Lifecycle(at_ns=0, event="dropped", session="s", kind="close"))
    assert (group.begun, group.resumed, group.phases_us) == (1, 0, {})


def test_times_from_a_file_are_limited() -> None:
    """Impossible times do not make a phase negative, nor a sum overflow."""
    events = outage(1, "dropped", "close", outage_ns=-5, detect_ns=2**63, wait_ns=-(2**63), resume_ns=5)
    (group,) = gathered(*events, *outage(2, "dropped", "close", outage_ns=2**63))
    assert all(0 <= us < 2**63 for us in group.phases_us.values())
