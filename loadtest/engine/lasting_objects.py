"""Exempts what lasts as long as the run, the objects of sessions, from Python's garbage collection.

A full collection looks at every object that it may have to collect, and stops the whole process meanwhile.
While sessions are added, Python does one whenever their number has grown by a quarter: with 10,000 sessions
that was a third of what a connect costs, and up to 0.15 s at a time. Sessions leave no cycles of references
when they end, so there is nothing to collect, and exempted objects are freed as ever. The engine does refer
to itself: once it has ended, all is left to the collector again.

Scripts are the exception: their sessions refer to their tasks and back, and are left to the collector.
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
    """Keeps the collector from looking at the same sessions again and again, until it is closed."""

    def __init__(self) -> None:
        self._exempted = 0
        self._before = gc.get_threshold()
        gc.set_threshold(_AT_ONCE, *self._before[1:])

    def close(self) -> None:
        """Exempt nothing any more, and let the collector start as often as before."""
        gc.unfreeze()
        if self._before[0] != _AT_ONCE:  # else another engine of this process was first, and has changed it
            gc.set_threshold(*self._before)

    def grown_to(self, size: int) -> None:
        """Collect once, then exempt what is left, if there is much more than last time.

        Args:
            size: sessions made so far, and those of them that are connected, which take objects too.
        """
        if size - self._exempted > min(_STEP, size // _SHARE):
            self._exempted = size
            gc.collect()
            gc.freeze()
