"""`--ws-token-cmd`: the command by itself, and in runs whose tokens expire."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import psutil
import pytest

from loadtest.errors import InvalidSetting, LoginFailed
from loadtest.locust_plugin.load_settings import TokenSettings
from loadtest.locust_plugin.token_command import MOST_BYTES, TokenCommand
from loadtest.server.server_process import ServerProcess
from tests.support.locusts import BRISK, Finished, LocustProcess, two_workers
from tests.support.places import ROOT
from tests.support.ports import free_port
from tests.support.serverclient import wait_for


class _NoCalls:
    """Stands in for the calls into gevent's thread: makes them at once, and keeps what failed."""

    def __init__(self) -> None:
        self.failures: list[BaseException] = []
        self.failed = self.failures.append

    def call(self, function: Any, *arguments: object) -> None:
        """Call it."""
        function(*arguments)


def _run(*words: str, timeout_s: float = 20.0) -> str | LoginFailed:
    settings = TokenSettings(command=shlex.join(words), ttl_s=None, timeout_s=timeout_s)
    calls: Any = _NoCalls()
    return TokenCommand(settings, calls).run()


def _sh(script: str, timeout_s: float = 20.0) -> str | LoginFailed:
    return _run("sh", "-c", script, timeout_s=timeout_s)


def test_what_it_prints_is_the_token() -> None:
    """White space around it and all that it says on standard error are no part of it; no shell runs it."""
    assert _run("echo", "token") == "token"
    assert _sh("echo warning >&2; echo; echo '  ey.J0.x-_~  '") == "ey.J0.x-_~"
    assert _run("printf", "%s", "$HOME;ls") == "$HOME;ls"


@pytest.mark.parametrize(
    ("script", "why"),
    [
        ("true", "the token command printed nothing"),
        ("echo; echo ' '", "the token command printed nothing"),
        ("echo one two", "must print one token: visible ASCII, no spaces, one line"),
        ("echo one; echo two", "must print one token"),
        ("printf 'na\\303\\257ve'", "must print one token"),
        ("printf 'a\\000b'", "must print one token"),
        ("exit 3", "the token command ended with exit status 3"),
        (
            "echo secret-on-stdout; echo first >&2; echo the last words >&2; exit 1",
            "status 1: first",
        ),
        (
            "(echo; echo WARNING: slow; echo 'ERROR: (gcloud) log in'; echo '$ gcloud auth'; exit 1) >&2",
            "status 1: ERROR: (gcloud) log in",
        ),
        ("echo 'password=hunter2 is wrong' >&2; exit 1", "status 1: [secret removed] is wrong"),
        (
            "(printf password=; yes hunter2 | tr -d '\\n' | head -c 9000; echo; echo why; exit 1) >&2",
            "exit status 1: why",
        ),
        ("printf '\\033[31mred\\n' >&2; exit 1", "status 1: \\x1b[31mred"),
        (f"yes | head -c {MOST_BYTES + 1}; sleep 60", f"printed more than {MOST_BYTES:,} bytes"),
        ("yes", "printed more than"),
        ("yes >&2 & exit 4", "ended with exit status 4"),
        ("kill -9 $$", "exit status -9"),
    ],
)
def test_what_is_no_token_is_a_failed_login(script: str, why: str) -> None:
    """It says what went wrong, with the command's last words, and nothing that it has printed."""
    told = _sh(script)
    assert isinstance(told, LoginFailed)
    assert why in told.detail
    assert "secret-on-stdout" not in told.detail
    assert "hunter2" not in told.detail


def test_a_command_that_hangs_is_ended(tmp_path: Path) -> None:
    """With all processes that it has started."""
    told = _sh(f"sleep 60 & echo $! > {tmp_path}/child; wait", timeout_s=0.5)
    assert isinstance(told, LoginFailed)
    assert told.detail == "the token command did not end within 0.5 s"
    child = int((tmp_path / "child").read_text())

    def gone() -> bool:
        return not psutil.pid_exists(child) or psutil.Process(child).status() == psutil.STATUS_ZOMBIE

    wait_for(gone, what="the child's end")


def _asked(monkeypatch: pytest.MonkeyPatch, run: Any) -> tuple[list[Any], list[str], _NoCalls]:
    """Have a command asked whose `run` is this; return the answers, the tokens issued and the calls."""
    calls: Any = _NoCalls()
    issued: list[str] = []
    answers: list[Any] = []
    monkeypatch.setattr(TokenCommand, "run", run)
    settings = TokenSettings(command="true", ttl_s=None, timeout_s=1.0)
    command = TokenCommand(settings, calls, issued.append)
    command.shared._ask(answers.append)
    command._greenlet.join(timeout=20)
    return answers, issued, calls


def test_the_sessions_are_answered_if_the_tool_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    """They all wait for this one answer; the failure ends the run."""

    def run(_command: TokenCommand) -> str:
        raise OSError(24, "Too many open files")

    answers, issued, calls = _asked(monkeypatch, run)
    assert [type(answer) for answer in answers] == [LoginFailed]
    assert answers[0].detail == "the token command could not be run"
    assert [str(failure) for failure in calls.failures] == ["[Errno 24] Too many open files"]
    assert issued == []


def test_a_token_is_a_secret_before_it_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who must know is told first; nobody is told of what is none."""
    answers, issued, calls = _asked(monkeypatch, lambda _: "token")
    assert (answers, issued, calls.failures) == (["token"], ["token"], [])
    answers, issued, _ = _asked(monkeypatch, lambda _: LoginFailed("no"))
    assert (len(answers), issued) == (1, [])


@pytest.mark.parametrize("command", ["no-such-program-anywhere", "'", ""])
def test_a_command_that_cannot_be_run_is_refused(command: str) -> None:
    """Before the run, with the option's name."""
    calls: Any = _NoCalls()
    with pytest.raises(InvalidSetting, match=r"--ws-token-cmd (program not found|must be quoted)"):
        TokenCommand(TokenSettings(command=command, ttl_s=None, timeout_s=1.0), calls)


@pytest.mark.parametrize("where", ["class", "option", "environment"])
def test_a_dialect_is_checked_with_its_token(where: str, tmp_path: Path) -> None:
    """`loadtest dialect check` logs in with it, and shows neither it nor a secret in the command."""
    script = tmp_path / "print_token.py"
    script.write_text("print('the-token-of-the-file')\n")
    prints = shlex.join([sys.executable, str(script), "--password", "hunter22secret"])
    locustfile = tmp_path / "chat.py"
    own = f"token_cmd = {prints!r}" if where == "class" else "token = 'overridden'"
    locustfile.write_text(f"import loadtest\nclass User(loadtest.WebSocketUser):\n    {own}\n")
    command = [sys.executable, "-m", "loadtest", "dialect", "check", str(locustfile)]
    options = ["--token-cmd", prints] if where == "option" else []
    outside = {"LOCUST_WS_TOKEN_CMD": prints} if where == "environment" else {"LOCUST_WS_TOKEN": ""}
    with ServerProcess(token="the-token-of-the-file") as server:
        told = subprocess.run(
            [*command, "--host", server.url, *options],
            capture_output=True,
            text=True,
            cwd=tmp_path,
            timeout=60,
            check=False,
            env=os.environ | outside,
        )
    assert told.returncode == 0, told.stdout + told.stderr
    assert "5 of 5 requests answered" in told.stdout
    assert "the-token-of-the-file" not in told.stdout + told.stderr
    assert "hunter22secret" not in told.stdout + told.stderr
    assert ("--ws-token-cmd" in told.stdout) == (where == "option")


REFUSED_LOAD = """
from loadtest.errors import InvalidSetting
from loadtest.locust_plugin import load
from loadtest.locust_plugin.load_settings import load_settings
from loadtest.options import SETTINGS

load.GeventCalls = lambda failed: print("a greenlet has begun")
values = {name: row.default for name, row in SETTINGS.items()} | {"token_cmd": "no-such-program-anywhere"}
settings, info = load_settings(values, "ws://127.0.0.1:1"), load.RunInfo(run_id="run", workers=1)
others = dict.fromkeys(("worker", "environment", "deliver", "failed", "windows"))
try:
    load.Load(settings, info, start_ns=0, **others)
except InvalidSetting as error:
    print(error.problem)
"""


def test_nothing_is_begun_without_the_program() -> None:
    """A load that is refused leaves no greenlet behind. Its own process: Locust patches the library."""
    told = subprocess.run(
        [sys.executable, "-c", REFUSED_LOAD], capture_output=True, text=True, check=True, cwd=ROOT, timeout=60
    )
    assert told.stdout == "program not found\n"


def test_a_worker_without_the_program(tmp_path: Path) -> None:
    """Its run is refused as a usage error, with the option's name."""
    program = tmp_path / "bin" / "print-a-token"
    program.parent.mkdir()
    program.write_text("#!/bin/sh\necho token\n")
    program.chmod(0o755)
    port = str(free_port())
    arguments = ("--ws-token-cmd", program.name, "--master-bind-port", port)
    here = {"PATH": f"{program.parent}:{os.environ['PATH']}"}
    results = tmp_path / "results"
    master = ("--master", "--expect-workers", "1")
    with (
        ServerProcess() as server,
        LocustProcess(
            results, "--host", server.url, *arguments, *master, seconds=30, environment=here
        ) as locust,
        LocustProcess(results, "--worker", "--master-port", port, seconds=None),
    ):
        finished = locust.wait()
    assert finished.exit_code == 2, finished.output
    assert "--ws-token-cmd program not found" in finished.output


# Runs.

PRINTS_AN_OPAQUE_TOKEN = """
import pathlib, secrets, sys, time
tokens, log = map(pathlib.Path, sys.argv[1:])
known = tokens.read_text().splitlines() if tokens.exists() else []
is_old = time.time() - tokens.stat().st_mtime > 0.5 if known else False
with log.open("a") as file:
    for number, token in enumerate(known if is_old else ()):
        print(f"2026-01-01 00:00:00,{number % 1000:03} ERROR [app] not for {token}!", file=file)
token = "-".join(secrets.choice(("oak", "elm", "ash", "yew", "fir")) for _ in range(16))
with tokens.open("a") as file:
    print(token, file=file)
print(token)
"""
"""Prints a token that looks like none; a server log quotes the earlier ones, which workers have by then."""

PRINTS_A_TOKEN = """
import pathlib, sys, time, jwt
log, life_s = pathlib.Path(sys.argv[1]), float(sys.argv[2])
expires_s = int(time.time() + life_s)
exp = str(expires_s) if "hidden" in sys.argv else expires_s  # PyJWT reads both
token = jwt.encode({"exp": exp, "n": time.time_ns()}, "s3cret", algorithm="HS256")
with log.open("a") as file:
    file.write(token + chr(10))
print(token)
"""
"""Prints a token that the reference server takes for so many seconds; keeps each in a file.

With `hidden` the token does not say when it expires in the way that RFC 7519 demands.
"""


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, tuple[Finished, list[str]]]]:
    """Runs against a server that checks tokens, all at once: with the tokens that their commands printed."""
    folder = tmp_path_factory.mktemp("tokens")
    script = folder / "print_token.py"
    script.write_text(PRINTS_A_TOKEN)
    failing = "sh -c 'echo you are not logged in >&2; exit 1'"
    cases: dict[str, tuple[str, ...]] = {
        "rejected": (),
        "renewed": (),
        "workers": ("--ws-token-ttl", "1", *two_workers()),
        "failing": ("--ws-token-cmd", failing, "--ws-backoff", "constant(0.3,max_attempts=3)"),
    }
    with ServerProcess(token="s3cret") as server, ExitStack() as stack:
        processes = {}
        for name, options in cases.items():
            life = {"rejected": ("3", "hidden"), "renewed": ("8",), "workers": ("60",)}.get(name, ())
            command = shlex.join([sys.executable, str(script), str(folder / name), *life])
            arguments = ("--host", server.url, *BRISK, "--ws-token-cmd", command, *options)
            processes[name] = stack.enter_context(
                LocustProcess(folder / f"run-{name}", *arguments, seconds=9)
            )
        opaque = folder / "print_opaque_token.py"
        opaque.write_text(PRINTS_AN_OPAQUE_TOKEN)
        log = folder / "opaque.log"
        log.touch()
        command = shlex.join([sys.executable, str(opaque), str(folder / "opaque"), str(log)])
        trusting = stack.enter_context(ServerProcess())
        processes["opaque"] = stack.enter_context(
            LocustProcess(
                folder / "run-opaque",
                *("--host", trusting.url, *BRISK, *two_workers(), "--ws-server-log", str(log)),
                *("--ws-token-cmd", command, "--ws-token-ttl", "2"),
                seconds=9,
            )
        )
        yield {
            name: (
                process.wait(),
                (folder / name).read_text().splitlines() if (folder / name).exists() else [],
            )
            for name, process in processes.items()
        }


def test_a_token_that_expires_is_renewed(runs: dict[str, tuple[Finished, list[str]]]) -> None:
    """Each session that comes back with the old one fails once, and returns with the next, despite 4401."""
    finished, tokens = runs["rejected"]
    assert len(tokens) >= 2, finished.output
    assert finished.counts["reconnect.forbidden"] == 0
    assert finished.counts["reconnect.resumed"] > 0
    refused = [event for event in finished.events if event.get("cause") == "auth_required"]
    assert refused
    assert not any(event.get("final") for event in refused)
    assert finished.rulings["reconnect"] == "FAIL", "refused attempts count"
    assert "--ws-token-ttl" in finished.output


@pytest.mark.parametrize("name", ["renewed", "workers"])
def test_a_token_is_renewed_before_it_expires(name: str, runs: dict[str, tuple[Finished, list[str]]]) -> None:
    """No attempt is made with an old one: a JWT says its end, an age is given. Each worker has its own."""
    finished, tokens = runs[name]
    assert len(tokens) >= 2, finished.output
    assert finished.counts["connect.failed"] == finished.counts["reconnect.failed"] == 0, finished.output
    assert "FAIL" not in finished.rulings.values(), finished.output


def test_a_command_that_fails_is_the_cause(runs: dict[str, tuple[Finished, list[str]]]) -> None:
    """The run fails with the command's words, and says what to do."""
    finished, _ = runs["failing"]
    assert finished.exit_code == 1, finished.output
    assert finished.rulings["connect"] == "FAIL"
    told = " ".join(finished.output.split())
    assert "no token: the token command ended with exit status 1: you are not logged in" in told
    assert "run the command of --ws-token-cmd in a shell" in told


def test_tokens_stand_in_no_file(runs: dict[str, tuple[Finished, list[str]]]) -> None:
    """Not one of them, in no run directory and not in what Locust printed."""
    for name, (finished, tokens) in runs.items():
        for token in tokens:
            assert token not in finished.output, name
            for file in finished.results.rglob("*"):
                assert not file.is_file() or token.encode() not in file.read_bytes(), (name, file)


def test_a_master_knows_the_tokens_of_its_workers(runs: dict[str, tuple[Finished, list[str]]]) -> None:
    """A server log that quotes one which looks like no secret is stored without it."""
    finished, tokens = runs["opaque"]
    assert len(tokens) >= 4, finished.output
    (stored,) = finished.results.rglob("server_log.jsonl")
    assert "not for ***!" in stored.read_text()
    assert not any(token in stored.read_text() for token in tokens)
