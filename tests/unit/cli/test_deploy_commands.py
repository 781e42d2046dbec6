"""`loadtest check-log` as a person or a cron job runs it."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from loadtest.cli import main
from tests.support.places import LOGS

BEFORE = LOGS / "gcloud-hour-before.json"


AFTER = LOGS / "gcloud-hour-after.json"


def check(*arguments: str | Path, text: bytes | None = None) -> Result:
    """Run the command."""
    return CliRunner().invoke(main, ["check-log", *map(str, arguments)], input=text)


def rows(*arguments: str | Path) -> dict[str, list[str]]:
    """The cells of the table in Markdown by their row's label."""
    cells = (line.strip("| ").split(" | ") for line in check(*arguments, "--markdown").output.splitlines())
    return {label: values for label, *values in cells}


def test_the_hour_before_the_hotfix() -> None:
    """9 of 80 lines in an hour at ERROR look like an error rate of 11 %, and none of them is an error."""
    result = check(BEFORE)
    shown = rows(BEFORE)
    assert result.exit_code == 1
    assert (shown["records"], shown["errors"]) == (["80 (81.3 an hour)"], ["9 (9.1 an hour)"])
    assert shown["real errors"] == ["0 (0.0 an hour)"]
    assert shown["apparent error ratio"] == ["11.2%"]
    assert shown["disconnects logged as errors"] == ["9"]
    assert "Send error (session" in " ".join(result.output.split())


def test_before_and_after_stand_in_two_columns() -> None:
    """Each file is a column, and the exit code is that of the last: the revision that was deployed."""
    result = check(BEFORE, AFTER)
    assert result.exit_code == 0
    assert rows(BEFORE, AFTER)["status"] == ["DEGRADED", "OK"]
    assert rows(BEFORE, AFTER)["disconnects logged as errors"] == ["9", "0"]
    assert check(AFTER, BEFORE).exit_code == 1


def test_one_form_at_a_time() -> None:
    """--json and --markdown cannot be used together."""
    result = check(BEFORE, "--json", "--markdown")
    assert result.exit_code == 2
    assert "cannot be used together" in result.output


def test_json_is_what_alerting_reads() -> None:
    """One document with status and summary on top; an earlier file stands under `compared_with`."""
    one = json.loads(check(BEFORE, "--json").stdout)
    assert (one["service"], one["status"]) == ("emergence", "DEGRADED")
    assert one["summary"] == {"errors": 9, "warnings": 2, "logs_analyzed": 80}
    both = json.loads(check(BEFORE, AFTER, "--json").stdout)
    assert (both["status"], both["compared_with"][0]["status"]) == ("OK", "DEGRADED")


def test_since_and_revision_select() -> None:
    """An hour after a deploy only what came since, and of the new revision, is checked; nothing is not OK."""
    late = rows(BEFORE, "--since", "2026-11-23T14:30:00Z")
    assert 0 < int(late["records"][0].split()[0]) < 80
    assert check(AFTER, "--revision", "emergence-00042-kof").exit_code == 0
    result = check(AFTER, "--since", "10m")
    assert result.exit_code == 4
    assert "no record was selected" in result.output


def test_rules_and_a_format_of_ones_own(tmp_path: Path) -> None:
    """A user's rule makes a text a disconnect, a format string reads a log that no known format fits."""
    log = tmp_path / "odd.log"
    log.write_text("<INFO> hello\n<ERROR> peer 9 went away\n")
    (tmp_path / "rules.toml").write_text('[[rule]]\nclass = "abrupt"\nmessage = "peer * went away"\n')
    assert rows(log, "--format", "<%(levelname)s> %(message)s")["real errors"] == ["1"]
    shown = rows(log, "--format", "<%(levelname)s> %(message)s", "--rules", tmp_path / "rules.toml")
    assert (shown["real errors"], shown["disconnects"]) == (["0"], ["1"])


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("no-such.log",), "FILE must be a file that can be read"),
        ((AFTER, "--since", "yesterday"), "10m, 1h or 2d"),
        ((AFTER, "--format", "morse"), "--format must be auto, json, "),
        ((AFTER, "--rules", "no-such.toml"), "--rules must be a file that can be read"),
        ((), "Missing argument"),
    ],
)
def test_what_is_asked_wrongly_is_one_line(arguments: tuple[str | Path, ...], says: str) -> None:
    """A wrong file, time, format or rules end with exit code 2 and say what to do."""
    result = check(*arguments)
    assert result.exit_code == 2
    assert says in result.output
    assert "Traceback" not in result.output


def test_hostile_logs_survive(tmp_path: Path) -> None:
    """Megabytes in a line, escapes, NULs, bad UTF-8 and JSON without end are shown harmlessly."""
    log = tmp_path / "hostile.log"
    log.write_bytes(
        b"ERROR:    \x1b[2J\x1b]0;owned\x07 [red]boom[/red] \x00\xff\n"
        + (b'{"message":' + b"[" * 200_000 + b"\n")
        + (b"ERROR:    " + b"A" * 3_000_000 + b"\n")
    )
    result = check(log)
    assert result.exit_code == 1
    assert "\x1b" not in result.output
    assert "boom" in result.output
    assert all(len(line) < 400 for line in result.output.splitlines())


def test_standard_input_is_read_once() -> None:
    """Given twice, the second log would be empty, and seem to have no errors."""
    result = check("-", "-", text=AFTER.read_bytes())
    assert result.exit_code == 2
    assert "- (standard input) must be given only once" in result.output
