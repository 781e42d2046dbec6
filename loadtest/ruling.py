"""PASS, FAIL, INCONCLUSIVE or NOT_JUDGED: the result for a quantile, an item, a run or a duel.

The worst result wins: FAIL, then INCONCLUSIVE, then PASS; NOT_JUDGED is ignored. INCONCLUSIVE has its own
exit code, so that a pipeline that reads only exit codes cannot mistake it for a pass. Rules do not belong
here.
"""

from collections.abc import Iterable
from enum import StrEnum


class Ruling(StrEnum):
    """Result of a judgement."""

    PASS = "PASS"  # noqa: S105 - a ruling, not a password
    FAIL = "FAIL"
    INCONCLUSIVE = "INCONCLUSIVE"
    NOT_JUDGED = "NOT_JUDGED"

    @property
    def exit_code(self) -> int:
        """Exit code of Locust and `loadtest`: 0 pass, 1 fail, 4 inconclusive or not judged."""
        return {Ruling.PASS: 0, Ruling.FAIL: 1}.get(self, 4)


_WORST_FIRST = (Ruling.FAIL, Ruling.INCONCLUSIVE, Ruling.PASS)


def worst(rulings: Iterable[Ruling]) -> Ruling:
    """Return the worst of the rulings on the parts; NOT_JUDGED if no part was judged."""
    found = set(rulings)
    return next((one for one in _WORST_FIRST if one in found), Ruling.NOT_JUDGED)
