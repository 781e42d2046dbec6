"""What a server did wrong besides the outcomes of requests: each is enough to fail its item.

Figures and time series of a run have them, so that a run that fails for one of them has more than zeros.
"""

from collections.abc import Mapping

from loadtest.results.manifest import Manifest
from loadtest.verdict import messaging, persistence

_CLOSE = ("close_not_closed",)
_HALF_OPEN = ("half_open_late", "half_open_not_closed")


def findings(counts: Mapping[str, int], of: Manifest) -> dict[tuple[str, str], int]:
    """Return how often each was found, by item and name.

    Args:
        counts: of the run, so far or to its end.
        of: the run: without a cleanup time, no half-open connection is open for too long.
    """
    left_open = _CLOSE if of.cleanup_s is None else _CLOSE + _HALF_OPEN
    keeps_history = any(counts.get(f"persistence.{name}", 0) > 0 for name in persistence.RESTORED)
    names = {
        "messaging": [name for name in messaging.FAILINGS if name not in messaging.OUTCOMES],
        "persistence": [name for name in persistence.FAILINGS if keeps_history or name != "history_missing"],
        "cleanup": left_open,
    }
    return {(item, name): counts.get(f"{item}.{name}", 0) for item, own in names.items() for name in own}
