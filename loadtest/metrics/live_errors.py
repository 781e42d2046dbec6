"""The errors of a run in progress, over all processes: how often each occurred, and its first occurrence."""

from collections.abc import Iterable, Sequence

import msgspec

from loadtest.session.recorder import ErrorTally

ERRORS_LIMIT = 200
"""Maximum number of distinct errors; further ones are counted together."""

FURTHER = "other errors"


class LiveErrors:
    """Adds up errors. Their texts are already safe to show."""

    def __init__(self) -> None:
        self._tallies: dict[tuple[str, str], ErrorTally] = {}

    def append(self, errors: Iterable[ErrorTally]) -> None:
        """Add the errors of an interval."""
        for tally in errors:
            key = (tally.item, tally.error)
            if key not in self._tallies and len(self._tallies) >= ERRORS_LIMIT:
                key = (tally.item, FURTHER)
            known = self._tallies.get(key)
            if known is None:
                self._tallies[key] = msgspec.structs.replace(tally, error=key[1])
            else:
                known.count += tally.count

    def most_frequent(self, most: int) -> Sequence[ErrorTally]:
        """Return the most frequent errors."""
        found = (one for one in self._tallies.values() if one.count > 0)  # the others were taken back
        return sorted(found, key=lambda one: (-one.count, one.at_ns))[:most]
