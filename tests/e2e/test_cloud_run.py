"""The commands of docs/cloud-run.md run, as far as they can here: shorter, and with a stand-in for gcloud."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from loadtest.server.server_process import ServerProcess
from tests.support.places import ROOT

PAGE = (ROOT / "docs" / "cloud-run.md").read_text()
BLOCKS: list[str] = re.findall(r"^```sh\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)

TOKEN = "eyJ-a-token-of-the-stand-in"

GCLOUD = """
import datetime, json, os, sys

words = sys.argv[1:]
with open(os.environ["GCLOUD_CALLS"], "a") as calls:
    calls.write(json.dumps(words) + chr(10))
if words[:2] == ["auth", "print-identity-token"]:
    print(os.environ["GCLOUD_TOKEN"])
elif words[:3] == ["run", "services", "describe"]:
    print(3600)
elif words[:2] == ["logging", "read"]:
    revisions = [os.environ["OLD_REVISION"], os.environ["NEW_REVISION"]]
    asked = [one for one in revisions if one in words[2]] or revisions
    lines = [line for line in open(os.environ["GCLOUD_LOG"]).read().splitlines() if line[:4].isdigit()]
    print(json.dumps([
        {"resource": {"type": "cloud_run_revision",
                      "labels": {"service_name": "chat", "revision_name": revisions[number % 2]}},
         "textPayload": line,
         "timestamp": datetime.datetime.fromisoformat(line[:19]).astimezone(datetime.UTC).isoformat()}
        for number, line in enumerate(lines) if revisions[number % 2] in asked
    ]))
elif words[:2] != ["run", "deploy"] and words[:3] not in (["run", "services", "update"],
                                                         ["run", "services", "update-traffic"]):
    raise SystemExit(f"gcloud cannot do {words}")
"""
"""Stands in for gcloud: prints a token, a setting, and the server's log as Cloud Logging does.

Every second line is of the old revision: who asks for one of them gets half of the log.
"""

SHORTER = (
    (r"\bsleep \d+", "sleep 0"),
    (r"--duration 2m", "--duration 13s --pairs 1 --order parallel -u 1"),
    (r"-u 10 -r 10 -t \d+m", "-u 1 -r 1 -t 10s"),
    (r'--ws-at "60:', '--ws-drop-every 3 --ws-at "3:'),
    (r"RUN=0a1b2c3d", "RUN=$(basename results/chat-*/*-* | sed 's/.*-//')"),
)


@dataclass
class Service:
    """The stand-ins for the service and for gcloud: where scripts run, and their environment."""

    folder: Path
    environment: dict[str, str]

    def start(self, name: str, *blocks: str) -> subprocess.Popen[str]:
        """Run blocks as one script, in a folder of their own."""
        place = self.folder / name
        place.mkdir()
        (place / "locustfiles").symlink_to(ROOT / "locustfiles")
        script = "".join(blocks)
        for pattern, shorter in SHORTER:
            script = re.sub(pattern, shorter, script)
        return subprocess.Popen(
            ["sh", "-xu", "-c", script],
            cwd=place,
            env=self.environment | {"GCLOUD_CALLS": str(place / "calls")},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )


@dataclass(frozen=True)
class Ran:
    """A script that has ended: where, its last command's exit status, what all printed."""

    place: Path
    status: int
    output: str

    @property
    def calls(self) -> list[list[str]]:
        """The calls of gcloud, in order."""
        return [json.loads(line) for line in (self.place / "calls").read_text().splitlines()]

    def verdicts(self) -> Iterator[dict[str, str]]:
        """Yield the verdict of each item, run by run."""
        for file in self.place.glob("results/**/verdict.json"):
            if "duels" not in file.parts:
                yield {item["item"]: item["verdict"] for item in json.loads(file.read_bytes())["items"]}


def _having(text: str) -> str:
    (block,) = (block for block in BLOCKS if text in block)
    return block


def _service(server: ServerProcess, log: Path, folder: Path) -> Service:
    programs = folder / "bin"
    programs.mkdir()
    (folder / "gcloud.py").write_text(GCLOUD)
    for name, command in (
        ("gcloud", str(folder / "gcloud.py")),
        ("locust", "-m locust"),
        ("loadtest", "-m loadtest"),
    ):
        (programs / name).write_text(f'#!/bin/sh\nexec {sys.executable} {command} "$@"\n')
        (programs / name).chmod(0o755)
    exported = dict(re.findall(r"(\w+)=(\S+)", _having("export OLD_URL")))
    urls = {name: server.url for name in exported if name.endswith("_URL")}
    environment = {
        **os.environ,
        **exported,
        **urls,
        "NO_COLOR": "1",
        "PATH": f"{programs}:{os.environ['PATH']}",
        "PYTHONPATH": f"{ROOT}:{os.environ.get('PYTHONPATH', '')}",
        "GCLOUD_TOKEN": TOKEN,
        "GCLOUD_LOG": str(log),
    }
    return Service(folder, environment)


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Ran]:
    """Everything that the page says, at once, in a few scripts."""
    folder = tmp_path_factory.mktemp("cloud")
    log = folder / "server.log"
    token = _having("LOCUST_WS_TOKEN_CMD")
    with ServerProcess(log_path=log, token=TOKEN) as server:
        service = _service(server, log, folder)
        scripts = {
            "deploy": (_having("--session-affinity"), _having("--no-traffic"), _having("--to-tags old=100")),
            "duel": (token, _having("loadtest duel")),
            "drill": (token, _having("--ws-at"), _having("> chat.json"), _having("chat-before.json")),
            "run": (token, _having("--ws-allow-losses")),
            "ten": (_having("sleep 600"),),
            "hour": (_having("sleep 3000"),),
        }
        started = {name: service.start(name, *blocks) for name, blocks in scripts.items()}
        done = {name: process.communicate(timeout=100)[0] for name, process in started.items()}
    return {name: Ran(folder / name, started[name].returncode, output) for name, output in done.items()}


def test_no_block_is_forgotten() -> None:
    """Each block of the page is in a script of this test."""
    tested = (
        *("export OLD_URL", "--session-affinity", "--no-traffic", "LOCUST_WS_TOKEN_CMD", "loadtest duel"),
        *("--ws-at", "--to-tags old=100", "--ws-allow-losses", "> chat.json", "chat-before.json"),
        *("sleep 600", "sleep 3000"),
    )
    left = [block for block in BLOCKS if block not in map(_having, tested)]
    assert left == []
    assert len(PAGE.split()) < 1500


def test_deploy_commands_are_those_of_gcloud(ran: dict[str, Ran]) -> None:
    """Deploy without traffic, tags before, traffic back: each with the names that the page has set."""
    assert ran["deploy"].status == 0, ran["deploy"].output
    said = [" ".join(call) for call in ran["deploy"].calls]
    assert len(said) == 5
    assert any("--no-traffic --tag new" in call for call in said)
    assert any("--update-tags old=chat-00041-abc" in call for call in said)
    assert all("--region europe-west1" in call for call in said)


def test_duel(ran: dict[str, Ran]) -> None:
    """It logs in with the command's token, and finds no item broken; one pair leaves latency open."""
    assert ran["duel"].status in (0, 4), ran["duel"].output
    runs = list(ran["duel"].verdicts())
    assert len(runs) == 2, ran["duel"].output
    assert {run["connect"] for run in runs} == {"PASS"}, ran["duel"].output
    assert ["auth", "print-identity-token"] in ran["duel"].calls


def test_drill(ran: dict[str, Ran]) -> None:
    """The traffic moves in mid-run; what stands for gcloud ends no connection, and the report says so."""
    drill = ran["drill"]
    assert drill.status == 0, drill.output
    (file,) = drill.place.glob("results/*/*/run.json")
    (made,) = json.loads(file.read_bytes())["drills"]
    assert (made["at_s"], made["exit_status"], made["stopped"]) == (3.0, 0, False)
    assert ["run", "services", "update-traffic"] in [call[:3] for call in drill.calls]
    assert "the drill at 3 s ended no connection" in " ".join(drill.output.split())


def test_the_log_of_the_drill(ran: dict[str, Ran]) -> None:
    """The records of both revisions, read afterwards, are judged with the run; the log alone is, too."""
    drill = ran["drill"]
    (run,) = drill.verdicts()
    assert "FAIL" not in run.values(), drill.output
    assert run["connect"] == run["stability"] == run["server_log"] == "PASS", drill.output
    (file,) = drill.place.glob("results/*/*/verdict.json")
    (log,) = (item for item in json.loads(file.read_bytes())["items"] if item["item"] == "server_log")
    told = [row for row in log["evidence"]["by_kind"] if row["kind"] != "half_open"]
    assert sum(row["drops_with_record"] for row in told) == sum(row["drops"] for row in told), log["summary"]
    assert "OK" in drill.output


def test_a_run_with_an_allowance(ran: dict[str, Ran]) -> None:
    """It passes: nothing was lost in so short a time."""
    (run,) = ran["run"].verdicts()
    assert "FAIL" not in run.values(), ran["run"].output
    assert run["connect"] == run["stability"] == "PASS", ran["run"].output
    assert ran["run"].status == 0, ran["run"].output


@pytest.mark.parametrize("name", ["ten", "hour"])
def test_probes(name: str, ran: dict[str, Ran]) -> None:
    """A probe passes, and so does the log of the last minutes."""
    assert ran[name].status == 0, ran[name].output
    (probe,) = ran[name].verdicts()
    assert probe["health"] == probe["connect"] == "PASS", ran[name].output
    assert "FAIL" not in probe.values(), ran[name].output


def test_the_token_is_nowhere(ran: dict[str, Ran]) -> None:
    """Not in a file of a run, not in what the commands print."""
    for name, one in ran.items():
        assert TOKEN not in one.output, name
        for file in one.place.rglob("*"):
            assert not file.is_file() or TOKEN.encode() not in file.read_bytes(), (name, file)
