"""junit.xml by the grammars of those who read it: valid, whatever a server or a damaged file says."""

from __future__ import annotations

from dataclasses import replace
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadtest.report.junit import junit, junit_of_nothing
from loadtest.report.junit_document import Case, Suite, junit_document
from loadtest.ruling import Ruling
from tests.support.golden import Golden
from tests.support.junit_grammar import ANT, JENKINS, breaches
from tests.support.rundirs import HOSTILE
from tests.unit.report.test_user_class_reports import judged

SUITE = Suite(
    name="",
    of="run",
    cases=[
        Case("connect", Ruling.PASS, "100 sessions established"),
        Case("messaging", Ruling.FAIL, "3 messages were lost", ["3 x no reply", "", "look into the log"]),
        Case("latency", Ruling.INCONCLUSIVE, "only 3 samples"),
        Case("server_log", Ruling.NOT_JUDGED, "no server log was given"),
    ],
    length_s=60.0,
    started_unix_ns=1_795_443_815_123_456_789,
    properties={"revision": "v1"},
    remarks=["Load generator OK"],
    errors=["the disk was full"],
)

TEXTS = st.text(st.characters(), max_size=30) | st.just(HOSTILE)
CASES = st.builds(Case, TEXTS, st.sampled_from(Ruling), TEXTS, st.lists(TEXTS, max_size=2))
SUITES = st.builds(
    Suite,
    name=TEXTS,
    of=TEXTS,
    cases=st.lists(CASES, max_size=3),
    length_s=st.floats(-1e6, 1e9),
    started_unix_ns=st.integers(0, 2**63 - 1),
    properties=st.dictionaries(st.sampled_from(["revision", "run"]), TEXTS),
    remarks=st.lists(TEXTS, max_size=2),
    errors=st.lists(TEXTS, max_size=2),
)


def problems(document: bytes) -> list[str]:
    """Return what either grammar does not admit."""
    root = ElementTree.fromstring(document)
    return [*breaches(root, ANT), *breaches(root, JENKINS)]


def test_what_people_and_programs_read(golden: Golden) -> None:
    """Each ruling has its element; the cases that were judged share the time, and add up to it."""
    document = junit_document([SUITE, replace(SUITE, name="ChatUser", of="ChatUser")])
    golden("ci/junit.xml", document.decode())
    (suite, _) = ElementTree.fromstring(document)
    assert [case.get("time") for case in suite.findall("testcase")] == ["20.000", "20.000", "20.000", "0.000"]
    assert (suite.get("time"), suite.get("timestamp")) == ("60.000", "2026-11-23T14:23:35")
    assert problems(document) == []


def test_reports_of_runs_are_valid() -> None:
    """Of one with several user classes, and of none."""
    assert problems(junit(judged(corrupted=40))) == []
    nothing = junit_of_nothing("--ws-rate must be 0 or more", 1_700_000_000 * 10**9)
    assert problems(nothing) == []
    (suite,) = ElementTree.fromstring(nothing)
    assert (suite.get("tests"), suite.get("errors")) == ("1", "1")
    (error,) = suite.iter("error")
    assert error.get("message") == "nothing was judged: --ws-rate must be 0 or more"


@given(st.lists(SUITES, max_size=3))
def test_it_is_valid_whatever_it_holds(suites: list[Suite]) -> None:
    """Control characters, halves of characters, times of no calendar."""
    assert problems(junit_document(suites)) == []


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        (b' hostname="localhost"', b"", "testsuite lacks hostname"),
        (b' id="0"', b' id="first"', "testsuite has id='first'"),
        (b"T14:23:35", b"T14:23:35Z", "testsuite has timestamp="),
        (b'time="20.000"', b'time="20 s"', "testcase has time='20 s'"),
        (b' name="latency"', b' name="latency" file="locustfile.py"', "testcase has file"),
        (b"</failure>", b"</failure><system-out />", "testcase holds failure system-out"),
        (b"<properties>", b"<nonsense /><properties>", "unknown element nonsense"),
        (b"</properties>", b"</properties>text", "testsuite holds text"),
    ],
)
def test_the_grammars_find_what_is_wrong(old: bytes, new: bytes, problem: str) -> None:
    """Each of them admits less than everything."""
    document = junit_document([SUITE])
    assert old in document
    assert any(found.startswith(problem) for found in problems(document.replace(old, new, 1)))
