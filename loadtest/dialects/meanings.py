"""Results of `Dialect.read`, as text and as facts, for `loadtest dialect check`. Pure."""

from collections.abc import Sequence
from typing import Any

import msgspec
from msgspec import Struct

from loadtest.dialects.base import Established, Push, Reply, Restored, Unreadable
from loadtest.text import counted, one_line


def listed(result: Any) -> Sequence[Any]:
    """Return the result of `read` as a list; a wrong result is its only item."""
    if result is None:
        return ()
    return result if isinstance(result, list | tuple) else (result,)


def facts_of(incoming: Any) -> list[str]:
    """Return the type of a result of `read`, and the fields that show what a run can judge."""
    name = type(incoming).__name__
    fields: tuple[str, ...] = ()
    match incoming:
        case Reply():
            fields = ("text",)
        case Established():
            fields = ("session_id",)
        case Push():
            fields = ("text", "number", "sent_at_ms")
        case Restored():
            fields = ("texts", "sequences")
    return [name, *(f"{name}.{field}" for field in fields if getattr(incoming, field) not in _LEFT_OUT)]


_LEFT_OUT: tuple[Any, ...] = (None, msgspec.UNSET, (), [])
"""Values of fields that say nothing."""

_VALUE = 40
"""Characters shown of a field's value."""


def meaning_of(incoming: Any) -> str:
    """Return a result of `read` as Python code, with values shortened and defaults left out."""
    if not isinstance(incoming, Struct):
        return _short(incoming)
    if isinstance(incoming, Unreadable):
        return "Unreadable"
    shown = []
    for field in msgspec.structs.fields(incoming):
        value = getattr(incoming, field.name)
        if value == field.default:
            continue
        if isinstance(value, tuple | list):
            shown.append(counted(len(value), field.name.removesuffix("s")))
            continue
        text = "…" if field.name == "text" else _short(value)  # a text stands in the message beside it
        shown.append(text if field.required else f"{field.name}={text}")
    return f"{type(incoming).__name__}({', '.join(shown)})"


def _short(value: Any) -> str:
    """Return the `repr` of a value, with a long text cut within its quotes."""
    if isinstance(value, tuple | list):
        return counted(len(value), "value")
    if isinstance(value, str):
        return f"'{one_line(value, _VALUE)}'"
    return one_line(repr(value), _VALUE)
