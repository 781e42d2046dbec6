"""Run directories written as the run goes: each append is on disk, and nothing secret is."""

from __future__ import annotations

import os
from pathlib import Path
from unittest.mock import Mock

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadtest.errors import ResultsUnwritable
from loadtest.results import directory
from loadtest.results.directory import EVENTS, HISTOGRAMS, INTERVALS
from loadtest.results.environment import beginning
from loadtest.results.interval import pack
from loadtest.results.manifest import DrillRun, Manifest
from loadtest.results.reader import read_run
from loadtest.results.writer import RunWriter
from loadtest.runs.verdict_file import write_verdict
from loadtest.scrubber import Secrets
from loadtest.session.recorder import Lifecycle
from loadtest.verdict.run import judge
from tests.support.effort import effort
from tests.support.runs import gathered, interval, manifest, plan, tally
from tests.support.stories import ENDED_AT, assert_same, story, written

SECRET = "eyJhbGciOiJIUzI1NiJ9.secret"


def test_events_are_lines_of_the_design(tmp_path: Path) -> None:
    """Fields that do not apply are left out."""
    first = (written(tmp_path) / EVENTS).read_text().splitlines()[1]
    assert msgspec.json.decode(first) == {
        "at_ns": 0,
        "event": "dropped",
        "session": "s-1",
        "kind": "fin",
        "ordinal": 0,
    }


def test_a_run_can_be_read_while_it_is_written(tmp_path: Path) -> None:
    """Each append is on disk when it returns, and run.json says that the run is not complete."""
    with RunWriter(tmp_path, manifest()) as writer:
        assert not read_run(writer.path).manifest.complete
        for number, one in enumerate(story(), start=1):
            writer.append(pack(one))
            assert read_run(writer.path).count("messaging.sent") == 3 * number
        assert_same(read_run(writer.path), gathered(story()))


def test_that_all_asked_for_the_same_id_is_known_at_once(tmp_path: Path) -> None:
    """A run that is killed later still has it, and so has one that ends."""
    with RunWriter(tmp_path, manifest()) as writer:
        assert not read_run(writer.path).manifest.same_id_asked
        writer.same_id_asked()
        assert read_run(writer.path).manifest.same_id_asked
        writer.finish(ENDED_AT)
    assert read_run(writer.path).manifest.same_id_asked


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="there is no full device to write to")
def test_a_full_disk_is_told(tmp_path: Path) -> None:
    """What cannot be written in the middle of a run is an error of one line."""
    with RunWriter(tmp_path, manifest()) as writer, open("/dev/full", "wb") as full:
        os.dup2(full.fileno(), writer._events.fileno())
        with pytest.raises(ResultsUnwritable, match="No space left"):
            writer.append(pack(story()[0]))


def test_no_file_holds_a_secret(tmp_path: Path) -> None:
    """The token is in no file of a run, though target, path and server's words held it."""
    of = Manifest(
        **beginning(),
        revision="v1",
        target=f"wss://u:{SECRET}@h/?t={SECRET}",
        plan=plan(path=f"/ws?token={SECRET}"),
    )
    event = Lifecycle(at_ns=1, event="failed", session="s", cause="http_401", detail=f"bad {SECRET}")
    error = msgspec.structs.replace(tally("connect", "upgrade: http_401"), example=f"GET /ws?token={SECRET}")
    with RunWriter(tmp_path, of) as writer:
        writer.append(pack(interval(0, lifecycle=[event], errors=[error]), secrets=Secrets([SECRET])))
        writer.finish(ENDED_AT)
    write_verdict(writer.path, judge(read_run(writer.path)))
    for file in writer.path.iterdir():
        assert SECRET not in file.read_text(), file.name


def test_a_run_that_failed_keeps_what_was_delivered(tmp_path: Path) -> None:
    """Seconds that still wait for a worker are written all the same, and the reason stands in run.json."""
    writer = RunWriter(tmp_path, manifest(complete=False))
    for worker in (0, 1):
        writer.append(pack(interval(0, samples_us={"service": [5]}), worker))
    writer.fail("OSError: full", {2})
    found = read_run(writer.path)
    assert sum(second.samples for second in found.seconds["service"]) == 2
    assert found.manifest.failure == "OSError: full"
    assert found.manifest.complete is False
    assert found.manifest.missing_workers == [2]
    assert len(found.manifest.workers) == 2


def test_what_cannot_be_written_at_the_end_keeps_nothing_else_from_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first error is raised, all deleted files are tried, and all are closed."""
    tried = []

    def restore(path: Path, _file: object) -> None:
        tried.append(path.name)
        if len(tried) < 3:
            raise ResultsUnwritable(path, f"no room for file {len(tried)}")

    monkeypatch.setattr(directory, "restore", restore)
    for first, problem in ((None, "no room for file 1"), ("the disk is full", "the disk is full")):
        tried.clear()
        writer = RunWriter(tmp_path / problem, manifest())
        files = list(writer._files)
        if first is not None:
            writer.append(pack(interval(0, samples_us={"service": [5]}), 0))
            monkeypatch.setattr(writer, "_write", Mock(side_effect=ResultsUnwritable(tmp_path, first)))
        with pytest.raises(ResultsUnwritable, match=problem):
            writer.finish(ENDED_AT)
        assert sorted(tried) == sorted([HISTOGRAMS, EVENTS, INTERVALS])
        assert all(file.closed for file in files)


@effort(15)
@given(st.permutations([(second, worker) for second in range(5) for worker in range(3)]))
def test_workers_in_any_order_add_up_to_one_process(
    tmp_path_factory: pytest.TempPathFactory, order: list[tuple[int, int]]
) -> None:
    """However late and mixed the intervals come, the files hold exactly what a single process would have."""
    intervals = story(5)
    with RunWriter(tmp_path_factory.mktemp("results"), manifest()) as writer:
        for second, worker in order:
            writer.append(pack(intervals[second], worker))
        writer.finish(ENDED_AT)
    found, one = read_run(writer.path), gathered(intervals * 3)
    assert found.counts == one.counts
    assert found.seconds == one.seconds
    assert found.percentiles_us("outage") == one.percentiles_us("outage")


def test_drills_are_on_disk_as_soon_as_they_are_known(tmp_path: Path) -> None:
    """A run that is killed while a command runs has it in run.json; the end of the run keeps it."""
    drill = DrillRun(at_s=2.0, command="deploy", started_s=2.001)
    with RunWriter(tmp_path, manifest()) as writer:
        writer.drills((drill,))
        killed = read_run(writer.path).manifest
        assert (killed.drills, killed.complete) == ((drill,), False)
        ended = msgspec.structs.replace(drill, ended_s=5.5, exit_status=0)
        writer.drills((ended,))
        writer.finish(ENDED_AT)
    assert read_run(writer.path).manifest.drills == (ended,)
