"""docs/tutorial.md is true: its commands run one after the other, and print what the page shows.

Numbers differ from run to run, and so does what depends on a busy machine. Compared are the verdict on each
item, and every line of a check but its times and ids.
"""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from loadtest.server.server_process import ServerProcess
from tests.support.commands import run as loadtest
from tests.support.doc_pages import Page
from tests.support.examples import listening
from tests.support.locusts import LOCUSTFILE, Finished, LocustProcess
from tests.support.places import ROOT
from tests.support.ports import free_port

PAGE = Page(ROOT / "docs" / "tutorial.md")

SHOWN = PAGE.blocks("text")

TOKEN = "s3cret"

SECONDS = 14
"""Of a run, instead of 30: a message that is lost is known to be after 10 s."""

SET_UP = ("python3 -m venv .venv", ". .venv/bin/activate", "pip install -e .")
"""What CI does with the README's commands."""


def _line(text: str, occurrence: int = 0) -> list[str]:
    """Return the words of a command of the page."""
    return shlex.split([line for line in PAGE.commands if text in line][occurrence])


def _items(shown: str) -> dict[str, str]:
    """Return the verdict on each item in a screen of a run."""
    return dict(re.findall(r"^(\w+) +(PASS|FAIL|INCONCLUSIVE|NOT_JUDGED)  ", shown, re.MULTILINE))


def _run(words: list[str], url: str, results: Path, locustfile: Path = LOCUSTFILE, **more: str) -> Finished:
    given = words[words.index("--headless") + 1 :]
    assert given[:6] == ["-u", "5", "-r", "5", "-t", "30s"]
    arguments = ("--host", url, *given[6:])
    with LocustProcess(
        results, *arguments, users=5, seconds=SECONDS, locustfile=locustfile, environment=more
    ) as locust:
        return locust.wait()


@dataclass(frozen=True)
class Runs:
    """The page's two runs of the reference server, and what the commands on them print."""

    first: Finished
    second: Finished
    listed: str
    compared: str


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Runs:
    """Its first half."""
    results = tmp_path_factory.mktemp("tutorial") / "results"
    done: list[Finished] = []
    for number, revision in enumerate(("v1", "v2")):
        with ServerProcess(*_line("loadtest serve", number)[2:]) as server:
            done.append(_run(_line(f"--ws-revision {revision}"), server.url, results))
    listed = loadtest(*_line("loadtest list")[1:], "--results", results).output
    compared = loadtest(*_line("loadtest compare")[1:], "--results", results).output
    return Runs(done[0], done[1], listed, compared)


def _text(having: str) -> str:
    (found,) = (block for block in SHOWN if having in block)
    return found


def test_the_first_verdict(runs: Runs) -> None:
    """Each item has the verdict that the page shows."""
    shown = _text("verdict of v1: PASS")
    assert runs.first.exit_code == 0, runs.first.output
    assert _items(shown) == _items(runs.first.output)
    for line in shown.splitlines()[-3:]:
        assert line.split()[0] in runs.first.output


def test_the_fail(runs: Runs) -> None:
    """The defect fails messaging alone, in the page's words."""
    shown = _text("verdict of v2 against v1: FAIL")
    assert runs.second.exit_code == 1, runs.second.output
    failures = [name for name, verdict in _items(runs.second.output).items() if verdict == "FAIL"]
    assert failures == ["messaging"] == list(_items(shown))
    output = " ".join(runs.second.output.split())
    for words in re.findall(r"\d+ x ([a-z ]+)\n", shown):
        assert words in output
    assert " ".join(re.findall(r"next: .*?(?=…)", shown, re.DOTALL)[0].split()) in output


def test_the_comparison(runs: Runs) -> None:
    """Items are broken and unchanged as the page says; latency depends on the machine."""
    assert {"v1", "v2"} <= set(runs.listed.split())

    def changes(shown: str) -> set[str]:
        found = re.findall(r"^(\w+) (?:\w+ → )?\w+ \((\w+)\)$", shown, re.MULTILINE)
        return {f"{item} {change}" for item, change in found if item != "latency"}

    assert changes(_text("latency NOT_JUDGED → INCONCLUSIVE")) == changes(runs.compared)


SERVERS = {"fastapi": ("python", "server.py"), "node": ("js", "server.mjs")}


@contextmanager
def _server(kind: str, folder: Path) -> Iterator[str]:
    """Run the page's server on another port."""
    language, name = SERVERS[kind]
    port = free_port()
    program = next(block for block in PAGE.blocks(language) if "s3cret" in block)
    (folder / name).write_text(program.replace("8000", str(port)))
    if kind == "node":
        (folder / "node_modules").symlink_to(ROOT / "tests/support/strangers/node_modules")
        command = ["node", name]
    else:
        command = [sys.executable, "-m", *_started_by()]
        command[-1] = str(port)
    with listening(command, port, folder):
        yield f"ws://127.0.0.1:{port}"


def _started_by() -> list[str]:
    (command,) = re.findall(r"`(uvicorn [^`]+)`", PAGE.text)
    return shlex.split(command)


def _check(folder: Path, url: str, environment: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    words = [url if word.startswith("ws://") else word for word in _line("dialect check")]
    return subprocess.run(
        [sys.executable, "-m", *words],
        cwd=folder,
        env={"PATH": "/usr/bin:/bin", "PYTHONPATH": str(ROOT), **environment},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def _masked(shown: str) -> list[str]:
    """Return the lines without times and ids, which differ."""
    return re.sub(r"^\d\d\.\d{3}", "", re.sub(r"\[[0-9a-f]{8}\.[^ ]*", "", shown), flags=re.MULTILINE).split()


@pytest.mark.parametrize("kind", ["fastapi", pytest.param("node", marks=pytest.mark.external("node", "npm"))])
def test_a_server_of_ones_own(kind: str, tmp_path: Path) -> None:
    """Without the token the check says what is missing; with it, it works, and so does the run."""
    (tmp_path / "chat.py").write_text(next(code for code in PAGE.blocks("python") if "Dialect" in code))
    with _server(kind, tmp_path) as url:
        without = _check(tmp_path, url, {})
        exported = dict(re.findall(r"^export (\w+)=(\S+)$", "\n".join(PAGE.commands), re.MULTILINE))
        with_token = _check(tmp_path, url, exported)
        finished = _run(
            _line("locust -f chat.py"), url, tmp_path / "results", tmp_path / "chat.py", **exported
        )
    assert without.returncode == 1, without.stdout
    shown = _text("HTTP 403\n\nFindings")
    assert _masked(shown) == _masked(without.stdout)[: len(_masked(shown))]
    assert with_token.returncode == 0, with_token.stdout
    assert "Chat: the conversation worked: 5 of 5 requests answered, 1 resume" in with_token.stdout
    assert finished.exit_code == 0, finished.output
    assert _items(finished.output)["persistence"] == "NOT_JUDGED"
    assert "sessions of the dialect chat have no identity" in finished.output


def test_no_command_is_forgotten() -> None:
    """Each is run above, or sets things up."""
    ran = [
        *map(shlex.join, (_line("loadtest serve", 0), _line("loadtest serve", 1), _line("loadtest list"))),
        *map(shlex.join, (_line("loadtest compare"), _line("dialect check"), _line("locust -f chat.py"))),
        *(shlex.join(_line(f"--ws-revision {name}")) for name in ("v1", "v2")),
    ]
    left = [line for line in PAGE.commands if line not in ran and not line.startswith("export ")]
    assert left == list(SET_UP)
