"""The README's two commands and its size, the locustfile of the docs, and the help of every command."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from websockets.sync.server import ServerConnection, serve

from loadtest.cli import main
from loadtest.options import SETTINGS
from tests.support.locusts import BRISK, FreshLocust
from tests.support.places import ROOT

README = (ROOT / "README.md").read_text()


def _blocks(language: str, text: str = README) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", text, re.DOTALL | re.MULTILINE)


def _locustfile() -> str:
    """Return the tutorial's locustfile, with the drop of one's own in docs/drops.md."""
    pages = [(ROOT / "docs" / name).read_text() for name in ("tutorial.md", "drops.md")]
    blocks = [block for page in pages for block in _blocks("python", page) if "loadtest" in block]
    return "\n".join(blocks)


def _lines(program: str) -> list[list[str]]:
    """Return the README's command lines of a program, split, without the program."""
    lines = [line for block in _blocks("sh") for line in block.replace("\\\n", " ").splitlines()]
    wanted = re.compile(rf"^(?:\.venv/bin/)?{program} ")
    return [shlex.split(wanted.sub("", line), comments=True) for line in lines if wanted.match(line)]


def _loadtest(*arguments: str) -> Result:
    """Run a command of the package, here: a process for each would cost more than what it does."""
    return CliRunner().invoke(main, arguments, prog_name="loadtest")


def _in_a_process(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    """Run a command that imports Locust, which patches the standard library."""
    command = [sys.executable, "-m", "loadtest", *arguments]
    return subprocess.run(command, capture_output=True, text=True, cwd=cwd, timeout=60, check=False)


def test_the_two_commands() -> None:
    """One block runs the main job and one passes the tests; `.ci/run` takes them from here."""
    set_up = ["python3", "-m", "venv", ".venv", "&&", ".venv/bin/pip", "install", "-e"]
    run, test = (shlex.split(block) for block in _blocks("sh") if block.startswith("python3 -m venv"))
    assert run[: len(set_up)] == test[: len(set_up)] == set_up
    assert " ".join(run[9:]).startswith("&& .venv/bin/locust -f locustfiles/ws.py --headless ")
    assert test[8:] == [".[test]", "&&", ".venv/bin/pytest"]


def test_fits_github() -> None:
    """Nobody has to scroll: code is at most 100 columns wide, and the page has under 900 words."""
    code = re.findall(r"^```.*?^```", README, re.DOTALL | re.MULTILINE)
    assert max(len(line) for block in code for line in block.splitlines()) <= 100
    assert len(README.split()) < 900


@contextmanager
def _chat_server() -> Iterator[int]:
    """A server that speaks the tutorial's protocol and none of our dialects."""

    def answer(connection: ServerConnection) -> None:
        for text in connection:
            connection.send(text)

    with serve(answer, "127.0.0.1", 0) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield server.socket.getsockname()[1]
        finally:
            server.shutdown()
            thread.join()


def test_the_examples_work(tmp_path: Path) -> None:
    """The dialect and the drop of the docs pass against a server that speaks the protocol."""
    locustfile = tmp_path / "chat.py"
    locustfile.write_text(_locustfile())
    with _chat_server() as port:
        arguments = (*BRISK, "--ws-drops", "close=1,tunnel=1", "--host", f"ws://127.0.0.1:{port}")
        with FreshLocust(tmp_path, *arguments, seconds=8, locustfile=locustfile) as locust:
            finished = locust.wait()
    assert finished.rulings["messaging"] == "PASS", finished.output
    assert finished.rulings["reconnect"] == "PASS", finished.output
    assert finished.rulings["persistence"] == "NOT_JUDGED"
    assert finished.manifest["plan"]["dialect"] == "chat"
    assert finished.counts["drops.tunnel"] > 0


def test_a_probe_speaks_the_dialect_of_a_locustfile(tmp_path: Path) -> None:
    """With the tutorial's locustfile the probe needs no more than the file."""
    locustfile = tmp_path / "chat.py"
    locustfile.write_text(_locustfile())
    with _chat_server() as port:
        host = f"ws://127.0.0.1:{port}"
        told = _in_a_process("probe", "-f", str(locustfile), "--host", host, cwd=tmp_path)
    assert told.returncode == 0, told.stderr + told.stdout
    (manifest,) = tmp_path.glob("results/probes/*/*/run.json")
    assert json.loads(manifest.read_bytes())["plan"]["dialect"] == "chat"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("import nothing_of_this_name", "ModuleNotFoundError"),
        ("", "must define a subclass of loadtest.WebSocketUser (found none)"),
    ],
)
def test_a_probe_needs_a_user_class(tmp_path: Path, text: str, says: str) -> None:
    """What is wrong with the locustfile is one clear line."""
    locustfile = tmp_path / "broken.py"
    locustfile.write_text(text)
    told = _in_a_process("probe", "-f", str(locustfile), cwd=tmp_path)
    assert told.returncode == 2
    assert says in told.stderr
    assert "Traceback" not in told.stderr


def test_locust_commands_use_options_that_exist() -> None:
    """Every option in the README's locust lines is Locust's, or ours as `loadtest options` shows it."""
    told = subprocess.run(
        [sys.executable, "-m", "locust", "-f", "locustfiles/ws.py", "--help"],
        capture_output=True,
        text=True,
        cwd=ROOT,
        check=True,
    ).stdout
    told += _loadtest("options").stdout
    known = set(re.findall(r"(?<![\w-])--?[a-z][a-z-]*", told))
    lines = _lines("locust")
    assert len(lines) >= 2
    used = {word for line in lines for word in line if word.startswith("-")}
    assert used <= known | {"--processes"}
    assert {row.option for row in SETTINGS.values() if row.name} <= known


def _commands(*group: str) -> list[tuple[str, ...]]:
    """Return all commands below this one, by their own help."""
    told = _loadtest(*group, "--help").stdout
    listed = re.search(r"^Commands:\n((?:  .*\n?)+)", told, re.MULTILINE)
    names = re.findall(r"^  (\S+)", listed[1], re.MULTILINE) if listed else []
    return [path for name in names for path in ((*group, name), *_commands(*group, name))]


def test_every_command_has_help_that_teaches() -> None:
    """Each command says what it does, in a sentence at least, and its options have words."""
    commands = _commands()
    assert {"serve", "list", "report", "compare"} <= {path[0] for path in commands}
    for path in commands:
        told = _loadtest(*path, "--help")
        assert told.exit_code == 0, path
        assert len(told.stdout.split()) > 20, path
