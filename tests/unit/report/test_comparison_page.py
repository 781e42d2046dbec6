"""report.html, summary.md and junit.xml of a comparison: what they say, and that nothing breaks them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import Element, fromstring

import msgspec
import pytest

from loadtest.report.comparison_junit import comparison_junit
from loadtest.report.comparison_markdown import MARKER, comparison_summary
from loadtest.report.comparison_page import comparison_html
from loadtest.report.judged_comparison import JudgedComparison
from loadtest.report.markdown import MAX_LINES
from loadtest.report.page import POLICY
from loadtest.report.pair_sums import PairSums
from loadtest.ruling import Ruling
from loadtest.runs.compare import compare
from loadtest.runs.comparison_reports import judged_comparison
from loadtest.verdict.differences import Difference
from tests.support.compared_runs import judged_pairs, pairs_of_runs
from tests.support.golden import Golden
from tests.support.junit_grammar import ANT, JENKINS, breaches
from tests.support.recorded_runs import begun
from tests.support.rundirs import HOSTILE, write_run, write_server_log

FOLDER = Path("results/comparisons/x")


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> Iterator[JudgedComparison]:
    """Four pairs with a candidate that is three times as slow, and no longer logs disconnects as errors."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path_factory.mktemp("golden"))
        results = Path("results")
        pairs = pairs_of_runs(results, 4, slower_ratio=3.0)
        for before, after in pairs:
            write_server_log(before, wrong_kind="mid_reply")
            write_server_log(after)
        yield judged_pairs(pairs, results)


@pytest.fixture(scope="module")
def one(tmp_path_factory: pytest.TempPathFactory) -> Iterator[JudgedComparison]:
    """One pair, which cannot tell."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path_factory.mktemp("golden"))
        yield judged_pairs(pairs_of_runs(Path("results"), 1, slower_ratio=1.2), Path("results"))


class _Page(HTMLParser):
    """The texts and the ids of a page."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def values(self, name: str) -> list[str]:
        return [value for _, attributes in self.tags if (value := attributes.get(name)) is not None]


def hostile(judged: JudgedComparison) -> JudgedComparison:
    """Return a comparison in which every text from outside is hostile."""
    changes = [
        msgspec.structs.replace(one, summary_before=HOSTILE, summary_after=HOSTILE, remark=HOSTILE)
        for one in judged.changes
    ]
    latency = msgspec.structs.replace(judged.latency, summary=HOSTILE)
    gates = [msgspec.structs.replace(gate, reason=HOSTILE) for gate in latency.evidence.gates or ()]
    gates[0] = msgspec.structs.replace(gates[0], gate=HOSTILE)
    evidence = msgspec.structs.replace(latency.evidence, gates=gates, spoiled=[f"pair 1, {HOSTILE}"])
    return replace(
        judged,
        baseline=HOSTILE,
        candidate=HOSTILE,
        headline=f"{HOSTILE} against {HOSTILE}",
        remarks=[HOSTILE] * 30,
        commands=[HOSTILE],
        changes=changes,
        latency=msgspec.structs.replace(latency, evidence=evidence),
        differences=[Difference(what="target", baseline=HOSTILE, candidate=HOSTILE)] * 50,
        pairs=[replace(pair, baseline=Path(f"javascript:alert(1)/{HOSTILE}")) for pair in judged.pairs],
    )


def test_the_summary_is_what_it_was(many: JudgedComparison, one: JudgedComparison, golden: Golden) -> None:
    """Of four pairs, and of one."""
    golden("comparison/summary-of-pairs.md", comparison_summary(many))
    golden("comparison/summary-of-one.md", comparison_summary(one))


def test_junit_is_what_it_was(many: JudgedComparison, golden: Golden) -> None:
    """A case an item and a case a gate."""
    golden("comparison/junit.xml", comparison_junit(many).decode())


def test_the_summary_is_short(many: JudgedComparison) -> None:
    """Whatever there is to say: what does not fit is counted."""
    for judged in (many, hostile(many), replace(many, pairs=list(many.pairs) * 100)):
        lines = comparison_summary(judged).splitlines()
        assert len(lines) <= MAX_LINES
        assert lines[0] == MARKER
        assert lines.count("</details>") == sum("<details>" in line for line in lines)
    assert re.search(r"- and \d+ more in report.html", comparison_summary(hostile(many)))


def test_many_items_and_gates_leave_the_summary_short(many: JudgedComparison) -> None:
    """User classes have items of their own, plans gates: here more than there is room for."""
    told = hostile(many)
    gates = list(told.latency.evidence.gates or ()) * 3
    evidence = msgspec.structs.replace(told.latency.evidence, gates=gates)
    latency = msgspec.structs.replace(told.latency, evidence=evidence)
    lines = comparison_summary(replace(told, changes=list(told.changes) * 2, latency=latency)).splitlines()
    assert len(lines) <= MAX_LINES
    assert lines.count("</details>") == sum("<details>" in line for line in lines) == 2
    assert re.match(r"- and \d+ more in report.html", lines[-3])


def test_hostile_text_is_code_or_escaped_in_the_summary(many: JudgedComparison) -> None:
    """No link, no mention, no HTML."""
    text = comparison_summary(hostile(many))
    assert "\x1b" not in text
    outside = re.sub(r"(`+).*?\1", "", "\n".join(re.sub(r"^    .*$", "", line) for line in text.splitlines()))
    assert "<script" not in outside.replace("\\<", "")
    assert "](" not in outside.replace("\\]", "")


def cases(junit: bytes) -> dict[str, dict[str, Element]]:
    """Return the cases by suite and name."""
    root = fromstring(junit)
    return {
        suite.attrib["name"]: {case.attrib["name"]: case for case in suite.iter("testcase")} for suite in root
    }


def test_each_item_and_gate_is_a_case(many: JudgedComparison) -> None:
    """FAIL is a failure, INCONCLUSIVE an error, NOT_JUDGED skipped; the counts are right; times are given."""
    found = cases(comparison_junit(many))
    assert set(found) == {"loadtest.compare", "loadtest.latency"}
    assert found["loadtest.compare"]["latency"].find("failure") is not None
    assert found["loadtest.compare"]["cleanup"].find("skipped") is not None
    assert len(found["loadtest.compare"]["server_log"]) == 0
    document = fromstring(comparison_junit(many))
    assert [*breaches(document, ANT), *breaches(document, JENKINS)] == []
    assert found["loadtest.latency"]["service p50"].find("failure") is not None
    for suite in fromstring(comparison_junit(many)):
        for element, count in (("failure", "failures"), ("error", "errors"), ("skipped", "skipped")):
            assert len(suite.findall(f"testcase/{element}")) == int(suite.attrib[count])
        assert int(suite.attrib["tests"]) == len(suite.findall("testcase"))
    assert fromstring(comparison_junit(many))[0].attrib["time"] == "160.000"


def test_an_open_gate_is_an_error(one: JudgedComparison) -> None:
    """A CI system must not take "cannot tell" for "passed"."""
    found = cases(comparison_junit(one))["loadtest.latency"]
    assert found["service p90"].find("error") is not None


def test_hostile_text_breaks_no_xml(many: JudgedComparison) -> None:
    """It can be read, and holds no control character."""
    assert b"\x1b" not in comparison_junit(hostile(many))
    assert len(cases(comparison_junit(hostile(many)))["loadtest.compare"]) == len(many.changes)


def test_the_page_has_all_parts(many: JudgedComparison) -> None:
    """Verdict, gates, items before and after, what is open, both revisions, the runs."""
    page = comparison_html(many, FOLDER)
    ids = _Page(page).values("id")
    assert len(ids) == len(set(ids))
    assert {"latency", "changes", "pairs", "items", "item-server_log", "open", "differences"} <= set(ids)
    assert {"p50", "p99", "percentiles", "outages-server", "outages-client", "runs"} <= set(ids)
    assert "service p50 +" in page
    assert "Over time: pair 1 of 4" in page


def test_every_link_within_the_page_leads_somewhere(many: JudgedComparison) -> None:
    """Contents, strip and reasons."""
    page = _Page(comparison_html(many, FOLDER))
    links = {link[1:] for link in page.values("href") if link.startswith("#")}
    assert links <= {*page.values("id"), "content"}


def test_hostile_text_stays_text(many: JudgedComparison) -> None:
    """No element, attribute or link comes from it, and the policy stands."""
    sound, found = (_Page(comparison_html(judged, FOLDER)) for judged in (many, hostile(many)))
    assert {tag for tag, _ in found.tags} <= {tag for tag, _ in sound.tags} | {"pre", "code"}
    assert not any(name.startswith("on") or name == "style" for _, names in found.tags for name in names)
    assert not any(":" in link.partition("/")[0] for link in found.values("href") if "svg" not in link)
    assert POLICY in found.values("content")
    assert "\x1b" not in comparison_html(hostile(many), FOLDER)


def test_runs_are_linked_where_they_have_a_report(tmp_path: Path) -> None:
    """Relative to the page, so that the results folder can be moved; without a report there is no link."""
    results = tmp_path / "results"
    ((before, after),) = pairs_of_runs(results, 1)
    before = before.parent.rename(results / "v1: #1?") / before.name
    (before / "report.html").write_text("")
    judged = judged_pairs([(before, after)], results)
    links = _Page(comparison_html(judged, results / "comparisons" / "x")).values("href")
    assert f"../../v1%3A%20%231%3F/{before.name}/report.html" in links
    assert not any(after.name in link for link in links)


def test_a_page_is_small(many: JudgedComparison) -> None:
    """Also of two hundred pairs."""
    runs = list(many.latency.evidence.runs or ()) * 50
    evidence = msgspec.structs.replace(
        many.latency.evidence,
        runs=[msgspec.structs.replace(run, pair=number) for number, run in enumerate(runs, start=1)],
    )
    latency = msgspec.structs.replace(many.latency, evidence=evidence)
    big: Any = replace(many, latency=latency, pairs=list(many.pairs) * 50)
    assert len(comparison_html(big, FOLDER)) < 1_000_000


def test_runs_with_unlike_plans_say_why_nothing_is_concluded(tmp_path: Path) -> None:
    """The forced comparison names the options, and marks them."""
    before, _ = pairs_of_runs(tmp_path, 1)[0]
    other = write_run(tmp_path, of=begun("other", "v3", at_s=900, rate=5.0), seconds=20)
    drawn = PairSums()
    found = compare([(before, other)], results=tmp_path, force=True, drawn=drawn)
    assert found.verdict is Ruling.INCONCLUSIVE
    page = comparison_html(judged_comparison(found, drawn), FOLDER)
    assert "--ws-rate" in page
    assert "runs not comparable" in page
