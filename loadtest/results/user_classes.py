"""Runs of several user classes: the manifest of one class, and the plan that all have together.

Each class has its own plan, promises, limits and margins, and is judged by them as if it were a run of its
own. What belongs to the run, such as the server, the revision and the drills, is the same for all.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import msgspec
from msgspec import UNSET

from loadtest.results.manifest import Manifest, Plan, Promises, UserClass

_TOGETHER = " + "


def manifest_of(manifest: Manifest, of: UserClass) -> Manifest:
    """Return a run's manifest as that of a run of one class.

    The server's own gauge counts the connections of all classes, so it is not in it.
    """
    own = {name: getattr(of, name) for name in UserClass.__struct_fields__ if name != "name"}
    return msgspec.structs.replace(manifest, user_classes=UNSET, server_gauge=None, **own)


def fields_of(classes: Sequence[UserClass], *, several: bool) -> dict[str, Any]:
    """Return the fields of a manifest about its user classes.

    Args:
        classes: the classes that take part.
        several: whether the run has several, though perhaps only one takes part.
    """
    if not several:
        return {name: getattr(classes[0], name) for name in UserClass.__struct_fields__ if name != "name"}
    return {
        "plan": plan_of_all([one.plan for one in classes]),
        "promises": promises_of_all(one.promises for one in classes),
        "user_classes": tuple(classes),
    }


def plan_of_all(plans: Sequence[Plan]) -> Plan:
    """Return what the plans of a run's classes are together, for people: what differs is put side by side.

    It is not for comparing runs: the hash of such a run is that of the classes' own plans.
    """
    first = plans[0]
    merged = {
        name: _MERGED[name](getattr(plan, name) for plan in plans)
        if name in _MERGED
        else getattr(first, name)
        for name in Plan.__struct_fields__
    }
    return Plan(**merged)


def promises_of_all(promises: Iterable[Promises | None]) -> Promises | None:
    """Return what the dialects of all classes promise together; None if that is not known of one."""
    known = list(promises)
    if not known or None in known:
        return None
    of = [one for one in known if one is not None]
    return Promises(
        ordered=all(one.ordered for one in of),
        identifies=any(one.identifies for one in of),
        pushes=any(one.pushes for one in of),
        requests=any(one.requests for one in of),
        cleanup_s=None,
    )


def alike(plans: Sequence[Plan]) -> dict[str, Any]:
    """Return the fields that all these plans have alike, with their values."""
    first = plans[0]
    return {
        name: getattr(first, name)
        for name in Plan.__struct_fields__
        if all(getattr(plan, name) == getattr(first, name) for plan in plans)
    }


def _beside(values: Iterable[Any]) -> Any:
    """Return the value that all have, else their texts side by side."""
    found = list(dict.fromkeys(values))
    return found[0] if len(found) == 1 else _TOGETHER.join(map(str, found))


def _arrivals(values: Iterable[str]) -> str:
    found = set(values)
    return found.pop() if len(found) == 1 else "constant"


def _weights(values: Iterable[dict[str, float]]) -> dict[str, float]:
    return {kind: weight for weights in values for kind, weight in weights.items()}


def _least(values: Iterable[float]) -> float:
    """Return the shortest interval; 0 stands for none."""
    return min(filter(None, values), default=0.0)


def _storms(values: Iterable[tuple[Any, ...]]) -> tuple[Any, ...]:
    return tuple(sorted({storm for storms in values for storm in storms}, key=lambda storm: storm.at_s))


_MERGED: dict[str, Callable[[Iterable[Any]], Any]] = {
    "dialect": _beside,
    "path": _beside,
    "users": sum,
    "sessions_per_user": max,
    "rate": max,
    "arrivals": _arrivals,
    "in_flight": max,
    "message_bytes": _beside,
    "drop_every_s": _least,
    "drops": _weights,
    "tasks": _weights,
    "storms": _storms,
    "backoff": _beside,
    "compression": _beside,
    "ping_interval_s": _least,
    "reply_timeout_s": max,
    "open_timeout_s": max,
    "warmup_s": max,
}
"""How a field of all plans is made; of the others the first plan's is taken."""
