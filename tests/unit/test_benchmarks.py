"""The benchmarks' table: what it makes of the rounds. The benchmarks themselves decide no test."""

from tests.benchmarks.__main__ import BARE, OURS, Row, printed, table


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
