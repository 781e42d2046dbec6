"""junit.xml of a run, for CI systems that show test reports: a case per item, a suite per user class."""

from collections.abc import Iterator, Sequence

from loadtest.report import advice
from loadtest.report.change_tables import change_lines
from loadtest.report.judged_run import JudgedRun
from loadtest.report.junit_document import Case, Suite, junit_document
from loadtest.ruling import Ruling
from loadtest.verdict.item_changes import outcome_line
from loadtest.verdict.items import AnyItem

_RUN = "run"
"""The class of the cases of a whole run, beside those of its user classes."""

_NOTES = 20


def junit(judged: JudgedRun, besides: Sequence[str] = ()) -> bytes:
    """Return junit.xml.

    Args:
        judged: the run.
        besides: what else failed the process, and belongs to no item.
    """
    length_s, started_unix_ns = judged.run.length_s, judged.run.manifest.started_unix_ns
    of_run = Suite(
        name="",
        of=_RUN,
        cases=[
            *_cases(judged, judged.own_items),
            *(Case("process", Ruling.FAIL, problem) for problem in besides),
        ],
        length_s=length_s,
        started_unix_ns=started_unix_ns,
        properties=_properties(judged),
        remarks=_remarks(judged),
        errors=advice.failure_lines(judged.run),
    )
    of_classes = [
        Suite(
            name=name,
            of=name,
            cases=_cases(of_class, of_class.items),
            length_s=length_s,
            started_unix_ns=started_unix_ns,
        )
        for name, of_class in judged.classes.items()
    ]
    return junit_document([of_run, *of_classes])


def junit_of_nothing(reason: str, at_unix_ns: int) -> bytes:
    """Return junit.xml where no run could be judged: one case, which is an error.

    Args:
        reason: why not.
        at_unix_ns: the time now, in Unix time (ns).
    """
    case = Case("settings", Ruling.INCONCLUSIVE, f"nothing was judged: {reason}")
    return junit_document(
        [Suite(name="", of=_RUN, cases=[case], errors=[reason], started_unix_ns=at_unix_ns)]
    )


def _cases(judged: JudgedRun, items: Sequence[AnyItem]) -> list[Case]:
    return [
        Case(item.item, item.verdict, item.summary, [*advice.item_lines(item), judged.next_step(item)])
        for item in items
    ]


def _properties(judged: JudgedRun) -> dict[str, str]:
    verdict, manifest = judged.verdict, judged.run.manifest
    return {
        "revision": verdict.revision,
        "run": manifest.run_id,
        "baseline": verdict.baseline or "none",
        "target": manifest.target,
        "verdict": str(verdict.verdict),
        **({"changes": outcome_line(verdict.changes)} if verdict.changes else {}),
    }


def _remarks(judged: JudgedRun) -> Iterator[str]:
    verdict = judged.verdict
    yield from verdict.notes[:_NOTES]
    yield from advice.baseline_lines(verdict.latency)
    yield from change_lines(verdict.changes)
    yield from map(str, verdict.differences or ())
    yield advice.generator_line(verdict)
    yield from verdict.generator.problems
