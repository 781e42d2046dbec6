"""`loadtest dialect from` with recordings of real clients: the file is sound, explains them, and runs.

The recordings were made by `tests.support.recorded_clients`, in Chromium against the servers that run here.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from loadtest.cli import main
from tests.support.locusts import Finished, LocustProcess
from tests.support.places import ROOT
from tests.support.recorded_clients import CLIENTS, RECORDINGS, SECRETS, serving

FILES = sorted(path.name for path in RECORDINGS.iterdir() if path.suffix in (".har", ".zip"))

ACCOUNTS = "email,password,passcode\n" + "".join(
    f"u{at}@example.org,word-{at},code-{at}\n" for at in range(30)
)


def convert(name: str, output: Path, *arguments: str) -> Result:
    """Convert a recording by the command."""
    form = ("--format", "msgpack") if name.startswith("msgpack") else ()
    number = ("--connection", "1") if name.startswith(("reference", "resume")) else ()
    command = ("dialect", "from", str(RECORDINGS / name), "-o", str(output), *form, *number, *arguments)
    return CliRunner().invoke(main, command)


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder with the locustfile of each recording, and what the command printed beside it."""
    folder = tmp_path_factory.mktemp("files")
    for name in FILES:
        output = folder / f"{name.replace('.', '_')}.py"
        done = convert(name, output)
        output.with_suffix(".txt").write_text(f"{done.exit_code}\n{done.output}")
    (folder / "accounts.csv").write_text(ACCOUNTS)
    return folder


def test_recordings_are_small() -> None:
    """They stand in the repository."""
    assert {path.name for path in RECORDINGS.iterdir() if path.stat().st_size >= 60_000} == set()


@pytest.mark.parametrize("name", FILES)
def test_each_recording_is_explained(files: Path, name: str) -> None:
    """All messages of the server, and the command that goes on."""
    code, *lines = (files / f"{name.replace('.', '_')}.txt").read_text().splitlines()
    assert code == "0"
    explained, _, whole = lines[1].partition(" of ")
    assert whole == f"{explained} messages from the server explained"
    assert int(explained) > 3
    assert lines[-1].startswith("next: loadtest dialect check ")


def test_the_same_connection_in_three_layouts(files: Path) -> None:
    """Chrome's, Playwright's and mitmproxy's file say the same; only the recorder differs."""
    one, *others = [
        [
            line
            for line in (files / f"jsonrpc{kind}_har.py").read_text().splitlines()
            if not line.startswith("# ")
        ]
        for kind in ("_devtools", "", "_mitmproxy")
    ]
    assert [[line for line in other if "sleep" not in line] for other in others] == [
        [line for line in one if "sleep" not in line]
    ] * 2


def test_no_secret_of_a_recording_is_written(files: Path) -> None:
    """Tokens in URLs, messages and subprotocols, passwords, addresses, cookies: in no file, on no screen."""
    recorded = "".join(path.read_text() for path in RECORDINGS.glob("*.har"))
    for secret in SECRETS:
        assert secret in recorded
        assert [path.name for path in files.iterdir() if secret in path.read_text()] == []


def test_the_files_are_clean(files: Path) -> None:
    """As the project's own code: ruff with its rules and format, mypy with strict types."""
    config = str(ROOT / "pyproject.toml")
    sources = sorted(map(str, files.glob("*.py")))
    for folder, command in (  # beside the user's file, the package is one of another make
        (files, ("ruff", "check", "--no-cache", "--config", config, *sources)),
        (files, ("ruff", "format", "--no-cache", "--check", "--config", config, *sources)),
        (ROOT, ("mypy", "--config-file", config, "--strict", *sources)),
    ):
        done = subprocess.run(
            [sys.executable, "-m", *command],
            capture_output=True,
            text=True,
            cwd=folder,
            timeout=110,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr


def check(files: Path, name: str, client: str) -> str:
    """Check a locustfile's dialect against its server; return what was printed."""
    command = [sys.executable, "-m", "loadtest", "dialect", "check", str(files / f"{name}.py")]
    with serving(CLIENTS[client]) as url:
        done = subprocess.run(
            [*command, "--host", url, "--token", "secret", "--data", str(files / "accounts.csv")],
            capture_output=True,
            text=True,
            cwd=files,
            env=None,
            timeout=60,
            check=False,
        )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.parametrize(
    "name",
    [
        pytest.param("resume", marks=pytest.mark.external("node")),
        pytest.param("stomp", marks=pytest.mark.external("node")),
        "ocpp",
        "msgpack",
    ],
)
def test_dialect_check_passes(files: Path, name: str) -> None:
    """A conversation with the real server: five requests answered, a resume."""
    printed = check(files, f"{name}_devtools_har", name)
    assert "the conversation worked: 5 of 5 requests answered, 1 resume" in printed


PLAN = (
    *(
        "--ws-sessions",
        "10",
        "--ws-drop-every",
        "3",
        "--ws-drops",
        "close=1,fin=1,reset=1",
        "--ws-warmup",
        "1",
    ),
    *("--ws-backoff", "constant(0.2)", "--ws-reply-timeout", "3", "--ws-baseline", "none"),
)


def run(files: Path, name: str, client: str, folder: Path, fault: str | None = None) -> Finished:
    """Run a locustfile headless against its server, as it stands."""
    with serving(CLIENTS[client], fault) as url:
        given = ("--host", url, *PLAN, "--ws-token", "secret-token")
        locustfile = files / f"{name}.py"
        with LocustProcess(folder / "results", *given, seconds=9, users=1, locustfile=locustfile) as locust:
            return locust.wait()


@pytest.mark.parametrize("name", ["phoenix", "game", "signalr"])
def test_a_run_passes(files: Path, tmp_path: Path, name: str) -> None:
    """The script with its pauses, drops in between: every item that is judged passes."""
    finished = run(files, f"{name}_devtools_har", name, tmp_path)
    assert finished.rulings["messaging"] == "PASS", finished.output
    assert set(finished.rulings.values()) == {"PASS", "NOT_JUDGED"}
    assert finished.exit_code == 0


def test_a_defect_of_the_server_is_found(files: Path, tmp_path: Path) -> None:
    """The same file against a server that alters texts: the item fails that concerns it."""
    finished = run(files, "phoenix_devtools_har", "phoenix", tmp_path, "altered")
    failures = [item for item, ruling in finished.rulings.items() if ruling == "FAIL"]
    assert (failures, finished.exit_code) == (["messaging"], 1), finished.output


def test_several_connections_are_listed(tmp_path: Path) -> None:
    """Nothing is written until one is chosen."""
    output = tmp_path / "locustfile.py"
    done = CliRunner().invoke(
        main, ("dialect", "from", str(RECORDINGS / "resume.devtools.har"), "-o", str(output))
    )
    assert done.exit_code == 2
    table, _, error = done.output.rstrip("\n").rpartition("\n")
    assert [line.split()[:3] for line in table.splitlines()[1:]] == [["1", "4", "4"], ["2", "2", "2"]]
    assert error == "Error: resume.devtools.har has 2 connections: choose one with --connection N"
    assert not output.exists()


def test_json_and_what_is_refused(tmp_path: Path) -> None:
    """One document; a file that exists is left alone; a wrong number says what is right."""
    output = tmp_path / "locustfile.py"
    document = json.loads(convert("jsonrpc.har", output, "--json").stdout)
    assert (document["received"], document["explained"], document["token"]) == (9, 9, True)
    assert document["protocol"] == "JSON-RPC 2.0"
    again = convert("jsonrpc.har", output)
    assert again.exit_code == 2
    assert "-o must be a new file: this one exists and may have your changes" in again.output
    other = convert("jsonrpc.har", tmp_path / "other.py", "--connection", "7")
    assert "--connection must be 1 to 1 for jsonrpc.har (got 7)" in other.output
    assert convert("none.har", tmp_path / "other.py").output == "Error: none.har was not found\n"
    packed = CliRunner().invoke(
        main, ("dialect", "from", str(RECORDINGS / "msgpack.devtools.har"), "-o", str(tmp_path / "other.py"))
    )
    assert "give --format msgpack" in packed.output
