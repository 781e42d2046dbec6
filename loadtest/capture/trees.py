"""Messages as trees of dicts, lists and scalars, and paths to the values in them. Pure."""

from collections.abc import Callable, Iterator
from typing import Any, Final

Path = tuple[str | int, ...]
"""Keys and positions from the top of a message to a value in it."""

Tree = Any
"""What a message is after decoding: dicts, lists, texts, numbers, None."""

MAX_DEPTH: Final = 32
"""Levels of a message that are looked at; one with more is read as if it were not decoded."""

MAX_LEAVES: Final = 150
"""Values of a message that are looked at; a longer one holds lists of what its beginning shows."""

_LISTED: Final = 12
"""Items of a list that are looked at one by one."""

MISSING: Final = object()
"""Returned by `at` where a tree has nothing."""


def is_too_deep(tree: Tree, depth: int = MAX_DEPTH) -> bool:
    """Return whether a tree has more levels than allowed."""
    if not isinstance(tree, dict | list):
        return False
    below = tree.values() if isinstance(tree, dict) else tree
    return depth == 0 or any(is_too_deep(one, depth - 1) for one in below)


def leaves(tree: Tree) -> Iterator[tuple[Path, Any]]:
    """Yield the scalars of a tree with their paths, the first `MAX_LEAVES` of them."""
    for number, found in enumerate(_leaves(tree, ())):
        if number == MAX_LEAVES:
            return
        yield found


def _leaves(tree: Tree, path: Path) -> Iterator[tuple[Path, Any]]:
    if isinstance(tree, dict):
        for key, value in tree.items():
            yield from _leaves(value, (*path, key))
    elif isinstance(tree, list):
        for position, value in enumerate(tree[:_LISTED]):
            yield from _leaves(value, (*path, position))
    else:
        yield path, tree


def at(tree: Tree, path: Path) -> Any:
    """Return the value at a path, `MISSING` if there is none."""
    for step in path:
        if isinstance(tree, dict):
            tree = tree.get(step, MISSING)
        elif isinstance(tree, list) and isinstance(step, int) and step < len(tree):
            tree = tree[step]
        else:
            return MISSING
    return tree


def mapped(tree: Tree, change: Callable[[Path, Any], Any], path: Path = ()) -> Tree:
    """Return a tree with each scalar replaced by the function's result for its path and value."""
    if isinstance(tree, dict):
        return {key: mapped(value, change, (*path, key)) for key, value in tree.items()}
    if isinstance(tree, list):
        return [mapped(value, change, (*path, position)) for position, value in enumerate(tree)]
    return change(path, tree)


def shape(tree: Tree) -> Any:
    """Return the form of a tree without its scalars; two messages of one form have the same."""
    if isinstance(tree, dict):
        return tuple((key, shape(value)) for key, value in tree.items())
    if isinstance(tree, list):
        return ("list", *(shape(value) for value in tree))
    return None


def shown(path: Path) -> str:
    """Write a path for people: `payload.id`, `[1].ref`."""
    steps = (f"[{step}]" if isinstance(step, int) else f".{step}" for step in path)
    text = "".join(steps).removeprefix(".")
    return text or "the whole message"


def name_of(path: Path) -> str:
    """Return the innermost key of a path, empty if it has only positions."""
    return next((str(step) for step in reversed(path) if isinstance(step, str)), "")
