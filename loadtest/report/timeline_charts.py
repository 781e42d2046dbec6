"""The panels of a run's timeline: under each other, with one axis of time, read together.

Latency, messages, failures, sessions, drops, connection attempts, and the ERRORs of the server's log. A panel
without anything to show is left out. What explains them (warm-up, storms, drills) crosses all panels, and is
named in the first.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby

from loadtest import text
from loadtest.report.chart import (
    Axis,
    Band,
    Box,
    Boxes,
    Chart,
    Line,
    Mark,
    Rule,
    Spacing,
    Tone,
    Unit,
)
from loadtest.report.chart_scales import linear_top, log_ends
from loadtest.report.tables import Table, Untrusted
from loadtest.report.timeline import Bins, Moment, Timeline

_LATENCIES: Sequence[tuple[str, str, float, Tone]] = (
    ("max", "service", 100.0, Tone.QUIET),
    ("response p99", "response", 99.0, Tone.THREE),
    ("p99", "service", 99.0, Tone.TWO),
    ("p90", "service", 90.0, Tone.EIGHT),
    ("p50", "service", 50.0, Tone.ONE),
)
"""Name, tag and percentile of each line, from back to front."""

_FAILURES = {
    "lost_messages": ("messages lost", Tone.FAIL),
    "failed": ("messages failed", Tone.THREE),
    "lost_in_outage": ("messages lost in an outage", Tone.QUIET),
}
"""Outcomes of requests other than a good reply, by series: name and tone."""

_KIND_TONES = {
    "close": Tone.ONE,
    "tab_close": Tone.EIGHT,
    "fin": Tone.FOUR,
    "mid_message": Tone.FIVE,
    "mid_reply": Tone.SIX,
    "reset": Tone.TWO,
    "protocol_error": Tone.THREE,
    "half_open": Tone.SEVEN,
    "slow_reader": Tone.QUIET,
}
"""Each kind has one colour in every report: blue and green for orderly ends, warm for abrupt ones, grey for
silent ones. Kinds of users take those that are left."""

_LEAST_GAP_S = 0.5
_LOWEST_MS = 0.001


@dataclass(frozen=True, slots=True, kw_only=True)
class _Series:
    """A named series of a panel; its values are those of the bins."""

    name: str
    tone: Tone
    values: Bins
    untrusted: bool = False
    hollow: bool = False


LATENCY = "latency-over-time"
"""Id of the panel of latencies."""

_TAKEN_BACK = "A negative number corrects an earlier count: a reply came after its message had timed out."


def timeline_charts(over_time: Timeline, length_s: float, *, prefix: str = "") -> list[Chart]:
    """Return the panels of a run.

    Args:
        over_time: the run over time.
        length_s: the run's length in seconds.
        prefix: begins the panels' ids, in pages with the panels of several runs.
    """
    if not over_time.at_s:
        return []
    frame = _Frame(over_time, length_s, prefix)
    panels = [*_latency(frame), *_messages(frame), *_failures(frame), *_sessions(frame), *_drops(frame)]
    panels += [*_attempts(frame), *_log_errors(frame)]
    return [_with_moments(panel, frame, first=number == 0) for number, panel in enumerate(panels)]


def _with_moments(panel: Chart, frame: "_Frame", *, first: bool) -> Chart:
    """Return a panel with the moments behind its marks; the first one names them, and says what a bin is."""
    marks = [*frame.moments(named=first), *panel.marks]
    note = " ".join([*_bin_note(frame.over_time), *_gap_note(frame)]) if first else ""
    return replace(panel, marks=marks, note=note)


@dataclass(frozen=True, slots=True)
class _Frame:
    """What the panels of a run share: the axis of time, the moments, and how a table is made of series."""

    over_time: Timeline
    length_s: float
    prefix: str

    @property
    def x(self) -> Axis:
        """The axis of time."""
        return Axis(title="time since the start", low=0, high=max(self.length_s, 1e-3), unit=Unit.CLOCK)

    @property
    def middles_s(self) -> list[float]:
        """The middle of each bin, where its values are drawn and read."""
        ends = [*self.over_time.at_s[1:], max(self.length_s, self.over_time.at_s[-1])]
        return [round((start + end) / 2, 3) for start, end in zip(self.over_time.at_s, ends, strict=True)]

    def rate(self, name: str) -> Bins:
        """Return the series' rate per second by bin, 0 where the run has none."""
        return self.over_time.rates.get(name) or self.known([0.0] * len(self.over_time.at_s))

    def total(self, name: str) -> Bins:
        """Return the series' total by bin, 0 where the run has none."""
        return self.known(self.over_time.sums.get(name) or [0] * len(self.over_time.at_s))

    def known(self, values: Sequence[float]) -> Bins:
        """Return the values, None in bins in which nothing was recorded."""
        found = zip(values, self.over_time.recorded, strict=True)
        return [value if recorded else None for value, recorded in found]

    def gaps(self, *, named: bool) -> Iterator[Band]:
        """Yield a band for each stretch in which nothing was recorded, the first one with its name."""
        starts, label = self.over_time.at_s, "not recorded" if named else ""
        numbers = range(len(starts))
        for recorded, stretch in groupby(numbers, key=lambda number: self.over_time.recorded[number]):
            of_gap = list(stretch)
            end_s = min(starts[of_gap[-1]] + self.over_time.bin_s, self.length_s)
            if not recorded and end_s - starts[of_gap[0]] >= _LEAST_GAP_S:
                yield Band(low=starts[of_gap[0]], high=end_s, label=label, tone=Tone.GAP)
                label = ""

    @property
    def each(self) -> str:
        """What a count belongs to: `per second`, or `per 6 s`."""
        return "per second" if self.over_time.bin_s == 1 else f"per {self.over_time.bin_s:g} s"

    def table(self, title: str, series: Sequence[_Series], shown: Callable[[float], str]) -> Table:
        """Return a table of the series: a row a bin."""
        header = ["time", *(Untrusted(one.name) if one.untrusted else one.name for one in series)]
        columns = [["" if value is None else shown(value) for value in one.values] for one in series]
        rows = list(zip(map(text.clock, self.over_time.at_s), *columns, strict=True))
        return Table(header, "r" * len(header), rows, title)

    def moments(self, *, named: bool) -> Iterator[Mark]:
        """Yield the gaps in the recording, the warm-up, storms, drills and the stop."""
        yield from self.gaps(named=named)
        for moment in self.over_time.moments:
            yield from _moment(moment, moment.label if named else "", self.length_s)

    def panel(
        self,
        id: str,  # noqa: A002 - the field's name
        title: str,
        description: str,
        y: Axis,
        marks: Sequence[Mark],
        table: Table,
        *,
        height: int = 96,
    ) -> Chart:
        """Return a panel."""
        return Chart(
            id=f"{self.prefix}{id}",
            title=title,
            description=description,
            x=self.x,
            y=y,
            marks=marks,
            table=table,
            at=self.middles_s,
            height=height,
            group=f"{self.prefix}timeline",
        )


def _moment(moment: Moment, label: str, length_s: float) -> Iterator[Mark]:
    if moment.kind == "warmup":
        yield Band(low=0, high=moment.at_s, label="warm-up" if label else "", tone=Tone.QUIET)
    elif moment.kind == "stop":
        yield Band(low=moment.at_s, high=length_s, label=label, tone=Tone.QUIET)
    elif moment.kind == "drill":
        end_s = length_s if moment.end_s is None else moment.end_s
        yield Band(low=moment.at_s, high=end_s, label=label, tone=Tone.OPEN)
    else:
        yield Rule(at=moment.at_s, label=label, tone=Tone.FAIL)


def _latency(frame: _Frame) -> Iterator[Chart]:
    over_time = frame.over_time
    series = [
        _Series(name=name, tone=tone, values=over_time.percentiles_ms.get((tag, percentile), ()))
        for name, tag, percentile, tone in _LATENCIES
    ]
    shown = [one for one in series if any(value is not None for value in one.values)]
    values = [max(value, _LOWEST_MS) for one in shown for value in one.values if value is not None]
    if not values:
        return
    low, high = log_ends(values)
    marks = [Line(name=one.name, tone=one.tone, x=frame.middles_s, y=one.values) for one in shown]
    yield frame.panel(
        LATENCY,
        "Latency",
        _latency_text(frame, shown),
        Axis(title="round trip", low=low, high=high, unit=Unit.MS, spacing=Spacing.LOGARITHMIC),
        marks,
        frame.table("Latency over time", shown[::-1], lambda ms: text.span(1000 * ms)),
        height=190,
    )


def _latency_text(frame: _Frame, shown: Sequence[_Series]) -> str:
    """Return the highest value of each line, and when it was."""
    parts = []
    for one in shown[::-1]:
        worst = max((value, number) for number, value in enumerate(one.values) if value is not None)
        at = text.clock(frame.over_time.at_s[worst[1]])
        parts.append(f"highest {one.name} {text.span(1000 * worst[0])} (at {at})")
    return f"Round trips of steady sessions over time: {', '.join(parts)}."


def _gap_note(frame: _Frame) -> Iterator[str]:
    if any(frame.gaps(named=False)):
        yield (
            "Grey: nothing was recorded, because the load generator stalled. What happened then is counted "
            "in the second before."
        )


def _bin_note(over_time: Timeline) -> Iterator[str]:
    if over_time.bin_s == 1:
        return
    yield (
        f"Each point covers {over_time.bin_s:g} s: the percentiles of its round trips, the rates of its "
        f"busiest {'second' if over_time.row_s == 1 else f'{over_time.row_s} s'}, and the most sessions in "
        "an outage. Spikes are not averaged away."
    )


def _messages(frame: _Frame) -> Iterator[Chart]:
    names = {"sent": Tone.ONE, "answered": Tone.FOUR}
    series = [_Series(name=name, tone=tone, values=frame.rate(name)) for name, tone in names.items()]
    if not any(map(any, (one.values for one in series))):
        return
    sent, answered = (_highest(one.values) for one in series)
    marks: list[Mark] = [
        Line(
            name=one.name, tone=one.tone, x=frame.over_time.at_s, y=one.values, stepped=True, filled=not index
        )
        for index, one in enumerate(series)
    ]
    yield frame.panel(
        "messages-over-time",
        "Messages per second",
        f"At most {text.figures(sent)} messages per second were sent, and {text.figures(answered)} answered.",
        Axis(title="messages per second", low=0, high=linear_top([sent, answered])),
        marks,
        frame.table("Messages per second", series, text.figures),
    )


def _failures(frame: _Frame) -> Iterator[Chart]:
    """Yield the messages without a good reply and the lost connections."""
    series = [
        _Series(name=name, tone=tone, values=frame.total(key), hollow=key == "lost_in_outage")
        for key, (name, tone) in _FAILURES.items()
    ]
    series.append(_Series(name="connections lost", tone=Tone.TWO, values=frame.total("losses")))
    shown = [one for one in series if any(one.values)]
    if not shown:
        return
    told = ", ".join(f"{text.count(_sum(one.values))} {one.name}" for one in shown)
    yield _stacked(
        frame,
        "failures-over-time",
        f"Failed messages and lost connections {frame.each}",
        f"Over the run: {told}.",
        shown,
    )


def _highest(values: Bins) -> float:
    return max((value for value in values if value is not None), default=0.0)


def _sum(values: Bins) -> int:
    return int(sum(value or 0 for value in values))


def _stacked(frame: _Frame, id: str, title: str, description: str, series: Sequence[_Series]) -> Chart:  # noqa: A002
    """Return a panel of stacked bars, a bar a bin; what is counted again and subtracted is not drawn."""
    starts = [*frame.over_time.at_s, max(frame.length_s, frame.over_time.at_s[-1])]
    base = [0.0] * len(frame.over_time.at_s)
    marks: list[Mark] = []
    for one in series:
        boxes = []
        for number, value in enumerate(one.values):
            top = base[number] + max(0.0, value or 0.0)
            boxes.append(Box(starts[number], starts[number + 1], base[number], top))
            base[number] = top
        marks.append(Boxes(name=one.name, tone=one.tone, boxes=boxes, hollow=one.hollow))
    y = Axis(title=title.lower(), low=0, high=linear_top(base))
    table = frame.table(title, series, lambda value: text.count(int(value)))
    if any((value or 0) < 0 for one in series for value in one.values):
        table = replace(table, note=_TAKEN_BACK)
    return frame.panel(id, title, description, y, marks, table, height=72)


def _sessions(frame: _Frame) -> Iterator[Chart]:
    up, out = frame.over_time.up, frame.over_time.in_outage
    series = [
        _Series(name="up", tone=Tone.ONE, values=up),
        _Series(name="out", tone=Tone.TWO, values=out),
    ]
    shown = [one for one in series if any(value is not None for value in one.values)]
    if not shown:
        return
    highest = [_highest(one.values) for one in series]
    yield frame.panel(
        "sessions-over-time",
        "Sessions",
        f"Sessions up: at most {text.figures(highest[0])}. In an outage: at most {text.figures(highest[1])}.",
        Axis(title="sessions", low=0, high=linear_top(highest)),
        [
            Line(
                name=one.name, tone=one.tone, x=frame.over_time.at_s, y=one.values, stepped=True, filled=True
            )
            for one in shown
        ],
        frame.table("Sessions up and out", shown, text.figures),
    )


def _drops(frame: _Frame) -> Iterator[Chart]:
    series = [
        replace(one, values=frame.known([value or 0 for value in one.values]))
        for one in by_kind(frame.over_time.drops_by_kind)
    ]
    if not series:
        return
    told = ", ".join(f"{text.count(_sum(one.values))} {one.name}" for one in series)
    yield _stacked(frame, "drops-over-time", f"Drops {frame.each}", f"Over the run: {told}.", series)


def by_kind(counts: Mapping[str, Sequence[int]]) -> list[_Series]:
    """Return a series for each known kind, in their order, then others as far as there are tones left."""
    made = {kind: values for kind, values in counts.items() if sum(values) > 0}
    tones = {kind: tone for kind, tone in _KIND_TONES.items() if kind in made}
    others = sorted(made.keys() - tones.keys())
    free = [tone for tone in _KIND_TONES.values() if tone not in tones.values() and tone is not Tone.QUIET]
    tones.update(zip(others, free, strict=False))
    found = [_Series(name=kind, tone=tone, values=made[kind], untrusted=True) for kind, tone in tones.items()]
    if left := others[len(free) :]:
        rest = [sum(values) for values in zip(*(counts[kind] for kind in left), strict=True)]
        found.append(_Series(name="other kinds", tone=Tone.OPEN, values=rest))
    return found


def _attempts(frame: _Frame) -> Iterator[Chart]:
    attempts, failed = frame.rate("attempts"), frame.rate("failed_attempts")
    if not any(attempts):
        return
    peak = max(range(len(attempts)), key=lambda number: attempts[number] or 0.0)
    series = [_Series(name="attempts", tone=Tone.SEVEN, values=attempts)]
    if any(failed):
        series.append(_Series(name="failed", tone=Tone.FAIL, values=failed))
    yield frame.panel(
        "attempts-over-time",
        "Connection attempts per second",
        f"Peak: {text.figures(_highest(attempts))} per second, at {text.clock(frame.over_time.at_s[peak])}.",
        Axis(title="attempts per second", low=0, high=linear_top([_highest(attempts)])),
        [
            Line(
                name=one.name, tone=one.tone, x=frame.over_time.at_s, y=one.values, stepped=True, filled=True
            )
            for one in series
        ],
        frame.table("Connection attempts per second", series, text.figures),
        height=72,
    )


def _log_errors(frame: _Frame) -> Iterator[Chart]:
    errors = frame.over_time.log_errors or ()
    if not any(errors):
        return
    series = [_Series(name="ERROR", tone=Tone.FAIL, values=errors)]
    told = f"{text.counted(sum(errors), 'record')} of the server's log at ERROR or worse."
    yield _stacked(frame, "log-errors-over-time", f"ERRORs in the server's log {frame.each}", told, series)
