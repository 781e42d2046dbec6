"""summary.md of a comparison: verdict, why, each item before and after; the rest is folded.

At most `MAX_LINES` lines, however many pairs and differences there are: what does not fit is counted, and is
in report.html. How text from outside is escaped is described in `loadtest.report.markdown`.
"""

from collections.abc import Iterator

from loadtest import text
from loadtest.report.comparison_tables import item_table, open_table
from loadtest.report.judged_comparison import JudgedComparison
from loadtest.report.markdown import MAX_LINES, folded, headline, rows_of
from loadtest.report.tables import gate_table
from loadtest.text import markdown_code, markdown_prose, one_line
from loadtest.verdict.item_changes import outcome_line

MARKER = "<!-- loadtest: comparison -->"
"""The first line, by which a CI job finds its own comment to replace it."""

_SENTENCES = 6
_COMMANDS = 1
_ITEMS, _GATES = 10, 12
"""Lines and rows that leave room for one more line, which counts the rest."""

_PROSE_LIMIT = 500


def comparison_summary(judged: JudgedComparison) -> str:
    """Return summary.md of a comparison."""
    lines = [*_head(judged), *_items(judged), *_gates(judged)]
    room = max(1, MAX_LINES - len(lines) - len(list(folded("", ["-"]))) + 1)
    rest = list(_rest(judged))
    if len(rest) > room:
        rest = [*rest[: room - 1], f"- and {text.count(len(rest) - room + 1)} more in report.html"]
    if rest:
        lines += folded("What could not be judged, what differs, which runs", rest)
    return "\n".join(lines)


def _head(judged: JudgedComparison) -> Iterator[str]:
    yield MARKER
    yield headline(judged.headline, judged.verdict)
    yield ""
    if judged.changes:
        yield markdown_prose(outcome_line(judged.changes))
        yield ""
    sentences = [*judged.why, *judged.remarks]
    yield from (f"- {markdown_prose(line, _PROSE_LIMIT)}" for line in sentences[:_SENTENCES])
    if sentences[_SENTENCES:]:
        yield f"- and {text.count(len(sentences) - _SENTENCES)} more in report.html"
    yield ""
    for command in judged.commands[:_COMMANDS]:
        yield f"    {one_line(command, 4096)}"
        yield ""


def _items(judged: JudgedComparison) -> list[str]:
    table = item_table(judged)
    return [*rows_of(table, _ITEMS), ""] if table else []


def _gates(judged: JudgedComparison) -> Iterator[str]:
    if table := gate_table(judged.latency):
        yield from folded("Latency: change, bounds and margin", rows_of(table, _GATES))


def _rest(judged: JudgedComparison) -> Iterator[str]:
    for what, ruling, why in open_table(judged).rows:
        yield f"- {markdown_prose(what)}, {markdown_prose(ruling)}: {markdown_prose(why, _PROSE_LIMIT)}"
    for one in judged.differences:
        values = f"{markdown_code(one.baseline)} → {markdown_code(one.candidate)}"
        yield f"- differs: {markdown_prose(one.what)} {values}"
    for number, pair in enumerate(judged.pairs, start=1):
        runs = f"{markdown_code(str(pair.baseline))}, {markdown_code(str(pair.candidate))}"
        yield f"- pair {number}, {pair.first}: {runs}"
