"""Cost of a script: CPU per round trip of a script, compared with a planned one.

Both send the same messages to the same server, in turn. A script may cost 5 µs more per message.
"""

from tests.benchmarks.locust_process import HERE, measured
from tests.benchmarks.ours import SETTLING

KINDS = {
    "planned, closed loop": ("--ws-arrivals", "closed"),
    "script, closed loop": ("-f", str(HERE / "script_user.py"), "ScriptUser"),
    "planned, 50 a second": ("--ws-rate", "50"),
    "script, 50 a second": ("-f", str(HERE / "script_user.py"), "PacedUser"),
}
"""Who is measured, and the arguments for Locust."""


def cost(port: int, kind: str, sessions: int, seconds: int) -> dict[str, float]:
    """Measure one kind of traffic."""
    with measured(port, sessions, *KINDS[kind]) as process:
        settled = len(process.wait_until_up(sessions)) + SETTLING
        before, after = process.progress(settled), process.progress(settled + seconds)
    cpu_us, _ = after.cost_since(before)
    return {f"CPU a round trip, µs, {kind.partition(', ')[2]}": cpu_us}
