"""What is printed: plain, narrow and harmless where it must be, coloured where it may be."""

import io
import re
import sys
from pathlib import Path

import pytest

from loadtest.report.terminal import print_verdict
from loadtest.report.terminal_tables import new_console
from loadtest.runs.publish import judge_run, publish
from loadtest.session.recorder import ErrorTally
from tests.support.rundirs import HOSTILE, write_run
from tests.support.runs import manifest

ESCAPE = "\x1b"


@pytest.fixture(autouse=True)
def surroundings(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing of the machine decides: no colour is asked for or forbidden, no width is known."""
    for name in ("NO_COLOR", "FORCE_COLOR", "COLUMNS", "LINES", "TTY_COMPATIBLE", "TTY_INTERACTIVE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm-256color")


def hostile_run(results: Path) -> Path:
    """Write a run with an error that would like to own the terminal."""
    error = ErrorTally(item="messaging", error=HOSTILE, count=3, session=HOSTILE, at_ns=3, example=HOSTILE)
    return write_run(results, seconds=8, errors=[error], counts={"messaging.corrupted": 3})


def test_no_report_is_named_that_could_not_be_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """On a full disk the verdict is printed without its reports."""
    path = write_run(tmp_path, seconds=8)
    print_verdict(judge_run(path, results=tmp_path))
    assert "report.html" not in capsys.readouterr().out
    print_verdict(publish(path, results=tmp_path))
    assert f"report   {path / 'report.html'}\n" in capsys.readouterr().out


def test_the_table_has_every_item_and_what_to_do(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Item, verdict and summary, the evidence of what failed, the generator, and where to look again."""
    write_run(tmp_path, of=manifest(run_id="a"))
    error = ErrorTally(
        item="messaging", error="no reply", count=12, session="lt-17", at_ns=12 * 10**9, example="{}"
    )
    path = write_run(
        tmp_path,
        of=manifest(run_id="b", revision="v2.0"),
        slower_ratio=3.0,
        errors=[error],
        counts={"messaging.lost": 12, "messaging.sent": 12},
    )
    print_verdict(publish(path, results=tmp_path))
    shown, to_stderr = capsys.readouterr()
    assert to_stderr == ""
    assert ESCAPE not in shown
    for item, verdict in {"connect": "PASS", "messaging": "FAIL", "latency": "FAIL"}.items():
        assert re.search(rf"^{item} +{verdict} ", shown, re.MULTILINE)
    assert "verdict of v2.0 against v1.0: FAIL" in shown
    assert "12 x no reply" in shown
    assert "first at 00:12 in session lt-17" in shown
    assert re.search(r"service p50 +[\d.]+ ms +[\d.]+ ms +\+\d+\.\d% +\+.* 0\.2 ms +FAIL", shown)
    assert re.search(r"service p50 \([\d.]+% instead of 5%\)", " ".join(shown.split()))
    assert "Load generator OK" in shown
    assert f"loadtest report {path}" in shown


def test_it_keeps_to_80_columns_but_for_paths(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Where no width is known, as in a CI log, nothing is wider than 80 but what is to be copied."""
    print_verdict(publish(hostile_run(tmp_path), results=tmp_path))
    lines = capsys.readouterr().out.splitlines()
    assert all(len(line) <= 80 for line in lines if str(tmp_path) not in line)


def test_no_foreign_text_reaches_the_terminal_as_more_than_text(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Control sequences and markup of a server are shown, not obeyed."""
    print_verdict(publish(hostile_run(tmp_path), results=tmp_path))
    shown = capsys.readouterr().out
    assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e]", shown)
    assert "\\x1b[2J\\x1b]0;owned" in shown
    assert "[bold red]markup[/bold" in shown.replace("\n", "")


@pytest.mark.parametrize("width", [25, 60, 80])
def test_no_foreign_text_is_a_command_to_a_ci_job(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, width: int
) -> None:
    """The runner of GitHub Actions reads what a job prints; a wrapped line may begin with any word."""
    monkeypatch.setenv("COLUMNS", str(width))
    said = "##[add-mask]FAIL " + "::error::pwn ::set-output name=x::y " * 4
    error = ErrorTally(item="messaging", error=said, count=3, session=said, at_ns=3, example=said)
    path = write_run(tmp_path, seconds=8, errors=[error], counts={"messaging.corrupted": 3})
    print_verdict(publish(path, results=tmp_path))
    lines = capsys.readouterr().out.splitlines()
    assert not [line for line in lines if line.lstrip().startswith("::") or "##[" in line]
    assert r"\x3a:" in "".join(lines)


@pytest.mark.parametrize(("variable", "coloured"), [("FORCE_COLOR", True), ("NO_COLOR", False)])
def test_colours_follow_the_environment(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    variable: str,
    coloured: bool,
) -> None:
    """FORCE_COLOR colours a pipe, NO_COLOR wins over it."""
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv(variable, "1")
    print_verdict(publish(write_run(tmp_path, seconds=8), results=tmp_path))
    assert (f"{ESCAPE}[32mPASS" in capsys.readouterr().out) is coloured


def test_an_ascii_terminal_gets_escapes_instead_of_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """A stream that cannot encode a letter shows its escape."""
    buffer = io.BytesIO()
    stream = io.TextIOWrapper(buffer, encoding="ascii", write_through=True)
    monkeypatch.setattr(sys, "stderr", stream)
    new_console(to_stderr=True).print("größe")
    assert buffer.getvalue() == b"gr\\xf6\\xdfe\n"


def test_it_can_go_to_standard_error(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Locust's --json owns standard output."""
    print_verdict(publish(write_run(tmp_path, seconds=1), results=tmp_path), to_stderr=True)
    shown, to_stderr = capsys.readouterr()
    assert shown == ""
    assert "verdict of" in to_stderr
