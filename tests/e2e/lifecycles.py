"""Tests of lifecycles with Locust's events but without a Locust process, in a pytest of their own.

    python -m gevent.monkey --module pytest -n 0 tests/e2e/lifecycles.py

Importing Locust patches the standard library. Here that comes before all other imports, in a process with no
other tests: the name of this file keeps it from being collected with them, and `test_lifecycles.py` runs it.
Runners and loads are test doubles; environments, events, recordings and verdicts are real.
"""

import argparse
import gc
import json
import re
import socket
import sys
import time
import weakref
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

import gevent
import msgspec
import pytest
from gevent.event import Event
from locust import LoadTestShape, User
from locust.env import Environment
from locust.exception import RPCReceiveError
from locust.rpc.protocol import Message
from locust.rpc.zmqrpc import Server
from locust.runners import STATE_INIT, STATE_RUNNING, LocalRunner, MasterRunner, WorkerRunner
from locust.stats import RequestStats

from loadtest.errors import DialectMistake, InvalidSetting, LoadtestError, ResultsUnwritable, UsageError
from loadtest.locust_plugin import admission, lifecycle, load, log_watch, recording_lifecycle, roles
from loadtest.locust_plugin.configuration import Configuration
from loadtest.locust_plugin.lifecycle import Lifecycle
from loadtest.locust_plugin.live_views import LiveViews
from loadtest.locust_plugin.load import RunInfo
from loadtest.locust_plugin.load_settings import LogSettings
from loadtest.locust_plugin.log_watch import LogWatch
from loadtest.locust_plugin.master_address import OwnWorkers
from loadtest.locust_plugin.parser import RUN_DESTINATION
from loadtest.locust_plugin.recording import Recording
from loadtest.locust_plugin.recording_lifecycle import LocalLifecycle
from loadtest.locust_plugin.user import WebSocketUser
from loadtest.locust_plugin.worker_messages import (
    DRILLS_MESSAGE,
    FINISH_MESSAGE,
    INTERVALS_MESSAGE,
    VERSION,
    DrillsMessage,
)
from loadtest.locust_plugin.workers import MasterLifecycle, WorkerLifecycle
from loadtest.results.drill_windows import Windows
from loadtest.results.environment import boot_id
from loadtest.results.interval import encode, pack
from loadtest.results.log_file import read_known_sessions, read_server_log
from loadtest.results.loss_groups import LATEST_NS
from loadtest.results.reader import read_manifest
from loadtest.scrubber import Secrets
from loadtest.session.recorder import Lifecycle as LifecycleEvent
from tests.support.children import is_running
from tests.support.runs import interval


class Runner:
    """Test double for any of Locust's runners."""

    target_user_count = 3
    worker_index = 4
    worker_index_max = 2

    def __init__(self, worker_state: str = STATE_INIT) -> None:
        self.state = self.worker_state = worker_state
        self.calls: list[str] = []
        self.sent: list[tuple[str, Any]] = []
        self.listeners: dict[str, Callable[..., None]] = {}
        self.clients = SimpleNamespace(all=[])
        self.stats = RequestStats()
        self.exceptions: dict[int, dict[str, Any]] = {}

    def quit(self) -> None:
        """Record the call."""
        self.calls.append("quit")

    def stop(self) -> None:
        """Record the call."""
        self.calls.append("stop")

    def log_exception(self, *_what: Any) -> None:
        """Do nothing."""

    def register_message(self, name: str, listener: Callable[..., None], concurrent: bool = False) -> None:
        """Record the listener."""
        self.listeners[name] = listener

    def send_message(self, name: str, data: Any) -> None:
        """Record the message."""
        self.sent.append((name, data))

    def get_worker_index(self, node_id: str) -> int:
        """Return a worker's number."""
        return int(node_id)

    def receive(self, worker: int, **content: Any) -> None:
        """Deliver a worker's message to the master."""
        message = SimpleNamespace(node_id=str(worker), data={"version": VERSION, **content})
        self.listeners[INTERVALS_MESSAGE](message)


class Load:
    """Test double for the load: ten sessions per user, one interval at the end."""

    latest: "Load"
    breaks = False
    secrets = Secrets(["s3cr3t"])

    def __init__(self, _settings: object, info: RunInfo, *, worker: int | None, **told: Any) -> None:
        Load.latest = self
        self.info, self.worker, self.told = info, worker, told
        self.finished = 0

    def start_user(self, _user: object) -> Sequence[int]:
        """Return the sessions' numbers."""
        return range(10)

    def stop_user(self, numbers: Sequence[int]) -> None:
        """Do nothing."""

    def finish(self) -> None:
        """Deliver the last interval, or fail."""
        self.finished += 1
        if self.breaks:
            self.told["failed"](ZeroDivisionError("s3cr3t defect"))
        else:
            self.told["deliver"](pack(interval(0), self.worker), ())


@pytest.fixture(autouse=True)
def results(tmp_path: Path) -> Iterator[Path]:
    """A results folder; lifecycles have the test double of the load."""
    with patch.object(lifecycle, "Loads", Load):
        yield tmp_path


def environment_in(results: Path, runner: Any, **options: Any) -> Environment:
    """Return an environment with a user class whose host is never connected to."""
    kind = type("User", (WebSocketUser,), {"results": results, "host": "ws://127.0.0.1:9", "revision": "v1"})
    usual = {"headless": False, "spawn_rate": 1, "run_time": None, "json": False}
    environment = Environment(user_classes=[kind], parsed_options=argparse.Namespace(**{**usual, **options}))
    environment.runner = runner
    return environment


def headless(results: Path, **options: Any) -> tuple[Environment, Any]:
    """Return a headless environment without a host, and its user classes."""
    environment = environment_in(results, Runner(), headless=True, **options)
    environment.user_classes[0].host = None
    return environment, environment.user_classes


def listening(kind: type[Lifecycle], environment: Environment) -> Any:
    """Return a lifecycle that listens to the environment's events."""
    made = kind(environment, environment.user_classes)
    made.check()
    made.listen()
    return made


def runs_in(results: Path) -> list[Mapping[str, Any]]:
    """Return the manifests of all runs, oldest first."""
    found = sorted(results.glob("*/*/run.json"), key=lambda path: path.stat().st_mtime_ns)
    return [msgspec.to_builtins(read_manifest(path.parent)) for path in found]


def test_each_role_has_its_lifecycle() -> None:
    """The class of Locust's runner decides."""
    roles_by_runner = {
        LocalRunner: LocalLifecycle,
        MasterRunner: MasterLifecycle,
        WorkerRunner: WorkerLifecycle,
    }
    for runner, kind in roles_by_runner.items():
        made: Any = object.__new__(runner)
        made.greenlet = None  # Locust's destructor asks for it
        assert roles._role(made) is kind


def test_a_user_waits_for_its_lifecycle(results: Path) -> None:
    """A call before Locust's `init` returns the lifecycle once there is one; later calls do not wait."""
    environment = environment_in(results, Runner())
    early = gevent.spawn(roles.lifecycle_of, environment)
    gevent.sleep(0)
    assert not early.ready()
    roles.attach(environment, WebSocketUser)
    assert early.get(timeout=5) is roles.lifecycle_of(environment)


def test_a_user_does_not_wait_for_ever(results: Path) -> None:
    """If an environment never gets a lifecycle, the error names the likely cause."""
    with patch.object(roles, "START_S", 0.01), pytest.raises(LoadtestError, match="`init`"):
        roles.lifecycle_of(environment_in(results, Runner()))


def test_an_environment_without_our_users_is_left_alone() -> None:
    """An environment without a WebSocketUser gets no lifecycle."""
    environment = Environment(user_classes=[])
    roles.attach(environment, WebSocketUser)
    assert vars(environment).get("loadtest_lifecycle") is None


def test_a_lifecycle_goes_with_its_environment(results: Path) -> None:
    """Nothing else keeps a lifecycle alive, and a second environment has its own."""
    first, second = (environment_in(results, Runner()) for _ in range(2))
    for environment in (first, second):
        roles.attach(environment, WebSocketUser)
    assert roles.lifecycle_of(first) is not roles.lifecycle_of(second)
    watched = weakref.ref(roles.lifecycle_of(first))
    del first, environment
    gc.collect()
    assert watched() is None
    assert roles.lifecycle_of(second) in roles._lifecycles


def test_a_local_run_is_recorded_and_judged(results: Path) -> None:
    """The run goes from test_start to test_stop, and the exit code is the verdict's."""
    environment = environment_in(results, Runner())
    local = listening(LocalLifecycle, environment)
    assert local.start_sessions() == ()
    environment.events.test_start.fire(environment=environment)
    assert Load.latest.worker is None
    assert Load.latest.info.workers == 1
    assert local.start_sessions() == range(10)
    environment.events.test_stop.fire(environment=environment)
    (run,) = runs_in(results)
    assert run["complete"] is True
    assert run["plan"]["users"] == Runner.target_user_count
    assert run["run_id"] == Load.latest.info.run_id
    assert Load.latest.finished == 1
    assert local.judged is not None
    assert environment.process_exit_code == local.judged.verdict.exit_code
    assert local.start_sessions() == ()


@pytest.fixture
def three_rows(tmp_path: Path) -> str:
    """A data file that is enough for three sessions."""
    path = tmp_path / "accounts.csv"
    path.write_text("user\nanna-1\nanna-2\nanna-3\n")
    return str(path)


def test_too_few_rows_of_data_are_refused_before_a_headless_run(results: Path, three_rows: str) -> None:
    """On a single process and on a master; -u says how many sessions there will be, 1 unless given."""
    for kind in (LocalLifecycle, MasterLifecycle):
        for users in (None, 3):
            options = {"ws_data": three_rows, "ws_sessions": "1", "num_users": users}
            kind(*headless(results, **options)).check()
        with pytest.raises(
            InvalidSetting, match="--ws-data has 3 rows for 20 sessions: add a row for each session"
        ):
            kind(*headless(results, ws_data=three_rows, num_users=1)).check()


def test_too_few_rows_of_data_are_refused_in_the_web_form(results: Path, three_rows: str) -> None:
    """The form says how many users there will be; before that nobody knows."""
    options = {"ws_data": three_rows, "ws_sessions": "1"}
    environment = environment_in(results, Runner(), **options)
    configuration = Configuration(environment, environment.user_classes)
    configuration.check(connects=True)
    configuration.check_form({"user_count": "3"})
    configuration.check_form({"user_count": "many"})  # Locust's own to refuse
    with pytest.raises(InvalidSetting, match="3 rows for 4 sessions"):
        configuration.check_form({"user_count": "4"})


def test_too_few_rows_of_data_begin_no_run(results: Path, three_rows: str) -> None:
    """Where nothing was known before (--autostart): no run directory, and the exit code of a usage error."""
    environment = environment_in(results, Runner(), ws_data=three_rows, ws_sessions="2")
    listening(LocalLifecycle, environment)
    environment.events.test_start.fire(environment=environment)
    assert environment.process_exit_code == UsageError.exit_code
    assert runs_in(results) == []


def test_rows_are_not_counted_where_sessions_are_not_known(results: Path, three_rows: str) -> None:
    """A load shape decides on the users."""
    shaped, classes = headless(results, ws_data=three_rows, num_users=10)
    shaped.shape_class = type("Shape", (LoadTestShape,), {"tick": lambda _self: None})()
    LocalLifecycle(shaped, classes).check()


@pytest.mark.parametrize(("users", "refused"), [(6, False), (8, True)])
def test_rows_are_counted_for_a_share_of_the_users(
    users: int, refused: bool, results: Path, three_rows: str
) -> None:
    """Locust gives the other class half of them."""
    mixed, classes = headless(results, ws_data=three_rows, num_users=users, ws_sessions="1")
    mixed.user_classes = [*classes, type("Other", (User,), {})]
    expected = pytest.raises(InvalidSetting, match="3 rows for 4 sessions") if refused else nullcontext()
    with expected:
        LocalLifecycle(mixed, classes).check()


def test_a_run_hides_the_values_of_its_data(results: Path, three_rows: str) -> None:
    """Its failure is written to run.json, whoever quoted a value in it, and names no file."""
    environment = environment_in(results, Runner(), ws_data=three_rows, ws_sessions="1")
    local = listening(LocalLifecycle, environment)
    environment.events.test_start.fire(environment=environment)
    secrets = local._settings.secrets
    Load.latest.secrets = secrets
    Load.latest.told["failed"](ValueError("no such user: anna-2"))
    environment.events.test_stop.fire(environment=environment)
    (run,) = runs_in(results)
    assert run["failure"] == "ValueError: no such user: ***"
    assert "accounts.csv" not in str(run)
    assert "anna" not in str(run)


def test_a_start_ends_the_run_before_it(results: Path) -> None:
    """Locust's web form may be sent twice."""
    environment = environment_in(results, Runner())
    listening(LocalLifecycle, environment)
    environment.events.test_start.fire(environment=environment)
    first = Load.latest
    environment.events.test_start.fire(environment=environment)
    assert first.finished == 1
    environment.events.test_stop.fire(environment=environment)
    assert [run["complete"] for run in runs_in(results)] == [True, True]


def drilled(results: Path, runner: Any, *drills: str, **options: Any) -> Environment:
    """Return an environment whose command line has these drills."""
    return environment_in(results, runner, ws_at=list(drills), **options)


def test_each_run_of_a_process_has_its_drills(results: Path) -> None:
    """Two runs, as with the web UI, each with its records and its windows; a form cannot change them."""
    environment = drilled(results, Runner(), "0:echo hello", "3600:echo never")
    local = listening(LocalLifecycle, environment)
    for _ in range(2):
        options: Any = environment.parsed_options
        options.ws_at = ["0:touch /nonexistent/evil"]  # as Locust takes any form
        environment.events.test_start.fire(environment=environment)
        with gevent.Timeout(30):
            while not (windows := Load.latest.told["windows"]()).spans or windows.at(2**61) is not None:
                gevent.sleep(0.01)
        assert list(windows.spans) == [0]
        environment.events.test_stop.fire(environment=environment)
    first, second = runs_in(results)
    for run in (first, second):
        began, never = run["drills"]
        assert (began["command"], began["exit_status"], began["last_words"]) == ("echo hello", 0, "hello")
        assert (never["command"], never["started_s"]) == ("echo never", None)
        assert run["plan"]["drills_at_s"] == (0.0, 3600.0)
    assert local._windows.spans


def test_a_start_stops_the_drill_of_the_run_before_it(results: Path, tmp_path: Path) -> None:
    """Locust's web form is sent again while a command runs: it is stopped, and stands in its own run."""
    pids = tmp_path / "pids"
    environment = drilled(results, Runner(), f"0:sh -c 'echo $$ >> {pids}; exec sleep 60'")
    listening(LocalLifecycle, environment)
    for number in range(2):
        environment.events.test_start.fire(environment=environment)
        with gevent.Timeout(30):
            while not pids.exists() or pids.read_text().count("\n") <= number:
                gevent.sleep(0.01)
    first, second = map(int, pids.read_text().split())
    assert (is_running(first), is_running(second)) == (False, True)
    earlier, later = (run["drills"][0] for run in runs_in(results))
    assert (earlier["stopped"], later["stopped"]) == (True, False)
    assert earlier["ended_s"] is not None
    assert later["ended_s"] is None
    environment.events.test_stop.fire(environment=environment)
    assert not is_running(second)
    assert [run["drills"][0]["stopped"] for run in runs_in(results)] == [True, True]


def test_a_load_shape_has_its_drills(results: Path) -> None:
    """A shape decides on the users, and has no --run-time: a drill comes at its moment all the same."""
    environment = drilled(results, Runner(), "0:echo hello", "1e5:echo never")
    environment.shape_class = type("Shape", (LoadTestShape,), {"tick": lambda _self: (1, 1)})()
    local = listening(LocalLifecycle, environment)
    environment.events.test_start.fire(environment=environment)
    with gevent.Timeout(30):
        while local._windows.at(2**61) is not None or not local._windows.spans:
            gevent.sleep(0.01)
    environment.events.test_stop.fire(environment=environment)
    (run,) = runs_in(results)
    assert [drill["last_words"] for drill in run["drills"]] == ["hello", ""]
    assert run["complete"] is True


GONE = {"connect.gave_up": 60}  # three users of twenty sessions


def test_a_run_is_not_ended_early_in_a_drill(results: Path) -> None:
    """While a command runs all sessions may be gone; without one the run has no prospects any more."""
    for drills, calls in ((["0:sleep 60"], []), ([], ["quit"])):
        runner = Runner()
        runner.state = STATE_RUNNING
        environment = drilled(results, runner, *drills)
        local = listening(LocalLifecycle, environment)
        options: Any = environment.parsed_options
        options.headless = True  # only now: before a headless run the host is tried
        environment.events.test_start.fire(environment=environment)
        with gevent.Timeout(30):
            while drills and not local._windows.spans:
                gevent.sleep(0.01)
        Load.latest.told["deliver"](pack(interval(0, counts=GONE)))
        gevent.sleep(0)
        assert runner.calls == calls
        environment.events.test_stop.fire(environment=environment)
    assert [one["stopped"] for run in runs_in(results) for one in run["drills"]] == [True]


def test_a_master_tells_its_workers_of_drills(results: Path) -> None:
    """Those that are there by a message, those that come later with the run's information."""
    runner = Runner()
    environment = drilled(results, runner, "0:echo hello")
    master = listening(MasterLifecycle, environment)
    environment.events.test_start.fire(environment=environment)
    with gevent.Timeout(30):
        while len(runner.sent) < 2:
            gevent.sleep(0.01)
    messages = [msgspec.json.decode(data, type=DrillsMessage) for name, data in runner.sent]
    assert {name for name, _ in runner.sent} == {DRILLS_MESSAGE}
    began, ended = (message.windows.spans[0] for message in messages)
    assert began == (ended[0], LATEST_NS)
    assert ended[1] < LATEST_NS
    environment.events.worker_connect.fire(client_id="late")
    info = msgspec.json.decode(getattr(environment.parsed_options, RUN_DESTINATION), type=RunInfo)
    for _ in range(2):  # a worker that was there and still starting
        runner.receive(1, run_id=info.run_id)
    assert runner.sent[2:] == runner.sent[1:2]
    assert info.windows == master._windows == messages[1].windows
    assert {message.run_id for message in messages} == {info.run_id}
    environment.events.test_stop.fire(environment=environment)


def test_a_worker_knows_the_drills_of_its_run(results: Path) -> None:
    """Whether its master told it before the run began here, with it, or later; not those of another run."""
    before, with_it, later = (Windows({0: (number, number)}) for number in range(3))

    def tell(runner: Runner, run_id: str, windows: Windows) -> None:
        message = DrillsMessage(run_id=run_id, windows=windows)
        runner.listeners[DRILLS_MESSAGE](SimpleNamespace(data=msgspec.json.encode(message).decode()))

    for told_before, known in (("now", before), ("another", with_it)):
        runner = Runner()
        environment = worker_of(results, runner, RunInfo(run_id="now", workers=2, windows=with_it))
        listening(WorkerLifecycle, environment)
        tell(runner, told_before, before)
        environment.events.test_start.fire(environment=environment)
        assert Load.latest.told["windows"]() == known
        assert runner.sent == [(INTERVALS_MESSAGE, {"version": VERSION, "run_id": "now"})]
        tell(runner, "now", later)
        assert Load.latest.told["windows"]() == later
        environment.events.test_stop.fire(environment=environment)


def test_an_interrupted_run_is_ended_by_locust(results: Path) -> None:
    """`quitting` makes the runner quit, whose test_stop ends the run; without a run it does nothing."""
    runner = Runner()
    environment = environment_in(results, runner)
    listening(LocalLifecycle, environment)
    environment.events.quitting.fire(environment=environment)
    assert runner.calls == []
    environment.events.test_start.fire(environment=environment)
    environment.events.quitting.fire(environment=environment)
    assert runner.calls == ["quit"]


def test_quitting_waits_for_a_verdict_being_made(results: Path) -> None:
    """A master whose workers quit first makes the verdict in another greenlet: the process must wait."""
    environment = environment_in(results, Runner())
    listening(LocalLifecycle, environment)
    environment.events.test_start.fire(environment=environment)
    order: list[str] = []
    begun = Event()
    finish = Recording.finish

    def slow_finish(*arguments: Any, **options: Any) -> Any:
        begun.set()
        gevent.sleep(0.1)
        judged = finish(*arguments, **options)
        order.append("judged")
        return judged

    with patch.object(Recording, "finish", slow_finish):
        gevent.spawn(environment.events.test_stop.fire, environment=environment)
        begun.wait(10)
        environment.events.quitting.fire(environment=environment)
        order.append("quit")
    assert order == ["judged", "quit"]


def test_a_defect_ends_the_run_without_its_secret(results: Path) -> None:
    """The run directory is incomplete and says why; the exit code is the tool's own."""
    runner = Runner()
    environment = environment_in(results, runner)
    listening(LocalLifecycle, environment)
    environment.events.test_start.fire(environment=environment)
    for _ in range(2):
        Load.latest.told["failed"](ZeroDivisionError("s3cr3t defect"))
    gevent.sleep(0)
    environment.events.test_stop.fire(environment=environment)
    assert runner.calls == ["quit"]
    assert environment.process_exit_code == LoadtestError.exit_code
    (run,) = runs_in(results)
    assert run["complete"] is False
    assert "ZeroDivisionError: *** defect" in json.dumps(run)


MISTAKE = DialectMistake("Chat.read", "raised KeyError: 's3cr3t'", "s3cr3t")
TOLD = "mistake in the dialect: Chat.read raised KeyError: '***' (given ***)"


def test_a_mistake_in_the_dialect_ends_the_run(results: Path) -> None:
    """The exit code is that of a usage error, and stays so after the verdict; the record says why."""
    runner = Runner()
    environment = environment_in(results, runner)
    listening(LocalLifecycle, environment)
    environment.events.test_start.fire(environment=environment)
    Load.latest.told["failed"](MISTAKE)
    Load.latest.told["failed"](ZeroDivisionError("what follows from it"))
    gevent.sleep(0)
    environment.events.test_stop.fire(environment=environment)
    assert runner.calls == ["quit"]
    assert environment.process_exit_code == UsageError.exit_code
    (run,) = runs_in(results)
    assert (run["complete"], run["failure"]) == (False, TOLD)


def test_a_user_that_starts_after_the_engine_has_failed_holds_nothing() -> None:
    """The failure is reported once, for all users; else an absent engine is an error."""

    def call(*_arguments: object) -> None:
        raise LoadtestError("the engine is not running")

    engine: Any = SimpleNamespace(failure=DialectMistake("Chat.login", "raised"), call=call, add=None)
    one: Any = object.__new__(load.Load)
    one.place = load.ALONE
    one._finished, one._users, one._running, one._worker = False, iter(range(2)), {}, None
    one._settings, one._info, one._engine = (
        SimpleNamespace(sessions=2),
        RunInfo(run_id="run", workers=1),
        engine,
    )
    assert one.start_user() == ()
    engine.failure = None
    with pytest.raises(LoadtestError, match="not running"):
        one.start_user()


def test_a_run_after_a_mistake_begins_anew(results: Path) -> None:
    """With the web UI the next run has its own exit code."""
    environment = environment_in(results, Runner())
    local = listening(LocalLifecycle, environment)
    environment.events.test_start.fire(environment=environment)
    Load.latest.told["failed"](MISTAKE)
    environment.events.test_stop.fire(environment=environment)
    environment.events.test_start.fire(environment=environment)
    environment.events.test_stop.fire(environment=environment)
    assert local.judged is not None
    assert environment.process_exit_code == local.judged.verdict.exit_code
    assert sorted(run["complete"] for run in runs_in(results)) == [False, True]


def test_a_run_that_cannot_be_written_at_its_end_has_its_own_exit_code(results: Path) -> None:
    """With the web UI there may have been a run before it, whose verdict had another one."""
    environment = environment_in(results, Runner())
    listening(LocalLifecycle, environment)
    full = ResultsUnwritable(results / "v1", "No space left on device")
    environment.events.test_start.fire(environment=environment)
    environment.events.test_stop.fire(environment=environment)
    environment.events.test_start.fire(environment=environment)
    with patch(SITES["verdict"], side_effect=full):
        environment.events.test_stop.fire(environment=environment)
    assert environment.process_exit_code == LoadtestError.exit_code


def test_a_run_that_cannot_begin_is_given_up(results: Path, capsys: Any) -> None:
    """Headless Locust quits with the error's exit code and last word; with the web UI the run is stopped."""
    for headless, call in ((True, "quit"), (False, "stop")):
        runner = Runner()
        environment = environment_in(results, runner, headless=headless, ws_rate="fast")
        LocalLifecycle(environment, environment.user_classes).listen()
        environment.events.test_start.fire(environment=environment)
        assert environment.process_exit_code == 2
        assert runner.calls == []  # Locust is still starting the run
        gevent.sleep(2 * lifecycle._GIVE_UP_S)
        assert runner.calls == [call]
        environment.events.quit.fire(exit_code=2)
        said = capsys.readouterr().err.splitlines()[-1:]
        assert [one.partition(": --ws-rate")[0] for one in said] == ["Nothing was judged"] * headless
    assert runs_in(results) == []


def test_a_master_records_what_its_workers_send(results: Path) -> None:
    """The master has no load of its own, and a worker that sends nothing is missing."""
    runner = Runner()
    runner.clients.all = [SimpleNamespace(id=str(number), state="running") for number in range(2)]
    environment = environment_in(results, runner)
    master = listening(MasterLifecycle, environment)
    environment.events.test_start.fire(environment=environment)
    info = msgspec.json.decode(getattr(environment.parsed_options, RUN_DESTINATION), type=RunInfo)
    assert info.workers == 2
    assert info.boot_id == boot_id()
    assert _apart_ns(info.started_monotonic_ns, runs_in(results)[0]) < 10**7
    assert master.start_sessions() == ()
    runner.receive(0, run_id=info.run_id, interval=encode(pack(interval(0), 7)))
    runner.receive(0, run_id=info.run_id, finished=True)
    environment.events.test_stop.fire(environment=environment)
    (run,) = runs_in(results)
    assert run["missing_workers"] == [1]
    assert [worker["worker"] for worker in run["workers"]] == [0]


def test_a_master_ends_the_run_for_a_mistake_of_the_user(results: Path) -> None:
    """A worker's mistake in the dialect is everybody's; another failure of a worker is not."""
    for by_user, calls in ((True, ["quit"]), (False, [])):
        runner = Runner()
        runner.clients.all = [SimpleNamespace(id="0", state="running")]
        environment = environment_in(results, runner)
        listening(MasterLifecycle, environment)
        environment.events.test_start.fire(environment=environment)
        info = msgspec.json.decode(getattr(environment.parsed_options, RUN_DESTINATION), type=RunInfo)
        runner.receive(0, run_id=info.run_id, failed=TOLD, by_user=by_user)
        gevent.sleep(0)
        environment.events.test_stop.fire(environment=environment)
        assert runner.calls == calls
        assert (environment.process_exit_code == UsageError.exit_code) == by_user
    failures = [run.get("failure") for run in runs_in(results)]
    assert sorted(map(str, failures)) == sorted([TOLD, "None"])


def test_a_master_tells_a_late_worker_the_time(results: Path) -> None:
    """The options that Locust sends to a connecting worker contain the time since the run's start."""
    environment = environment_in(results, Runner())
    listening(MasterLifecycle, environment)
    environment.events.worker_connect.fire(client_id="early")
    assert not hasattr(environment.parsed_options, RUN_DESTINATION)
    environment.events.test_start.fire(environment=environment)
    environment.events.worker_connect.fire(client_id="late")
    info = msgspec.json.decode(getattr(environment.parsed_options, RUN_DESTINATION), type=RunInfo)
    assert 0 < info.elapsed_ns <= time.monotonic_ns() - info.started_monotonic_ns
    environment.events.test_stop.fire(environment=environment)


def test_a_stopping_master_waits_for_its_workers(results: Path) -> None:
    """The master asks them to finish, and goes on once all workers that are alive have finished."""
    runner = Runner()
    runner.clients.all = [SimpleNamespace(id="0", state="running"), SimpleNamespace(id="1", state="missing")]
    environment = environment_in(results, runner)
    listening(MasterLifecycle, environment)
    environment.events.test_start.fire(environment=environment)
    stopping = gevent.spawn(environment.events.test_stopping.fire, environment=environment)
    gevent.sleep(0)
    assert [name for name, _ in runner.sent] == [FINISH_MESSAGE]
    assert not stopping.ready()
    runner.receive(0, finished=True)
    stopping.get(timeout=5)
    environment.events.test_stop.fire(environment=environment)
    assert runs_in(results)[0]["missing_workers"] == [1]


def worker_of(results: Path, runner: Runner, info: RunInfo | None = None) -> Environment:
    """Return a worker's environment, with the run information from its master."""
    text = msgspec.json.encode(info).decode() if info is not None else ""
    return environment_in(results, runner, **{RUN_DESTINATION: text})


def sent_by(runner: Runner) -> list[dict[str, Any]]:
    """Return the messages a worker has sent, without their version, and without the one that it has begun."""
    assert all(name == INTERVALS_MESSAGE for name, _ in runner.sent)
    found = [{key: value for key, value in data.items() if key != "version"} for _, data in runner.sent]
    return [message for message in found if message.keys() != {"run_id"}]


def test_a_worker_sends_its_intervals(results: Path) -> None:
    """It then reports that it has finished, once per request, although the load finishes only once."""
    runner = Runner()
    environment = worker_of(results, runner, RunInfo(run_id="now", workers=2))
    listening(WorkerLifecycle, environment)
    environment.events.test_start.fire(environment=environment)
    assert Load.latest.worker == Runner.worker_index
    runner.listeners[FINISH_MESSAGE]()
    environment.events.test_stop.fire(environment=environment)
    assert Load.latest.finished == 1
    first, *others = sent_by(runner)
    assert first.keys() == {"run_id", "interval"}
    assert others == [{"run_id": "now", "finished": True}] * 2
    assert runs_in(results) == []


def test_a_worker_that_joins_late_has_its_load_before_its_users(results: Path) -> None:
    """The worker's first users wait until its run has begun, then start their sessions."""
    runner = Runner(STATE_RUNNING)
    environment = worker_of(results, runner, RunInfo(run_id="now", workers=2, elapsed_ns=5))
    sessions = gevent.spawn(lambda: roles.lifecycle_of(environment).start_sessions())
    gevent.sleep(0)
    with patch.object(roles, "_role", return_value=WorkerLifecycle):
        roles.attach(environment, WebSocketUser)
    assert sessions.get(timeout=5) == range(10)
    assert Load.latest.info.elapsed_ns == 5


def test_a_worker_has_the_runs_own_start() -> None:
    """On the master's host it is exact; on another one, or after another boot, it is what the master said."""
    info = RunInfo(run_id="run", workers=1, elapsed_ns=7, boot_id="f00d", started_monotonic_ns=100)
    assert info.start_ns(1_000, "f00d") == 100
    assert info.start_ns(10**9, "f00d") == 100
    assert info.start_ns(10**10, "f00d") == 10**10 - 7  # another clock: hosts cloned from one snapshot
    assert info.start_ns(1_000, "beef") == 993
    assert info.start_ns(1_000, "") == 993
    assert info.start_ns(50, "f00d") == 43  # no clock of this boot: it would have started in the future
    assert msgspec.structs.replace(info, boot_id="").start_ns(1_000, "") == 993


@pytest.mark.parametrize("kind", [LocalLifecycle, WorkerLifecycle])
def test_a_loads_zero_is_that_of_the_run(results: Path, kind: type[Lifecycle]) -> None:
    """The load counts from the moment that run.json names, whatever was done between the two."""
    if kind is LocalLifecycle:
        environment = environment_in(results, Runner())
        listening(kind, environment)
        with slow(recording_lifecycle, "RunWriter"):
            environment.events.test_start.fire(environment=environment)
        assert _apart_ns(Load.latest.told["start_ns"], runs_in(results)[0]) < 10**7
    else:
        started_ns = time.monotonic_ns() - 10**9
        info = RunInfo(
            run_id="now",
            workers=2,
            elapsed_ns=10**9,
            boot_id=boot_id(),
            started_monotonic_ns=started_ns,
        )
        environment = worker_of(results, Runner(), info)
        listening(kind, environment)
        environment.events.test_start.fire(environment=environment)
        assert Load.latest.told["start_ns"] == started_ns
    environment.events.test_stop.fire(environment=environment)


def _apart_ns(start_ns: int, run: Mapping[str, Any]) -> int:
    """Return how far a monotonic time is from the start that a run's manifest names."""
    started_ns: int = run["started_unix_ns"]
    return abs(time.time_ns() - started_ns - (time.monotonic_ns() - start_ns))


@contextmanager
def slow(module: Any, name: str) -> Iterator[None]:
    """Let a function of a module take 50 ms longer."""
    usual = getattr(module, name)

    def late(*arguments: Any, **named: Any) -> Any:
        time.sleep(0.05)
        return usual(*arguments, **named)

    with patch.object(module, name, late):
        yield


def test_a_log_names_sessions_as_the_server_does(tmp_path: Path) -> None:
    """While a run is recorded, ids that the server has given are learnt, and found; judging maps them."""
    log = tmp_path / "server.log"
    log.write_text("")
    settings = LogSettings(paths=(str(log),), command=None, format="auto", rules=None, allowed_errors=0)
    watch = LogWatch(settings, tmp_path, "ab12cd34", lambda: Secrets([]), lambda _: None)
    watch.learn([LifecycleEvent(at_ns=1, event="connected", session="ab12cd34-000001", known_as="guest-77")])
    log.write_text("ERROR:    guest-77 broke\nERROR:    ab12cd34-000002 broke\nERROR:    guest-78 broke\n")
    with patch.object(log_watch, "SILENT_S", 0.1):
        watch.finish()
    kept = read_server_log(tmp_path)
    assert kept is not None
    assert [one.session for one in kept.records] == ["guest-77", "ab12cd34-000002", ""]
    assert all(one.live for one in kept.records)


COMMAND_OUTPUTS = {
    "follows again from now on": (
        ["2026-11-23 14:00:01,000 - a - ERROR - one"],
        ["2026-11-23 14:00:09,000 - a - ERROR - two"],
        0,
        2,
        "the command ended 0 s after its start; "
        "when run again after the run, its output did not go back to that time",
    ),
    "reaches back": (
        ["2026-11-23 14:00:01,000 - a - ERROR - one"],
        ["2026-11-23 14:00:01,000 - a - ERROR - one", "2026-11-23 14:00:09,000 - a - ERROR - two"],
        0,
        2,
        "",
    ),
    "goes on in the same second": (
        ["2026-11-23 14:00:00 - a - ERROR - nought", "2026-11-23 14:00:01 - a - ERROR - one"],
        [
            "2026-11-23 14:00:00 - a - ERROR - nought",
            *(["2026-11-23 14:00:01 - a - ERROR - two", "2026-11-23 14:00:01 - a - ERROR - one"] * 2),
        ],
        0,
        5,
        "",
    ),
    "follows again within the second": (
        ["2026-11-23 14:00:01 - a - ERROR - one"],
        ["2026-11-23 14:00:01 - a - ERROR - two"],
        0,
        2,
        "when run again after the run, its output did not go back to that time",
    ),
    "has no times": (["ERROR:    one"], ["ERROR:    one", "ERROR:    two"], 0, 2, ""),
    "fails": (
        ["2026-11-23 14:00:01,000 - a - ERROR - one"],
        ["You must be logged in"],
        3,
        1,
        "the command ended with status 3: You must be logged in",
    ),
}
"""What a command prints, and when it is run again; its status, the errors known then, and what is told."""


@pytest.mark.parametrize("name", COMMAND_OUTPUTS)
def test_a_command_that_ends_before_the_run(name: str, tmp_path: Path) -> None:
    """It is run again: what it then shows counts once, and what it does not show is told."""
    first, second, status, errors, told = COMMAND_OUTPUTS[name]
    for number, lines in enumerate((first, second)):
        (tmp_path / f"{number}").write_text("\n".join(lines) + "\n")
    script = tmp_path / "command.sh"
    script.write_text(f"cd {tmp_path}; if [ -e again ]; then cat 1; exit {status}; fi; touch again; cat 0")
    settings = LogSettings(paths=(), command=f"sh {script}", format="auto", rules=None, allowed_errors=0)
    watch = LogWatch(
        settings, tmp_path, "ab12cd34", lambda: Secrets([]), lambda error: pytest.fail(str(error))
    )
    with patch.object(log_watch, "SILENT_S", 0.5):
        watch.finish()
    kept = read_server_log(tmp_path)
    assert kept is not None
    assert kept.reading is not None
    assert len([one for one in kept.records if one.level == 40]) == errors
    problems = "; ".join(kept.reading.problems)
    assert told in problems
    assert bool(problems) is bool(told), problems


def test_a_command_that_fails_is_told_at_once(tmp_path: Path, caplog: Any) -> None:
    """One warning while the run goes on, one line in the verdict, nothing of its own words as a record."""
    script = tmp_path / "command.sh"
    script.write_text("echo 'Error: no such container: s3cret' >&2; exit 3")
    settings = LogSettings(paths=(), command=f"sh {script}", format="auto", rules=None, allowed_errors=0)
    watch = LogWatch(
        settings, tmp_path, "ab12cd34", lambda: Secrets(["s3cret"]), lambda error: pytest.fail(str(error))
    )
    for _ in range(100):
        if caplog.records:
            break
        gevent.sleep(0.1)
    (warning,) = [one.getMessage() for one in caplog.records]
    reason = "status 3: Error: no such container: ***"
    assert warning == f"server log: sh: the command ended with {reason}"
    with patch.object(log_watch, "SILENT_S", 0.5):
        watch.finish()
    assert len(caplog.records) == 1
    kept = read_server_log(tmp_path)
    assert kept is not None
    assert kept.reading is not None
    assert kept.records == []
    (problem,) = kept.reading.problems
    assert re.fullmatch(r"sh: the command failed \d+ s after its start, and again after the run, .*", problem)
    assert problem.endswith(f"with {reason}")


def test_a_log_names_sessions_by_ids_that_are_secrets(results: Path) -> None:
    """The load of this process hands them over as they are; no file of the run has them."""
    environment = environment_in(results, Runner())
    log = results / "server.log"
    log.write_text("")
    environment.user_classes[0].server_logs = str(log)  # type: ignore[attr-defined]  # of WebSocketUser
    listening(LocalLifecycle, environment)
    with patch.object(log_watch, "LOOK_EVERY_S", 3600.0), patch.object(log_watch, "SILENT_S", 0.1):
        environment.events.test_start.fire(environment=environment)
        event = LifecycleEvent(at_ns=1, event="connected", session="one-session", known_as="s3cr3t")
        recorded = interval(0, lifecycle=[event])
        (path,) = (found.parent for found in results.glob("*/*/run.json"))
        packed = pack(recorded, secrets=Load.secrets, run_id=read_manifest(path).run_id)
        Load.latest.told["deliver"](packed, recorded.lifecycle)
        log.write_text("ERROR:    s3cr3t broke\n")
        environment.events.test_stop.fire(environment=environment)
    kept = read_server_log(path)
    assert kept is not None
    known = read_known_sessions(path)
    assert [known.session_of(one.ids) for one in kept.records] == ["one-session"]
    assert not [file for file in path.iterdir() if b"s3cr3t" in file.read_bytes()]


def test_a_worker_without_run_information_says_so(results: Path) -> None:
    """The cause is a master with another version or another locustfile."""
    runner = Runner()
    environment = worker_of(results, runner)
    listening(WorkerLifecycle, environment)
    environment.events.test_start.fire(environment=environment)
    gevent.sleep(0)
    environment.events.test_stop.fire(environment=environment)
    (message,) = sent_by(runner)
    assert "no run information" in message["failed"]
    assert environment.process_exit_code == LoadtestError.exit_code


def test_a_failed_worker_does_not_claim_to_have_finished(results: Path) -> None:
    """It reports the reason without secrets, and no finished message."""
    runner = Runner()
    environment = worker_of(results, runner, RunInfo(run_id="now", workers=2))
    listening(WorkerLifecycle, environment)
    environment.events.test_start.fire(environment=environment)
    Load.latest.breaks = True
    environment.events.quitting.fire(environment=environment)
    gevent.sleep(0)
    assert sent_by(runner) == [{"run_id": "now", "failed": "ZeroDivisionError: *** defect"}]
    assert runner.calls == ["quit"]


def test_a_worker_says_that_a_mistake_is_the_users(results: Path) -> None:
    """The master ends the run for it, rather than going on without this worker."""
    runner = Runner()
    environment = worker_of(results, runner, RunInfo(run_id="now", workers=2))
    listening(WorkerLifecycle, environment)
    environment.events.test_start.fire(environment=environment)
    Load.latest.told["failed"](MISTAKE)
    gevent.sleep(0)
    assert sent_by(runner) == [{"run_id": "now", "failed": TOLD, "by_user": True}]
    assert environment.process_exit_code == UsageError.exit_code


@pytest.mark.parametrize(
    ("worker", "own", "closed", "said"),
    [
        ("host_1", "", False, ""),
        ("host_1_run-a", "", False, "another master started"),
        ("host_1_run-a", "a", True, ""),
        ("host_1_run-a", "a", False, ""),
        ("host_1_run-b", "a", False, "another master started"),
        ("host_1", "a", True, "only the workers that it started"),
        ("host_1", "a", False, ""),  # the address was given, so that others may join
    ],
)
def test_a_master_admits_those_that_belong_to_it(worker: str, own: str, closed: bool, said: str) -> None:
    """By the mark in the worker's id, whatever the address."""
    mine = OwnWorkers()
    mine.mark, mine.closed = own, closed
    why = admission.why_refused(worker, mine)
    assert (said in why) == bool(why) or not said
    assert bool(why) == bool(said)


@pytest.mark.parametrize("sent", [[b"w"], [b"w", b""], [b"w", b"x"], [b"w", b"\x92\x01\x02"]])
def test_a_message_that_cannot_be_read_is_passed_over(sent: list[bytes]) -> None:
    """Locust gets its own error for it, and so goes on receiving."""
    master: Any = object.__new__(admission.AdmittingMaster)
    master.greenlet, master.server = None, object.__new__(Server)
    master.server.socket = SimpleNamespace(recv_multipart=lambda: sent)
    listen = patch.object(MasterRunner, "client_listener", lambda self: self.server.recv_from_client())
    with listen, pytest.raises(RPCReceiveError):
        master.client_listener()
    sent[:] = [b"w", Message("stats", {}, "w").serialize()]
    assert master.server.recv_from_client()[1].type == "stats"


class Wire:
    """Test double for the socket of a master or a worker."""

    def __init__(self) -> None:
        self.sent: list[Any] = []

    def send_to_client(self, message: Any) -> None:
        """Record a message."""
        self.sent.append(message)


def test_a_worker_that_is_late_for_rows_is_refused() -> None:
    """While a run with --ws-data is under way, and told once; one that has been there is not."""
    master: Any = object.__new__(admission.AdmittingMaster)
    master.greenlet, master._told, master.server = None, set(), Wire()
    master.worker_indexes, master.closed_because = {"host_1": 0}, "a run with --ws-data is under way"
    with patch.object(MasterRunner, "handle_message") as handled:
        for worker in ("host_1", "host_2", "host_2"):
            master.handle_message(worker, SimpleNamespace(type="client_ready", data="2"))
        assert [call.args[0] for call in handled.call_args_list] == ["host_1"]
        master.closed_because = ""
        master.handle_message("host_2", SimpleNamespace(type="client_ready", data="2"))
        assert handled.call_count == 2
    assert {(one.type, one.data, one.node_id) for one in master.server.sent} == {
        (admission.REFUSED, "a run with --ws-data is under way", "host_2")
    }


def test_a_master_is_closed_while_a_run_has_rows(results: Path, three_rows: str) -> None:
    """From its start to its end; other runs can be joined."""
    for options, closed in (({"ws_data": three_rows, "ws_sessions": "1"}, True), ({}, False)):
        runner: Any = Runner()
        environment = environment_in(results, runner, **options)
        listening(MasterLifecycle, environment)
        environment.events.test_start.fire(environment=environment)
        assert bool(getattr(runner, "closed_because", "")) == closed
        environment.events.test_stop.fire(environment=environment)
        assert runner.closed_because == ""


@pytest.mark.parametrize("run", ["another", None])
def test_a_worker_leaves_a_master_that_is_not_its_own(run: str | None, capsys: Any) -> None:
    """Its acknowledgement has another mark, or none; with its own mark the worker stays."""
    worker: Any = object.__new__(admission.AdmittedWorker)
    worker.greenlet, worker.connection_event = None, Event()
    worker.master_host, worker.master_port = "127.0.0.1", 5557
    mine = OwnWorkers()
    mine.mark = "mine"
    with (
        patch.object(admission, "OWN", mine),
        patch.object(WorkerRunner, "handle_message") as handled,
    ):
        worker.client_id = "host_1"
        assert admission.mark_of(worker.client_id) == "mine"
        worker.handle_message(SimpleNamespace(type="ack", data={"index": 0, "run": "mine"}))
        assert handled.call_count == 1
        worker.handle_message(SimpleNamespace(type="ack", data={"index": 0, "run": run}))
        assert handled.call_count == 1
    with patch.object(WorkerRunner, "connect_to_master"), pytest.raises(SystemExit) as exit_:
        worker.connect_to_master()
    assert exit_.value.code == 2
    assert "the master at 127.0.0.1:5557 did not start this worker" in capsys.readouterr().err


PARSED = {
    "processes": None,
    "worker": False,
    "master": False,
    "master_bind_host": None,
    "master_bind_port": None,
    "master_host": "127.0.0.1",
    "master_port": 5557,
}


@pytest.mark.parametrize(
    ("given", "listens", "found"),
    [
        ({"master": True}, ("127.0.0.1", 5557), None),
        ({"master": True, "master_bind_host": "*"}, ("*", 5557), None),
        ({"master": True, "master_bind_port": 6000}, ("127.0.0.1", 6000), None),
        ({"processes": 2}, ("127.0.0.1", None), ("127.0.0.1", None)),
        ({"processes": -1}, ("127.0.0.1", None), ("127.0.0.1", None)),
        ({"processes": 2, "master_bind_host": "*"}, ("*", 5557), ("127.0.0.1", 5557)),
        ({"processes": 2, "master_bind_host": "10.0.0.1"}, ("10.0.0.1", 5557), ("10.0.0.1", 5557)),
        ({"processes": 2, "master_bind_port": 6000}, ("127.0.0.1", 6000), ("127.0.0.1", 6000)),
        ({"processes": 2, "worker": True, "master_host": "far", "master_port": 1}, None, ("far", 1)),
    ],
)
def test_where_a_master_listens(given: dict[str, Any], listens: Any, found: Any) -> None:
    """On loopback unless told otherwise, on a free port if it forks its workers, who find it there."""
    mine = OwnWorkers()
    with patch("os.register_at_fork"):
        options = mine.complete(argparse.Namespace(**{**PARSED, **given}))
        again = mine.complete(argparse.Namespace(**{**PARSED, **given}))
    free = bool(given.get("processes")) and len(given) == 1
    assert mine.closed == free
    assert bool(mine.mark) == ("processes" in given and "worker" not in given)
    assert again.master_bind_port == options.master_bind_port
    if listens is not None:
        assert (options.master_bind_host, None if free else options.master_bind_port) == listens
    if found is not None:
        assert (options.master_host, None if free else options.master_port) == found
    if free:
        assert options.master_bind_port == options.master_port not in (0, 5557)
        with socket.socket() as other, pytest.raises(OSError, match="in use"):
            other.bind(("127.0.0.1", options.master_port))
        with socket.socket() as master:
            master.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            master.bind(("127.0.0.1", options.master_port))
            master.listen()
    mine.forked_all()


def test_a_workers_sessions_without_rows_are_left_out() -> None:
    """A worker that takes over from a lost one goes on without; in a local run the engine refuses them."""
    one: Any = object.__new__(load.Load)
    one.place = load.ALONE
    one._finished, one._running, one._told_of_rows = False, {}, False
    rows = SimpleNamespace(engine=SimpleNamespace(config=SimpleNamespace(data=[{}] * 4)), sessions=2)
    one._settings, one._info = rows, RunInfo(run_id="run", workers=2)
    one._engine = SimpleNamespace(failure=None, call=lambda *_: None, add=None)
    one._worker, one._users = 1, iter(range(3))
    assert [one.start_user() for _ in range(3)] == [[2, 3], (), ()]
    one._worker, one._users, one._info = None, iter(range(9)), RunInfo(run_id="run", workers=1)
    assert [len(one.start_user()) for _ in range(4)] == [2, 2, 2, 2]


def test_a_verdict_survives_the_greenlet_that_asked_for_it(results: Path) -> None:
    """Locust kills its greenlets when it quits, also the one that is ending the run."""
    environment = environment_in(results, Runner())
    local = listening(LocalLifecycle, environment)
    environment.events.test_start.fire(environment=environment)
    begun, finish = Event(), Recording.finish

    def slow_finish(*arguments: Any, **options: Any) -> Any:
        begun.set()
        gevent.sleep(0.05)
        return finish(*arguments, **options)

    with patch.object(Recording, "finish", slow_finish):
        ending = gevent.spawn(environment.events.test_stop.fire, environment=environment)
        begun.wait(10)
        ending.kill()
        assert local.concluding
        environment.events.quitting.fire(environment=environment)
    assert local.judged is not None
    assert local.ending


SITES = {
    "intervals": "loadtest.results.writer.RunWriter._write",
    "manifest": "loadtest.results.directory.write_json",
    "verdict": "loadtest.runs.publish.write_verdict",
    "server log": "loadtest.results.log_file.LogWriter._write",
}


@pytest.mark.parametrize("site", SITES)
def test_a_full_disk_ends_in_a_verdict(results: Path, site: str, caplog: Any) -> None:
    """Wherever it shows, in mid-run or at the end: one line, a verdict, and the tool's own exit code."""
    log = results / "server.log"
    log.write_text("")
    runner = Runner()
    environment = environment_in(results, runner)
    environment.user_classes[0].server_logs = str(log)  # type: ignore[attr-defined]  # of WebSocketUser
    local = listening(LocalLifecycle, environment)
    full = ResultsUnwritable(results / "v1", "No space left on device")
    with patch.object(log_watch, "LOOK_EVERY_S", 3600.0), patch.object(log_watch, "SILENT_S", 0.1):
        environment.events.test_start.fire(environment=environment)
        Load.latest.told["deliver"](pack(interval(0)))
        with patch(SITES[site], side_effect=full):
            if site == "intervals":
                Load.latest.told["deliver"](pack(interval(1)))
            log.write_text("ERROR:    broke\n")
            environment.events.test_stop.fire(environment=environment)
    assert local.judged is not None
    assert environment.process_exit_code == LoadtestError.exit_code
    said = [one.getMessage() for one in caplog.records if one.levelname == "CRITICAL"]
    assert len(said) == 1
    assert "no longer write results: No space left on device" in said[0]
    manifest = local.judged.run.manifest
    assert manifest.complete or "No space left on device" in (manifest.failure or "")
    assert (local.judged.path / "intervals.jsonl").read_bytes().count(b"\n") >= 1


def test_a_signal_before_a_headless_run_needs_no_verdict(results: Path) -> None:
    """The process can exit with the signal's code; in a run, or with the web UI, Locust shuts down."""
    for is_headless, exits in ((True, True), (False, False)):
        environment = environment_in(results, Runner())
        local = listening(LocalLifecycle, environment)
        options: Any = environment.parsed_options
        options.headless = is_headless
        assert local.interrupted(143) is not exits
        assert environment.process_exit_code == (143 if exits else None)
        environment.events.test_start.fire(environment=environment)
        assert local.interrupted(143)
        environment.events.test_stop.fire(environment=environment)
        assert local.ending is is_headless


def test_a_headless_process_that_judged_nothing_fails(results: Path, caplog: Any) -> None:
    """Where the run did not begin within --run-time; with the web UI, nobody may have wanted a run."""
    for is_headless, code in ((True, LoadtestError.exit_code), (False, None)):
        environment = environment_in(results, Runner(), headless=is_headless, run_time=2)
        LocalLifecycle(environment, environment.user_classes).listen()
        environment.events.quitting.fire(environment=environment)
        assert environment.process_exit_code == code
    said = [one.getMessage() for one in caplog.records if one.levelname == "CRITICAL"]
    assert said == ["the run did not start before --run-time was over: nothing was judged"]


def test_a_verdict_is_enough_for_an_exit_code(results: Path, caplog: Any) -> None:
    """A headless process that has judged its run keeps the verdict's exit code when it quits."""
    environment = environment_in(results, Runner(), headless=True, run_time=2)
    local = LocalLifecycle(environment, environment.user_classes)
    local.listen()
    environment.events.test_start.fire(environment=environment)
    environment.events.quitting.fire(environment=environment)
    assert local.judged is not None
    assert environment.process_exit_code == local.judged.verdict.exit_code
    assert "nothing was judged" not in caplog.text


def test_an_error_in_a_runs_end_fails_the_process(results: Path, caplog: Any) -> None:
    """Whatever the tool's own error is, with a mistake before it or not; the reference server is stopped."""
    for before in (None, MISTAKE):
        caplog.clear()
        environment = environment_in(results, Runner())
        local = listening(LocalLifecycle, environment)
        environment.events.test_start.fire(environment=environment)
        if before is not None:
            Load.latest.told["failed"](before)
        with (
            patch.object(Recording, "finish", side_effect=ZeroDivisionError("s3cr3t end")),
            patch.object(local._server, "stop") as stopped,
        ):
            environment.events.test_stop.fire(environment=environment)
        assert environment.process_exit_code == LoadtestError.exit_code
        assert "Load generator failed: ZeroDivisionError: *** end" in caplog.text
        stopped.assert_called_once()


def test_a_load_that_cannot_finish_is_judged(results: Path) -> None:
    """What was recorded until then counts, and the run's record says what failed."""
    environment = environment_in(results, Runner())
    local = listening(LocalLifecycle, environment)
    environment.events.test_start.fire(environment=environment)
    with patch.object(Load, "finish", side_effect=ZeroDivisionError("s3cr3t end")):
        environment.events.test_stop.fire(environment=environment)
    assert local.judged is not None
    assert environment.process_exit_code == LoadtestError.exit_code
    (run,) = runs_in(results)
    assert (run["complete"], run["failure"]) == (False, "ZeroDivisionError: *** end")


def test_a_defect_where_a_run_begins_fails_it(results: Path, caplog: Any) -> None:
    """Locust would log it and go on with users that have no sessions."""
    runner = Runner()
    environment = environment_in(results, runner, headless=True)
    LocalLifecycle(environment, environment.user_classes).listen()
    with patch.object(recording_lifecycle, "RunWriter", side_effect=ZeroDivisionError("defect")):
        environment.events.test_start.fire(environment=environment)
    assert environment.process_exit_code == LoadtestError.exit_code
    assert "Load generator failed: ZeroDivisionError: defect" in caplog.text
    gevent.sleep(2 * lifecycle._GIVE_UP_S)
    assert "quit" in runner.calls


def _otel_views() -> LiveViews:
    """Return the live views of a headless run with `--otel`."""
    configuration: Any = SimpleNamespace(prometheus_port=None, options=SimpleNamespace(otel=True))
    return LiveViews(Environment(), configuration, lambda: Secrets())


def test_a_broken_import_of_ours_is_seen() -> None:
    """It would leave the exporter without a series, and nobody would know why."""
    broken = ImportError("cannot import name 'Meter'")
    with (
        patch("loadtest.metrics.otel_instruments.observe", side_effect=broken),
        pytest.raises(ImportError, match="Meter"),
    ):
        _otel_views().start()


def test_without_opentelemetry_the_run_goes_on() -> None:
    """Locust has said that it is not installed."""
    missing = {name: None for name in sys.modules if name.partition(".")[0] == "opentelemetry"}
    with patch.dict(sys.modules, {**missing, "opentelemetry": None}):
        sys.modules.pop("loadtest.metrics.otel_instruments", None)
        _otel_views().start()
