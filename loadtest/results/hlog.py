"""The lines of latency.hlog: HdrHistogram's interval log, version 1.3 with tags.

    Tag=service,12.000,1.001,5.743,HISTFAAAA…       tag, start, length, maximum, histogram

Start is in seconds since the run's start (`BaseTime`), length in seconds. Histograms count microseconds; the
maximum is in milliseconds, as HdrHistogram's tools print and expect it. Format: HistogramLogWriter.java of
https://github.com/HdrHistogram/HdrHistogram. This module writes the lines itself because the Python library's
writer does not support tags and rounds the maximum down to whole units. Its reader, and Java's, can read
them.
"""

import re
from typing import NamedTuple

from loadtest import histograms
from loadtest.histograms import Histogram
from loadtest.session.schedule import NS_PER_S

_US_PER_MS = 1000
_LINE = re.compile(r"Tag=([^,\s]{1,400}),(\d{1,9}\.\d{1,9}),(\d{1,9}\.\d{1,9}),(\d{1,12}\.\d{1,9}),(\S+)")
_COMMENT = ("#", '"')


def tag_of(user: str | None, tag: str) -> str:
    """Return a histogram's tag in the file: with the user class before it in a run of several."""
    return tag if user is None else f"{user}/{tag}"


class Entry(NamedTuple):
    """A line that holds a histogram, which is still encoded."""

    tag: str
    start_ns: int
    encoded: str


def head(started_unix_ns: int, started_at: str) -> str:
    """Return the header lines of the log.

    Args:
        started_unix_ns: the run's start in Unix time.
        started_at: the same as ISO 8601, for people.
    """
    started_s = f"{started_unix_ns / NS_PER_S:.3f}"
    return (
        "#[Histogram log format version 1.3]\n"
        "#[Histograms hold microseconds; Interval_Max is in milliseconds]\n"
        f"#[StartTime: {started_s} (seconds since epoch), {started_at}]\n"
        f"#[BaseTime: {started_s} (seconds since epoch)]\n"
        '"StartTimestamp","Interval_Length","Interval_Max","Interval_Compressed_Histogram"\n'
    )


def line(tag: str, *, start_ns: int, stop_ns: int, histogram: Histogram, text: str | None = None) -> str:
    """Return the line for one interval and tag.

    Args:
        tag: name of the measurement.
        start_ns, stop_ns: limits of the interval, in ns since the run's start.
        histogram: values in µs; must not be empty.
        text: the encoded histogram, if already known; saves encoding it again.
    """
    start_s, length_s = start_ns / NS_PER_S, (stop_ns - start_ns) / NS_PER_S
    max_ms = histogram.get_max_value() / _US_PER_MS
    return f"Tag={tag},{start_s:.3f},{length_s:.3f},{max_ms:.3f},{text or histograms.encode(histogram)}\n"


def parsed(text: str) -> Entry | None:
    """Parse a line; return None for a comment, the legend or a blank line.

    Raises:
        ValueError: the text is not a line of an interval log.
    """
    if text.startswith(_COMMENT) or not text.strip():
        return None
    match = _LINE.fullmatch(text.rstrip("\r\n"))
    if match is None:
        raise ValueError("is not a line of an interval log (Tag=TAG,START,LENGTH,MAX,HISTOGRAM)")
    return Entry(match[1], round(float(match[2]) * NS_PER_S), match[5])
