"""`loadtest dialect check` as its user runs it: in a process of its own, with a locustfile."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from loadtest.server.server_process import ServerProcess
from tests.support.examples import example, stranger
from tests.support.golden import Golden
from tests.support.places import ROOT
from tests.support.ports import free_port
from tests.support.serverclient import wait_for
from tests.support.small_chat import small_chat

CHAT = """
from loadtest import WebSocketUser
from tests.support.small_chat import Chat

class ChatUser(WebSocketUser):
    dialect = Chat
"""


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    """The URL of the reference server."""
    with ServerProcess() as process:
        yield process.url


def command(*arguments: str) -> list[str]:
    """Return the command."""
    return [sys.executable, "-m", "loadtest", "dialect", "check", *arguments]


def environment(**variables: str) -> dict[str, str]:
    """Return this process's environment with more variables; the locustfiles import from tests."""
    return {**os.environ, "PYTHONPATH": str(ROOT), "COLUMNS": "120", **variables}


def check(
    folder: Path, *arguments: str, source: str = CHAT, **variables: str
) -> subprocess.CompletedProcess[str]:
    """Check the dialect of a locustfile, from its folder."""
    (folder / "chat.py").write_text(source)
    return subprocess.run(
        command("chat.py", *arguments),
        capture_output=True,
        text=True,
        cwd=folder,
        env=environment(**variables),
        timeout=60,
        check=False,
    )


def test_a_dialect_that_works(tmp_path: Path) -> None:
    """Exit code 0; the transcript on standard output; the command that goes on, with the options given."""
    with small_chat() as (_, port):
        url = f"ws://127.0.0.1:{port}"
        done = check(tmp_path, "ChatUser", "--host", url, "--path", "/chat/{session_id}")
    assert (done.returncode, done.stderr) == (0, f"checking Chat against {url}\n")
    assert done.stdout.count("intact") == 5
    assert "holds all 3 acknowledged requests" in done.stdout
    assert "Chat: the conversation worked: 5 of 5 requests answered, 1 resume" in done.stdout
    assert done.stdout.endswith(
        f"next: locust -f chat.py --host {url} --ws-path '/chat/{{session_id}}' "
        "--headless -u 1 -t 60s ChatUser\n"
    )


def test_the_built_in_dialects_can_be_checked_too(tmp_path: Path, server: str) -> None:
    """A locustfile that names one, against the reference server."""
    source = 'from loadtest import WebSocketUser\n\nclass User(WebSocketUser):\n    dialect = "echo"\n'
    done = check(tmp_path, "--host", server, "--path", "/echo", source=source)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Echo: the conversation worked" in done.stdout


def test_the_dialect_of_the_reference_server(tmp_path: Path, server: str) -> None:
    """The locustfile that comes with the package: streamed answers, and a history with both roles."""
    done = check(tmp_path, "--host", server, source=(ROOT / "locustfiles" / "ws.py").read_text())
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Restored(3 texts, count=6)" in " ".join(done.stdout.split())
    assert "Findings" not in done.stdout


@pytest.mark.parametrize(
    ("heading", "name"),
    [
        ("Market data", "market_data"),
        ("Single-use tickets", "tickets"),
        ("History, one message a frame", "replayed_history"),
        ("A chat room", "chat_room"),
    ],
)
def test_the_examples_of_the_docs_pass(heading: str, name: str, tmp_path: Path) -> None:
    """What users copy is sound: ids out of order, pushes alone, a login over HTTP, history in pieces."""
    with stranger(name) as url:
        done = check(tmp_path, "--host", url.replace("http:", "ws:"), source=example(heading))
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Findings" not in done.stdout


def test_a_conversation_that_fails(tmp_path: Path) -> None:
    """Exit code 1, and the finding; nobody listens there."""
    done = check(tmp_path, "--host", f"ws://127.0.0.1:{free_port()}")
    assert done.returncode == 1
    assert "could not connect (tcp: refused)" in done.stdout
    assert "Is the server running" in done.stdout
    assert "Traceback" not in done.stdout + done.stderr


def test_a_mistake_in_the_dialect(tmp_path: Path) -> None:
    """Exit code 2, with the line of the locustfile."""
    source = f"{CHAT}\nclass Mine(Chat):\n    def request(self, session, sequence):\n        return oops\n"
    with small_chat() as (_, port):
        done = check(
            tmp_path,
            "--host",
            f"ws://127.0.0.1:{port}",
            source=source.replace("dialect = Chat", "pass") + "\nChatUser.dialect = Mine\n",
        )
    assert done.returncode == 2
    assert (
        "MISTAKE  Mine.request raised NameError: name 'oops' is not defined (given sequence 0)" in done.stdout
    )
    assert "chat.py, line 10: return oops" in done.stdout
    assert "Traceback" not in done.stdout + done.stderr


def test_a_path_without_its_token(tmp_path: Path) -> None:
    """It is said that nothing fills the place in the path; not so if a token is given."""
    for token in ("", "t"):
        with small_chat() as (_, port):
            given = ("--host", f"ws://127.0.0.1:{port}", "--path", "/chat/{session_id}?token={token}")
            done = check(tmp_path, *given, LOCUST_WS_TOKEN=token)
        assert ("{token} in the path is empty: no token is given" in done.stdout) is not bool(token), (
            done.stdout
        )


def test_the_file_of_a_template_is_no_locustfile(tmp_path: Path) -> None:
    """The command that checks it is named, with the file and the host."""
    (tmp_path / "chat.toml").write_text("[push]\nwhen = { a = 1 }\n")
    for host, named in ((("--host", "ws://127.0.0.1:8000"), "ws://127.0.0.1:8000"), ((), "ws://HOST:PORT")):
        done = subprocess.run(
            command("chat.toml", *host),
            capture_output=True,
            text=True,
            cwd=tmp_path,
            env=environment(),
            timeout=60,
            check=False,
        )
        assert done.returncode == 2
        assert "SyntaxError" not in done.stderr
        assert (
            "loadtest dialect check locustfiles/ws.py --dialect template --dialect-option file=chat.toml "
            f"--host {named}"
        ) in done.stderr


def test_json_is_one_document(tmp_path: Path) -> None:
    """Nothing else is on standard output; the exit code is the same."""
    with small_chat("renames") as (_, port):
        done = check(tmp_path, "--host", f"ws://127.0.0.1:{port}", "--json")
    document = json.loads(done.stdout)
    assert done.returncode == document["exit_code"] == 1
    assert [finding["what"] for finding in document["findings"]] == [
        "reply unmatched",
        "the last request was not answered",
    ]


def test_secrets_are_not_shown(tmp_path: Path) -> None:
    """Neither the token from the environment nor a header's value, here and in the command that goes on."""
    token, key = "token-of-the-environment", "key-of-the-header"
    with small_chat() as (server, port):
        url = f"ws://127.0.0.1:{port}"
        done = check(
            tmp_path,
            "--host",
            url,
            "--header",
            f"X-Key:{key}",
            "--path",
            f"/chat/{token}",
            LOCUST_WS_TOKEN=token,
        )
    assert server.upgrades[0]["Authorization"] == f"Bearer {token}"
    assert server.upgrades[0]["X-Key"] == key
    assert done.returncode == 0, done.stdout
    assert token not in done.stdout + done.stderr
    assert key not in done.stdout + done.stderr
    assert "headers X-Key, Authorization" in done.stdout
    assert "--ws-header 'X-Key: …'" in done.stdout
    assert "--ws-token" not in done.stdout  # Locust reads the environment too


def test_ctrl_c_prints_what_there_is(tmp_path: Path) -> None:
    """The transcript up to then, and no traceback."""
    (tmp_path / "chat.py").write_text(CHAT)
    with small_chat("mute") as (server, port):
        process = subprocess.Popen(
            command("chat.py", "--host", f"ws://127.0.0.1:{port}", "--reply-timeout", "600"),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            cwd=tmp_path,
            env=environment(),
        )
        with process:
            wait_for(lambda: server.heard, what="the first request")
            process.send_signal(signal.SIGINT)
            output, _ = process.communicate(timeout=30)
    assert process.returncode == 1
    assert "request 0" in output
    assert "Chat: interrupted" in output
    assert "Traceback" not in output


FILES = {
    "two.py": "from loadtest import WebSocketUser\n"
    "class One(WebSocketUser): pass\nclass Two(WebSocketUser): pass\n",
    "none.py": "from locust import User\nclass Plain(User): pass\n",
    "syntax.py": "from loadtest import WebSocketUser\nclass User(WebSocketUser)\n    pass\n",
    "raises.py": "from pathlib import Path\n\nUSERS = int('many')\n",
    "imports.py": "import no_such_package\n",
    "exits.py": "import sys\n\nsys.exit('not today')\n",
    "unknown.py": "from loadtest import WebSocketUser\nclass User(WebSocketUser):\n    dialect = 'klingon'\n",
    "number.py": "from loadtest import WebSocketUser\nclass User(WebSocketUser):\n    dialect = 7\n",
    "sound.py": "from loadtest import WebSocketUser\nclass User(WebSocketUser): pass\n",
}

HOST = ("--host", "ws://127.0.0.1:9")

WRONG: list[tuple[str, ...]] = [
    ("missing.py", *HOST),
    (".", *HOST),
    ("two.py", *HOST),
    ("two.py", "Three", *HOST),
    ("none.py", *HOST),
    ("syntax.py", *HOST),
    ("raises.py", *HOST),
    ("imports.py", *HOST),
    ("exits.py", *HOST),
    ("unknown.py", *HOST),
    ("number.py", *HOST),
    ("sound.py",),
    ("sound.py", "--host", "127.0.0.1"),
    ("sound.py", *HOST, "--path", "chat"),
    ("sound.py", *HOST, "--reply-timeout", "soon"),
    ("sound.py", "--host", "wss://127.0.0.1:9", "--tls-key", "key.pem"),
]

RUN_ALL = """
import json, sys
from click.testing import CliRunner
from loadtest.cli import main
for command in json.loads(sys.argv[1]):
    result = CliRunner().invoke(main, ["dialect", "check", *command], prog_name="loadtest")
    print(f"$ loadtest dialect check {' '.join(command)}\\n{result.output}(exit code {result.exit_code})\\n")
"""


def test_what_cannot_be_checked_is_said_in_one_line(tmp_path: Path, golden: Golden) -> None:
    """Files and options that are wrong in every way: what is wrong, and what to do."""
    for name, source in FILES.items():
        (tmp_path / name).write_text(source)
    done = subprocess.run(
        [sys.executable, "-c", RUN_ALL, json.dumps(WRONG)],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env=environment(),
        timeout=60,
        check=True,
    )
    golden("dialect-check/errors.txt", done.stdout)
    assert done.stdout.count("(exit code 2)") == len(WRONG)
