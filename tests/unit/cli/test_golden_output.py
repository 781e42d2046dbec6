"""What `list`, `trend`, `baseline` and `compare` print, help and errors included, as golden files.

Each is a console session of commands and their output over made-up runs: tests/data/golden/*.txt.
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

import pytest

from loadtest.cli import main
from loadtest.results.directory import MANIFEST
from tests.support.commands import run
from tests.support.golden import Golden
from tests.support.recorded_runs import begun
from tests.support.rundirs import write_run
from tests.support.runs import manifest, plan

DAY_S = 86_400


def made(
    results: Path, revision: str, day: int, *, rate: float = 1.0, seconds: int = 16, slower_ratio: float = 1.0
) -> Path:
    """Write a run with an id and a start of its own."""
    of = begun(f"0a1b2c{day:02}", revision, at_s=DAY_S * day, rate=rate)
    return write_run(results, of=of, seconds=seconds, slower_ratio=slower_ratio)


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Eight runs of one plan, slower from the fifth on; of others one killed, one unreadable, one apart."""
    results = tmp_path_factory.mktemp("template") / "results"
    for day in range(8):
        made(results, f"v1.{day // 2}", day, slower_ratio=1.0 if day < 4 else 1.5)
    made(results, "v0.9", 8, rate=2.0)
    killed = manifest(run_id="killed", revision="v2.0", ended_at=None, run_plan=plan(rate=3.0))
    write_run(results, of=killed, seconds=1, complete=False)
    (made(results, "v2.1", 9, seconds=1) / MANIFEST).write_text("{")
    return results


@pytest.fixture
def here(template: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder above a copy of these runs, in which the commands run: output names relative paths."""
    shutil.copytree(template, tmp_path / "results")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def session(commands: Sequence[Sequence[str]]) -> str:
    """Return commands and what they print, as in a terminal."""
    shown = []
    for command in commands:
        result = run(*command)
        lines = [line.rstrip() for line in result.output.rstrip().splitlines()]
        shown += [f"$ loadtest {' '.join(command)}", *lines]
        shown += [f"(exit code {result.exit_code})"] if result.exit_code else []
        shown.append("")
    return "\n".join(shown)


def test_list(here: Path, golden: Golden) -> None:
    """Runs with and without verdict, pinned, killed and unreadable ones, and none at all."""
    run("report", "v1.1", "--baseline", "none")
    run("baseline", "set", "v1.0")
    golden("list.txt", session([("list",), ("list", "--results", "elsewhere")]))


def test_trend(here: Path, golden: Golden) -> None:
    """A series with a change in it, and one too short for any."""
    commands = (("trend", "--plan", "v1.0"), ("trend", "--plan", "v0.9"), ("trend", "--results", "elsewhere"))
    golden("trend.txt", session(commands))


def test_baseline(here: Path, golden: Golden) -> None:
    """Shown, pinned, pinned anew, cleared; and what cannot be."""
    commands = (
        ("baseline", "show", "v1.3"),
        ("baseline", "show"),
        ("baseline", "set", "v1.1"),
        ("baseline", "set", "v1.2"),
        ("baseline", "show", "v1.3"),
        ("baseline", "clear", "v1.2"),
        ("baseline", "clear"),
        ("baseline", "clear", "v1.2"),
        ("baseline", "set", "v2.0"),
        ("baseline", "set", f"results/v2.0/{next((here / 'results' / 'v2.0').iterdir()).name}"),
        ("baseline", "show", "nope"),
    )
    golden("baseline.txt", session(commands))


def test_errors_in_the_names_of_runs(here: Path, golden: Golden) -> None:
    """Each names what was typed and says what to run next."""
    commands = (
        ("compare", "nope", "v1.0"),
        ("compare", "v1.0", "v1.0"),
        ("compare", "v2.0", "v1.0"),
        ("compare", "v1.0", "v1.1", "--pair", "v1.0", "v1.2"),
        ("compare", "v1.0", "v1.1", "--all", "--pair", "v1.2", "v1.3"),
        ("compare", "v1.0", "v1.0", "--all"),
        ("compare", "v2.0", "v1.0", "--all"),
        ("compare", "v1.0", "v0.9", "--all"),
        ("compare", "v1.0", "v0.9"),
        ("compare", "v1.0", "v1.1", "--json", "--markdown"),
        ("report", "nope"),
        ("report", "v1.0", "--baseline", "nope"),
        ("report", f"results/v2.1/{next((here / 'results' / 'v2.1').iterdir()).name}"),
        ("trend", "--plan", "nope"),
        ("trend", "--plan", "abcdef0"),
    )
    golden("run-errors.txt", session(commands))


@pytest.mark.parametrize(
    "command",
    [
        ("list",),
        ("report",),
        ("compare",),
        ("trend",),
        ("baseline",),
        ("baseline", "set"),
        ("baseline", "show"),
        ("baseline", "clear"),
        ("dialect",),
        ("dialect", "check"),
    ],
    ids="-".join,
)
def test_help(command: tuple[str, ...], golden: Golden) -> None:
    """What the command does, its options, and an example."""
    assert command[0] in main.commands
    golden(f"help-{'-'.join(command)}.txt", session([(*command, "--help")]))
