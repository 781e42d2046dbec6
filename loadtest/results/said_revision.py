"""The revision that a server reports, compared with the one that the user gave."""

import re
from typing import Annotated

from msgspec import Meta, Struct

from loadtest.results.revision_name import revision_name

GIVEN = "--ws-revision"
"""Source of a revision that a person named."""

REFERENCE_SERVER = "the reference server"
"""Source of the revision of the server that the tool started itself."""

_UNSAFE = re.compile(r"[^a-z0-9._-]+")
_COMMIT = re.compile(r"[0-9a-f]{7,64}")
"""A commit's hash, in full or shortened as Git shortens it."""


class SaidRevision(Struct, frozen=True, kw_only=True):
    """The revision that the server reports, in a run whose revision the user gave.

    Args:
        name: as the server says it, in plain characters.
        source: the header or field that says it.
    """

    name: Annotated[str, Meta(max_length=4096)]
    source: Annotated[str, Meta(max_length=4096)]


def revision_doubt(given: str, said: SaidRevision | None) -> str:
    """Return how a revision that was given differs from what the server said; empty if it does not.

    One that is a shortened commit of the other, or has a `v` before it, is the same.
    """
    if said is None or said.name in _spellings(given) or _is_same(given, said.name):
        return ""
    return f"{GIVEN} is {given}, but the server says {said.name} ({said.source})"


def _spellings(given: str) -> set[str]:
    """Return the names that a server's text would have got which is what was given, `v` or not."""
    return {revision_name(text) for text in (given, f"v{given}", given.removeprefix("v"))}


def _is_same(one: str, other: str) -> bool:
    shorter, longer = sorted((_UNSAFE.sub("-", name.lower()).strip(".-") for name in (one, other)), key=len)
    shortened = _COMMIT.fullmatch(shorter) and _COMMIT.fullmatch(longer) and longer.startswith(shorter)
    return bool(shortened) or shorter.removeprefix("v") == longer.removeprefix("v")
