"""The server's gauge around a run: read before it, now and then during it, and until it is back."""

from __future__ import annotations

from typing import Any

import gevent
import pytest

from loadtest.errors import GaugeUnreadable, InvalidSetting
from loadtest.locust_plugin import gauge_watch
from loadtest.locust_plugin.gauge_watch import GaugeWatch


class Gauge:
    """A double that gives these values in turn, the last for ever; text is why it cannot be read."""

    def __init__(self, *values: float | str) -> None:
        self.values = list(values)

    def read(self) -> float:
        """Return the next value, or fail."""
        value = self.values.pop(0) if len(self.values) > 1 else self.values[0]
        if isinstance(value, str):
            raise GaugeUnreadable(value)
        return value

    def __str__(self) -> str:
        return "http://127.0.0.1/metrics#up"


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let no time pass between two readings."""
    for name in ("FIRST_AFTER_S", "EVERY_S", "BACK_S", "_LOOK_EVERY_S"):
        monkeypatch.setattr(gauge_watch, name, 0.0)


def watch(*values: float | str) -> GaugeWatch:
    """Return the watch over a gauge with these values."""
    gauge: Any = Gauge(*values)
    return GaugeWatch(gauge)


def test_a_gauge_that_cannot_be_read_is_refused() -> None:
    """It is a mistake in the option, with the reason."""
    with pytest.raises(InvalidSetting, match=r"^--ws-server-metrics cannot be read: HTTP 404 \(got 'http://"):
        watch("HTTP 404")


def test_it_is_read_until_it_is_back(monkeypatch: pytest.MonkeyPatch) -> None:
    """Readings that fail, or are still too high, are repeated; the peak is the highest during the run."""
    monkeypatch.setattr(gauge_watch, "BACK_S", 60.0)
    found = watch(1, 20, "no answer", 15, 30, 7, "no answer", 3, 1, 99)
    found.start()
    for _ in range(4):  # during the run
        gevent.sleep(0)
    reading = found.finish()
    assert (reading.before, reading.after, reading.problem) == (1, 1, "")
    assert reading.peak is not None
    assert reading.peak >= 20


def test_a_wait_is_logged(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    """Only where there is one, once, before it."""
    caplog.set_level("INFO", "loadtest")
    monkeypatch.setattr(gauge_watch, "BACK_S", 60.0)
    watch(1, 1).finish()
    assert caplog.messages == []
    watch(1, 5, 4, 1).finish()
    source = "http://127.0.0.1/metrics#up"
    assert caplog.messages == [f"waiting up to 60 s for the server's gauge {source} to return to 1"]


def test_it_is_not_waited_for_without_end() -> None:
    """After the time the last value stands, or why there was none."""
    assert watch(1, 5).finish().after == 5
    unread = watch(1, "HTTP 503").finish()
    assert (unread.after, unread.problem) == (None, "HTTP 503")


def test_a_value_below_the_start_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """Other clients have left: it will not come back."""
    monkeypatch.setattr(gauge_watch, "BACK_S", 60.0)
    assert watch(5, 0).finish().after == 0
