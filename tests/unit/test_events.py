"""The records between session and engine."""

import inspect
from typing import get_args

import pytest
from msgspec import Struct

from loadtest import events
from loadtest.events import Action, Event

RECORDS = [
    each
    for _, each in inspect.getmembers(events, inspect.isclass)
    if issubclass(each, Struct) and each is not Struct
]


@pytest.mark.parametrize("record", RECORDS, ids=lambda record: record.__name__)
def test_is_frozen_and_explained(record: type[Struct]) -> None:
    """A record cannot be changed on its way, and says what it means."""
    assert record.__struct_config__.frozen
    assert (record.__doc__ or "").strip()


def test_unions_hold_every_record() -> None:
    """Every record is an event, an action, or stands inside one; none is both."""
    told, asked = set(get_args(Event)), set(get_args(Action))
    inside = {events.Identity, events.Endpoint, events.Drop, events.Phases}
    assert told | asked | inside == set(RECORDS)
    assert not told & asked
