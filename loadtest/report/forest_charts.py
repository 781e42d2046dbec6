"""The charts of a comparison's gates: a forest plot of the changes, and the change within each pair."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Literal

from loadtest import text
from loadtest.report.chart import Axis, Band, Chart, Dots, Mark, Rule, Spacing, Tone, Unit, Whisker, Whiskers
from loadtest.report.forest import ForestRow, forest, left_out, pair_change
from loadtest.report.judged_comparison import JudgedComparison
from loadtest.report.pair_sums import First
from loadtest.report.tables import Table, Untrusted, gates
from loadtest.ruling import Ruling
from loadtest.statistics.margins import GATES
from loadtest.verdict.evidence import PairEvidence
from loadtest.verdict.gate_evidence import GateResult
from loadtest.verdict.gate_words import change, interval, margin, values

TONES = {
    Ruling.PASS: Tone.PASS,
    Ruling.FAIL: Tone.FAIL,
    Ruling.INCONCLUSIVE: Tone.OPEN,
    Ruling.NOT_JUDGED: Tone.QUIET,
}
_HEADER = ("gate", "baseline", "candidate", "change", "bounds", "margin", "verdict")

_WHISKER, _PAIRS = 0.34, 0.78
"""Where estimates and pairs are drawn in a row, as shares of its height."""

_FARTHEST_MARGINS = 3.0
"""How many of the usual margins an axis reaches at most for bounds: one that is far off must not squeeze the
others."""

_MARGINS_SHOWN = 1.25
"""How many of the usual margins it reaches at least; a wider margin is a band to the axis's end."""

_BETTER_SHARE = 0.3
"""How far it reaches at least to the better side, as a share of the worse one."""

_MAX_RATIO = 9.0
"""An axis of changes ends at ten times as much."""

_WIDEN = 1.06

_SHAPES: Mapping[First, Literal["circle", "square", "ring"]] = {
    First.BASELINE: "circle",
    First.CANDIDATE: "ring",
    First.TOGETHER: "square",
}

_PAIR_ROOM, _LEAST_SPAN = 0.15, 0.01

PAIR_ROWS = 200
"""Pairs of a table and a chart; more are counted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Kind:
    """One of the two forests: its anchor, its words, and the unit of its axis."""

    id: str
    title: str
    axis: str
    note: str
    unit: Unit
    least: float


_TIMES = _Kind(
    id="changes",
    title="Change of each gate",
    axis="← better · change · worse →",
    note="Line: interval of the change. Square: estimate. Shaded: the gate's margin; PASS if the interval "
    "ends before its right edge, FAIL if it begins beyond it. A line with an arrow or without an end "
    "continues beyond the axis.",
    unit=Unit.CHANGE,
    least=-1.0,  # no time becomes less than nothing
)
_COUNTED = _Kind(
    id="changes-counted",
    title="Change of shares and losses, in margins",
    axis="← better · in margins · worse →",
    note="The axis is in margins: 1 is the gate's margin.",
    unit=Unit.COUNT,
    least=-math.inf,
)


def forest_charts(judged: JudgedComparison) -> list[Chart]:
    """Return the forest plots: gates on times, then shares of replies and losses; none without changes."""
    found = forest(judged)
    of_kinds = ((_TIMES, found.times), (_COUNTED, found.counted))
    return [_forest(kind, rows, found.more) for kind, rows in of_kinds if rows]


def _forest(kind: _Kind, rows: Sequence[ForestRow], more: int) -> Chart:
    low, high = _ends(rows)
    low = max(low, kind.least)
    paired = any(row.pairs for row in rows)
    return Chart(
        id=kind.id,
        title=kind.title,
        description=_outcome([row.gate.decision for row in rows]),
        x=Axis(title=kind.axis, low=low, high=high, unit=kind.unit),
        y=Axis(title="", low=0, high=len(rows), spacing=Spacing.ROWS),
        marks=[
            *(
                Band(low=-row.margin, high=row.margin, rows=(number, number + 1))
                for number, row in enumerate(rows)
            ),
            Rule(at=0.0),
            *_dots(rows),
            Whiskers(
                name="",
                whiskers=[_whisker(number, row, low, high) for number, row in enumerate(rows)],
                place=_WHISKER if paired else 0.5,
            ),
        ],
        table=Table(_HEADER, "lrrrrrl", [gate_cells(row.gate) for row in rows], kind.title),
        at=[number + 0.5 for number in range(len(rows))],
        read_along="y",
        note=f"{kind.note}{_dots_note(rows)}{f' {left_out(more)}.' if more else ''}",
    )


def _dots_note(rows: Sequence[ForestRow]) -> str:
    return " Dots: pairs of runs." if any(row.pairs for row in rows) else ""


def gate_cells(gate: GateResult) -> tuple[str, ...]:
    """Return a gate as a row of a table."""
    before, after = values(gate)
    name = gate.gate if any(gate.gate == known.name for known in GATES) else Untrusted(gate.gate)
    return name, before, after, change(gate), interval(gate), margin(gate), str(gate.decision)


_OUTCOMES = {
    Ruling.FAIL: "failed",
    Ruling.INCONCLUSIVE: "inconclusive",
    Ruling.PASS: "passed",
    Ruling.NOT_JUDGED: "not judged",
}


def _outcome(rulings: Sequence[Ruling]) -> str:
    """Return how many gates failed, passed and so on: `1 gate failed, 8 passed.`"""
    counts = [(rulings.count(ruling), said) for ruling, said in _OUTCOMES.items() if ruling in rulings]
    (first, said), *others = counts
    told = [f"{text.counted(first, 'gate')} {said}", *(f"{count} {said}" for count, said in others)]
    return f"{', '.join(told)}."


def _ends(rows: Sequence[ForestRow]) -> tuple[float, float]:
    """Return the ends of the axis: all estimates, the usual margins, and bounds that are not too far off."""
    usual = median(row.margin for row in rows)
    changes = [min(row.change, _MAX_RATIO) for row in rows]
    limit = max(_FARTHEST_MARGINS * usual, 1.5 * max(map(abs, changes)))
    known = [max(-limit, min(amount, limit)) for row in rows for amount in _amounts(row)]
    high = min(max(_MARGINS_SHOWN * usual, *changes, *known), max(_MAX_RATIO, *changes))
    return _WIDEN * min(-_BETTER_SHARE * high, *changes, *known), _WIDEN * high


def _amounts(row: ForestRow) -> Iterator[float]:
    yield row.change
    yield from (bound for bound in (row.low, row.high) if bound is not None)
    yield from (pair.change for pair in row.pairs)


def _whisker(number: int, row: ForestRow, low: float, high: float) -> Whisker:
    """Return the interval of a row. A bound beyond the axis has no end there."""
    return Whisker(
        row=number,
        low=None if row.low is None or row.low < low else row.low,
        at=row.change,
        high=None if row.high is None or row.high > high else row.high,
        tone=TONES[row.gate.decision],
    )


def _dots(rows: Sequence[ForestRow]) -> Iterator[Mark]:
    """Yield the pairs of all rows, by which run was made first; those that do not count, separately."""
    found = [(number, pair) for number, row in enumerate(rows) for pair in row.pairs]
    for first in First:
        some = [(number, pair.change) for number, pair in found if pair.fit and pair.first is first]
        yield from _at(f"pair, {first}", Tone.QUIET, first, some)
    yield from _at(
        "invalid pair",
        Tone.OPEN,
        First.CANDIDATE,
        [(number, pair.change) for number, pair in found if not pair.fit],
    )


def _at(name: str, tone: Tone, first: First, points: Sequence[tuple[int, float]]) -> Iterator[Dots]:
    if points:
        yield Dots(
            name=name,
            tone=tone,
            x=[change for _, change in points],
            y=[number + _PAIRS for number, _ in points],
            shape=_SHAPES[first],
        )


_PAIRS_TITLE = "Change within each pair"
_GATE_TONES = (Tone.ONE, Tone.TWO, Tone.THREE)


def pair_chart(judged: JudgedComparison) -> Chart | None:
    """Return the change of the gates that every run is judged by within each pair; None for a single pair."""
    runs = (judged.latency.evidence.runs or ())[:PAIR_ROWS]
    required = {gate.name for gate in GATES if gate.required}
    shown = [gate for gate in gates(judged.latency) if gate.gate in required]
    changes = {gate.gate: [pair_change(gate, pair) for pair in runs] for gate in shown}
    known = [one for of_gate in changes.values() for one in of_gate if one is not None]
    if len(runs) < 2 or not known:
        return None
    at = [float(pair.pair) for pair in runs]
    firsts = [judged.pairs[pair.pair - 1].first for pair in runs]
    low, high = min(0.0, *known), max(0.0, *known)
    room = max(_LEAST_SPAN, _PAIR_ROOM * (high - low))
    counted = f"{sum(pair.fit for pair in runs)} of {text.counted(len(runs), 'pair')} valid"
    ranges = "; ".join(f"{name} {_range(of_gate)}" for name, of_gate in changes.items())
    return Chart(
        id="pairs",
        title=_PAIRS_TITLE,
        description=f"{counted}. {ranges}.",
        x=Axis(title="pair", low=0.5, high=max(at) + 0.5),
        y=Axis(title="change, worse is up", low=low - room, high=high + room, unit=Unit.CHANGE),
        marks=[Rule(at=0.0, along="y", label="no change"), *_pair_dots(changes, at, firsts)],
        table=_pair_table(changes, runs, firsts),
        at=at,
        note="Filled: the baseline's run was made first. Hollow: the candidate's. If filled and hollow "
        "marks are apart, the order of the runs matters, for example on a host that warms up.",
    )


def _pair_table(
    changes: Mapping[str, Sequence[float | None]], runs: Sequence[PairEvidence], firsts: Sequence[First]
) -> Table:
    rows = [
        (str(pair.pair), *map(text.change, of_gates), str(first), "yes" if pair.fit else "no")
        for pair, first, *of_gates in zip(runs, firsts, *changes.values(), strict=True)
    ]
    return Table(("pair", *changes, "order", "valid"), f"r{'r' * len(changes)}ll", rows, _PAIRS_TITLE)


def _range(changes: Sequence[float | None]) -> str:
    known = [one for one in changes if one is not None]
    return f"from {text.change(min(known))} to {text.change(max(known))}" if known else "unknown"


def _pair_dots(
    changes: dict[str, list[float | None]], at: Sequence[float], firsts: Sequence[First]
) -> Iterator[Dots]:
    """Yield the marks of each gate by which run was first; gates stand side by side.

    The legend has each gate once, with its last mark: the filled one.
    """
    for place, ((name, of_gate), tone) in enumerate(zip(changes.items(), _GATE_TONES, strict=False)):
        for first in reversed(First):
            points = [
                (where + 0.14 * (place - 1), one)
                for where, one, was in zip(at, of_gate, firsts, strict=True)
                if one is not None and was is first
            ]
            if points:
                yield Dots(
                    name=name,
                    tone=tone,
                    x=[where for where, _ in points],
                    y=[one for _, one in points],
                    shape=_SHAPES[first],
                )
