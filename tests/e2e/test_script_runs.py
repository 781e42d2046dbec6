"""Scripts under Locust: the examples of docs/scripts.md against sound and broken servers, and habits."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.examples import stranger
from tests.support.locusts import Finished, LocustProcess
from tests.support.places import ROOT

DOCS = (ROOT / "docs" / "scripts.md").read_text()

PLAN = (
    *("--ws-sessions", "10", "--ws-drop-every", "4", "--ws-warmup", "1", "--ws-baseline", "none"),
    *("--ws-drops", "close=1,reset=1", "--ws-backoff", "constant(0.2)", "--ws-reply-timeout", "3"),
)
"""Enough messages and resumes for every item within seconds."""


def example(heading: str) -> str:
    """Return the first program under a heading of docs/scripts.md."""
    _, _, rest = DOCS.partition(f"# {heading}\n")
    found = re.search(r"^```python\n(.*?)^```$", rest, re.MULTILINE | re.DOTALL)
    assert found is not None, heading
    return found[1]


def run(
    folder: Path, program: str, url: str, *arguments: str, seconds: int = 6, plan: tuple[str, ...] = PLAN
) -> Finished:
    """Run a locustfile headless."""
    locustfile = folder / "locustfile.py"
    locustfile.write_text(program)
    given = ("--host", url.replace("http://", "ws://"), *plan, *arguments)
    with LocustProcess(folder / "results", *given, seconds=seconds, locustfile=locustfile) as locust:
        return locust.wait()


def rows(folder: Path) -> tuple[str, str]:
    """Write a file with a row for each session, and return the option that names it."""
    path = folder / "symbols.csv"
    path.write_text("symbol\n" + "".join(f'"AC""ME{number}"\n' for number in range(20)))
    return "--ws-data", str(path)


@pytest.fixture(scope="module")
def desk() -> Iterator[str]:
    """A sound server."""
    with stranger("desk") as url:
        yield url


FIRST = "Write scripts: tasks instead of a steady rate"

CHAT, ROOM, MARKET = "A chat with a language model", "A room", "Market data"


def performed(folder: Path, heading: str, url: str) -> Finished:
    """Run an example."""
    extra = rows(folder) if heading == MARKET else ()
    if heading == MARKET:  # ticks that a stopped session does not read are missing from no book
        extra = (*extra, "--ws-drop-every", "0")
    return run(folder, example(heading), url, *extra)


@pytest.mark.parametrize("heading", [CHAT, ROOM, MARKET])
def test_examples_pass_with_a_sound_server(heading: str, desk: str, tmp_path: Path) -> None:
    """What the docs show works as it stands there, through drops."""
    finished = performed(tmp_path, heading, desk)
    assert finished.rulings["messaging"] == "PASS", finished.output
    assert finished.counts["messaging.script_failed"] == 0
    assert finished.evidence("messaging")["unaccounted"] == 0
    assert finished.manifest["plan"]["rate"] == 0
    if heading != MARKET:
        assert finished.rulings["reconnect"] == "PASS", finished.output


@pytest.mark.parametrize(
    ("heading", "fault", "says"),
    [
        (CHAT, "altered", "answered with an altered text"),
        (CHAT, "lost", "without a reply although the connection stayed up"),
        (CHAT, "error", "answered with an error"),
        (CHAT, "broken_stream", "answered with a stream that broke off"),
        (ROOM, "late_room", "failures? reported by scripts"),
        (ROOM, "deaf_room", "failures? reported by scripts"),
        (MARKET, "no_prices", "failures? reported by scripts"),
    ],
)
def test_broken_servers_fail_messaging(heading: str, fault: str, says: str, tmp_path: Path) -> None:
    """A server with one defect fails the item that asks for it, and the run says what it was."""
    with stranger("desk", fault) as url:
        finished = performed(tmp_path, heading, url)
    assert finished.rulings["messaging"] == "FAIL", finished.output
    assert finished.exit_code == 1
    summary = next(item["summary"] for item in finished.verdict["items"] if item["item"] == "messaging")
    assert re.search(says, summary), summary


def test_a_server_that_hangs_up_fails_stability(tmp_path: Path) -> None:
    """Scripts that lose their connection go on; the losses are the server's."""
    with stranger("desk", "hangs_up") as url:
        finished = run(tmp_path, example(CHAT), url, "--ws-drop-every", "0")
    assert finished.rulings["stability"] == "FAIL", finished.output
    assert finished.counts["messaging.script_failed"] == 0


HABITS = """
import json, os, time
from collections import Counter
from locust import SequentialTaskSet, TaskSet, constant, constant_pacing, between, events, tag, task
from loadtest import WebSocketUser

COUNTS = Counter()
TIMES = {}

def blocks(number):
    time.sleep(0.01)
    return number

async def listed(self, session):
    COUNTS["listed"] += 1
    done = await session.blocking(blocks, 1)
    COUNTS["blocked"] += done
    await session.request()

class Steps(SequentialTaskSet):
    async def on_start(self, session):
        COUNTS["steps started"] += 1

    @task
    async def first(self, session):
        session.memory["step"] = 1
        await session.request()

    @task
    async def second(self, session):
        COUNTS["in order" if session.memory.pop("step") == 1 else "out of order"] += 1
        COUNTS["of " + type(self.user).__name__] += 1
        self.interrupt()

class Habits(WebSocketUser):
    dialect = "echo"
    wait_time = WAIT
    tasks = {listed: 2, Steps: 1}

    def on_start(self):
        COUNTS["users"] += 1
        self.greeting = "hello"

    async def on_start_of_others(self):
        pass

    @tag("heavy")
    @task(6)
    async def heavy(self, session):
        COUNTS["heavy"] += 1
        TIMES.setdefault(session.number, []).append(session._clock())
        await session.request(session.text() + self.greeting)

    @tag("light")
    @task
    async def light(self, session):
        COUNTS["light"] += 1
        await session.request(session.text())

    @task
    def sync(self):
        COUNTS["sync"] += 1

    def on_stop(self):
        COUNTS["stopped"] += 1

@events.quitting.add_listener
def report(**_):
    gaps = sorted(b - a for times in TIMES.values() for a, b in zip(times, times[1:]))
    with open(os.environ["REPORT"], "w") as file:
        json.dump({"counts": COUNTS, "gaps_ms": [gap / 1e6 for gap in gaps]}, file)
"""


def habits(
    folder: Path, url: str, *arguments: str, wait: str = "between(0.02, 0.06)", seconds: int = 6
) -> tuple[Finished, Counter[str], list[float]]:
    """Run the class above; return the run, what its tasks counted, and gaps between starts of one task."""
    locustfile, told = folder / "habits.py", folder / "told.json"
    locustfile.write_text(HABITS.replace("WAIT", wait))
    given = ("--host", f"{url.replace('http://', 'ws://')}", *PLAN, "--ws-drop-every", "0", *arguments)
    with LocustProcess(
        folder / "results",
        *given,
        seconds=seconds,
        locustfile=locustfile,
        environment={"REPORT": str(told)},
    ) as locust:
        finished = locust.wait()
    found: dict[str, Any] = json.loads(told.read_bytes()) if told.exists() else {"counts": {}, "gaps_ms": []}
    return finished, Counter(found["counts"]), found["gaps_ms"]


@pytest.fixture(scope="module")
def echo() -> Iterator[str]:
    """A server that returns what it receives."""
    with stranger("counting") as url:
        yield url


def test_weights_task_sets_and_hooks(echo: str, tmp_path: Path) -> None:
    """Weights, `tasks`, a SequentialTaskSet, sync tasks and hooks do what a Locust user expects."""
    finished, counts, _ = habits(tmp_path, echo)
    assert finished.rulings["messaging"] == "PASS", finished.output
    assert 3 < counts["heavy"] / counts["light"] < 12
    assert 1.5 < counts["heavy"] / counts["listed"] < 6
    assert counts["steps started"] >= counts["in order"] > 20
    assert counts["out of order"] == 0
    assert counts["of Habits"] == counts["in order"]
    assert counts["users"] == counts["stopped"] == 2
    assert counts["sync"] > 0
    assert 0 <= counts["listed"] - counts["blocked"] <= 20  # the last ones were cancelled
    assert finished.manifest["plan"]["tasks"] == {
        "listed": 2,
        "Steps.first": 1,
        "Steps.second": 1,
        "heavy": 6,
        "light": 1,
    }


def test_tags_and_pacing(echo: str, tmp_path: Path) -> None:
    """`--tags` leaves the tasks that have them; constant_pacing counts from start to start, by session."""
    finished, counts, gaps_ms = habits(tmp_path, echo, "--tags", "heavy", wait="constant_pacing(0.2)")
    assert finished.manifest["plan"]["tasks"] == {"heavy": 6}
    assert counts["heavy"] > 100
    assert not counts.keys() & {"light", "listed", "sync", "in order"}
    assert 190 < gaps_ms[len(gaps_ms) // 2] < 230


def test_constant_wait(echo: str, tmp_path: Path) -> None:
    """`constant` counts from the end of a task; --exclude-tags removes tasks."""
    _, counts, gaps_ms = habits(tmp_path, echo, "--exclude-tags", "light", wait="constant(0.1)", seconds=4)
    assert counts["heavy"] > 50
    assert counts["light"] == 0
    assert gaps_ms[0] > 100


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("--tags", "nothing"), "--tags and --exclude-tags must leave Habits at least one async task"),
        (("--ws-arrivals", "closed"), "--ws-arrivals must not be closed with a script"),
    ],
)
def test_what_is_refused(arguments: tuple[str, ...], says: str, echo: str, tmp_path: Path) -> None:
    """What leaves nothing to do, or two masters, ends with exit code 2 and one line."""
    finished, *_ = habits(tmp_path, echo, *arguments)
    assert finished.exit_code == 2
    assert says in finished.output
    assert "Traceback" not in finished.output


def test_a_mistake_is_named(echo: str, tmp_path: Path) -> None:
    """An exception in a task ends the run with exit code 2, and class, method, exception and line."""
    program = example(FIRST).replace("session.fail(", "raise KeyError(").replace("!=", "==")
    finished = run(tmp_path, program, echo)
    assert finished.exit_code == 2
    said = r"mistake in the script: Asker\.greet raised KeyError: 'another greeting' \(session \d+, "
    assert re.search(said + r"locustfile\.py line \d+\)", finished.output), finished.output


def test_the_first_example_and_a_rate(echo: str, tmp_path: Path) -> None:
    """The docs' first example passes, also beside planned messages once a rate is set."""
    finished = run(tmp_path, example(FIRST), echo, "--ws-rate", "2")
    assert finished.rulings["messaging"] == "PASS", finished.output
    assert finished.manifest["plan"]["rate"] == 2
    assert finished.counts["messaging.unchecked"] > 0


def test_the_page_is_short() -> None:
    """A page by task is read; a long one is not."""
    assert len(DOCS.split()) < 1500
