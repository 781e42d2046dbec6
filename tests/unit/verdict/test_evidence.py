"""Evidence as it is written and read: by this version, by another one, by anybody."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from loadtest.duel.duel_record import EVIDENCE as DUEL_EVIDENCE
from loadtest.duel.duel_record import DuelRecord
from loadtest.errors import RunUnreadable
from loadtest.results.directory import VERDICT
from loadtest.ruling import Ruling
from loadtest.runs.verdict_file import read_verdict, readable_verdict
from loadtest.verdict.evidence import ConnectEvidence, LatencyEvidence, PooledEvidence
from loadtest.verdict.items import EVIDENCE, ITEMS, KINDS, Verdict
from tests.support.places import VERDICTS


def golden(name: str = "failed") -> Any:
    """Return a verdict.json of every kind of evidence, as plain data."""
    return json.loads((VERDICTS / f"{name}.json").read_bytes())


def verdict_of(document: Any) -> Verdict:
    """Return what is read of a document."""
    return msgspec.json.decode(json.dumps(document), type=Verdict)


@pytest.mark.parametrize("name", ["failed", "unlike", "empty"])
def test_a_verdict_that_is_read_is_written_as_it_was(name: str) -> None:
    """Nothing is added, lost or of another type, null and absent included."""
    assert json.loads(msgspec.json.encode(verdict_of(golden(name)))) == golden(name)


def test_every_item_has_a_question_and_evidence_of_its_own() -> None:
    """The reports ask the question; a run and a duel read the evidence."""
    assert all(kind.question.endswith("?") for kind in KINDS.values())
    assert len(set(EVIDENCE.values())) == len(KINDS)
    assert list(DUEL_EVIDENCE) == list(KINDS)
    assert DUEL_EVIDENCE["latency"] is LatencyEvidence
    assert DUEL_EVIDENCE["connect"] == PooledEvidence[ConnectEvidence]


@pytest.mark.parametrize("item", ITEMS)
def test_each_item_has_its_own_evidence(item: str) -> None:
    """It has a type once it is read, and comes back from JSON as it went in."""
    evidence = verdict_of(golden()).item(item).evidence
    assert isinstance(evidence, EVIDENCE[item])
    assert msgspec.json.decode(msgspec.json.encode(evidence), type=EVIDENCE[item]) == evidence


def test_a_duel_that_is_read_is_written_as_it_was() -> None:
    """Its items have types, and so has what was seen of them in single runs."""
    found = msgspec.json.decode(json.dumps(golden("duel")), type=DuelRecord)
    assert json.loads(msgspec.json.encode(found)) == golden("duel")
    assert isinstance(found.item("latency").evidence, LatencyEvidence)
    for name in ITEMS:
        for seen in getattr(found.item(name).evidence, "seen", None) or ():
            assert isinstance(seen.evidence, EVIDENCE[name])


def test_what_a_newer_version_adds_is_passed_over() -> None:
    """Fields on every level, and whole items, whose evidence stays as it is."""
    document = golden()
    for structure in list(_structures(document)):
        structure["novel"] = {"of": ["a", "newer", "version"]}
    later = {"item": "weather", "verdict": "PASS", "summary": "s", "evidence": {"crashes": [1, {"a": 2}]}}
    document["items"].append(later)
    found = verdict_of(document)
    assert found.items[:-1] == verdict_of(golden()).items
    assert msgspec.to_builtins(found.item("weather")) == later


def _structures(value: Any, name: str = "") -> Iterator[dict[str, Any]]:
    """Yield every object of a document whose keys are fields."""
    if isinstance(value, list):
        for part in value:
            yield from _structures(part, "evidence")
    elif isinstance(value, dict):
        if name in ("", "evidence", "generator", "baseline", "candidate", "reading"):
            yield value
        for key in list(value):
            yield from _structures(value[key], key)


def test_what_an_older_version_lacks_has_a_default() -> None:
    """Any field of any evidence, and any item."""
    for item in ITEMS:
        evidence = next(one["evidence"] for one in golden()["items"] if one["item"] == item)
        for name in evidence:
            document = golden()
            del next(one["evidence"] for one in document["items"] if one["item"] == item)[name]
            assert isinstance(verdict_of(document).item(item).evidence, EVIDENCE[item])
    bare = golden()
    bare["items"] = []
    found = verdict_of(bare)
    assert {found.item(item).verdict for item in ITEMS} == {Ruling.NOT_JUDGED}
    assert found.latency.evidence == LatencyEvidence()


def test_an_item_may_have_no_evidence() -> None:
    """As `server_log` without a log, and as whatever another version did not judge."""
    document = golden()
    for item in document["items"]:
        del item["evidence"]
    found = verdict_of(document)
    assert found.latency.evidence == LatencyEvidence()
    assert found.item("server_log").evidence == {}


@pytest.mark.parametrize(
    ("item", "damage"),
    [
        ("connect", lambda evidence: evidence.update(counts=["established"])),
        ("messaging", lambda evidence: evidence["errors"][0].update(count="three")),
        ("reconnect", lambda evidence: evidence.update(outages={})),
        ("persistence", lambda evidence: evidence.update(judged_by=None)),
        ("latency", lambda evidence: evidence["gates"][0].update(decision="MAYBE")),
        ("latency", lambda evidence: evidence["baseline"].update(run_id=7)),
        ("server_log", lambda evidence: evidence["by_kind"].append("close")),
    ],
)
def test_damaged_evidence_is_named(tmp_path: Path, item: str, damage: Callable[[Any], None]) -> None:
    """The file cannot be read, the error says in which item, and a run has no verdict then."""
    document = golden()
    damage(next(one["evidence"] for one in document["items"] if one["item"] == item))
    (tmp_path / VERDICT).write_text(json.dumps(document))
    with pytest.raises(RunUnreadable, match=f"evidence of {item}: Expected|evidence of {item}: Invalid"):
        read_verdict(tmp_path)
    assert readable_verdict(tmp_path) is None


@pytest.mark.parametrize("value", [None, True, -1, 0.5, "x", [], {}, [None], {"x": None}])
def test_any_value_anywhere_is_read_or_refused(value: Any) -> None:
    """Whatever stands in the place of a value, nothing but the file's own error comes of it."""
    document = golden()
    for holder, key in list(_places(document)):
        kept, holder[key] = holder[key], value
        try:
            verdict_of(document)
        except msgspec.ValidationError:
            pass
        finally:
            holder[key] = kept
    assert document == golden()


def _places(value: Any) -> Iterator[tuple[Any, Any]]:
    """Yield where each value of a document stands."""
    keys = value.keys() if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ()
    for key in list(keys):
        yield value, key
        yield from _places(value[key])


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("values", {"service p50": "fast"}),
        ("suspect", "service p50"),
        ("levels", {"pass_ratio": "low"}),
        ("unlike", [{"what": 1, "baseline": "2", "candidate": "8"}]),
        ("duel_command", ["rm", "-rf"]),
        ("gates", [{"between_us": [1.0]}]),
        ("gates", [{"kind": "weather"}]),
        ("gates", [{"low_ratio": "much"}]),
    ],
)
def test_what_latency_says_in_another_type_is_refused(field: str, value: Any) -> None:
    """The history and the reports take numbers for numbers, and a command for text."""
    with pytest.raises(msgspec.ValidationError):
        msgspec.json.decode(json.dumps({field: value}), type=LatencyEvidence)


def test_gates_of_earlier_versions_are_quantiles() -> None:
    """Their files know no other kind, and nothing of what came later."""
    earlier = {"gates": [{"gate": "service p50", "decision": "PASS", "change_ratio": 0.01}], "left_out": []}
    found = msgspec.json.decode(json.dumps(earlier), type=LatencyEvidence)
    (gate,) = found.gates or []
    assert (gate.kind, gate.suspect, gate.compared, gate.in_points) == ("quantile", False, True, False)
    assert (found.values, found.levels, found.unlike, found.duel_command) == (None, None, None, None)
