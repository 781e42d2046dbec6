"""An item over the runs of a duel: what the candidate broke, and what the baseline had already."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadtest.ruling import Ruling, worst
from loadtest.verdict.evidence import MessagingEvidence
from loadtest.verdict.items import Item
from loadtest.verdict.pooled import ItemOfRun, is_certain, is_fixed, is_open, pooled

P, F, I, N = Ruling.PASS, Ruling.FAIL, Ruling.INCONCLUSIVE, Ruling.NOT_JUDGED  # noqa: E741  # as tables of verdicts are written


def items(rulings: Sequence[Ruling], side: str = "v2") -> list[ItemOfRun]:
    """Return an item of several runs with these verdicts."""
    return [
        ItemOfRun(
            f"{side}/run{number}",
            Item(item="connect", verdict=ruling, summary=f"{ruling} {number}", evidence=_evidence(ruling)),
        )
        for number, ruling in enumerate(rulings, start=1)
    ]


def _evidence(ruling: Ruling) -> MessagingEvidence:
    """Return evidence with one defect for a failure."""
    return MessagingEvidence(counts={"failed": int(ruling is F)}, limits={"failed": 0})


def of(before: Sequence[Ruling], after: Sequence[Ruling]) -> Item:  # type: ignore[type-arg]  # any evidence
    """Return the item over runs with these verdicts of the baseline and the candidate."""
    return pooled("connect", baseline=items(before, "v1"), candidate=items(after))


@pytest.mark.parametrize(
    ("rulings", "ruling", "summary"),
    [
        ([P, P, P], P, "in each of 3 runs, the first: PASS 1"),
        ([P, F, F], F, "in 2 of 3 runs, first v2/run2: FAIL 2"),
        ([P, I], I, "in 1 of 2 runs, first v2/run2: INCONCLUSIVE 2"),
        ([I, F], F, "in 1 of 2 runs, first v2/run2: FAIL 2"),
        ([N, N], N, "in each of 2 runs, the first: NOT_JUDGED 1"),
        ([], N, "no run was made"),
    ],
)
@pytest.mark.parametrize("before", [P, I, N])
def test_the_worst_of_the_candidates_runs_counts(
    rulings: list[Ruling], ruling: Ruling, summary: str, before: Ruling
) -> None:
    """One run that fails fails an item that the baseline never fails, and is named."""
    found = of([before] * len(rulings), rulings)
    if before is P and rulings == [N, N]:
        ruling, summary = I, f"no longer judged: {summary}"
    assert (found.verdict, found.summary) == (ruling, summary)
    assert [seen.run for seen in found.evidence.seen or ()] == [
        of_run.run for of_run in items(rulings) if ruling in (F, I) and of_run.item.verdict is ruling
    ]
    assert not is_open(found)


def test_what_the_baseline_alone_fails_is_told_beside_it() -> None:
    """It counts for nothing."""
    found = of([F, P], [P, P])
    assert found.verdict is P
    assert found.summary == "in each of 2 runs, the first: PASS 1; the baseline fails it in 1 of 2 runs"
    assert [seen.run for seen in found.evidence.baseline_failed or ()] == ["v1/run1"]
    assert (found.evidence.runs, found.evidence.baseline_runs) == ({P: 2}, {F: 1, P: 1})
    assert of([F, F], [P, I]).verdict is I


@pytest.mark.parametrize(
    ("before", "after", "ruling", "says"),
    [
        ([F], [F], N, "fails in both (a: 1 of 1 runs, b: 1 of 1): FAIL 1"),
        ([F] * 4, [F] * 4, N, "fails in both (a: 4 of 4 runs, b: 4 of 4): FAIL 1"),
        ([P, F], [F, P], N, "fails in both (a: 1 of 2 runs, b: 1 of 2): FAIL 1; a: FAIL 2"),
        ([F] * 3 + [P], [F] + [P] * 3, N, "fails in both (a: 3 of 4 runs, b: 1 of 4): FAIL 1"),
        ([F] * 4, [F, I, I, P], N, "fails in both (a: 4 of 4 runs, b: 1 of 4): FAIL 1"),
        (
            [F] + [P] * 3,
            [P] + [F] * 3,
            I,
            "fails in both, more often in b (a: 1 of 4 runs, b: 3 of 4): run more pairs to rule "
            "out chance; first v2/run2: FAIL 2",
        ),
        (
            [F, P],
            [F, I],
            I,
            "perhaps more often in b (a: 1 of 2 runs, b: 1 of 2, and 1 of b could not be judged)",
        ),
        ([F] + [I] * 7, [F] * 8, I, "fails in both, more often in b (a: 1 of 8 runs, b: 8 of 8)"),
        (
            [F] + [P] * 7,
            [F] * 7 + [P],
            F,
            "fails more often in b (a: 1 of 8 runs, b: 7 of 8; p = 0.505%), first v2/run1: FAIL 1",
        ),
        (
            [F] * 2 + [P] * 4,
            [F] * 6,
            F,
            "fails more often in b (a: 2 of 6 runs, b: 6 of 6; p = 3.03%)",
        ),
        ([F] * 2 + [P] * 3, [F] * 5, I, "fails in both, more often in b (a: 2 of 5 runs, b: 5 of 5)"),
    ],
)
def test_a_defect_that_the_baseline_has_too(
    before: list[Ruling], after: list[Ruling], ruling: Ruling, says: str
) -> None:
    """Not the candidate's unless it is more frequent there; a run that is INCONCLUSIVE may have it."""
    found = of(before, after)
    assert found.verdict is ruling
    assert says in found.summary
    assert is_open(found) == (ruling is I)
    assert found.evidence.chance_ratio is not None
    assert (found.evidence.seen[0].summary, len(found.evidence.baseline_failed)) == (
        f"FAIL {after.index(F) + 1}",
        min(3, before.count(F)),
    )


SIDES = st.lists(st.tuples(st.sampled_from(Ruling), st.sampled_from(Ruling)), min_size=1, max_size=12)


@given(SIDES)
def test_no_fault_passes_unseen(pairs: list[tuple[Ruling, Ruling]]) -> None:
    """What the candidate fails never passes, and fails if the baseline never does; equal sides never fail."""
    before, after = zip(*pairs, strict=True)
    found = of(before, after)
    if F in after:
        assert found.verdict is not P
        assert found.verdict is F or F in before
    elif worst(after) is N and {P, F} & set(before):
        assert found.verdict is I
    else:
        assert found.verdict is worst(after)
    assert of(before, before).verdict is not F or F not in before
    assert of(after, after).verdict in ({N, I} if F in after else {worst(after)})


def error_ratio(fails_ratio: float, looks: Sequence[int]) -> float:
    """Return how often two sides that fail alike are told apart at one of the looks."""
    weights, erring = {(0, 0): 1.0}, 0.0
    for number in range(1, looks[-1] + 1):
        spread: dict[tuple[int, int], float] = defaultdict(float)
        for (a, b), weight in weights.items():
            for more_a, more_b in product((0, 1), repeat=2):
                ratio = (fails_ratio if more_a else 1 - fails_ratio) * (
                    fails_ratio if more_b else 1 - fails_ratio
                )
                spread[a + more_a, b + more_b] += weight * ratio
        told = {
            (a, b)
            for a, b in spread
            if number in looks
            and a
            and of([F] * a + [P] * (number - a), [F] * b + [P] * (number - b)).verdict is F
        }
        erring += sum(spread[pair] for pair in told)
        weights = {pair: weight for pair, weight in spread.items() if pair not in told}
    return erring


def test_looks_at_the_test_do_not_make_it_err() -> None:
    """Two servers with the same intermittent defect are told apart in under 4% of duels of 12 pairs."""
    errors = {ratio: error_ratio(ratio, (4, 8, 12)) for ratio in (0.1, 0.3, 0.5, 0.7, 0.9)}
    assert max(errors.values()) < 0.04, errors
    assert errors[0.5] > 0.03  # or nothing was tested


@pytest.mark.parametrize(
    ("before", "after", "fixed"),
    [
        ([F, F], [P, P], True),
        ([F], [P], True),
        ([F, P], [P, P], False),
        ([F] * 5 + [P], [P] * 6, True),
        ([F, I], [P, P], False),
        ([F, F], [P, I], False),
        ([F, F], [F, P], False),
        ([P, P], [P, P], False),
    ],
)
def test_what_is_fixed(before: list[Ruling], after: list[Ruling], *, fixed: bool) -> None:
    """What the baseline always fails, or more often than chance explains, and the candidate never."""
    assert is_fixed(of(before, after)) is fixed


def failing(lost: int, number: int, side: str) -> list[ItemOfRun]:
    """Return an item that fails in so many runs, each with this many lost messages."""
    evidence = MessagingEvidence(counts={"lost": lost}, limits={"lost": 0})
    return [
        ItemOfRun(
            f"{side}/run{run}", Item(item="messaging", verdict=F, summary=f"{lost} lost", evidence=evidence)
        )
        for run in range(number)
    ]


@pytest.mark.parametrize(("lost", "ruling"), [(1, N), (3, N), (11, I), (500, I)])
def test_a_defect_of_both_that_is_much_worse_in_the_candidate(lost: int, ruling: Ruling) -> None:
    """One lost message a run does not excuse five hundred; more pairs would tell nothing new."""
    found = pooled("messaging", baseline=failing(1, 4, "v1"), candidate=failing(lost, 4, "v2"))
    assert (found.verdict, is_open(found)) == (ruling, False)
    worse = (
        f"fails in both (a: 4 of 4 runs, b: 4 of 4), but worse in b: without a reply 4 → {4 * lost:,}; "
        f"first v2/run0: {lost} lost"
    )
    assert (found.summary == worse) == (ruling is I)


@pytest.mark.parametrize(
    ("before", "after", "at_look", "certain"),
    [
        ([P], [F], False, True),
        ([I, P], [F, P], False, True),
        ([N], [F], True, False),
        ([I, I], [F, F], True, False),
        ([F] + [P] * 7, [F] * 8, False, False),
        ([F] + [P] * 7, [F] * 8, True, True),
        ([P], [P], True, False),
    ],
)
def test_when_a_regression_is_certain(
    before: list[Ruling], after: list[Ruling], *, at_look: bool, certain: bool
) -> None:
    """Once the baseline was judged: until then it may turn out to fail, too."""
    assert is_certain(of(before, after), at_look=at_look) is certain


def test_a_defect_that_is_more_frequent_and_worse_stays_open() -> None:
    """More pairs may show that the candidate fails in more runs; how much it loses is told, too."""
    found = pooled(
        "messaging", baseline=[*failing(500, 1, "v1"), *items([P] * 3, "v1")], candidate=failing(500, 4, "v2")
    )
    assert is_open(found)
    assert (
        "more often in b (a: 1 of 4 runs, b: 4 of 4), and worse: without a reply 500 → 2,000: run"
        in found.summary
    )
