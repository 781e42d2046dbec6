"""Exempts the objects of sessions, which live as long as the run, from Python's garbage collection.

A full collection visits every tracked object and stops the whole process meanwhile. While sessions are added,
Python runs one whenever their number has grown by a quarter: with 10,000 sessions that was a third of the
cost of connecting, and up to 0.15 s at a time. Sessions leave no reference cycles when they end, so there is
nothing to collect, and exempted objects are freed by reference counting as usual. The engine does refer to
itself: once it has ended, everything is left to the collector again.

Sessions with scripts are not exempted: they form reference cycles with their tasks.
"""

import gc

_STEP = 500
"""Growth up to which one collection takes a few milliseconds."""

_SHARE = 8
"""Growth by an eighth of all counts too, so that there are few objects left in small runs."""

_AT_ONCE = 10_000
"""New objects, of all that refer to others, that start a collection by themselves. Python's 700 would have
those of a step looked at two times before the collection that is made anyway."""


class LastingObjects:
    """Keeps the collector from visiting the same sessions again and again, until it is closed."""

    def __init__(self) -> None:
        self._exempted = 0
        self._before = gc.get_threshold()
        gc.set_threshold(_AT_ONCE, *self._before[1:])

    def close(self) -> None:
        """Exempt nothing any more, and restore the collector's thresholds."""
        gc.unfreeze()
        if self._before[0] != _AT_ONCE:  # else another engine of this process was first, and has changed it
            gc.set_threshold(*self._before)

    def grown_to(self, size: int) -> None:
        """Collect once, then exempt the remaining objects, if there are many more than last time.

        Args:
            size: number of sessions so far plus number of connected sessions, as both add objects.
        """
        if size - self._exempted > min(_STEP, size // _SHARE):
            self._exempted = size
            gc.collect()
            gc.freeze()
