"""Fires Locust's `request` event for each message (`--ws-locust-events`), for users' own listeners.

Events are fired once a second for the messages of the interval: round trips with their time, and failed
messages with their error. Locust's own listener is left out, because its table is fed from the interval
(`loadtest.locust_plugin.stats`) and would count everything twice. An event takes a few microseconds, so
there are none by default.
"""

import time
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any, Final

from locust.event import EventHook

from loadtest.locust_plugin.stats import METHOD, ROUND_TRIP
from loadtest.results.interval import PackedInterval
from loadtest.session.recorder import ROUND_TRIPS, Interval

_LOCUSTS_OWN: Final = "Runner.__init__.<locals>.on_request"

_NS_PER_MS = 1e6


class MessageFailed(Exception):
    """A message that counts against `messaging`; the exception's text is the error."""


def fire_requests(hook: Any, interval: Interval, packed: PackedInterval, names: dict[str, str]) -> None:
    """Fire Locust's `request` event for the messages of an interval.

    Args:
        hook: Locust's `events.request`.
        interval: with the samples as they were recorded.
        packed: the same, without secrets.
        names: public names of requests, by name.
    """
    listening = EventHook()
    for listener in hook._handlers:
        if not _is_locusts(listener):
            listening.add_listener(listener)
    if not listening._handlers:
        return
    prefix = "" if packed.user is None else f"{packed.user} "
    for name, service_ns in _round_trips(interval, names):
        _fire(listening, prefix + name, service_ns / _NS_PER_MS, None)
    for tally in packed.errors:
        if tally.item == "messaging":
            for _ in range(tally.count):
                _fire(listening, prefix + ROUND_TRIP, 0.0, MessageFailed(tally.error))


def _is_locusts(listener: Callable[..., Any]) -> bool:
    return getattr(listener, "__qualname__", "") == _LOCUSTS_OWN


def _round_trips(interval: Interval, names: dict[str, str]) -> Iterator[tuple[str, int]]:
    """Yield each round trip with the name of its request, or of Locust's row if it has none."""
    named: Counter[int] = Counter()
    for name, samples_ns in interval.named.items():
        named.update(samples_ns)
        for service_ns in samples_ns:
            yield names[name], service_ns
    unnamed = Counter(ns for tag in ROUND_TRIPS for ns in interval.samples[tag]) - named
    for service_ns in unnamed.elements():
        yield ROUND_TRIP, service_ns


def _fire(hook: EventHook, name: str, response_time_ms: float, exception: Exception | None) -> None:
    hook.fire(
        request_type=METHOD,
        name=name,
        response_time=response_time_ms,
        response_length=0,
        response=None,
        context={},
        exception=exception,
        start_time=time.time() - response_time_ms / 1e3,
        url=None,
    )
