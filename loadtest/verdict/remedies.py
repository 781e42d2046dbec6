"""What to do about an overloaded load generator: only what the command that made the run can do.

Locust runs have workers and a rate, a duel passes both on to Locust. A probe has neither.
"""

from loadtest.results.manifest import Manifest

_LESS = "lower --sessions, or use a less busy machine"

_PROBES = {
    "load": _LESS,
    "threads": _LESS,
    "pauses": _LESS,
    "held_back": _LESS,
    "warmup": "probe again",
    "files": "raise `ulimit -n`, or use fewer --sessions",
    "ports": "use fewer --sessions",
}

_RUNS = {
    "load": "use more workers or a lower rate",
    "threads": "use more workers, and run no other CPU-heavy code in their processes",
    "pauses": "use more workers with fewer sessions each",
    "held_back": "use a lower rate",
    "warmup": "run longer than the warm-up",
    "files": "raise `ulimit -n`, or use more workers",
    "ports": "add addresses with --ws-source-ip",
}

MACHINE = "other processes used the CPU: run on a less busy machine"
"""The one remedy that no option gives."""

_ANY = {
    "blocked": "the script or the dialect blocked it (see below)",
    "machine": MACHINE,
    "stall": "make sure that nothing suspends the process or the machine",
    "flood": (
        "the server sent more than the tool could read (see losses with cause `flooded`, and "
        "--ws-max-messages-per-s)"
    ),
    "steal": "use a machine with dedicated CPUs",
}


def remedy(problem: str, manifest: Manifest) -> str:
    """Return what to do about a problem, as the command that made a run can.

    Args:
        problem: what is short: `load` (the engine's time), `machine` (the CPU, which others had), `threads`,
            `pauses`, `held_back`, `warmup`, `files`, `ports`, `stall`, `steal`, `flood`,
            `blocked` (by user code).
        manifest: of the run.
    """
    if problem in _ANY:
        return _ANY[problem]
    if manifest.made_by == "probe":
        return _PROBES[problem]
    plan = manifest.plan
    if problem == "load" and (plan.arrivals == "closed" or not plan.messages_planned):
        return "use more workers or fewer sessions"  # there is no rate
    if problem == "held_back" and plan.in_flight:
        return "use a lower rate, or raise --ws-in-flight"
    return _RUNS[problem]
