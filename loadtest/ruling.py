"""PASS, FAIL, INCONCLUSIVE or NOT_JUDGED: what was found of a quantile, an item, a run or a duel.

FAIL > INCONCLUSIVE > PASS, and NOT_JUDGED counts for nothing. INCONCLUSIVE has an exit code of its own: a
pipeline that reads nothing else must not take "cannot tell" for "passed". Rules do not belong here.
"""

from collections.abc import Iterable
from enum import StrEnum


class Ruling(StrEnum):
    """What was found."""

    PASS = "PASS"  # noqa: S105 - a ruling, not a password
    FAIL = "FAIL"
    INCONCLUSIVE = "INCONCLUSIVE"
    NOT_JUDGED = "NOT_JUDGED"

    @property
    def exit_code(self) -> int:
        """0 pass, 1 fail, 4 inconclusive; of Locust and of `loadtest` alike."""
        return {Ruling.PASS: 0, Ruling.FAIL: 1}.get(self, 4)


_WORST_FIRST = (Ruling.FAIL, Ruling.INCONCLUSIVE, Ruling.PASS)


def worst(rulings: Iterable[Ruling]) -> Ruling:
    """Return the ruling on a whole by those on its parts; NOT_JUDGED where none of them was judged."""
    found = set(rulings)
    return next((one for one in _WORST_FIRST if one in found), Ruling.NOT_JUDGED)
