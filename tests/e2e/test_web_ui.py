"""The interactive way: Locust's web form starts and stops runs, each with its own directory and verdict."""

from __future__ import annotations

import contextlib
import functools
import json
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from loadtest.server.server_process import ServerProcess
from tests.support.locusts import LocustProcess
from tests.support.ports import free_port
from tests.support.serverclient import wait_for


def _ask(url: str, form: dict[str, str] | None = None) -> bytes:
    data = urllib.parse.urlencode(form).encode() if form is not None else None
    with urllib.request.urlopen(url, data) as answer:
        return bytes(answer.read())


def _until(met: Callable[[], Any], what: str) -> None:
    """Wait until this is true; the web server may not be up yet."""

    def met_by_now() -> Any:
        with contextlib.suppress(urllib.error.URLError, ConnectionError):
            return met()

    wait_for(met_by_now, what=what)


@contextlib.contextmanager
def _web_form(results: Path, *arguments: str) -> Iterator[tuple[str, LocustProcess]]:
    """Run Locust with its web form, and yield where that is and the process once it can be used."""
    web = f"http://127.0.0.1:{(port := free_port())}"
    arguments = ("--web-host", "127.0.0.1", "--web-port", str(port), *arguments)
    with LocustProcess(results, *arguments, seconds=None, headless=False) as locust:
        _until(lambda: b"ws_rate" in _ask(web), "the web form")
        yield web, locust


def test_runs_from_the_web_form(tmp_path: Path) -> None:
    """Options of the form hold for its run; stopping gives a verdict; the next run is a new directory."""
    arguments = ("--ws-sessions", "5", "--ws-token", "s3cret!")
    with ServerProcess() as server, _web_form(tmp_path, *arguments) as (web, locust):
        for done, rate in enumerate(("4", "8")):
            form = {
                "user_count": "2",
                "spawn_rate": "2",
                "host": server.url,
                "ws_rate": rate,
                "ws_drop_every": "2",
                "ws_margin": f"p50={rate}%,p99=3ms",
            }
            assert json.loads(_ask(f"{web}/swarm", form))["success"] is True
            _until(functools.partial(_has_resumed, tmp_path, done + 1), "a resume in this run")
            _until(lambda: _answered(web) > 20, "replies in Locust's table")
            _ask(f"{web}/stop", {})
            _until(functools.partial(_has_verdicts, tmp_path, done + 1), "the verdict")
        locust.interrupt()
        finished = locust.wait(30)
    manifests = [json.loads(path.read_bytes()) for path in tmp_path.glob("*/*/run.json")]
    assert sorted(manifest["plan"]["rate"] for manifest in manifests) == [4, 8]
    for manifest in manifests:
        assert manifest["margins"]["service p50"]["relative_ratio"] == manifest["plan"]["rate"] / 100
        assert manifest["margins"]["service p99"] == {"relative_ratio": 0.2, "absolute_us": 3000}
    assert all(manifest["complete"] for manifest in manifests)
    assert "s3cret!" not in finished.output
    for path in tmp_path.rglob("*"):
        assert path.is_dir() or b"s3cret!" not in path.read_bytes(), path


def test_the_form_refuses_what_cannot_be(tmp_path: Path) -> None:
    """A typo is answered with what is wrong, and begins no run; the same form put right begins one."""
    with _web_form(tmp_path) as (web, locust):
        form = {"user_count": "1", "spawn_rate": "1"}
        for wrong, says in (
            ({"ws_rate": "often"}, "--ws-rate must be 0 or 0.000001–10000"),
            ({"ws_drops": "explode=1"}, "--ws-drops kind must be"),
            ({"host": "ftp://127.0.0.1"}, "--host must be ws://HOST"),
            ({"ws_storm": "0.5@90", "run_time": "1m"}, "must come before the end of the run"),
        ):
            answer = json.loads(_ask(f"{web}/swarm", form | wrong))
            assert answer["success"] is False
            assert says in answer["message"]
        assert not list(tmp_path.glob("*/*/run.json"))
        assert json.loads(_ask(f"{web}/swarm", form))["success"] is True
        _until(lambda: list(tmp_path.glob("*/*/run.json")), "the run")
        locust.interrupt()
        locust.wait(30)


def test_a_form_sent_twice_leaves_no_run_behind(tmp_path: Path) -> None:
    """A double click begins a second run where the first had hardly begun; each ends with its verdict."""
    with _web_form(tmp_path) as (web, locust):
        form = {"user_count": "1", "spawn_rate": "1"}
        for _ in range(2):
            assert json.loads(_ask(f"{web}/swarm", form))["success"] is True
        _until(lambda: _answered(web) > 20, "replies in Locust's table")
        _ask(f"{web}/stop", {})
        locust.interrupt()
        finished = locust.wait(30)
    manifests = [json.loads(path.read_bytes()) for path in tmp_path.glob("*/*/run.json")]
    assert manifests
    assert all(manifest["complete"] for manifest in manifests), finished.output
    assert len(list(tmp_path.glob("*/*/verdict.json"))) == len(manifests)


def test_a_second_run_meets_no_server_that_has_stopped(tmp_path: Path) -> None:
    """The form keeps the host of the reference server that was started for the run before; a new one is."""
    form = {"user_count": "1", "spawn_rate": "1"}
    with _web_form(tmp_path) as (web, locust):
        for number in (1, 2):
            assert json.loads(_ask(f"{web}/swarm", form))["success"] is True
            _until(lambda: _answered(web) > 20, "replies in Locust's table")
            _ask(f"{web}/stop", {})
            _until(functools.partial(_has_verdicts, tmp_path, number), "the verdict")
            (*_, latest) = sorted(tmp_path.glob("*/*/run.json"), key=lambda path: path.stat().st_ctime_ns)
            form["host"] = json.loads(latest.read_bytes())["target"]
        locust.interrupt()
        locust.wait(30)
    targets = {json.loads(path.read_bytes())["target"] for path in tmp_path.glob("*/*/run.json")}
    assert len(targets) == 2


def test_a_request_names_no_file_and_no_command(tmp_path: Path) -> None:
    """Whoever reaches the web form starts runs, but has nothing read or run on the machine that it is on."""
    results = tmp_path / "results"
    wishes = {
        "user_count": "1",
        "spawn_rate": "1",
        "ws_server_log": __file__,
        "ws_server_log_cmd": f"touch {tmp_path / 'touched'}",
        "ws_server_log_rules": __file__,
        "ws_at": f"0:touch {tmp_path / 'touched'}",
    }
    with _web_form(results, "--ws-drop-every", "2") as (web, locust):
        page = _ask(web)
        assert b"ws_server_log" not in page
        assert b"ws_at" not in page
        assert json.loads(_ask(f"{web}/swarm", wishes))["success"] is True
        _until(functools.partial(_has_resumed, results, 1), "a resume in this run")
        _ask(f"{web}/stop", {})
        _until(functools.partial(_has_verdicts, results, 1), "the verdict")
        locust.interrupt()
        locust.wait(30)
    (kept,) = results.glob("*/*/server_log.jsonl")
    assert json.loads(kept.read_text().splitlines()[-1])["files"] == ["server.log"]
    assert not (tmp_path / "touched").exists()


def _has_resumed(results: Path, number: int) -> bool:
    return sum('"resumed"' in path.read_text() for path in results.glob("*/*/events.jsonl")) == number


def _has_verdicts(results: Path, number: int) -> bool:
    return len(tuple(results.glob("*/*/verdict.json"))) == number


def _answered(web: str) -> int:
    stats = json.loads(_ask(f"{web}/stats/requests"))["stats"]
    return sum(entry["num_requests"] for entry in stats if entry["name"] == "round trip")
