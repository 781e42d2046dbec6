"""Output of `loadtest trend`: the verdict in sentences, the newest levels, and the runs.

The table of runs has only the required gates, so that it fits a terminal; the table of levels and --json have
all gates. Values that come from files are marked as untrusted.
"""

from collections import Counter
from collections.abc import Iterator

from loadtest import text
from loadtest.report.tables import Sheet, Table, Untrusted
from loadtest.ruling import Ruling
from loadtest.runs.find import HASH_SHOWN, started_utc
from loadtest.runs.trend import Trend, TrendChange, TrendLevel, TrendRun
from loadtest.statistics.creep import MIN_UNITS
from loadtest.statistics.margins import GATES

MARK = "←"

_REQUIRED = tuple(gate.name for gate in GATES if gate.required)
_MEDIAN = _REQUIRED[0]

_MOST_COLUMNS = 3


def trend_sheet(found: Trend) -> Sheet:
    """Return the verdict with its reasons, the newest levels, and the series with its changes marked."""
    runs, changes = text.counted(len(found.runs), "run"), text.counted(len(found.changes), "change")
    return Sheet(
        headline=f"{runs} of plan {found.comparability_hash[:HASH_SHOWN]}, {changes}",
        ruling=found.verdict,
        lines=list(_lines(found)),
        tables=[_level_table(found), _series_table(found)],
    )


def _lines(found: Trend) -> Iterator[str]:
    of = f"the pinned revision {found.pinned}" if found.pinned else "the first runs"
    if len(found.judged) < MIN_UNITS:
        yield f"{text.counted(len(found.judged), 'run')} to judge; {MIN_UNITS} are needed"
    else:
        for ruling in (Ruling.FAIL, Ruling.INCONCLUSIVE):
            yield from (_level_line(level) for level in found.levels if level.decision is ruling)
        yield from _not_judged(found)
    if found.verdict is Ruling.PASS:
        yield f"no gate has risen above its margin since {of}"
    yield from map(_change_line, found.changes)
    for reason, count in Counter(run.left_out for run in found.runs if run.left_out).items():
        yield f"{text.counted(count, 'run')} left out: {reason}"


def _not_judged(found: Trend) -> Iterator[str]:
    """Yield the gates that were not judged: those with too few values, and those without values."""
    known = Counter(gate for run in found.judged for gate, value in run.values.items() if value is not None)
    few = [level for level in found.levels if level.decision is Ruling.NOT_JUDGED]
    some = [f"{level.gate} ({level.reason})" for level in few if known[level.gate]]
    none = [level.gate for level in few if not known[level.gate]]
    if some:
        yield f"not judged: {', '.join(some)}"
    if none:
        yield f"not judged, for lack of samples: {', '.join(none)}"


def _level_line(level: TrendLevel) -> str:
    if level.change_ratio is None:
        return f"{level.gate} {level.decision}: {level.reason}"
    verb = "rose" if level.change_ratio > 0 else "fell"
    change = (
        f"{level.gate} {level.decision}: it {verb} from {_amount(level, level.before)} ({level.first}) to "
        f"{_amount(level, level.after)} ({level.last}): {text.change(level.change_ratio)}, "
        f"from {text.change(level.low_ratio)} to {text.change(level.high_ratio)}; the margin is "
        f"{text.share(level.margin_ratio)}"
    )
    return f"{change}; {level.reason}" if level.reason else change


def _amount(level: TrendLevel, value: float | None) -> str:
    return text.change(value) if level.gate.endswith("drift") else text.span(value)


def _level_table(found: Trend) -> Table:
    rows = [
        (
            level.gate,
            _amount(level, level.before),
            _amount(level, level.after),
            text.change(level.change_ratio),
            f"{text.change(level.low_ratio)} to {text.change(level.high_ratio)}",
            text.share(level.margin_ratio),
            str(level.decision),
        )
        for level in found.levels
        if level.change_ratio is not None
    ]
    header = (
        "gate",
        "pinned" if found.pinned else "first",
        "newest",
        "change",
        "between",
        "margin",
        "verdict",
    )
    return Table(header, "lrrrrrl", rows, "Levels")


def _shown_gates(found: Trend) -> list[str]:
    """Return the gates in the table of runs: the required ones, or the medians of the first classes."""
    names = [level.gate for level in found.levels]
    required = [name for name in names if name in _REQUIRED]
    return (required or [name for name in names if name.endswith(_MEDIAN)])[:_MOST_COLUMNS]


def _series_table(found: Trend) -> Table:
    marked = {(change.run_id, change.gate) for change in found.changes}
    gates = _shown_gates(found)
    rows = [
        (
            started_utc(run.started_at),
            Untrusted(run.revision),
            *(_value(run, gate, is_marked=(run.run_id, gate) in marked) for gate in gates),
            "left out" if run.left_out else run.verdict or text.UNKNOWN,
        )
        for run in found.runs
    ]
    few = any(run.values[gate] is None for run in found.runs for gate in gates)
    note = f"{text.UNKNOWN} means too few samples." if few else ""
    header = ("started (UTC)", "revision", *gates, "verdict")
    return Table(header, f"ll{'r' * len(gates)}l", rows, "Runs", note=note)


def _value(run: TrendRun, gate: str, *, is_marked: bool) -> str:
    value = text.span(run.values[gate])
    return f"{MARK} {value}" if is_marked else value


def _change_line(change: TrendChange) -> str:
    where = (
        f"between {change.before} and {change.after}"
        if change.before != change.after
        else f"between two runs of {change.after}"
    )
    return (
        f"{change.gate} changed {where} (run {change.run_id}): {text.span(change.before_us)} to "
        f"{text.span(change.after_us)}, {text.change(change.change_ratio)}, p = {change.p_value:.2g}"
    )
