"""A log checked without any run."""

import io
import json
from pathlib import Path

import pytest

from loadtest.runs.check_log import LogReport, Selection, check
from loadtest.runs.log_changes import compare_logs
from loadtest.runs.log_tables import check_sheet
from loadtest.serverlog.rules import load_rules
from loadtest.serverlog.times import parse_time
from tests.support.places import LOGS

TABLE = load_rules()
BEFORE = LOGS / "gcloud-hour-before.json"
AFTER = LOGS / "gcloud-hour-after.json"


def checked(*paths: Path, **selected: object) -> LogReport:
    """What a check of some files finds."""
    return check(paths, rules=TABLE, selection=Selection(**selected))  # type: ignore[arg-type]


def written(path: Path, *records: str) -> Path:
    """A log of some lines."""
    path.write_text("".join(f"{record}\n" for record in records))
    return path


def test_the_hour_before_the_hotfix() -> None:
    """9 of 80 lines in an hour at ERROR, an apparent error rate of 11 %, and not one of them an error."""
    report = checked(BEFORE)
    assert (report.errors, report.records) == (9, 80)
    assert report.hours == pytest.approx(1, abs=0.05)
    assert f"{report.apparent_error_ratio:.0%}" == "11%"
    assert (report.real_errors, report.disconnect_errors) == (0, 9)
    assert (report.status, report.exit_code) == ("DEGRADED", 1)


def test_the_hour_after_the_hotfix() -> None:
    """No error, and over 95 % of the disconnect records at INFO."""
    report = checked(AFTER)
    assert (report.errors, report.records) == (0, 80)
    assert report.disconnect_info_ratio is not None
    assert report.disconnect_info_ratio > 0.95
    assert (report.status, report.exit_code) == ("OK", 0)


def test_both_hours_side_by_side() -> None:
    """Two reports stand in two columns of the same rows."""
    reports = [checked(BEFORE), checked(AFTER)]
    sheet = check_sheet(reports, compare_logs(*reports))
    counts, _, _, before, after = sheet.tables
    rows = {label: cells for label, *cells in counts.rows}
    assert [Path(name).name for name in counts.header[1:]] == [BEFORE.name, AFTER.name]
    assert rows["apparent error ratio"] == ["11.2%", "0%"]
    assert rows["disconnects logged as errors"] == ["9", "0"]
    assert rows["status"] == ["DEGRADED", "OK"]
    assert any(text.startswith("Send error (session") for *_, text in before.rows)
    assert not after.rows
    assert sheet.headline.endswith("gcloud-hour-after.json: OK")


def test_json_for_alerting() -> None:
    """The fields that alerting reads have their names, and all of it is JSON."""
    now_ns = parse_time("2026-11-23T15:10:00Z")
    assert now_ns is not None
    report = json.loads(json.dumps(checked(BEFORE).to_json(now_ns)))
    assert report["timestamp"] == "2026-11-23T15:10:00.000Z"
    assert report["service"] == "emergence"
    assert report["status"] == "DEGRADED"
    assert report["summary"] == {"errors": 9, "warnings": 2, "logs_analyzed": 80}
    assert report["classes"]["send_to_gone_client"] == {"ERROR": 5}
    assert report["examples"][0]["count"] == 4


def test_since_selects_what_came_later() -> None:
    """Only records from a moment on are checked; the others are counted as not selected."""
    report = checked(BEFORE, since_ns=parse_time("2026-11-23T14:30:00Z"))
    assert 0 < report.records < 80
    assert report.records + report.skipped == 80
    assert report.first_ns is not None
    assert report.first_ns >= (parse_time("2026-11-23T14:30:00Z") or 0)


def test_revision_selects_one_of_two() -> None:
    """Of two files with two revisions, one is checked."""
    report = checked(BEFORE, AFTER, revision="emergence-00042-kof")
    assert (report.records, report.skipped, report.errors) == (80, 80, 0)


@pytest.mark.parametrize(
    ("selected", "doubt"),
    [
        (
            {"revision": "emergence-00001-abc"},
            "no record was selected; the log has the revisions: emergence-00042-kof",
        ),
        (
            {"since_ns": 1_900_000_000 * 10**9},
            "no record was selected: the newest is of 2026-11-23T16:00:14.316Z, older than --since "
            "(2030-03-17T17:46:40.000Z). A log in local time must name its time zone",
        ),
    ],
)
def test_an_empty_selection_is_never_ok(selected: dict[str, object], doubt: str) -> None:
    """Nothing to check is neither OK nor a failure."""
    report = checked(AFTER, **selected)
    assert (report.status, report.exit_code, report.doubt) == ("NO_DATA", 4, doubt)


@pytest.mark.parametrize("lines", [(), ("",), ("[]",)])
def test_an_empty_log_is_no_bad_deploy(lines: tuple[str, ...], tmp_path: Path) -> None:
    """It has no format to name."""
    report = checked(written(tmp_path / "empty.log", *lines))
    assert (report.status, report.exit_code, report.doubt) == ("NO_DATA", 4, "the log is empty")


def test_revisions_of_a_log_are_bounded(tmp_path: Path) -> None:
    """A hostile log names any number of them, of any length."""
    lines = [
        json.dumps(
            {"severity": "INFO", "message": "x", "resource": {"labels": {"revision_name": f"r{n}" + "x" * n}}}
        )
        for n in range(300)
    ]
    doubt = checked(written(tmp_path / "many.json", *lines), revision="nope").doubt
    assert doubt.startswith("no record was selected; the log has the revisions: r0, r1x, ")
    assert len(doubt) < 500


def test_an_unknown_format_is_said(tmp_path: Path) -> None:
    """A log of which no line could be read asks for its format."""
    report = checked(written(tmp_path / "odd.log", "one", "two"))
    assert report.exit_code == 4
    assert "format" in report.doubt
    mostly = written(tmp_path / "mostly.log", "INFO:     hello", *["odd line"] * 9)
    assert (checked(mostly).status, checked(mostly).exit_code) == ("DEGRADED", 4)


@pytest.mark.parametrize(
    ("records", "status"),
    [
        (["INFO:     fine"], "OK"),
        (["WARNING:  slow"] * 9, "OK"),
        (["INFO:     fine"] * 9 + ["ERROR:    boom"], "DEGRADED"),
        (["INFO:     connection closed"] * 9 + ["WARNING:  Client disconnected"], "DEGRADED"),
        (["INFO:     fine"] * 9 + ["CRITICAL: boom"], "CRITICAL"),
        (["INFO:     fine"] * 50 + ["ERROR:    boom"] * 5, "CRITICAL"),
        (["INFO:     fine"] * 99 + ["ERROR:    boom"] * 5, "DEGRADED"),
    ],
)
def test_status(tmp_path: Path, records: list[str], status: str) -> None:
    """The status follows the table in the module's head."""
    report = checked(written(tmp_path / "server.log", *records))
    assert report.status == status
    assert report.exit_code == (0 if status == "OK" else 1)


def test_alike_records_are_one_example(tmp_path: Path) -> None:
    """Records that differ in numbers and identities are shown once, with how many, real errors first."""
    path = written(
        tmp_path / "server.log",
        *[
            f"ERROR:    Send error (session {n:08x}-0000-4000-8000-000000000000) -> cleanup: "
            for n in range(40)
        ],
        "ERROR:    database is locked after 5 tries",
    )
    worst = checked(path).worst()
    assert [(example.log_class, example.count) for example in worst] == [
        ("real_error", 1),
        ("send_to_gone_client", 40),
    ]


def test_an_example_is_the_earliest_with_its_fault_first(tmp_path: Path) -> None:
    """One shape for all sessions: the last exception, its cause, the message, when it was first."""
    chain = (
        "Traceback (most recent call last):",
        '  File "db.py", line 1, in connect',
        "ConnectionRefusedError: [Errno 111] Connection refused",
        "",
        "The above exception was the direct cause of the following exception:",
        "",
        "Traceback (most recent call last):",
        '  File "app.py", line 2, in open',
        "sqlite3.OperationalError: the database is down",
    )
    records = [
        line
        for second in (30, 10, 20)
        for line in (f"2026-11-23 14:00:{second},000 - app - ERROR - not opened (session=s-{second})", *chain)
    ]
    report = checked(written(tmp_path / "server.log", *records))
    (example,) = report.to_json(0)["examples"]
    assert (example["count"], example["session"]) == (3, "s-10")
    assert example["first_time"] == "2026-11-23T14:00:10.000Z"
    assert example["text"].startswith(
        "sqlite3.OperationalError: the database is down, caused by "
        "ConnectionRefusedError: [Errno 111] Connection refused | not opened (session=s-10)"
    )


def test_how_many_shapes_are_not_shown(tmp_path: Path) -> None:
    """Of seven shapes the table shows five, and says that there are two more."""
    words = ("alpha", "beta", "gamma", "delta", "epsilon", "zeta", "eta")
    report = checked(written(tmp_path / "server.log", *(f"ERROR:    {word} failed" for word in words)))
    *_, examples = check_sheet([report]).tables
    assert (len(examples.rows), examples.more) == (5, 2)


@pytest.mark.parametrize("hostile", ["0001-01-01T00:00:00Z", "1970-01-01T00:00:09Z", "9999-12-31T23:59:59Z"])
def test_a_time_far_from_today_is_none(tmp_path: Path, hostile: str) -> None:
    """One record with such a time does not stretch the log, and is counted."""
    times = ("2026-11-23T14:00:00Z", hostile, "2026-11-23T15:00:00Z")
    records = [f'{{"severity": "ERROR", "message": "broke", "timestamp": "{time}"}}' for time in times]
    found = checked(written(tmp_path / "a.log", *records))
    assert (found.hours, found.records, found.real_errors) == (1, 3, 3)
    assert checked(written(tmp_path / "b.log", records[1])).first_ns is None


def test_a_short_log_has_no_rates(tmp_path: Path) -> None:
    """A rate an hour needs a minute's log at least."""
    report = checked(written(tmp_path / "server.log", "2026-11-23 14:00:00,000 - a - INFO - b"))
    assert report.per_hour(1) is None


def test_many_different_errors_take_bounded_memory(tmp_path: Path) -> None:
    """Thousands of unlike errors leave a bounded number of examples and are all counted."""
    words = [
        f"ERROR:    {chr(97 + n // 676)}{chr(97 + n // 26 % 26)}{chr(97 + n % 26)}" for n in range(3_000)
    ]
    report = checked(written(tmp_path / "server.log", *words))
    assert report.real_errors == 3_000
    assert len(report.shapes) <= 500


def test_the_first_incidents_figures(tmp_path: Path) -> None:
    """9 real errors of 80 records are 11%: CRITICAL, in the form that alerting reads."""
    records = [{"severity": "INFO", "message": f"answered message {n}"} for n in range(71)]
    records += [{"severity": "ERROR", "message": "chat backend is unreachable"} for _ in range(9)]
    for number, record in enumerate(records):
        record["timestamp"] = f"2026-11-23T14:{number // 2:02}:00Z"
        record["resource"] = {"labels": {"service_name": "chat"}}  # type: ignore[assignment]
    report = checked(written(tmp_path / "incident.json", *map(json.dumps, records)))
    assert (report.status, report.exit_code) == ("CRITICAL", 1)
    assert f"{report.apparent_error_ratio:.0%}" == "11%"
    document = report.to_json(parse_time("2026-11-23T15:00:00Z") or 0)
    first = {name: document[name] for name in ("timestamp", "service", "status", "summary")}
    assert first == {
        "timestamp": "2026-11-23T15:00:00.000Z",
        "service": "chat",
        "status": "CRITICAL",
        "summary": {"errors": 9, "warnings": 0, "logs_analyzed": 80},
    }
    assert list(document)[:4] == list(first)
    assert list(document["summary"]) == ["errors", "warnings", "logs_analyzed"]


def without_levels(unknown: int, known: int) -> list[str]:
    """Records of which some have no level."""
    time = '"timestamp": "2026-11-23T14:00:00Z"'
    return [f'{{{time}, "message": "hello"}}'] * unknown + [
        f'{{{time}, "severity": "INFO", "message": "hello"}}'
    ] * known


def test_levels_that_cannot_be_read_are_a_doubt(tmp_path: Path) -> None:
    """Over 5% without a level is never OK; two examples show what was understood of them."""
    few = checked(written(tmp_path / "few.json", *without_levels(5, 95)))
    assert (few.status, few.exit_code, few.doubt) == ("OK", 0, "")
    many = checked(written(tmp_path / "many.json", *without_levels(6, 94)))
    assert (many.status, many.exit_code) == ("DEGRADED", 4)
    assert many.doubt.startswith(
        "6% of the records have no readable level: log levels, or name the format [line 1: "
    )
    assert many.doubt.count("no level, no logger, text: hello]") == 2
    assert len(many.to_json(0)["not_understood"]) == 2
    wrong = written(
        tmp_path / "wrong.json", *without_levels(6, 94), '{"severity": "ERROR", "message": "boom"}'
    )
    assert (checked(wrong).status, checked(wrong).exit_code) == ("DEGRADED", 1)


def test_records_without_times_are_a_doubt_where_times_are_needed(tmp_path: Path) -> None:
    """With --since, a log whose times cannot be read is not an empty hour."""
    path = written(tmp_path / "server.log", *["INFO:     hello"] * 20)
    assert checked(path).exit_code == 0
    since = checked(path, since_ns=parse_time("2026-11-23T14:30:00Z"))
    assert (since.status, since.exit_code) == ("NO_DATA", 4)
    assert since.doubt == "100% of the records have no time that can be read, which --since needs"


def test_a_log_in_local_time_is_a_doubt_where_times_are_needed(tmp_path: Path) -> None:
    """East of Greenwich, its records are in the future, so that --since selects older ones too."""
    log = written(tmp_path / "log", *timed(23))  # until 03:19
    since_ns = parse_time("2026-11-23T02:00:00Z")
    for now, doubt in [
        ("2026-11-23T03:15:00Z", ""),
        (
            "2026-11-23T02:19:00Z",
            "the newest record is of 2026-11-23T03:19:00.000Z, 60 min in the future, so --since may select "
            "the wrong records. A log in local time must name its time zone",
        ),
    ]:
        report = checked(log, since_ns=since_ns, now_ns=parse_time(now))
        assert (report.doubt, report.exit_code) == (doubt, 4 if doubt else 0)


def labels(*reports: LogReport) -> dict[str, list[str]]:
    """The rows of the first table by their label."""
    return {label: cells for label, *cells in check_sheet(reports).tables[0].rows}


def test_counts_and_examples_are_of_the_selected_records(tmp_path: Path) -> None:
    """What came before --since is neither counted as without a level nor shown as an example."""
    older = '{"timestamp": "2026-11-22T14:00:00Z", "message": "older"}'
    log = written(tmp_path / "log.json", *[older] * 50, *without_levels(6, 94))
    report = checked(log, since_ns=parse_time("2026-11-23T00:00:00Z"))
    assert report.records == 100
    assert labels(report)["without a level"] == ["6"]
    assert labels(report)["not selected: older than --since"] == ["50"]
    assert "text: hello]" in report.doubt
    assert "older" not in str(report.to_json(0)["not_understood"]) + report.doubt


def test_rows_say_why_records_were_not_selected(tmp_path: Path) -> None:
    """Records of another revision are told from older ones."""
    log = written(tmp_path / "log", *timed(23, 20))
    report = checked(log, revision="chat-2")
    assert labels(report)["not selected: other revision"] == ["20"]
    assert labels(report)["status"] == ["NO_DATA (no record was selected)"]


def test_a_good_log_has_no_empty_rows(tmp_path: Path) -> None:
    """Classes without records and counts of nothing are left out, unless another log has them."""
    good = checked(written(tmp_path / "good", *timed(23)))
    assert list(labels(good)) == [
        *("status", "from", "to", "records", "errors", "warnings", "apparent error ratio", "real errors"),
        *("disconnects", "other"),
    ]
    bad = checked(written(tmp_path / "bad", *timed(23), UNTIMED_ERROR))
    assert labels(good, bad)["real_error"] == ["-", "ERROR 1"]


def test_standard_input_has_its_name(monkeypatch: pytest.MonkeyPatch) -> None:
    """A lone dash as the title of a column says nothing."""
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO("\n".join(timed(23)).encode())))
    sheet = check_sheet([checked(Path("-"))])
    assert sheet.tables[0].header[1] == "standard input"
    assert sheet.headline == "standard input: OK"


def test_a_comparison_names_its_unit(tmp_path: Path) -> None:
    """A rate and a count stand in one cell: the column says which is which, and per what."""
    for name, lines, unit in [
        ("timed", [*timed(23), "2026-11-23T04:00:00Z ERROR chat boom"], "hour"),
        ("untimed", [*["INFO:     hello"] * 20, UNTIMED_ERROR], "1,000 records"),
    ]:
        report = checked(written(tmp_path / name, *lines))
        _, classes, shapes, *_ = check_sheet([report, report], compare_logs(report, report)).tables
        for table in (classes, shapes):
            assert {f"before per {unit} (count)", f"after per {unit} (count)"} < set(table.header)


UNTIMED_ERROR = "ERROR:    Unexpected fault in the room store"


def timed(day: int, count: int = 200) -> list[str]:
    """Records at INFO, one a minute."""
    return [
        f"2026-11-{day}T{n // 60:02}:{n % 60:02}:00Z INFO uvicorn.access request served" for n in range(count)
    ]


@pytest.mark.parametrize(
    ("lines", "errors", "skipped"),
    [
        ([*timed(23), *[UNTIMED_ERROR] * 5], 5, 0),
        ([*[UNTIMED_ERROR] * 5, *timed(23)], 5, 0),
        ([*timed(22), *[UNTIMED_ERROR] * 5, *timed(23)], 0, 205),
    ],
    ids=["after", "before", "older"],
)
def test_a_record_without_a_time_has_that_of_its_neighbour(
    tmp_path: Path, lines: list[str], errors: int, skipped: int
) -> None:
    """With --since, an error without a time counts if the record before it (at the start: after it) does."""
    report = checked(written(tmp_path / "log", *lines), since_ns=parse_time("2026-11-23T00:00:00Z"))
    assert (report.real_errors, report.skipped) == (errors, skipped)
    assert report.exit_code == bool(errors)


def test_shapes_have_their_first_and_last_time(tmp_path: Path) -> None:
    """When a fault began and when it was last seen tell whether it is over."""
    lines = [f"2026-11-23 14:{minute:02}:00,000 - a - ERROR - disk full" for minute in (30, 10, 50)]
    report = checked(written(tmp_path / "server.log", *lines))
    (example,) = report.to_json(0)["examples"]
    assert (example["first_time"], example["last_time"]) == (
        "2026-11-23T14:10:00.000Z",
        "2026-11-23T14:50:00.000Z",
    )
    *_, examples = check_sheet([report]).tables
    assert list(examples.rows) == [("3", "ERROR", "real_error", "14:10:00", "14:50:00", "2", "disk full")]
