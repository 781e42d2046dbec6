"""The charts of outages: how long they took, and by kind and phase, of a run or both sides of a comparison.

The phases of the client (until it noticed, its backoff, its name lookup) are drawn apart from those of the
network and the server: a backoff of a second would hide everything that the server does.
"""

import math
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from loadtest import histograms, text
from loadtest.report.chart import Axis, Box, Boxes, Chart, Rule, Spacing, Tone, Unit
from loadtest.report.chart_scales import WIDTH, linear_top, x_scale
from loadtest.report.chart_svg import ROW_BOTTOM, ROW_HEIGHT, ROW_MIDDLE, ROW_TOP
from loadtest.report.outage_phases import CLIENT_PHASES, OutagePhases
from loadtest.report.tables import Table, Untrusted
from loadtest.results.data import RunData
from loadtest.verdict.stability import cause_text

PHASE_TONES = {
    "detect": Tone.QUIET,
    "wait": Tone.ONE,
    "prepare": Tone.SIX,
    "dns": Tone.EIGHT,
    "failed_attempts": Tone.FAIL,
    "tcp": Tone.FOUR,
    "proxy": Tone.SEVEN,
    "tls": Tone.FIVE,
    "upgrade": Tone.TWO,
    "resume": Tone.THREE,
}
_MEANINGS = {
    "detect": "until the client noticed",
    "wait": "its backoff",
    "prepare": "its login",
    "failed_attempts": "attempts that failed",
    "dns": "the name lookup",
    "tcp": "TCP connect",
    "proxy": "through the proxy",
    "tls": "TLS handshake",
    "upgrade": "WebSocket upgrade",
    "resume": "until the application answered",
}
_KINDS = 12
"""Kinds of outages in a chart, those with the most outages; a run plans eight."""

_NAME_LENGTH = 36  # of a kind, above its bar on a phone; the table has all of it
_BARS = 36


@dataclass(frozen=True, slots=True)
class _Row:
    """The outages of one kind on one side; a single run has no name as a side."""

    side: str
    of: OutagePhases

    def name(self, phases: Sequence[str]) -> str:
        """Return the name of the row, with the time of these phases."""
        kind = self.of.kind if self.of.trigger == "drop" else f"lost: {cause_text(self.of.kind)}"
        kind = text.one_line(kind, _NAME_LENGTH)
        side = f", {self.side}" if self.side else ""
        return Untrusted(f"{kind}{side}: {text.span(1000 * self.of.took_ms(phases))}")

    def cells(self, phases: Sequence[str]) -> list[str]:
        """Return the row of the table."""
        return [
            Untrusted(self.of.kind),
            "dropped" if self.of.trigger == "drop" else "lost",
            *([self.side] if self.side else []),
            text.count(self.of.outages),
            *(text.span(1000 * self.of.took_ms(part)) for part in (*([phase] for phase in phases), phases)),
        ]


def phase_charts(sides: Mapping[str, Iterable[OutagePhases]], *, prefix: str = "") -> list[Chart]:
    """Return the server's and the client's part of the mean outage of each kind; empty if no outage ended.

    Args:
        sides: by the name of each side, its outages; those of a single run under an empty name.
        prefix: begins the charts' ids.
    """
    rows, left = _rows(sides)
    parts = (
        ("server", [phase for phase in PHASE_TONES if phase not in CLIENT_PHASES]),
        ("client", CLIENT_PHASES),
    )
    note = f"{text.counted(left, 'more kind')} had fewer outages." if left else ""
    return [
        _phase_chart(whose, rows, shown, prefix=prefix, note=note)
        for whose, phases in parts
        if (shown := [phase for phase in phases if any(row.of.took_ms([phase]) for row in rows)])
    ]


def _rows(sides: Mapping[str, Iterable[OutagePhases]]) -> tuple[list[_Row], int]:
    """Return the rows of the kinds with the most outages, drops first, and how many kinds are left out."""
    by_kind: dict[tuple[str, str], list[_Row]] = {}
    for side, found in sides.items():
        for one in found:
            by_kind.setdefault((one.trigger, one.kind), []).append(_Row(side, one))
    most = sorted(by_kind, key=lambda key: (-sum(row.of.outages for row in by_kind[key]), key))[:_KINDS]
    rows = [row for key in sorted(most) for row in by_kind[key]]  # "drop" comes before "loss"
    return rows, len(by_kind) - len(most)


def _phase_chart(whose: str, rows: Sequence[_Row], phases: Sequence[str], *, prefix: str, note: str) -> Chart:
    title = f"Outages: {whose} time"
    return Chart(
        id=f"{prefix}outages-{whose}",
        title=title,
        description=_phase_description(whose, phases),
        x=Axis(
            title="mean time",
            low=0,
            high=linear_top([row.of.took_ms(phases) for row in rows]),
            unit=Unit.MS,
        ),
        y=Axis(
            title="", low=0, high=len(rows), spacing=Spacing.ROWS, names=[row.name(phases) for row in rows]
        ),
        marks=[_boxes(rows, phases, place) for place in range(len(phases))],
        table=_phase_table(rows, phases, title),
        at=[number + ROW_MIDDLE for number in range(len(rows))],
        read_along="y",
        height=ROW_HEIGHT * len(rows),
        note=note,
    )


def _phase_description(whose: str, phases: Sequence[str]) -> str:
    where = {
        "server": "network and server, per kind of drop or loss",
        "client": "the client, by its reconnect policy",
    }[whose]
    told = ", ".join(f"{_words(phase)} ({_MEANINGS[phase]})" for phase in phases)
    return f"Mean time spent in {where}: {told}."


def _boxes(rows: Sequence[_Row], phases: Sequence[str], place: int) -> Boxes:
    """Return the boxes of a phase; each begins where those of the phases before it end."""
    phase = phases[place]
    boxes = [
        Box(
            row.of.took_ms(phases[:place]),
            row.of.took_ms(phases[: place + 1]),
            number + ROW_TOP,
            number + ROW_BOTTOM,
        )
        for number, row in enumerate(rows)
    ]
    return Boxes(name=_words(phase), tone=PHASE_TONES[phase], boxes=boxes, hollow=phase in CLIENT_PHASES)


def _phase_table(rows: Sequence[_Row], phases: Sequence[str], title: str) -> Table:
    named = ("kind", "by", *(["side"] if any(row.side for row in rows) else []))
    numbers = ("outages", *map(_words, phases), "sum")
    aligns = "l" * len(named) + "r" * len(numbers)
    return Table((*named, *numbers), aligns, [row.cells(phases) for row in rows], title)


def _words(phase: str) -> str:
    return phase.replace("_", " ")


def outage_distribution(run: RunData, *, prefix: str = "") -> Chart | None:
    """Return how long outages took; None if none ended."""
    histogram = run.histograms.get("outage")
    if histogram is None:
        return None
    in_s = {max(1, us) / 1e6: count for us, count in histograms.buckets(histogram).items()}
    x = _outage_axis(in_s)
    edges, heights = _edges(x), sorted(_binned(in_s, x).items())
    bars = [Box(*_inset(edges, place), 0, count) for place, count in heights]
    percentiles = run.carried_us("outage", (50, 95, 99)).items()
    title = "How long outages took"
    return Chart(
        id=f"{prefix}outage-distribution",
        title=title,
        description=f"{text.counted(run.samples('outage'), 'outage')} ended, {_listed(run)}.",
        x=x,
        y=Axis(title="outages", low=0, high=linear_top([float(count) for _, count in heights])),
        marks=[
            Boxes(name="", tone=Tone.ONE, boxes=bars),
            *(Rule(at=us / 1e6, label=f"p{one:g}", tone=Tone.QUIET) for one, us in percentiles),
        ],
        table=_distribution_table(edges, heights, title),
        at=[(bar.x0 + bar.x1) / 2 for bar in bars],
        height=220,
    )


def _outage_axis(in_s: Collection[float]) -> Axis:
    low, high = min(in_s) / 1.02, max(in_s) * 1.02
    spacing = Spacing.LOGARITHMIC if high > 10 * low else Spacing.LINEAR
    title = "from drop or loss to established again"
    return Axis(title=title, low=low, high=high, unit=Unit.SECONDS, spacing=spacing)


def _distribution_table(edges: Sequence[float], heights: Sequence[tuple[int, int]], title: str) -> Table:
    rows = [
        (f"{text.span(1e6 * edges[place])} to {text.span(1e6 * edges[place + 1])}", text.count(count))
        for place, count in heights
    ]
    return Table(("outage", "outages"), "rr", rows, title)


def _listed(run: RunData) -> str:
    return ", ".join(
        f"{'at most' if percentile == 100 else f'p{percentile:g}'} {text.span(us)}"
        for percentile, us in run.carried_us("outage", (50, 95, 99, 100)).items()
    )


def _edges(x: Axis) -> list[float]:
    """Return the edges of bars of equal width on an axis."""
    shares = [number / _BARS for number in range(_BARS + 1)]
    if x.spacing is Spacing.LOGARITHMIC:
        return [x.low * (x.high / x.low) ** share for share in shares]
    return [x.low + (x.high - x.low) * share for share in shares]


def _inset(edges: Sequence[float], place: int) -> tuple[float, float]:
    gap = 0.06 * (edges[place + 1] - edges[place])
    return edges[place] + gap, edges[place + 1] - gap


def _binned(counts: Mapping[float, int], x: Axis) -> Counter[int]:
    scale = x_scale(x)
    heights: Counter[int] = Counter()
    for value, count in counts.items():
        heights[min(_BARS - 1, math.floor(scale.at(value) / WIDTH * _BARS))] += count
    return heights
