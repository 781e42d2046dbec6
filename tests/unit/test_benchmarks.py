"""The benchmarks: what their table makes of the rounds, and how they read others. They decide no test."""

from dataclasses import replace
from pathlib import Path

import pytest

from tests.benchmarks import go_client, k6_client
from tests.benchmarks.__main__ import BENCHMARKS, Plan, steps
from tests.benchmarks.certificates import Certificates
from tests.benchmarks.peers import CLIENTS, OURS
from tests.benchmarks.soak import Findings, Sample, Soaked, judge
from tests.benchmarks.soak import Plan as SoakPlan
from tests.benchmarks.table import COMPARED, HEAD, Row, add, compared, printed, read, table, write
from tests.benchmarks.work import Seen, Work, figures

BARE = "bare"
CLOSED = Work(sessions=100, seconds=5)
OPEN = Work(sessions=100, seconds=5, per_s=10_000, ca=Path("ca.pem"))
PLAN = Plan(quick=False, made=Certificates(Path("ca.pem"), Path("server.pem")))


def test_the_table_has_medians_spread_and_ratios() -> None:
    """Figures stand together in the order they came; ratios are those of the medians, to this tool's."""
    rows = [
        Row("CPU", OURS, [12.0, 10.0, 50.0]),
        Row("memory", OURS, [7.126]),
        Row("CPU", BARE, [18.0, 24.0, 17.0]),
        Row("other", BARE, [12345.6]),
    ]
    assert table(rows, OURS) == [
        ("CPU", OURS, "12", "10 to 50", ""),
        ("CPU", BARE, "18", "17 to 24", "1.50"),
        ("memory", OURS, "7.13", "7.13 to 7.13", ""),
        ("other", BARE, "12,346", "12,346 to 12,346", ""),
    ]
    lines = printed(HEAD, table(rows, OURS), markdown=True).splitlines()
    assert len(lines) == 6
    assert lines[3] == f"| CPU | {BARE} | 18 | 17 to 24 | 1.50 |"
    assert len({len(line) for line in printed(HEAD, table(rows, OURS), markdown=False).splitlines()}) == 1


def test_rounds_are_added_to_those_of_a_file(tmp_path: Path) -> None:
    """A table can be measured in portions; another figure, or another client's, is a row of its own."""
    rows = [Row("CPU, µs", OURS, [1.0])]
    write(tmp_path / "table.json", rows)
    rows = read(tmp_path / "table.json")
    add(rows, OURS, {"CPU, µs": 2.5, "slip": 3.0})
    add(rows, BARE, {"CPU, µs": 4.0})
    write(tmp_path / "table.json", rows)
    assert read(tmp_path / "table.json") == [
        Row("CPU, µs", OURS, [1.0, 2.5]),
        Row("slip", OURS, [3.0]),
        Row("CPU, µs", BARE, [4.0]),
    ]


def test_two_tables_are_compared_where_both_have_a_figure() -> None:
    """The ratio is that of the medians, after to before."""
    before = [Row("CPU", OURS, [40.0, 42.0, 41.0]), Row("gone", OURS, [1.0])]
    after = [Row("CPU", OURS, [20.0, 20.5, 24.0]), Row("new", OURS, [1.0]), Row("CPU", BARE, [1.0])]
    lines = compared(before, after)
    assert lines == [("CPU", OURS, "41 (40 to 42)", "20.5 (20 to 24)", "0.50")]
    assert printed(COMPARED, lines, markdown=True).splitlines()[0].startswith("| figure | client | before |")


def test_figures_are_called_by_the_work() -> None:
    """A closed loop has round trips; an open loop CPU of a message, and the times that a client takes."""
    assert figures(CLOSED, Seen(11.5, 80_000.0, service_us=[1000, 2000])) == {
        "CPU a round trip, µs, 100 sessions": 11.5,
        "round trips a second, 100 sessions": 80_000.0,
    }
    what = "100 sessions, 10,000 messages a second, wss"
    assert figures(OPEN, Seen(41.0, 10_000.0, slip_us=None, service_us=[100, 1500])) == {
        f"CPU a message, µs, {what}": 41.0,
        f"service time p50, ms, {what}": 0.1,
        f"service time p99, ms, {what}": 1.5,
    }


def test_each_measurement_is_done_once_a_round() -> None:
    """The least of `growth` is `open_loop`, and every step over TLS has a server that speaks it."""
    every = steps(BENCHMARKS, PLAN)
    assert len(every) == len({(step.who, step.what) for step in every})
    assert steps(["open_loop"], PLAN)[0].what in {step.what for step in steps(["growth"], PLAN)}
    assert {step.tls is not None for step in every if "wss" in step.what} == {True}
    assert {step.tls is not None for step in every if "wss" not in step.what} == {False}


def test_clients_do_only_what_they_can() -> None:
    """Who cannot send at planned times has no row in an open loop, who has no TLS none in wss."""
    able = {client.name for client in CLIENTS if client.can(OPEN)}
    assert able == {OURS, "bare Go", "k6", "websockets, sans-I/O"}
    assert all(client.can(CLOSED) for client in CLIENTS)


def test_the_go_client_sends_when_this_tool_would() -> None:
    """It is given the phases of the plan; a closed loop has none."""
    phases = go_client.phases_ns(OPEN)
    assert len(set(phases)) == 100
    assert all(0 <= phase < 10_000_000 for phase in phases)
    assert go_client.phases_ns(CLOSED) == []


def test_go_and_k6_are_left_out_by_name_where_they_are_not(monkeypatch: pytest.MonkeyPatch) -> None:
    """The reason names the program."""
    monkeypatch.setenv("PATH", "")
    assert go_client.missing() == "no 'go' on PATH"
    assert k6_client.missing() == "no 'k6' on PATH"


def test_an_older_k6_is_given_the_module_that_it_has() -> None:
    """k6/websockets is stable since 1.6; before, it was experimental, with the same interface."""
    assert 'from "k6/websockets"' in k6_client.script_for((1, 6))
    assert 'from "k6/websockets"' in k6_client.script_for((2, 0))
    assert 'from "k6/experimental/websockets"' in k6_client.script_for((1, 5))


@pytest.mark.parametrize(("slip_ms", "slip_us"), [("null", None), ("[0, 7.25]", [0, 7250])])
def test_what_k6_prints_is_in_milliseconds(slip_ms: str, slip_us: list[float] | None) -> None:
    """A closed loop has no slip."""
    told = f'{{"answered":50,"slip_ms":{slip_ms},"service_ms":[2,9.5]}}\n'
    assert k6_client.read(told, 1.5) == k6_client.Told(1.5, 50, slip_us, [2000, 9500])


def test_a_run_of_k6_costs_what_it_took_beyond_the_short_one() -> None:
    """CPU and messages of both runs hold the start and the connects."""
    short = k6_client.Told(1.5, 20_000, None, [1, 2])
    long = k6_client.Told(3.5, 70_000, None, [2000, 7000])
    assert k6_client.difference(short, long, 5) == Seen(40.0, 10_000.0, None, [2000, 7000])


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
    return judge(Soaked(samples, 5, books), SoakPlan())


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
