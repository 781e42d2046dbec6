"""Sessions that share an identity: whether the run asked for that, or the server leaks identities.

A server that takes a session's identity from its token makes all sessions one that use the same token. One
that says so (`Established.asked_id`) is right, and nothing else can be told of it: its sessions get each
other's replies and histories. So it is where all sessions ask for the same id. A server that gives a session
the id of another as if it were its own leaks identities. That fails `connect`. So does one that says so where
each session has credentials of its own: it mixes them up, whatever it was asked for.
"""

import re
from urllib.parse import unquote

from loadtest import text
from loadtest.results.data import RunData
from loadtest.results.identities import SharedIdentities

FOLLOWING = {
    "messaging": {"foreign", "unmatched", "pushes_foreign"},
    "persistence": {"foreign"},
}
"""Findings by item that sessions make which get what belongs to another."""

_PATH_PARTS = re.compile(r"[/?&=#]")


def one_identity(
    shared: SharedIdentities | None, path: str, *, asked: bool = False, own_credentials: bool = False
) -> str:
    """Return why sessions share an identity where the server is not to blame, empty otherwise.

    Args:
        shared: the sessions that share one.
        path: path of the endpoint. In run.json its query's values are hidden.
        asked: whether it is known, from before they were hidden, that all sessions asked for the same id.
        own_credentials: whether each session had credentials of its own.
    """
    if shared is None:
        return ""
    if shared.said and not own_credentials:
        return (
            f"{_made_one(shared)} (the server's ids: {_example(shared)}): give each session its own "
            "credentials with --ws-data"
        )
    if not shared.said and shared.ids == 1 and (asked or asked_alike(shared, path)):
        return (
            f"all sessions asked for the same id ({_example(shared)}): replace it with {{session_id}} in "
            "--ws-path"
        )
    return ""


def one_identity_of(run: RunData) -> str:
    """Return why a run's sessions share an identity where the server is not to blame, empty otherwise."""
    manifest = run.manifest
    return one_identity(
        run.shared_identities,
        manifest.plan.path,
        asked=manifest.same_id_asked,
        own_credentials=manifest.own_credentials,
    )


def leak(run: RunData) -> str:
    """Return that the server gave sessions the identity of others unasked, empty if it did not."""
    shared = run.shared_identities
    if shared is None or one_identity_of(run):
        return ""
    were = "session was" if shared.strays == 1 else "sessions were"
    given = f"{text.count(shared.strays)} {were} given the id of another session"
    if shared.said:
        return f"{given} ({_example(shared)}; two rows of --ws-data may log in as the same account)"
    return f"identity leak: {given} ({_example(shared)})"


def follows_from_leak(item: str, failings: set[str]) -> bool:
    """Return whether an item fails in nothing but what a leak of identities brings about."""
    return bool(failings) and failings <= FOLLOWING.get(item, set())


def _made_one(shared: SharedIdentities) -> str:
    sessions = text.counted(shared.sessions, "session")
    if shared.ids == 1:
        return f"one token gave {sessions} the same identity"
    return f"{sessions} share {text.counted(shared.ids, 'id')}, taken from their tokens"


def _example(shared: SharedIdentities) -> str:
    (first, second, given), *_ = shared.pairs
    if given == first:
        return f"{text.one_line(second)} has the id of {text.one_line(first)}"
    return f"{text.one_line(given)} for {text.one_line(first)} and {text.one_line(second)}"


def asked_alike(shared: SharedIdentities, path: str) -> bool:
    """Return whether the id that all sessions share is in the path that they request."""
    parts = {unquote(part) for part in _PATH_PARTS.split(path)} - {text.HIDDEN}
    return shared.ids == 1 and shared.pairs[0][2] in parts
