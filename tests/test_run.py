"""Run directories: written as the run goes, read back whatever happened to them, listed and chosen from."""

from __future__ import annotations

import base64
import contextlib
import os
import re
import signal
import struct
import subprocess
import sys
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hdrh.log import HistogramLogReader
from hypothesis import example, given, settings
from hypothesis import strategies as st

from loadtest import latency
from loadtest.errors import ResultsUnwritable, RunUnreadable
from loadtest.evidence import Evidence, Manifest, WorkerShare, pack
from loadtest.recorder import Interval, Lifecycle
from loadtest.run import (
    RunWriter,
    check_writable,
    find_runs,
    new_manifest,
    read_manifest,
    read_run,
    read_verdict,
    write_verdict,
)
from loadtest.run.directory import EVENTS, HISTOGRAMS, INTERVALS, MANIFEST, VERDICT, folder_name
from loadtest.run.reader import FILE_LIMIT, LINE_LIMIT
from loadtest.run.writer import HORIZON_S
from loadtest.schedule import NS_PER_S
from loadtest.verdict import judge
from tests.support.runs import SOUND_GAUGES, gathered, interval, manifest, plan, tally

ENDED_AT = "2026-11-23T14:24:35Z"
SECRET = "eyJhbGciOiJIUzI1NiJ9.secret"


def lived(second: int, event: str, **fields: Any) -> Lifecycle:
    """Return a lifecycle event of the one session."""
    return Lifecycle(at_ns=second * NS_PER_S, event=event, session="s-1", **fields)


def story(seconds: int = 8) -> list[Interval]:
    """Return what one process records in a short run."""
    return [
        interval(
            second,
            samples_us={"service": [200 + second, 300, 70_000], "outage": [1_000_000] if second == 6 else []},
            counts={"messaging.sent": 3, "messaging.answered": 3},
            gauges=SOUND_GAUGES,
            errors=[tally("connect", "tcp: refused", at_s=second)],
            lifecycle=[
                lived(second, "attempt", attempt=1),
                lived(second, "dropped", kind="fin", ordinal=second),
                lived(second, "resumed", outage_ns=4_000_000),
            ],
        )
        for second in range(seconds)
    ]


def written(results: Path, of: Manifest | None = None, *, finished: bool = True) -> Path:
    """Write a short run and return its directory."""
    with RunWriter(results, of or manifest()) as writer:
        for one in story():
            writer.append(pack(one))
        if finished:
            writer.finish(ENDED_AT)
    return writer.path


def assert_same(one: Evidence, other: Evidence) -> None:
    """Assert that two runs' evidence is alike in all but the manifest."""
    assert one.counts == other.counts
    assert [msgspec.to_builtins(error) for error in one.errors] == [
        msgspec.to_builtins(error) for error in other.errors
    ]
    assert one.histograms.keys() == other.histograms.keys()
    for tag, histogram in one.histograms.items():
        assert latency.buckets(histogram) == latency.buckets(other.histograms[tag])
    assert one.seconds == other.seconds
    assert one.attempts_per_s == other.attempts_per_s
    assert one.outages == other.outages
    assert one.length_s == other.length_s
    assert gauges(one) == gauges(other)


def gauges(evidence: Evidence) -> dict[tuple[str, int | None], list[float]]:
    """Return a run's gauges in a form that can be compared."""
    return {
        (name, worker): [*series.at_s, *series.values]
        for name, by_worker in evidence.gauges.items()
        for worker, series in by_worker.items()
    }


# Writing.


def test_a_run_is_read_as_it_was_recorded(tmp_path: Path) -> None:
    """What comes out of the files is what the process recorded."""
    found = read_run(written(tmp_path))
    assert_same(found, gathered(story()))
    assert found.warnings == ()
    assert found.manifest.complete
    assert found.manifest.ended_at == ENDED_AT
    assert found.manifest.workers == [WorkerShare(worker=None, intervals=8, sent=24, answered=24)]


def test_the_directory_is_named_by_revision_start_and_id(tmp_path: Path) -> None:
    """results/<revision>/<UTC start>-<run id>."""
    path = written(tmp_path, manifest(revision="v1.0"))
    assert path == tmp_path / "v1.0" / "20261123T142335Z-0a1b2c3d"
    assert sorted(file.name for file in path.iterdir()) == sorted([EVENTS, HISTOGRAMS, INTERVALS, MANIFEST])


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


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="there is no SIGKILL to die of")
def test_a_killed_run_loses_nothing_that_was_appended(tmp_path: Path) -> None:
    """SIGKILL right after an append leaves a run that is read and judged, as not complete."""
    script = (
        "import os, signal, sys\n"
        "from pathlib import Path\n"
        "from tests.test_run import RunWriter, manifest, pack, story\n"
        "writer = RunWriter(Path(sys.argv[1]), manifest())\n"
        "for one in story():\n"
        "    writer.append(pack(one))\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    root = Path(__file__).parent.parent
    ended = subprocess.run([sys.executable, "-c", script, tmp_path], cwd=root, check=False)
    assert ended.returncode == -signal.SIGKILL
    found = read_run(find_runs(tmp_path).runs[0].path)
    assert not found.manifest.complete
    assert_same(found, gathered(story()))
    assert any("not ended in good order" in note for note in judge(found).notes)


def test_results_that_cannot_be_written_are_refused_early(tmp_path: Path) -> None:
    """A file in the folder's place is told with what to do, before a run begins."""
    in_the_way = tmp_path / "results"
    in_the_way.write_text("")
    with pytest.raises(ResultsUnwritable, match="--ws-results"):
        check_writable(in_the_way)
    with pytest.raises(ResultsUnwritable):
        RunWriter(in_the_way, manifest())
    check_writable(tmp_path / "new" / "results")
    assert list((tmp_path / "new" / "results").iterdir()) == []


def test_two_runs_never_share_a_directory(tmp_path: Path) -> None:
    """A directory that is there already is somebody's run."""
    written(tmp_path)
    with pytest.raises(ResultsUnwritable, match="exists"):
        written(tmp_path)


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="there is no full device to write to")
def test_a_full_disk_is_told(tmp_path: Path) -> None:
    """What cannot be written in the middle of a run is an error of one line."""
    with RunWriter(tmp_path, manifest()) as writer, open("/dev/full", "wb") as full:
        os.dup2(full.fileno(), writer._events.fileno())
        with pytest.raises(ResultsUnwritable, match="No space left"):
            writer.append(pack(story()[0]))


def test_no_file_holds_a_secret(tmp_path: Path) -> None:
    """The token is in no file of a run, though target, path and server's words held it."""
    of = new_manifest(
        revision="v1", target=f"wss://u:{SECRET}@h/?t={SECRET}", plan=plan(path=f"/ws?token={SECRET}")
    )
    event = Lifecycle(at_ns=1, event="failed", session="s", cause="http_401", detail=f"bad {SECRET}")
    error = msgspec.structs.replace(tally("connect", "upgrade: http_401"), example=f"GET /ws?token={SECRET}")
    with RunWriter(tmp_path, of) as writer:
        writer.append(pack(interval(0, lifecycle=[event], errors=[error]), secrets=[SECRET]))
        writer.finish(ENDED_AT)
    write_verdict(writer.path, judge(read_run(writer.path)))
    for file in writer.path.iterdir():
        assert SECRET not in file.read_text(), file.name


def test_a_new_manifest_tells_host_and_versions() -> None:
    """What a reader needs to repeat the run."""
    made = new_manifest(
        revision="v1", target="ws://h", plan=plan(), started_unix_ns=1_795_443_815_000_000_000
    )
    assert made.started_at == "2026-11-23T14:23:35Z"
    assert {"python", "loadtest", "websockets", "hdrhistogram"} <= made.versions.keys()
    assert made.host.cpus >= 1
    assert made.host.memory_mb > 0
    assert not made.complete
    assert made.run_id != new_manifest(revision="v1", target="ws://h", plan=plan()).run_id


@settings(deadline=None)
@given(st.text(max_size=200))
@example("feature/über cool & <b>")
@example("../../etc")
@example("baselines")
@example("duels")
@example("Baselines")
@example("..")
@example("")
def test_any_revision_makes_a_harmless_folder(revision: str) -> None:
    """One folder, of harmless characters, never hidden, never that of the pinned runs."""
    name = folder_name(revision)
    assert re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,80}", name)
    assert name.lower() not in ("baselines", "duels")


def test_the_revision_itself_is_in_the_manifest(tmp_path: Path) -> None:
    """The folder's name is only a likeness."""
    revision = "feature/über cool"
    path = written(tmp_path, manifest(revision=revision))
    assert path.parent.name == "feature-ber-cool"
    assert read_manifest(path).revision == revision


# Several workers.


def hlog_entries(path: Path) -> list[tuple[str, float]]:
    """Return tag and start of each line of a run's interval log."""
    lines = (path / HISTOGRAMS).read_text().splitlines()
    return [
        (match[1], float(match[2])) for line in lines if (match := re.match(r"Tag=([^,]+),([\d.]+),", line))
    ]


def test_seconds_of_several_workers_become_one_line(tmp_path: Path) -> None:
    """Readers see the same log as if one process had seen it all."""
    with RunWriter(tmp_path, manifest()) as writer:
        for one in story(4):
            for worker in range(3):
                writer.append(pack(one, worker))
        writer.finish(ENDED_AT)
    assert hlog_entries(writer.path) == [("service", float(second)) for second in range(4)]
    found = read_run(writer.path)
    assert found.count("messaging.sent") == 3 * 3 * 4
    assert [row.samples for row in found.seconds["service"]] == [9] * 4
    assert [share.worker for share in found.manifest.workers] == [0, 1, 2]
    assert found.gauges["cpu_ratio"].keys() == {0, 1, 2}


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


def test_a_second_waits_for_the_slowest_worker(tmp_path: Path) -> None:
    """It is written when all have delivered it, and one that died is not waited for for long."""
    with RunWriter(tmp_path, manifest()) as writer:
        for one in story(2):
            writer.append(pack(one, 1))
            writer.append(pack(one, 2))
        assert hlog_entries(writer.path) == [("service", 0.0)]  # the newest second is always held
        for one in story(HORIZON_S + 3)[2:]:
            writer.append(pack(one, 1))
        assert hlog_entries(writer.path) == [("service", 0.0), ("service", 1.0)]
        writer.append(pack(interval(HORIZON_S + 3, samples_us={"service": [5]}), 1))
        assert hlog_entries(writer.path)[-1] == ("service", 2.0)
        writer.finish(ENDED_AT)
    samples = [row.samples for row in read_run(writer.path).seconds["service"]]
    assert samples == [6, 6, *[3] * (HORIZON_S + 1), 1]


def test_a_late_worker_is_a_line_of_its_own(tmp_path: Path) -> None:
    """What comes after its second was written is never lost; readers add it up."""
    with RunWriter(tmp_path, manifest()) as writer:
        for one in story(4):
            writer.append(pack(one, 1))
        writer.append(pack(story(1)[0], 2))
        writer.finish(ENDED_AT)
    assert hlog_entries(writer.path).count(("service", 0.0)) == 2
    found = read_run(writer.path)
    assert [row.samples for row in found.seconds["service"]] == [6, 3, 3, 3]
    assert found.count("messaging.sent") == 3 * 5


@settings(max_examples=15, deadline=None)
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


# The interval log, read by others.


def test_the_interval_log_is_read_by_the_librarys_reader(tmp_path: Path) -> None:
    """Tags, times and every sample, by hdrhistogram's own HistogramLogReader."""
    path = written(tmp_path)
    reader = HistogramLogReader(str(path / HISTOGRAMS), latency.new_histogram())
    try:
        entries = list(iter(reader.get_next_interval_histogram, None))
    finally:
        reader.close()
    assert reader.get_start_time_sec() == 1_795_443_815.0
    assert [entry.get_tag() for entry in entries].count("service") == 8
    assert entries[1].get_start_time_stamp() == (1_795_443_815 + 1) * 1000.0
    assert entries[1].get_end_time_stamp() == (1_795_443_815 + 2) * 1000.0
    whole = latency.merged(entry for entry in entries if entry.get_tag() == "service")
    assert whole.get_total_count() == 24
    assert whole.get_count_at_value(300) == 8


def independently_read(path: Path) -> Iterator[tuple[str, float, float, float, dict[int, int]]]:
    """Yield (tag, start, length, maximum, {index: count}) as the format's description says."""
    for line in path.read_text().splitlines():
        if line.startswith(("#", '"')):
            continue
        tag, start, length, largest, text = line.removeprefix("Tag=").split(",")
        payload = zlib.decompress(base64.b64decode(text)[8:])
        length_bytes, digits, lowest, highest = struct.unpack(">4xI4xIQQ8x", payload[:40])
        assert (digits, lowest, highest) == (3, 1, 3_600_000_000)
        assert length_bytes == len(payload) - 40
        yield tag, float(start), float(length), float(largest), dict(_counts(payload[40:]))


def _counts(data: bytes) -> Iterator[tuple[int, int]]:
    """Yield (index, count) from ZigZag LEB128 numbers, of which a negative one skips so many counts."""
    index, position = 0, 0
    while position < len(data):
        number = shift = 0
        while True:
            byte = data[position]
            position += 1
            number |= (byte & 0x7F) << shift
            shift += 7
            if not byte & 0x80:
                break
        value = (number >> 1) ^ -(number & 1)
        if value < 0:
            index -= value
        else:
            yield index, value
            index += 1


def test_the_interval_log_is_what_the_formats_description_says(tmp_path: Path) -> None:
    """Read without a library: below 2048 µs an index is its value, then each octave has 1024 buckets."""
    lines = [line for line in independently_read(written(tmp_path) / HISTOGRAMS) if line[0] == "service"]
    assert [line[1:3] for line in lines] == [(float(second), 1.0) for second in range(8)]
    # 70,000 µs lie in the octave from 65,536: six octaves above the 1024 half-counts, 64 µs to a bucket.
    above = 1024 * 6 + 70_000 // 64
    for second, (_, _, _, largest_ms, counts) in enumerate(lines):
        assert counts == {200 + second: 1, 300: 1, above: 1}
        assert largest_ms == pytest.approx(70, rel=0.001)


def test_empty_histograms_are_not_written(tmp_path: Path) -> None:
    """A silent second has no line; a run of silence is read all the same."""
    with RunWriter(tmp_path, manifest()) as writer:
        for second in range(3):
            writer.append(pack(interval(second)))
        writer.finish(ENDED_AT)
    assert hlog_entries(writer.path) == []
    found = read_run(writer.path)
    assert found.length_s == 3
    assert found.percentiles_us("service") == {}


# Reading what is damaged.


@pytest.mark.parametrize("name", [EVENTS, INTERVALS, HISTOGRAMS])
def test_a_last_line_without_its_end_is_a_warning(tmp_path: Path, name: str) -> None:
    """That is what a killed run leaves."""
    file = written(tmp_path, finished=False) / name
    file.write_bytes(file.read_bytes()[:-20])
    found = read_run(file.parent)
    assert list(found.warnings) == [f"{name}: the last line is cut short and was left out"]
    assert found.warnings[0] in judge(found).notes


@pytest.mark.parametrize(
    ("name", "line"),
    [
        (EVENTS, b"{}"),
        (EVENTS, b"not json"),
        (EVENTS, b'{"at_ns": "1", "event": "lost", "session": "s"}'),
        (INTERVALS, b'{"start_ns": -1, "stop_ns": 0}'),
        (INTERVALS, b'{"start_ns": 5, "stop_ns": 1}'),
        (INTERVALS, b'{"start_ns": 0, "stop_ns": 4611686018427387904}'),
        (INTERVALS, b'{"start_ns": 0, "stop_ns": 1, "counts": {"a": 1.5}}'),
        (INTERVALS, b'{"start_ns": 0, "stop_ns": 1, "gauges": {"a": NaN}}'),
        (INTERVALS, b"[" * 100_000),
        (HISTOGRAMS, b"Tag=service,0.000,1.000,1.000,HISTFAAAA"),
        (HISTOGRAMS, b"1.000,1.000,HISTFAAAA"),
        (HISTOGRAMS, b"Tag=service,nan,1.000,1.000,AAAA"),
        (HISTOGRAMS, b"\xff\xfe"),
        (EVENTS, b" " * (LINE_LIMIT + 1)),
    ],
)
def test_a_damaged_line_is_told_with_file_and_line(tmp_path: Path, name: str, line: bytes) -> None:
    """Of a line in the middle, the error says where it is."""
    file = written(tmp_path) / name
    lines = file.read_bytes().splitlines(keepends=True)
    file.write_bytes(b"".join([*lines[:6], line + b"\n", *lines[6:]]))
    with pytest.raises(RunUnreadable, match=rf"{name}: line 7: "):
        read_run(file.parent)


@pytest.mark.parametrize("name", [MANIFEST, EVENTS, INTERVALS, HISTOGRAMS])
def test_a_missing_file_is_told(tmp_path: Path, name: str) -> None:
    """A run without one of its files is not read as one where nothing happened."""
    path = written(tmp_path)
    (path / name).unlink()
    with pytest.raises(RunUnreadable, match="No such file"):
        read_run(path)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "cannot be read"),
        ("[]", "cannot be read"),
        ('{"schema": 2}', "its schema is 2, this version reads 1"),
        (" " * (FILE_LIMIT + 1), "bytes"),
    ],
)
def test_a_manifest_of_another_kind_is_told(tmp_path: Path, text: str, problem: str) -> None:
    """Empty, of another schema, or far too large."""
    path = written(tmp_path)
    (path / MANIFEST).write_text(text)
    with pytest.raises(RunUnreadable, match=problem):
        read_run(path)


def test_what_a_later_version_adds_is_passed_over(tmp_path: Path) -> None:
    """Unknown fields of the same schema and unknown tags do not make a run unreadable."""
    path = written(tmp_path)
    plain = msgspec.json.decode((path / MANIFEST).read_bytes())
    (path / MANIFEST).write_bytes(msgspec.json.encode(plain | {"added": 1}))
    text = (path / HISTOGRAMS).read_text()
    (path / HISTOGRAMS).write_text(text + text.splitlines()[-1].replace("Tag=service", "Tag=added") + "\n")
    assert_same(read_run(path), gathered(story()))


@settings(max_examples=60, deadline=None)
@given(st.sampled_from([MANIFEST, EVENTS, INTERVALS, HISTOGRAMS]), st.data())
def test_a_file_cut_short_anywhere_is_read_or_told(
    tmp_path_factory: pytest.TempPathFactory, name: str, data: st.DataObject
) -> None:
    """No cut raises anything but RunUnreadable, and a cut within the last line is only a warning."""
    path = written(tmp_path_factory.mktemp("results"))
    whole = (path / name).read_bytes()
    kept = data.draw(st.integers(0, len(whole)))
    (path / name).write_bytes(whole[:kept])
    if name == MANIFEST:
        with contextlib.suppress(RunUnreadable):
            read_run(path)
    else:
        judge(read_run(path))


@settings(max_examples=150, deadline=None)
@given(st.sampled_from([MANIFEST, EVENTS, INTERVALS, HISTOGRAMS]), st.data())
def test_a_file_with_random_damage_is_read_or_told(
    tmp_path_factory: pytest.TempPathFactory, name: str, data: st.DataObject
) -> None:
    """Whatever bytes stand in a file: evidence that can be judged, or RunUnreadable, and nothing else."""
    path = written(tmp_path_factory.mktemp("results"))
    damaged = bytearray((path / name).read_bytes())
    at = data.draw(st.integers(0, len(damaged) - 1))
    damaged[at : at + data.draw(st.integers(0, 8))] = data.draw(st.binary(max_size=8))
    (path / name).write_bytes(damaged)
    with contextlib.suppress(RunUnreadable):
        judge(read_run(path))


# The verdict's file.


def test_a_verdict_is_written_and_read(tmp_path: Path) -> None:
    """verdict.json is whole or not there, and is rebuilt from the other files."""
    path = written(tmp_path)
    assert read_verdict(path) is None
    verdict = judge(read_run(path))
    assert write_verdict(path, verdict) == path / VERDICT
    assert read_verdict(path) == verdict == judge(read_run(path))
    (path / VERDICT).write_text("{")
    with pytest.raises(RunUnreadable, match=VERDICT):
        read_verdict(path)
