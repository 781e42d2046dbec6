"""Detects a run in which no session can ever work, so that it ends early.

That is so if no session has worked after `GRACE_S` seconds of trying and none is up, if all sessions have
given up, or if sessions share an identity because the run asks for it. Such a run does not count as cut
short: going on would show nothing new.
"""

from collections.abc import Iterable, Mapping

from loadtest.results.identities import Identities
from loadtest.results.manifest import Manifest
from loadtest.session.recorder import Lifecycle
from loadtest.session.schedule import NS_PER_S
from loadtest.verdict.shared_identity import asked_alike, one_identity

GRACE_S = 30.0
"""Seconds of trying in which no session has to work: a starting server is usually ready by then."""

_WORKED = ("connect.established", "connect.unproven")

_ENDED = ("connect.gave_up", "reconnect.gave_up", "reconnect.forbidden", "stability.barred")
"""The ways in which a session ends before the run; each session has at most one of them."""


class Prospects:
    """Whether sessions of one run can still work.

    Args:
        manifest: the run's manifest.
        all_planned: whether the plan has all users of the run; with a load shape it does not.
        identifies: whether sessions have an identity that outlives connections.
        path: path of the endpoint with all values of its query, which the plan hides; None for the plan's.
        grace_s: seconds of trying in which no session has to work.
    """

    def __init__(
        self,
        manifest: Manifest,
        *,
        all_planned: bool = True,
        identifies: bool = False,
        path: str | None = None,
        grace_s: float = GRACE_S,
    ) -> None:
        self._manifest = manifest
        self._plan = manifest.plan
        self._identities = Identities() if identifies else None
        self._path = manifest.plan.path if path is None else path
        self._all_planned = all_planned
        self._grace_s = grace_s
        self._first_ns: int | None = None  # end of the first interval with an attempt

    def see(self, lifecycle: Iterable[Lifecycle]) -> None:
        """Add events of any process."""
        if self._identities is not None:
            for record in lifecycle:
                self._identities.event(record)

    @property
    def same_id_asked(self) -> bool:
        """Whether a value hidden in run.json is the one id that all sessions share."""
        if self._identities is None or "?" not in self._path:
            return False
        shared = self._identities.shared()
        return shared is not None and asked_alike(shared, self._path)

    def none_left(self, counts: Mapping[str, int], gauges: Mapping[str, float], stop_ns: int) -> str:
        """Return why no session can work any more; empty if one may.

        Args:
            counts: counts of the run so far.
            gauges: the latest gauges, summed over all processes.
            stop_ns: end of the newest interval.
        """
        if self._first_ns is None and counts.get("connect.attempts"):
            self._first_ns = stop_ns
        shared = None if self._identities is None else self._identities.shared()
        return (
            one_identity(shared, self._path, own_credentials=self._manifest.own_credentials)
            or self._none_worked(counts, gauges, stop_ns)
            or self._all_gone(counts)
        )

    def _none_worked(self, counts: Mapping[str, int], gauges: Mapping[str, float], stop_ns: int) -> str:
        waited_s = 0.0 if self._first_ns is None else (stop_ns - self._first_ns) / NS_PER_S
        # As long as no attempt has failed, the server may be slow within its timeouts. A session that is up
        # may yet work; where each is closed at once, the first interval that ends with none up ends the run.
        if waited_s < self._grace_s or gauges.get("sessions_up") or not counts.get("connect.failed"):
            return ""
        if any(counts.get(name) for name in _WORKED):
            return ""
        return f"no session worked within {self._grace_s:g} s"

    def _all_gone(self, counts: Mapping[str, int]) -> str:
        sessions = self._plan.sessions
        ended = sum(counts.get(name, 0) for name in _ENDED)
        # With the policy `none`, a session's first drop is its end by plan.
        by_plan = not self._plan.reconnects and bool(counts.get("connect.established"))
        if not self._all_planned or by_plan or not 0 < sessions <= ended:
            return ""
        return f"all {sessions} sessions have given up"
