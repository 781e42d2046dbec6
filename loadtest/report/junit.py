"""junit.xml: one test case per item, for CI systems that show test reports.

    PASS          a passed case
    FAIL          <failure>
    INCONCLUSIVE  <error>: a CI system that reads nothing else must not take "cannot tell" for "passed"
    NOT_JUDGED    <skipped>: not requested, or not planned

The format is that of JUnit's Ant task, as read by Jenkins, GitLab and GitHub actions.
"""

from xml.etree.ElementTree import Element, SubElement, indent, tostring

from loadtest.report import advice
from loadtest.report.advice import next_step
from loadtest.report.change_tables import change_lines
from loadtest.report.judged_run import JudgedRun
from loadtest.ruling import Ruling
from loadtest.text import one_line
from loadtest.verdict.item_changes import outcome_line
from loadtest.verdict.items import AnyItem

_ELEMENTS = {Ruling.FAIL: "failure", Ruling.INCONCLUSIVE: "error", Ruling.NOT_JUDGED: "skipped"}
_TEXT_LIMIT = 1000


def junit(judged: JudgedRun) -> bytes:
    """Return junit.xml."""
    verdict, manifest = judged.verdict, judged.run.manifest
    suite = Element("testsuite", _suite_attributes(judged))
    properties = SubElement(suite, "properties")
    for name, value in (
        ("revision", verdict.revision),
        ("run", manifest.run_id),
        ("baseline", verdict.baseline or "none"),
        ("target", manifest.target),
        ("verdict", str(verdict.verdict)),
        *([("changes", outcome_line(verdict.changes))] if verdict.changes else []),
    ):
        SubElement(properties, "property", name=name, value=one_line(value))
    for item in judged.items:
        suite.append(_case(item, next_step(item, verdict.items)))
    remarks = [
        *advice.failure_lines(judged.run),
        *verdict.notes[:20],
        *advice.baseline_lines(verdict.latency),
        *change_lines(verdict.changes),
        *map(str, verdict.differences or ()),
        advice.generator_line(verdict),
        *verdict.generator.problems,
    ]
    SubElement(suite, "system-out").text = _lines(remarks)
    suites = Element("testsuites")
    suites.append(suite)
    indent(suites)
    return bytes(tostring(suites, encoding="utf-8", xml_declaration=True))


def _suite_attributes(judged: JudgedRun) -> dict[str, str]:
    items, manifest = judged.verdict.items, judged.run.manifest
    return {
        "name": "loadtest",
        "tests": str(len(items)),
        **{
            f"{name}s" if name != "skipped" else name: str(sum(item.verdict is ruling for item in items))
            for ruling, name in _ELEMENTS.items()
        },
        "time": f"{judged.run.length_s:.3f}",
        "timestamp": one_line(manifest.started_at).removesuffix("Z"),
    }


def _case(item: AnyItem, step: str) -> Element:
    case = Element("testcase", classname="loadtest", name=item.item, time="0")
    element = _ELEMENTS.get(item.verdict)
    message = one_line(item.summary, _TEXT_LIMIT)
    if element is None:
        SubElement(case, "system-out").text = message
    elif element == "skipped":
        SubElement(case, element, message=message)
    else:
        problem = SubElement(case, element, message=message, type=str(item.verdict))
        problem.text = _lines([item.summary, *advice.item_lines(item), step])
    return case


def _lines(lines: list[str]) -> str:
    return "\n".join(one_line(line, _TEXT_LIMIT) for line in lines if line)
