"""Reads the server's connection gauge: before the run, during it, and afterwards until it has returned.

It runs in the process that keeps the run directory, so only one process reads. `loadtest.verdict.cleanup`
decides what the values mean.
"""

import logging
import time
from typing import Any

import gevent
from msgspec.structs import replace

from loadtest.errors import GaugeUnreadable, InvalidSetting
from loadtest.results.manifest import ServerGauge
from loadtest.transport.metrics_gauge import OPTION, MetricsGauge

logger = logging.getLogger("loadtest")

FIRST_AFTER_S = 2.0
EVERY_S = 5.0
"""Seconds between reads during the run: long, because a server's metrics page may be large."""

BACK_S = 10.0
"""Seconds for the gauge to return to its first value: as long as after a `close` drop.

No connection is half-open any more then: the sockets of these are reset when the run ends.
"""

_LOOK_EVERY_S = 0.5


class GaugeWatch:
    """Reads a gauge before, during and after one run.

    Args:
        gauge: the gauge.

    Attributes:
        reading: the values so far.

    Raises:
        InvalidSetting: the gauge cannot be read.
    """

    def __init__(self, gauge: MetricsGauge) -> None:
        self._gauge = gauge
        self._during: Any = None  # the greenlet
        try:
            self.reading = ServerGauge(source=str(gauge), before=gauge.read())
        except GaugeUnreadable as error:
            problem = f"cannot be read: {error.problem}"
            raise InvalidSetting(OPTION, str(gauge), problem) from error

    def start(self) -> None:
        """Start reading the gauge periodically."""
        self._during = gevent.spawn(self._read_now_and_then)

    def _read_now_and_then(self) -> None:
        gevent.sleep(FIRST_AFTER_S)
        while True:
            try:
                value = self._gauge.read()
            except GaugeUnreadable:  # the server may be restarting; the readings at both ends decide
                pass
            else:
                peak = value if self.reading.peak is None else max(value, self.reading.peak)
                self.reading = replace(self.reading, peak=peak)
            gevent.sleep(EVERY_S)

    def stop(self) -> None:
        """Stop reading."""
        if self._during is not None:
            self._during.kill()

    def finish(self) -> ServerGauge:
        """Read the gauge until it has returned to its first value or the time is up; return all values."""
        self.stop()
        began_s = time.monotonic()
        self._read_last(began_s)
        if not self._over:
            wait = "waiting up to %g s for the server's gauge %s to return to %g"
            logger.info(wait, BACK_S, self._gauge, self.reading.before)
        while not self._over:
            gevent.sleep(_LOOK_EVERY_S)
            self._read_last(began_s)
        return self.reading

    @property
    def _over(self) -> bool:
        """Whether the gauge has returned, or the time is up."""
        after, waited_s = self.reading.after, self.reading.waited_s
        return (after is not None and after <= self.reading.before) or waited_s >= BACK_S

    def _read_last(self, began_s: float) -> None:
        after, problem = None, ""
        try:
            after = self._gauge.read()
        except GaugeUnreadable as error:
            problem = error.problem
        waited_s = round(time.monotonic() - began_s, 3)
        self.reading = replace(self.reading, after=after, problem=problem, waited_s=waited_s)
