"""Whether the generated dialect says what the client said in the recording. Pure.

Ids, texts, secrets, times and what the server told are other values in the replay. So a value may differ; but
what differed in the recording must differ again. `pong` with the number 1 for every `ping` is found so, and a
token that stays when the server has issued a new one.
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
    """What the client said, and what the dialect says instead.

    Args:
        redactor: knows what must not be shown.

    Attributes:
        messages: of the client.
        wrong: of these, how many the dialect says otherwise.
        differences: the first `MAX_SHOWN` kinds of differences, for people.
    """

    redactor: Redactor
    messages: int = 0
    wrong: int = 0
    differences: list[str] = field(default_factory=list)
    _recorded: dict[tuple[Kind, Path], dict[Any, Any]] = field(default_factory=dict)
    _named: set[tuple[Kind, Path | None]] = field(default_factory=set)

    def compare(self, record: Record, tree: Any) -> None:
        """Note whether a message is what the client said; `MISSING` if the dialect said none."""
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
        said = "nothing" if new is MISSING else self.redactor.public(str(new), 40)
        if isinstance(new, str) and any(mark in new for mark in _HIDDEN):
            return f"{HIDDEN} stands there: write what it must be"
        was = self.redactor.public(str(old), 40)
        if is_secret_name(name_of(path)) or HIDDEN in f"{said}{was}":
            return "the same secret, was another" if new is not MISSING else "nothing, was a secret"
        return f"{said}, was {was}"

    def __str__(self) -> str:
        """Return the result in a line."""
        good = self.messages - self.wrong
        text = f"{good:,} of {count(self.messages)} messages of the client as recorded"
        return f"{text}; differs: {'; '.join(self.differences)}" if self.differences else text


def _key(value: Any) -> Any:
    return (type(value).__name__, repr(value) if isinstance(value, dict | list) else value)
