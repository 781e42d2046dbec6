"""The benchmarks' table: what it makes of the rounds. The benchmarks themselves decide no test."""

from dataclasses import replace

import pytest

from tests.benchmarks.__main__ import BARE, OURS, Row, printed, table
from tests.benchmarks.soak import Findings, Plan, Sample, Soaked, judge


def test_the_table_has_medians_spread_and_ratios() -> None:
    """Figures stand together in the order they came; ratios are those of the medians, to this tool's."""
    rows = [
        Row("CPU", OURS, [12.0, 10.0, 50.0]),
        Row("memory", OURS, [7.126]),
        Row("CPU", BARE, [18.0, 24.0, 17.0]),
        Row("other", BARE, [12345.6]),
    ]
    assert table(rows) == [
        ("CPU", OURS, "12", "10 to 50", ""),
        ("CPU", BARE, "18", "17 to 24", "1.50"),
        ("memory", OURS, "7.13", "7.13 to 7.13", ""),
        ("other", BARE, "12,346", "12,346 to 12,346", ""),
    ]
    lines = printed(table(rows), markdown=True).splitlines()
    assert len(lines) == 6
    assert lines[3] == f"| CPU | {BARE} | 18 | 17 to 24 | 1.50 |"
    assert len({len(line) for line in printed(table(rows), markdown=False).splitlines()}) == 1


def soaked(kib_per_sample: float = 0, files_per_sample: float = 0, open_books: int | None = 0) -> Findings:
    """Return the verdicts of an hour, sampled every 5 s, whose first ten minutes fill the caches."""
    samples = [
        Sample(
            at_s=number * 5.0,
            used_kib=60_000 + 100 * min(number, 100) + 9_000 * (number % 2) + kib_per_sample * number,
            resident_kib=90_000 + 9_000 * (number % 2),
            files=round(60 + 10 * (number % 3) + files_per_sample * number),
            answered=number * 500,
            resumed=number * 100,
        )
        for number in range(720)
    ]
    books = None if open_books is None else {"connect": 0, "messaging": open_books}
    return judge(Soaked(samples, 5, books), Plan())


def test_a_soak_in_which_nothing_grows_is_sound() -> None:
    """What swings, and what fills at the start, is no growth."""
    assert soaked().sound


@pytest.mark.parametrize(
    ("found", "unsound"),
    [
        (soaked(kib_per_sample=10), "memory_flat"),
        (soaked(files_per_sample=0.05), "files_flat"),
        (soaked(open_books=1), "books_balance"),
        (soaked(open_books=None), "books_balance"),
    ],
)
def test_what_grows_or_does_not_balance_fails_alone(found: Findings, unsound: str) -> None:
    """100 bytes a reconnect, a file in every 2,000 of them, one request without an outcome, no verdict."""
    assert not found.sound
    assert replace(found, **{unsound: True}).sound
