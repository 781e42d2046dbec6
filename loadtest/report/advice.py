"""What to do next, item by item, and whose advice comes first.

Everything but the server's log needs sessions that connect. Where they did not, what could not be judged is
told to depend on `connect`, before any advice of its own: a person who is told to run longer and to mend the
server would do the wrong one first. verdict.json keeps every summary as it was made; this is about what
people read.
"""

from collections.abc import Mapping, Sequence

from msgspec.structs import replace

from loadtest.report.tables import gates, told
from loadtest.verdict import Item, Ruling

_STEPS: Mapping[tuple[str, Ruling], str] = {
    ("connect", Ruling.FAIL): "open one connection by hand with the same path, token and subprotocols; "
    "the error says at which step it ended",
    ("messaging", Ruling.FAIL): "look for the session and the time of the first error in the server's log; "
    "a run with --ws-drop-every 0 tells whether drops have to do with it",
    ("reconnect", Ruling.FAIL): "look for the session and the time of the first error in the server's log; "
    "a run with one kind (--ws-drops reset) tells which drops do it",
    ("persistence", Ruling.FAIL): "look up the first session in the server's store; a run with "
    "--ws-drops close tells whether orderly disconnects lose data too",
    (
        "latency",
        Ruling.FAIL,
    ): "repeat both revisions in turn, as loadtest duel does; if it stays, profile the "
    "quantile that moved: p50 is the common path, p99 the queue or the pause",
    ("server_log", Ruling.FAIL): "log at INFO what clients cause by leaving, and look into the real errors; "
    "the first lines of both are given here",
    ("server_log", Ruling.INCONCLUSIVE): "give the whole log of the run's time, also afterwards: "
    "loadtest report RUN --server-log FILE",
}

_SETTLE = "loadtest duel runs both revisions in turn until it is settled"
_FIRST_RUN = (
    "run the same command against the old revision, with --ws-revision NAME; later runs are compared with it"
)
_NAME_ONE = "one that was passed over can be named with --ws-baseline DIRECTORY"

_INDEPENDENT = ("connect", "server_log")
"""Items that do not wait for connect: a server writes its log whoever connects."""


def told_items(items: Sequence[Item]) -> list[Item]:
    """Return the items of a verdict as people are to read them: what waits for connect says so."""
    connect = _connect(items)
    return [_waiting(item, connect) if _waits(item, connect) else item for item in items]


def _connect(items: Sequence[Item]) -> Item:
    return next(item for item in items if item.item == "connect")


def _waits(item: Item, connect: Item) -> bool:
    """Tell whether an item may lack what connect has kept from it."""
    return item.verdict is Ruling.INCONCLUSIVE and item.item not in _INDEPENDENT and _in_the_way(connect)


def _in_the_way(connect: Item) -> bool:
    """Tell whether sessions did not connect; where it only cannot be told of all, it is in nobody's way."""
    return connect.verdict is Ruling.FAIL or _nobody(connect)


def _nobody(connect: Item) -> bool:
    counts = told(connect, "counts", dict[str, int], {})
    return bool(counts.get("attempts")) and not counts.get("established")


def _waiting(item: Item, connect: Item) -> Item:
    depends = f"it depends on connect, which is {connect.verdict}"
    if _nobody(connect):  # whatever it lacks, it lacks for that
        return replace(item, summary=f"no session was established: {depends}")
    return replace(item, summary=f"{depends}; then: {item.summary}")


def next_step(item: Item, items: Sequence[Item]) -> str:
    """Return what to do about an item of a verdict, empty where its summary or connect's says it."""
    waits = item.verdict is not Ruling.FAIL and item.item not in _INDEPENDENT
    if waits and _in_the_way(_connect(items)):
        return ""
    if item.item == "latency" and item.verdict is not Ruling.FAIL:
        return _of_latency(item)
    return _STEPS.get((item.item, item.verdict), "")


def _of_latency(item: Item) -> str:
    if item.verdict is Ruling.INCONCLUSIVE:
        undecided = [gate for gate in gates(item) if gate.decision == Ruling.INCONCLUSIVE]
        can_tell = undecided and all(gate.change_ratio is not None for gate in undecided)
        return _SETTLE if can_tell else ""  # more runs that are too short would not tell either
    if item.verdict is Ruling.PASS or "baseline" in item.evidence or item.evidence.get("rule"):
        return ""
    return f"{_FIRST_RUN}; {_NAME_ONE}" if item.evidence.get("passed_over") else _FIRST_RUN
