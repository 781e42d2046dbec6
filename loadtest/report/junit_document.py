"""A report in JUnit's XML: suites and cases as bytes. What a case is about does not belong here.

    PASS          a passed case
    FAIL          <failure>
    INCONCLUSIVE  <error>: a CI system that reads nothing else must not take "cannot tell" for "passed"
    NOT_JUDGED    <skipped>: not requested, or not planned

There is no standard. The document is valid by both schemas in use, that of Ant's task (JUnit-Schema by
windyroad) and that of Jenkins (xunit-plugin, junit-10.xsd), and so has only what both allow: no output and no
`file` of a case, and the elements of a suite in Ant's order. What a passed case found is in the output of its
suite, which Jenkins shows with each case.

Cases are judged together, from the whole suite's data. Readers add the times of cases up, so those that were
judged share the suite's time equally.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from xml.etree.ElementTree import Element, SubElement, indent, tostring

from loadtest.ruling import Ruling
from loadtest.session.schedule import NS_PER_S
from loadtest.text import one_line

PACKAGE = "loadtest"
"""What the names of suites and classes begin with: viewers group by it."""

_ELEMENTS = {Ruling.FAIL: "failure", Ruling.INCONCLUSIVE: "error", Ruling.NOT_JUDGED: "skipped"}
_COUNTS = {"failures": Ruling.FAIL, "errors": Ruling.INCONCLUSIVE, "skipped": Ruling.NOT_JUDGED}
_TEXT_LIMIT = 1000


@dataclass(frozen=True, slots=True)
class Case:
    """A test case.

    Args:
        name: its name.
        ruling: its result.
        message: a line about it.
        more: lines about it, shown if it did not pass.
    """

    name: str
    ruling: Ruling
    message: str
    more: Sequence[str] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Suite:
    """A suite of cases.

    Args:
        name: its name within the package; empty for the package's own.
        of: the class of its cases within the package.
        cases: the cases.
        length_s: the time that they took together.
        started_unix_ns: when they began, in Unix time (ns).
        properties: what else describes it, by name.
        remarks: further lines.
        errors: lines about what ended it early.
    """

    name: str
    of: str
    cases: Sequence[Case]
    length_s: float = 0.0
    started_unix_ns: int = 0
    properties: Mapping[str, str] = field(default_factory=dict)
    remarks: Iterable[str] = ()
    errors: Iterable[str] = ()


def junit_document(suites: Iterable[Suite]) -> bytes:
    """Return the XML document."""
    root = Element("testsuites")
    for number, suite in enumerate(suites):
        root.append(_suite(suite, number))
    indent(root)
    return bytes(tostring(root, encoding="utf-8", xml_declaration=True)) + b"\n"


def _suite(suite: Suite, number: int) -> Element:
    counts = {name: sum(case.ruling is ruling for case in suite.cases) for name, ruling in _COUNTS.items()}
    length_s = max(0.0, suite.length_s)
    attributes = {
        "name": _within_package(suite.name),
        "package": PACKAGE,
        "id": str(number),
        "hostname": "localhost",  # Ant's schema: where the name is not to be known
        "timestamp": _timestamp(suite.started_unix_ns),
        "time": f"{length_s:.3f}",
        "tests": str(len(suite.cases)),
        **{name: str(count) for name, count in counts.items()},
    }
    element = Element("testsuite", attributes)
    properties = SubElement(element, "properties")
    for name, value in suite.properties.items():
        SubElement(properties, "property", name=name, value=one_line(value, _TEXT_LIMIT))
    share_s = length_s / max(1, len(suite.cases) - counts["skipped"])
    element.extend(_case(case, _within_package(suite.of), share_s) for case in suite.cases)
    found = [f"{case.name} {case.ruling}: {case.message}" for case in suite.cases]
    SubElement(element, "system-out").text = _lines([*found, *suite.remarks])
    SubElement(element, "system-err").text = _lines(suite.errors)
    return element


def _within_package(name: str) -> str:
    return f"{PACKAGE}.{one_line(name)}" if name else PACKAGE


def _timestamp(unix_ns: int) -> str:
    """Return a time in UTC, without a zone and parts of a second: Ant's schema admits neither."""
    try:
        moment = datetime.fromtimestamp(unix_ns // NS_PER_S, UTC)
    except (ValueError, OverflowError, OSError):  # of a damaged run.json
        moment = datetime.fromtimestamp(0, UTC)
    return moment.isoformat(timespec="seconds").removesuffix("+00:00")


def _case(case: Case, classname: str, share_s: float) -> Element:
    name = _ELEMENTS.get(case.ruling)
    time_s = 0.0 if name == "skipped" else share_s
    element = Element("testcase", classname=classname, name=one_line(case.name), time=f"{time_s:.3f}")
    if name is not None:
        message = one_line(case.message, _TEXT_LIMIT)
        problem = SubElement(element, name, message=message, type=str(case.ruling))
        problem.text = None if name == "skipped" else _lines([case.message, *case.more])
    return element


def _lines(lines: Iterable[str]) -> str:
    return "\n".join(one_line(line, _TEXT_LIMIT) for line in lines if line)
