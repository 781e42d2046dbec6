"""The latency verdict on synthetic runs with known truth, both ways: a fast part of the calibration.

`python -m tests.benchmarks.calibration` has all rows and enough repetitions to tell 5% from 8%. Here each
seed is fixed, and a row that is far off is seen.
"""

import re
from collections import Counter
from pathlib import Path

import pytest

from tests.benchmarks.calibration import __main__ as program
from tests.benchmarks.calibration.rows import Aim, Row, all_rows
from tests.benchmarks.calibration.table import Line, Tally, repeated
from tests.support.places import ROOT

REPETITIONS = range(10)
BY_NAME = {f"{row.group}: {row.name}": row for row in all_rows()}

SINGLE, SHAPED = "unchanged, one pair: ", "unchanged, one pair, by shape: "
DUEL = "unchanged, duel of 12 pairs, looks at 4, 8 and 12: "
CHANGED = "changed, duel of 12 pairs of 60 s at 60 round trips a second: "
BETWEEN = "a quantile between two groups of replies, 2 ms and 40 ms: "


def happened(name: str) -> dict[str, int]:
    """Return how often each aim's event happened in ten repetitions."""
    row = BY_NAME[name]
    tally = repeated(row, REPETITIONS, seed=1)
    return {aim.name: count for aim, count in zip(row.aims, tally.happened, strict=True)}


@pytest.mark.parametrize(
    "name",
    [
        f"{SINGLE}run-to-run sd of p50/p90/p99 5/10/25%, assumed noise",
        f"{SINGLE}day-to-day sd 10%, candidate on another day, history of one day",
        f"{SINGLE}history of 12 days with a step of +10%",
        f"{SHAPED}AR(1) 0.95, assumed noise",
        f"{DUEL}process-to-process sd 5%, restarted every pair",
        f"{DUEL}Pareto 1.1, run-to-run sd 1/2/5%",
    ],
)
def test_an_unchanged_server_hardly_ever_fails(name: str) -> None:
    """At most 5% by the method: more than one of ten is beyond chance."""
    assert happened(name)["FAIL"] <= 1


@pytest.mark.parametrize(
    "change",
    [
        "every reply +20%",
        "3% of connections lost",
        "1 in 2,000 replies +200 ms",
        "every resume +400 ms",
    ],
)
def test_a_changed_server_fails(change: str) -> None:
    """The same duels find what is broken, eight times of ten at least."""
    assert happened(f"{CHANGED}{change}")["FAIL"] >= 8


def test_a_trend_within_each_run_never_passes() -> None:
    """From 0 to +9%, of which the median over the whole run shows half."""
    assert happened(f"{CHANGED}0 to +9% within each run, run-to-run sd 1/2/5%")["PASS"] == 0


@pytest.mark.parametrize("slow", ["50% slow, p50", "10% slow, p90", "1% slow, p99"])
def test_a_quantile_between_two_groups_is_named(slow: str) -> None:
    """More pairs would never settle it, and the verdict says so."""
    found = happened(f"{BETWEEN}duel, {slow}")
    assert found["FAIL"] <= 1
    assert found["INCONCLUSIVE, unnamed"] == 0


def test_names_of_rows_are_unique() -> None:
    """Each row has its own random numbers, which its name selects."""
    assert len(BY_NAME) == len(all_rows())


@pytest.mark.parametrize(
    ("share", "bounds", "missed"),
    [
        (0.05, {"at_most": 0.05}, False),
        (0.06, {"at_most": 0.05}, False),
        (0.10, {"at_most": 0.05}, True),
        (0.89, {"at_least": 0.90}, False),
        (0.80, {"at_least": 0.90}, True),
        (0.50, {}, False),
    ],
)
def test_an_aim_is_missed_beyond_two_standard_errors(
    share: float, bounds: dict[str, float], missed: bool
) -> None:
    """With an error of 1.1 points, 6% is within what 5% may show, 10% is not."""
    assert Aim(name="FAIL", event=lambda _: None, **bounds).missed(share, 0.011) is missed


def test_a_repetition_that_does_not_count_is_left_out() -> None:
    """As an interval that does not exist, and cannot miss the truth."""
    row = BY_NAME[f"{SINGLE}history of 12 days with a step of +10%"]
    aims = (Aim(name="never counted", event=lambda _: None), Aim(name="always", event=lambda _: True))
    tally = repeated(Row(group=row.group, name=row.name, judge=row.judge, aims=aims), range(2), seed=1)
    assert (tally.happened, tally.counted) == ([0, 2], [0, 2])
    assert (tally.share(0), tally.share(1)) == (0.0, 1.0)
    assert isinstance(tally, Tally)


@pytest.mark.parametrize(("failed", "exit_code"), [(5, 0), (20, 1)])
def test_a_missed_aim_is_named_and_exits_with_1(
    failed: int,
    exit_code: int,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """A calibration that CI runs must not be green when it is off."""
    row = all_rows()[0]
    line = Line(row, Tally([failed, 0], [100, 100], Counter({"service p50": failed})))
    monkeypatch.setattr(program, "lines", lambda *_, **__: iter([line]))
    asked = ["--rows", row.name, "--repeats", "100", "--write", str(tmp_path)]
    assert program.main(asked) == exit_code
    shown = capsys.readouterr()
    assert f"FAIL {failed}.0 ± " in shown.out
    assert ("MISSED" in shown.out) == bool(exit_code)
    assert f"{exit_code} aims missed" in shown.out
    assert f"service p50 {failed}" in shown.err
    (page,) = tmp_path.iterdir()
    assert page.name == program.page_name(row.group)
    assert "\n1 rows, 100 repetitions each, seed 1; " in page.read_text()
    assert f"| {row.name} | FAIL {failed}.0 ± " in page.read_text()


def test_each_group_has_a_page() -> None:
    """The docs have the results of every group of rows, and name each page."""
    pages = {program.page_name(row.group) for row in all_rows()}
    folder = ROOT / "docs" / "calibration"
    assert {page.name for page in folder.iterdir()} == {"README.md", *pages}
    assert pages <= set(re.findall(r"\]\(([a-z0-9-]+\.md)\)", (folder / "README.md").read_text()))
