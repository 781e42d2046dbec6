"""External names as metric labels: of bounded length and number.

A server may end each connection with a different close code. Each name kept would be a time series in a
Prometheus server for its whole retention time.
"""

from loadtest.results.per_second import KINDS_LIMIT, OTHER
from loadtest.text import one_line

LENGTH_LIMIT = 60


class BoundedNames:
    """Keeps the first `KINDS_LIMIT` names; later ones are `OTHER`, so counts never move between names."""

    __slots__ = ("_known",)

    def __init__(self) -> None:
        self._known: dict[str, str] = {}

    def of(self, name: str) -> str:
        """Return the name to use."""
        known = self._known.get(name)
        if known is not None:
            return known
        if len(self._known) >= KINDS_LIMIT:
            return OTHER
        return self._known.setdefault(name, one_line(name, LENGTH_LIMIT))
