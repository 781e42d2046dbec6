"""Sizes of request texts: one size, or a distribution to draw from with the run's seed.

The size of a text depends only on seed, session and sequence number (see `loadtest.session.schedule`), so it
is the same whenever it is computed.
"""

from bisect import bisect
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import accumulate

from loadtest.session.schedule import uniform
from loadtest.setting import written


@dataclass(frozen=True, slots=True)
class Sizes:
    """Sizes of a run's texts.

    Args:
        weights: sizes in bytes, ascending, each with its relative frequency.
    """

    weights: tuple[tuple[int, float], ...]
    _bounds: tuple[float, ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        *sums, total = accumulate(weight for _, weight in self.weights)
        object.__setattr__(self, "_bounds", tuple(part / total for part in sums))

    @classmethod
    def of_setting(cls, value: int | Mapping[int, float]) -> "Sizes":
        """Return the sizes of a checked `--ws-message-bytes`."""
        weights = value if isinstance(value, Mapping) else {value: 1.0}
        return cls(tuple(sorted(weights.items())))

    @property
    def fixed(self) -> int | None:
        """The size of all texts; None if they differ."""
        return self.weights[0][0] if len(self.weights) == 1 else None

    @property
    def largest(self) -> int:
        """Size of the largest texts."""
        return self.weights[-1][0]

    def of(self, seed: int, session: int, sequence: int) -> int:
        """Return the size of a text in bytes.

        Args:
            seed: of the run.
            session: number of the session.
            sequence: of the request in its session.
        """
        if not self._bounds:
            return self.weights[0][0]
        return self.weights[bisect(self._bounds, uniform(seed, "size", session, sequence))][0]

    def __str__(self) -> str:
        """Return the sizes in the form of `--ws-message-bytes`."""
        return written(dict(self.weights) if self._bounds else self.fixed)
