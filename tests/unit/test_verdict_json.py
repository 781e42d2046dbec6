"""The JSON of verdicts is a contract: what was made of the same runs before evidence had types."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from loadtest.duel.duel_record import DuelRecord, RunPair
from loadtest.duel.judging import judged, read_pair
from loadtest.runs.compare import compare
from loadtest.runs.publish import publish
from tests.support.golden import Golden
from tests.support.golden_runs import write_runs
from tests.support.places import VERDICTS

RESULTS = Path("results")
"""Below the working directory: paths stand in verdicts."""


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Path]]:
    """The runs, all of them written before the first is judged, and judged in their order."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path_factory.mktemp("golden"))
        written = write_runs(RESULTS)
        for path in written.values():
            publish(path, results=RESULTS)
        yield written


def plain(text: bytes) -> Any:
    """Return JSON with numbers cut to what does not depend on the machine's last bit."""
    return json.loads(text, parse_float=lambda number: f"{float(number):.9g}")


def in_order_of(kept: Any, made: Any) -> Any:
    """Return JSON with its keys in the order of another, so that a difference shows what has changed."""
    if isinstance(kept, list) and isinstance(made, list):
        return [in_order_of(kept[at], one) if at < len(kept) else one for at, one in enumerate(made)]
    if isinstance(kept, dict) and isinstance(made, dict):
        return {key: in_order_of(kept.get(key), made[key]) for key in {**kept, **made} if key in made}
    return made


def assert_golden(golden: Golden, name: str, made: bytes) -> None:
    """Assert that JSON is that of a golden file, or write the file; keys may come in any order."""
    file = VERDICTS / f"{name}.json"
    if golden.update:
        ordered = in_order_of(json.loads(file.read_bytes()), json.loads(made))
        file.write_text(json.dumps(ordered, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    assert plain(made) == plain(file.read_bytes())


@pytest.mark.parametrize("name", ["failed", "unlike", "empty"])
def test_a_runs_verdict_is_as_ever(runs: dict[str, Path], golden: Golden, name: str) -> None:
    """With a baseline and a server's log; with storms and without a baseline; with nothing in it."""
    assert_golden(golden, name, (runs[name] / "verdict.json").read_bytes())


def test_a_comparison_is_as_ever(runs: dict[str, Path], golden: Golden) -> None:
    """Of one pair, and of two of which one does not count."""
    pair, spoiled = (runs["baseline"], runs["failed"]), (runs["overloaded"], runs["unlike"])
    assert_golden(golden, "compared", msgspec.json.encode(compare([pair], results=RESULTS)))
    both = compare([pair, spoiled], results=RESULTS, force=True)
    assert_golden(golden, "compared_pairs", msgspec.json.encode(both))


def test_a_duels_verdict_is_as_ever(runs: dict[str, Path], golden: Golden) -> None:
    """Over three pairs, and without any because the candidate's server ended."""
    names = [("baseline", "failed"), ("failed", "unlike"), ("overloaded", "empty")]
    pairs = [RunPair(a=_below(runs[a]), b=_below(runs[b])) for a, b in names]
    record = DuelRecord(
        a="v0.9",
        b="v1.0",
        order="turns",
        pairs_planned=4,
        looks=[4],
        duration_s=20,
        started_at="2026-11-23T00:00:00Z",
        started_unix_ns=1_795_443_815_000_000_000,
        pairs=pairs,
        end="made up",
    )
    found = judged(record, [read_pair(pair, RESULTS) for pair in pairs], results=RESULTS)
    assert_golden(golden, "duel", msgspec.json.encode(found))
    ended = msgspec.structs.replace(record, pairs=[], ended_servers={"b": "the candidate ended"})
    assert_golden(golden, "duel_without_pairs", msgspec.json.encode(judged(ended, [], results=RESULTS)))


def _below(run: Path) -> str:
    return str(run.relative_to(RESULTS))
