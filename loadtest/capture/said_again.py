"""Checks that the generated dialect writes the same messages as the client in the recording. Pure.

Ids, texts, secrets, times and values from the server are different in the replay. So a value may change; but
values that differed in the recording must differ again. This finds a `pong` with the number 1 for every
`ping`, and a token that is not replaced when the server issues a new one.
"""

from dataclasses import dataclass, field
from typing import Any, Final

from loadtest.capture.message_kinds import Kind, Record
from loadtest.capture.redaction import Redactor, is_secret_name
from loadtest.capture.trees import MISSING, Path, at, leaves, name_of, shown
from loadtest.text import HIDDEN, count

MAX_SHOWN: Final = 3
"""Differences that are named."""

_HIDDEN: Final = (HIDDEN, "[secret removed]")
"""Stand in the file where a secret was within a text."""

_CLOCK: Final = 1e9
"""Numbers from here on may be the client's clock, which stands still in a replay."""


@dataclass(slots=True)
class Said:
    """The client's messages compared with the dialect's.

    Args:
        redactor: hides the secrets of the recording.

    Attributes:
        messages: number of client messages.
        wrong: number of these that the dialect writes differently.
        differences: the first `MAX_SHOWN` kinds of differences, for people.
    """

    redactor: Redactor
    messages: int = 0
    wrong: int = 0
    differences: list[str] = field(default_factory=list)
    _recorded: dict[tuple[Kind, Path], dict[Any, Any]] = field(default_factory=dict)
    _named: set[tuple[Kind, Path | None]] = field(default_factory=set)

    def compare(self, record: Record, tree: Any) -> None:
        """Record whether a message equals the client's; `MISSING` if the dialect sent none."""
        self.messages += 1
        if tree is MISSING:
            self.wrong += 1
            self._name(record.kind, None, "not said")
            return
        differs = False
        for path, old in (((), record.tree),) if record.plain else leaves(record.tree):
            new = tree if record.plain else at(tree, path)
            if not self._same(record.kind, path, old, new):
                differs = True
                self._name(record.kind, path, self._how(path, old, new))
        self.wrong += differs

    def _same(self, kind: Kind, path: Path, old: Any, new: Any) -> bool:
        if isinstance(new, str) and new != old and any(mark in new for mark in _HIDDEN):
            return False
        if new is MISSING or (new is None and old is not None):
            return False
        if isinstance(old, int | float) and old >= _CLOCK:
            return isinstance(new, int | float)
        first = self._recorded.setdefault((kind, path), {}).setdefault(_key(new), old)
        return bool(_key(first) == _key(old))

    def _name(self, kind: Kind, path: Path | None, how: str) -> None:
        if (kind, path) in self._named or len(self.differences) == MAX_SHOWN:
            return
        self._named.add((kind, path))
        label = self.redactor.public(kind.label, 60)
        where = f".{self.redactor.public(shown(path), 60)}" if path else ""
        self.differences.append(f"{label}{where} ({how})")

    def _how(self, path: Path, old: Any, new: Any) -> str:
        said = "missing" if new is MISSING else self.redactor.public(str(new), 40)
        if isinstance(new, str) and any(mark in new for mark in _HIDDEN):
            return f"it is {HIDDEN}: write the right value"
        was = self.redactor.public(str(old), 40)
        if is_secret_name(name_of(path)) or HIDDEN in f"{said}{was}":
            return "the same secret, was a new one" if new is not MISSING else "missing, was a secret"
        return f"{said}, was {was}"

    def __str__(self) -> str:
        """Return the result in one line."""
        good = self.messages - self.wrong
        text = f"{good:,} of {count(self.messages)} messages from the client as recorded"
        return f"{text}; different: {'; '.join(self.differences)}" if self.differences else text


def _key(value: Any) -> Any:
    return (type(value).__name__, repr(value) if isinstance(value, dict | list) else value)
