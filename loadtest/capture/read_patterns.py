"""Cases of `read`, and the patterns of messages in them. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from loadtest.capture.inferred import Heard
from loadtest.capture.python_source import Code
from loadtest.capture.trees import Path

_TYPES: Final = {
    "str": "str()",
    "int": "int()",
    "float": "float()",
    "bool": "bool()",
    "dict": "dict()",
    "list": "list()",
    "NoneType": "None",
}


@dataclass(slots=True)
class Case:
    """A case of `read`.

    Args:
        pattern: the pattern that the message must match.
        lines: the statements, indented below it.
        why: the evidence.
        weight: number of conditions; cases with more come first.
        branches: number of conditions within it.
    """

    pattern: str
    lines: Sequence[str]
    why: str
    weight: int
    branches: int = 0


@dataclass(slots=True)
class Node:
    """A part of a pattern: the nodes below it, or a pattern for the value itself."""

    below: dict[str | int, "Node"] = field(default_factory=dict)
    code: str = "_"

    def put(self, path: Path, code: str) -> None:
        """Require this at a path."""
        node = self
        for step in path:
            node = node.below.setdefault(step, Node())
        node.code = code

    def tree(self, length: int | None = None) -> Any:
        """Return the pattern as a tree of source; `length` fixes the number of items of a list."""
        if not self.below:
            return Code(self.code)
        if all(isinstance(step, int) for step in self.below):
            positions = [step for step in self.below if isinstance(step, int)]
            count = length if length is not None else max(positions) + 1
            items = [self.below[at].tree() if at in self.below else Code("_") for at in range(count)]
            return [*items, *([Code("*_")] if length is None else [])]
        return {str(key): node.tree() for key, node in self.below.items()}


def types_of(heard: Heard) -> list[str]:
    """Return a pattern for each item of a list, by its type."""
    tree = heard.kind.records[0].tree
    return [_TYPES.get(type(one).__name__, "_") for one in tree] if isinstance(tree, list) else []
