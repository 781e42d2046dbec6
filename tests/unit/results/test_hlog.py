"""The interval log: one line a second of all workers, read by the library and by its format's description."""

from __future__ import annotations

import base64
import re
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path

import pytest
from hdrh.log import HistogramLogReader

from loadtest import histograms
from loadtest.results.directory import HISTOGRAMS
from loadtest.results.interval import pack
from loadtest.results.reader import read_run
from loadtest.results.writer import HORIZON_S, RunWriter
from tests.support.runs import interval, manifest
from tests.support.stories import ENDED_AT, story, written

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


# The interval log, read by others.


def test_the_interval_log_is_read_by_the_librarys_reader(tmp_path: Path) -> None:
    """Tags, times and every sample, by hdrhistogram's own HistogramLogReader."""
    path = written(tmp_path)
    reader = HistogramLogReader(str(path / HISTOGRAMS), histograms.new_histogram())
    try:
        entries = list(iter(reader.get_next_interval_histogram, None))
    finally:
        reader.close()
    assert reader.get_start_time_sec() == 1_795_443_815.0
    assert [entry.get_tag() for entry in entries].count("service") == 8
    assert entries[1].get_start_time_stamp() == (1_795_443_815 + 1) * 1000.0
    assert entries[1].get_end_time_stamp() == (1_795_443_815 + 2) * 1000.0
    whole = histograms.merged(entry for entry in entries if entry.get_tag() == "service")
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
