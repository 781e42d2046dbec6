"""Groups of sessions that are stopped together, for example the sessions of a Locust user."""

from collections.abc import Callable


class Stopping:
    """A group of sessions stopped together.

    Args:
        remaining: numbers of the sessions that have not ended.
        done: called once, when none remains.
    """

    def __init__(self, remaining: set[int], done: Callable[[], None]) -> None:
        self.remaining = remaining
        self._done: Callable[[], None] | None = done

    def check(self) -> None:
        """Call `done` once, when no session remains."""
        if not self.remaining and self._done is not None:
            done, self._done = self._done, None
            done()
